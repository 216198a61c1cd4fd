"""Standard output and standard error for a person: no sign, full disk or closed end makes a command fail."""

import errno
import io
import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, NamedTuple, TextIO, cast


class Stream:
    """A text stream that takes every line and remembers the first error of the system.

    Signs that the terminal lacks are written as escapes. Where nobody reads any more, writing raises a
    `BrokenPipeError` as ever. None stands for a stream that is closed.
    """

    def __init__(self, stream: Any):
        self.lost: OSError | None = None
        """Why not everything was written; None where it was."""
        self._closed = stream is None
        self._stream = io.StringIO() if stream is None else stream

    def __getattr__(self, name: str) -> Any:
        # Everything else, as fileno and isatty, is that of the stream itself.
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write ``text``, or as much of it as can be; the number of its signs."""
        with self._remembering():
            if self._closed and text:
                raise OSError(errno.EBADF, "it is closed")
            try:
                self._stream.write(text)
            except UnicodeEncodeError as error:
                self._stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of ``lines``."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write what is buffered."""
        with self._remembering():
            self._stream.flush()

    def end(self) -> None:
        """Write what is buffered. Where that fails, the rest is dropped, lest Python fail over it as it ends."""
        before, self.lost = self.lost, None
        self.flush()
        if self.lost is not None and not self._closed:
            silence(self._stream.fileno())
        self.lost = before or self.lost

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            self.lost = self.lost or error


class Streams(NamedTuple):
    """Both streams of a process."""

    out: Stream
    err: Stream


@contextmanager
def lenient_streams() -> Iterator[Streams]:
    """Within the block, `print` and whatever else writes to both standard streams is taken by a `Stream`."""
    _keep_numbers()
    streams = Streams(Stream(sys.stdout), Stream(sys.stderr))
    with redirect_stdout(cast(TextIO, streams.out)), redirect_stderr(cast(TextIO, streams.err)):
        yield streams


def silence(number: int) -> None:
    """Have the file descriptor ``number`` take everything and keep nothing."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    # Under the same number, so that whoever holds the descriptor writes into nothing.
    os.dup2(nowhere, number)
    os.close(nowhere)


def unread() -> list[int]:
    """Which of the standard output, 1, and the standard error, 2, nobody reads any more, as after `| head`."""
    poll = select.poll()
    for number in (1, 2):
        poll.register(number, 0)  # an end of a pipe whose other end is closed is told unasked
    return [number for number, event in poll.poll(0) if event & (select.POLLERR | select.POLLHUP)]


def _keep_numbers() -> None:
    """Open what is closed of the standard streams, lest the next file get its number and what is printed there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Inherited, or processes that are started would find the number closed again.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
