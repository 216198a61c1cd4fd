"""`ganneal fetch` against a server of this test's own: nothing here leaves the machine."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ganneal.cli.fetch import FetchCommand
from ganneal.metrics.extractors import inception_file as files

WEIGHTS = bytes(range(256)) * 5000
NAME = files.FID_FILE.name


def main(arguments: list[str]) -> None:
    FetchCommand.parse(arguments, "fetch")("")


@pytest.fixture(autouse=True)
def small_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is quick to send stands for the public one; proxies of this machine play no part."""
    expected = replace(files.FID_FILE, size=len(WEIGHTS), sha256=(hashlib.sha256(WEIGHTS).hexdigest(),))
    monkeypatch.setattr(files, "FID_FILE", expected)
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        bodies = {"/good": WEIGHTS, "/other": WEIGHTS[::-1], "/long": WEIGHTS * 20, "/cut": WEIGHTS[:1000]}
        if self.path not in bodies:
            self.send_error(404)
            return
        self.send_response(200)
        length = len(WEIGHTS) if self.path == "/cut" else len(bodies[self.path])
        self.send_header("Content-Length", str(length))
        self.end_headers()
        try:
            self.wfile.write(bodies[self.path])
        except OSError:
            pass  # the reader has seen enough of the one that is too long

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_what_comes_is_checked_and_written(server, tmp_path, capsys):
    out = tmp_path / "new" / "weights.pth"
    main(["inception", "--out", str(out), "--url", f"{server}/good"])
    assert out.read_bytes() == WEIGHTS
    assert capsys.readouterr().out == f"{NAME}, SHA-256 as it should be: {out}\n"
    assert [path.name for path in out.parent.iterdir()] == ["weights.pth"]


def test_without_out_it_goes_where_the_extractor_looks(server, capsys):
    main(["inception", "--url", f"{server}/good"])
    assert files.fetched_inception().read_bytes() == WEIGHTS
    assert str(files.fetched_inception()) in capsys.readouterr().out


def test_the_public_address_is_the_default(monkeypatch, server):
    asked = []
    monkeypatch.setattr(files, "downloaded", lambda url, *_: asked.append(url) or WEIGHTS)
    main(["inception"])
    assert asked == [files.FID_FILE.url] and str(files.FID_FILE.url).startswith("https://github.com/mseitzer/")


def test_progress_counts_up_to_the_size(server, tmp_path):
    seen: list[tuple[int, int]] = []
    files.fetch_inception(tmp_path / "w", url=f"{server}/good", progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS)) and seen == sorted(seen)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("other", "its SHA-256 must begin with"),
        ("long", f"must have {len(WEIGHTS)} bytes, got {len(WEIGHTS) + 1}"),
        ("cut", f"must have {len(WEIGHTS)} bytes, got 1000|IncompleteRead"),
    ],
)
def test_another_file_is_refused_and_the_old_one_stays(server, tmp_path, path, message):
    out = tmp_path / "weights.pth"
    out.write_bytes(b"old")
    with pytest.raises((ValueError, OSError), match=message):
        main(["inception", "--out", str(out), "--url", f"{server}/{path}"])
    assert out.read_bytes() == b"old" and list(tmp_path.glob(".*")) == []


def test_a_file_on_disk_can_be_the_mirror(tmp_path):
    (tmp_path / "copy").write_bytes(WEIGHTS)
    main(["inception", "--out", str(tmp_path / "out"), "--url", (tmp_path / "copy").as_uri()])
    assert (tmp_path / "out").read_bytes() == WEIGHTS


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("kind", ["offline", "no such page", "no such file", "no address"])
def test_without_a_connection_one_line_says_what_to_do(server, tmp_path, kind):
    url = {
        "offline": f"http://127.0.0.1:{unused_port()}/good",
        "no such page": f"{server}/nothing",
        "no such file": (tmp_path / "missing").as_uri(),
        "no address": "weights.pth",
    }[kind]
    with pytest.raises(OSError) as error:
        main(["inception", "--out", str(tmp_path / "out"), "--url", url])
    assert str(error.value).startswith(f"cannot download {url} (") and "\n" not in str(error.value)
    assert "copy pt_inception-2015-12-05-6726825d.pth from a machine with a network" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_nothing_else_is_on_offer():
    with pytest.raises(ValueError, match="WHAT must be one of inception, got 'resnet'"):
        main(["resnet"])
