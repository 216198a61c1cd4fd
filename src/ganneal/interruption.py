"""Ending a run politely: the first SIGINT or SIGTERM asks, a second SIGINT insists."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; its state is saved and the same command resumes it."""

    def __init__(self, signum: int, message: str):
        super().__init__(message)
        self.signum = signum


class Interruption:
    """While entered, remembers the first SIGINT or SIGTERM instead of dying of it. Only the main thread can listen."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._previous: dict[int, object] = {}

    def __call__(self) -> bool:
        """Whether a signal has come."""
        return self.signum is not None

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum

    def __enter__(self) -> "Interruption":
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._previous[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)  # type: ignore[arg-type]


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """While entered, the first SIGINT or SIGTERM raises `Interrupted`; after it only SIGINT does anything, and insists.

    For waiting, where there is no loop to look at an `Interruption`. Only the main thread can listen.
    """
    came: list[int] = []

    def end(signum: int, frame: FrameType | None) -> None:
        came.append(signum)
        if len(came) == 1:
            raise Interrupted(signum, "stopped by a signal.")
        if signum == signal.SIGINT:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {signum: signal.signal(signum, end) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
