"""Messages of data readers: remarks, options by the names that the reader can use, and progress."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

LOOKED_AT = 32
"""Images that are looked at for a remark, evenly spread."""


class Remark(UserWarning):
    """Something about a set of images that a person should know, and that is no error."""


def remark(text: str, *, stacklevel: int = 1) -> None:
    """Say ``text`` as a warning; the command line prints it."""
    # One level more for this function itself, so that the warning shows its caller's line.
    warnings.warn(text, Remark, stacklevel=stacklevel + 1)


def remark_on_black(samples: np.ndarray, place: str, *, stacklevel: int = 1) -> None:
    """Say that images are black to the eye, as those are whose levels were meant to be 0 and 1.

    Args:
        samples: uint8 images, of which an evenly spread part is looked at.
    """
    some = samples[:: max(1, -(-len(samples) // LOOKED_AT))]
    # Floats in [0, 1] that were cast to bytes have just these two levels.
    if some.size and some.max() <= 1:
        text = f"the levels of {len(some):,} of {len(samples):,} images in {place} are 0 to {some.max()} of 255"
        remark(f"{text}: they are black; scale them to 0 to 255.", stacklevel=stacklevel + 1)


PYTHON = ""
TRAINING, HELD_OUT, OWN = "--data.", "--records.held-out.", "--"
"""Prefixes of the options: of a run's data, of its held-out data, and of a command that reads images itself."""

# A context variable rather than an argument of all readers in between; a new thread begins with the default.
_PREFIX: ContextVar[str | None] = ContextVar("prefix", default=PYTHON)


@contextmanager
def _within(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def spelled(prefix: str | None) -> AbstractContextManager[None]:
    """Within the block, options are called by ``prefix`` and their name; None where none can be given."""
    return _within(_PREFIX, prefix)


def spelled_for_held_out() -> AbstractContextManager[None]:
    """Within the block, options are those of a run's held-out data, where they were those of its data."""
    before = _PREFIX.get()
    return spelled(HELD_OUT if before == TRAINING else before)


def way(field: str, *values: object) -> str | None:
    """The option that gives the field of a reader these values, or a number N; None where the command has none.

    >>> way("fit", "pad")
    "fit='pad'"
    >>> with spelled("--data."):
    ...     way("on_damaged", "skip")
    '--data.on-damaged skip'
    """
    prefix = _PREFIX.get()
    if prefix is None:
        return None
    if prefix == PYTHON:
        given = ", ".join(map(repr, values)) or "N"
        return f"{field}=({given})" if len(values) > 1 else f"{field}={given}"
    return " ".join([f"{prefix}{field.replace('_', '-')}", *map(str, values or ["N"])])


Listener = Callable[[str, int, int], None]
"""Listener to progress: the name of the work, the amount done, the whole amount."""

_LISTENER: ContextVar[Listener | None] = ContextVar("listener", default=None)


def reporting(listener: Listener) -> AbstractContextManager[None]:
    """Within the block, ``listener`` hears of every long reading."""
    return _within(_LISTENER, listener)


def report(what: str, done: int, total: int) -> None:
    """Tell the listener, if there is one."""
    if (listener := _LISTENER.get()) is not None:
        listener(what, done, total)
