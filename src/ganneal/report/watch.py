"""The page of a run that is training, served to this machine alone and renewed as the run goes on."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, current_thread, main_thread
from time import monotonic, strftime, thread_time

from markupsafe import escape

from ganneal.report.page import render
from ganneal.report.records import STUDY
from ganneal.report.run_page import run_page
from ganneal.storage.atomic import check_named

HOST = "127.0.0.1"
PORTS = range(8000, 8100)
"""Tried in order where no port is asked for."""
SECONDS, MOST_SECONDS = 10.0, 60.0
LARGEST_SHARE = 0.05
"""Part of a processor's time that making pages may take, so that the training beside it keeps its speed."""
WATCHED = ("experiment.json", "metrics.jsonl", "health.jsonl", "evaluation.jsonl", "samples")


class RenewedPage:
    """The page of the run at ``path`` as it stands, made again where its records have changed.

    A run that has no pictures yet, or a file that cannot be read, leaves the last page with a word on it.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic):
        self.path, self._clock = path, clock
        self.seconds = SECONDS
        """Between two renewals."""
        self._lock = Lock()
        self._html, self._said = "", ""
        self._of: object = None
        self._next = 0.0

    def html(self) -> str:
        """The page now."""
        with self._lock:  # several browsers may ask at once
            now, records = self._clock(), self._fingerprint()
            if now >= self._next and records != self._of:
                worked = thread_time()
                self._renew()
                # A page of many pictures takes seconds: the training beside it comes first.
                self.seconds = min(max(SECONDS, (thread_time() - worked) / LARGEST_SHARE), MOST_SECONDS)
                self._of, self._next = records, self._clock() + self.seconds
            return self._html

    def _fingerprint(self) -> object:
        found = []
        for name in WATCHED:
            try:
                status = (self.path / name).stat()
                found.append((name, status.st_mtime_ns, status.st_size))
            except OSError:
                found.append((name,))
        return tuple(found)

    def _renew(self) -> None:
        said = f"As of {strftime('%H:%M:%S')}; this page renews itself while `ganneal report --watch` runs."
        try:
            self._html, self._said = run_page(self.path, live=said), said
        except Exception as error:  # whatever a run does to its files, the server goes on
            trouble = f"Nothing newer can be shown at {strftime('%H:%M:%S')}: {error}"
            if self._said:
                self._html, self._said = self._html.replace(str(escape(self._said)), str(escape(trouble))), trouble
            else:
                self._html = render("waiting.html.j2", live=trouble, name=self.path.name)


def page_server(path: str | Path, port: int | None = None) -> ThreadingHTTPServer:
    """A server of the page of the run at ``path`` on the loopback address; it serves once it is told to.

    Args:
        port: None takes the first of 8000 to 8099 that is free, 0 any.
    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: It is a comparison, or the port is taken.
    """
    check_named(path)
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(f"no run at {path}; start `ganneal train` first, and give the directory it names.")
    if (path / STUDY).exists():
        raise ValueError(f"--watch is for one run, got the comparison {path}; give the directory of one of its runs.")
    if port is not None and not 0 <= port < 2**16:
        raise ValueError(f"port must be in 0..65535, got {port}; leave it out for one that is free.")
    page, lost = RenewedPage(path), ""
    for one in PORTS if port is None else (port,):
        try:
            return ThreadingHTTPServer((HOST, one), _handler_of(page))
        except OSError as error:
            lost = error.strerror
    taken = f"{PORTS.start} to {PORTS.stop - 1} are" if port is None else f"{port} is"
    raise ValueError(f"port {taken} taken on {HOST} ({lost}); give another with --port.")


def watch(path: str | Path, port: int | None = None, say: Callable[[str], None] = print) -> None:
    """Serve the page of the run at ``path`` until Ctrl-C; arguments and errors are those of `page_server`."""
    with page_server(path, port) as server:
        say(f"watching {path}: http://{HOST}:{server.server_port}/ (Ctrl-C ends it; the training goes on)")
        try:
            with _ended_by_signals():
                server.serve_forever()
        except KeyboardInterrupt:
            say("no longer watching")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """While entered, SIGINT and SIGTERM raise `KeyboardInterrupt`; only the main thread can listen."""
    # Asked for in so many words: a shell starts a program in the background deaf to SIGINT.
    signals = (signal.SIGINT, signal.SIGTERM) if current_thread() is main_thread() else ()
    before = {one: signal.signal(one, signal.default_int_handler) for one in signals}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _handler_of(page: RenewedPage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Answers with the page, and with nothing else."""

        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
            # A site elsewhere may point a name of its own at this machine, and would then read the page.
            if host not in (HOST, "localhost"):
                self.send_error(403, "this page is for this machine alone")
            elif self.path.partition("?")[0] != "/":
                self.send_error(404)
            else:
                self._send(page.html().encode("utf-8", "backslashreplace"))

        do_HEAD = do_GET

        def _send(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("Refresh", str(round(page.seconds)))  # the browser asks again by itself
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Requests are not listed in the terminal."""

    return Handler
