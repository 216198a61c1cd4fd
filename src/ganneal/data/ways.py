"""How a reader's options are called where a message names them: in Python, or by the command that is running."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

PYTHON = ""
TRAINING, HELD_OUT, OWN = "--data.", "--records.held-out.", "--"
"""Prefixes of the options: of a run's data, of its held-out data, and of a command that reads images itself."""

_PREFIX: ContextVar[str | None] = ContextVar("prefix", default=PYTHON)


@contextmanager
def spelled(prefix: str | None) -> Iterator[None]:
    """Within the block, options are called by ``prefix`` and their name; None where none can be given."""
    token = _PREFIX.set(prefix)
    try:
        yield
    finally:
        _PREFIX.reset(token)


@contextmanager
def spelled_for_held_out() -> Iterator[None]:
    """Within the block, options are those of a run's held-out data, where they were those of its data."""
    before = _PREFIX.get()
    with spelled(HELD_OUT if before == TRAINING else before):
        yield


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
