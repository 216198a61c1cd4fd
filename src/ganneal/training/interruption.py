"""Ending a run politely: the first SIGINT or SIGTERM asks, a second SIGINT insists."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

AT_ONCE = "stopped at once by another signal. The last checkpoint stays; the same call continues from it."


class Interrupted(BaseException):
    """A signal ended the work; its state is saved, and the same call goes on from there.

    In a script it is a `SystemExit` too: where nobody catches it, the script prints the message, no traceback, and ends
    with status 128 + ``signum``: 130 for SIGINT, 143 for SIGTERM. At a prompt or in a notebook, which a `SystemExit`
    may end, it is a `KeyboardInterrupt` instead. ``except Exception`` catches neither.
    """

    signum: int

    def __new__(cls, signum: int, message: str) -> "Interrupted":
        # `sys.ps1` is there at a prompt and in notebooks only.
        kind = (_AtPrompt if hasattr(sys, "ps1") else _InScript) if cls is Interrupted else cls
        made = BaseException.__new__(kind, signum, message)
        made.signum = signum
        return made

    def __init__(self, signum: int, message: str):
        super().__init__(message)


class _AtPrompt(Interrupted, KeyboardInterrupt):
    """Leaves the prompt as it is."""


class _InScript(Interrupted, SystemExit):
    """Ends the script, if nobody catches it."""

    _said = False

    @property
    def code(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The exit status. Python asks for it where the exception ends the process; there the message is printed."""
        if not self._said:
            self._said = True
            print(self, file=sys.stderr)
        # The shell's convention for a process that a signal ended.
        return 128 + self.signum


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """While entered, ``handler`` takes SIGINT and SIGTERM, in the main thread; other threads cannot."""
    # Python allows handlers in the main thread only; elsewhere a run ends at its budget.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {signum: signal.signal(signum, handler) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, before in previous.items():
            signal.signal(signum, before)


class Interruption:
    """While entered, remembers the first SIGINT or SIGTERM instead of dying of it. Only the main thread can listen."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._listening = _handled(self._remember)

    def __call__(self) -> bool:
        """Return True if a signal has come."""
        return self.signum is not None

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        # A second SIGTERM is a scheduler that repeats itself; a second Ctrl-C is a person who does not want to wait.
        if self.signum is not None and signum == signal.SIGINT:
            raise Interrupted(signum, AT_ONCE)
        self.signum = signum

    def __enter__(self) -> "Interruption":
        self._listening.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.__exit__(kind, error, trace)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """While entered, the first SIGINT or SIGTERM raises `Interrupted`; after it only SIGINT does anything, and insists.

    For waiting, where there is no loop to look at an `Interruption`. Only the main thread can listen.
    """
    came: list[int] = []

    def end(signum: int, frame: FrameType | None) -> None:
        came.append(signum)
        if len(came) == 1:
            raise Interrupted(signum, "stopped by a signal. The saved state stays; the same call continues from it.")
        if signum == signal.SIGINT:
            raise Interrupted(signum, AT_ONCE)

    with _handled(end):
        yield
