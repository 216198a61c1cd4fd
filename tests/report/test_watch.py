"""The page that renews itself: as the run goes on, for this machine alone, whatever becomes of the run's files."""

import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from ganneal.cli.report import ReportCommand
from ganneal.report.watch import RenewedPage, page_server


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that is under way."""
    folder = tmp_path / "mine"
    (folder / "samples").mkdir(parents=True)
    description = {"experiment": {"name": "mine"}, "data": {"shape": [1, 8, 8]}, "provenance": {}}
    (folder / "experiment.json").write_text(json.dumps(description))
    add(folder, num_real=0, **{"FD-pixels16": 100.0})
    Image.new("L", (16, 16)).save(folder / "samples" / "000000000.png")
    return folder


def add(folder: Path, **row: float) -> None:
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_page_follows_the_record_but_not_at_every_request(run: Path) -> None:
    clock = Clock()
    page = RenewedPage(run, clock)
    assert "measured once, 100" in page.html()
    add(run, num_real=64, **{"FD-pixels16": 40.0})
    assert "measured once, 100" in page.html()  # ten seconds have not passed
    clock.now = 11.0
    assert "FD-pixels16 fell from 100 to 40" in page.html() and "renews itself" in page.html()


def test_an_unchanged_record_is_not_drawn_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    page = RenewedPage(run, clock)
    before = page.html()
    monkeypatch.setattr("ganneal.report.watch.run_page", None)
    clock.now = 1e6
    assert page.html() is before


def test_half_a_row_is_left_out_and_damage_leaves_the_last_page_with_a_word(run: Path) -> None:
    clock = Clock()
    page = RenewedPage(run, clock)
    page.html()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"num_real": 64, "FD-pix')
    clock.now = 11.0
    assert "measured once, 100" in page.html()
    (run / "experiment.json").write_text('{"experiment"')
    clock.now = 22.0
    assert "measured once, 100" in page.html() and "Nothing newer can be shown" in page.html()
    shutil.rmtree(run)
    clock.now = 33.0
    assert "measured once, 100" in page.html()


def test_a_run_that_only_begins_is_waited_for(run: Path) -> None:
    clock, folder = Clock(), run.with_name("begun")
    folder.mkdir()
    page = RenewedPage(folder, clock)
    assert "no pictures yet" in page.html()
    shutil.copytree(run, folder, dirs_exist_ok=True)
    clock.now = 11.0
    assert "measured once, 100" in page.html()


@pytest.fixture
def server(run: Path) -> Iterator[ThreadingHTTPServer]:
    with page_server(run, 0) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def answer(server: ThreadingHTTPServer, path: str = "/", host: str | None = None, method: str = "GET") -> tuple:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers={} if host is None else {"Host": host})
    response = connection.getresponse()
    return response.status, response.read().decode(), response.headers


def test_the_page_is_served_on_loopback_and_asks_for_itself_again(server: ThreadingHTTPServer) -> None:
    status, page, headers = answer(server)
    assert server.server_address[0] == "127.0.0.1"
    assert (status, headers["Refresh"], headers["Cache-Control"]) == (200, "10", "no-store")
    assert page.startswith("<!doctype html>") and answer(server, method="HEAD")[:2] == (200, "")


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/", "localhost:8000", 200),
        ("/?again", None, 200),
        ("/", "evil.example:8000", 403),
        ("/metrics.jsonl", None, 404),
        ("/../experiment.json", None, 404),
    ],
)
def test_nothing_but_the_page_and_nobody_but_this_machine(
    server: ThreadingHTTPServer, path: str, host: str | None, status: int
) -> None:
    assert answer(server, path, host)[0] == status


def test_a_taken_port_is_named(server: ThreadingHTTPServer, run: Path) -> None:
    with pytest.raises(ValueError, match=f"port {server.server_port} is taken"):
        page_server(run, server.server_port)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("{run} --watch --out page.html", "leave --out and --data.path out"),
        ("{run} {run} --watch", "the page of one run"),
        ("{run} --port 8000", "add --watch"),
        ("{run} --watch --port 70000", "port must be in 0..65535"),
        ("{run}x --watch", "no run at"),
    ],
)
def test_what_cannot_be_watched_is_said(run: Path, arguments: str, said: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        ReportCommand.parse(arguments.format(run=run).split(), "report")("")


def test_ctrl_c_ends_it_politely(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(server: ThreadingHTTPServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", pressed)
    ReportCommand.parse([str(run), "--watch", "--port", "0"], "report")("")
    said = capsys.readouterr().out
    assert said.startswith(f"watching {run}: http://127.0.0.1:") and said.endswith("no longer watching\n")
