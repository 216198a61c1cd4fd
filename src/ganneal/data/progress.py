"""Telling whoever waits how far a long reading is; silent unless somebody listens."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]
"""What is done, how much of it, of how much."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


@contextmanager
def reporting(listener: Listener) -> Iterator[None]:
    """Within the block, ``listener`` hears of every long reading."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def report(what: str, done: int, total: int) -> None:
    """Tell the listener, if there is one."""
    if (listener := _LISTENER.get()) is not None:
        listener(what, done, total)
