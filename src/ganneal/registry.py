"""Looking up a part by name, with an error that names the nearest one, and checks of the fields that parts share.

Registries are plain dicts in the module of their kind (`schemes.SCHEMES`, `losses.LOSSES`, ...), from a name to a
frozen dataclass with its default fields. Register your own with ``LOSSES["mine"] = MyLoss()``.
"""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_args, get_origin

Registered = TypeVar("Registered")


def nearest(name: str, known: Mapping[str, object]) -> str:
    """The registered names, the one closest to ``name`` first in a question of its own.

    >>> nearest("lsgn", {"lsgan": 1, "wgan": 2})
    "Did you mean 'lsgan'? Known: lsgan, wgan."
    """
    close = get_close_matches(name, known, n=1, cutoff=0.4)
    question = f"Did you mean {close[0]!r}? " if close else ""
    return f"{question}Known: {', '.join(known)}."


def lookup(kind: str, registry: Mapping[str, Registered], name: str) -> Registered:
    """The part called ``name``.

    Raises:
        ValueError: ``name`` is not registered; the message names the nearest registered name.
    """
    if name not in registry:
        raise ValueError(f"unknown {kind} {name!r}. {nearest(name, registry)}")
    return registry[name]


def check_choices(part: Any) -> None:
    """Refuse a field of the dataclass ``part`` that is none of the words its type allows."""
    for field in fields(part):
        allowed, value = get_args(field.type), getattr(part, field.name)
        if get_origin(field.type) is Literal and value not in allowed:
            raise ValueError(f"{field.name} must be one of {', '.join(allowed)}, got {value!r}.")


def check_at_least_one(**sizes: int) -> None:
    """Refuse sizes below 1, naming the field."""
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
