"""Looking up a part by name, with an error that names the nearest one; checks that parts share; modules of extras.

Registries are plain dicts in the module of their kind (`schemes.SCHEMES`, `losses.LOSSES`, ...), from a name to a
frozen dataclass with its default fields. Register your own with ``LOSSES["mine"] = MyLoss()``.
"""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from importlib import import_module
from math import isfinite
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

Registered = TypeVar("Registered")


def nearest(name: str, known: Mapping[str, object]) -> str:
    """The registered names, the one closest to ``name`` first in a question of its own.

    >>> nearest("lsgn", {"lsgan": 1, "wgan": 2})
    "Did you mean 'lsgan'? Known: lsgan, wgan."
    """
    # Below difflib's usual 0.6, so that "hinge" is near "hinge-hinged".
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


def check_choices(part: Any, prefix: str = "") -> None:
    """Refuse a field of the dataclass ``part`` that is none of the words its type allows, nor None where it may be."""
    for field in fields(part):
        value, union = getattr(part, field.name), get_origin(field.type) in (Union, UnionType)
        kinds = get_args(field.type) if union else (field.type,)
        allowed = next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), None)
        if allowed is not None and value not in allowed and not (value is None and NoneType in kinds):
            raise ValueError(f"{prefix}{field.name} must be one of {', '.join(allowed)}, got {value!r}.")


def check_at_least_one(**sizes: int) -> None:
    """Refuse sizes below 1, naming the field."""
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")


def check_not_negative(**values: float) -> None:
    """Refuse what is not a finite number >= 0, naming the field."""
    for name, value in values.items():
        if not (isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite number >= 0, got {value}.")


def optional_module(name: str, user: str, extra: str, instead: str = "") -> Any:
    """The module ``name``, which comes with the ``extra``.

    Raises:
        ValueError: It, or what it needs, is not installed; the message says that ``user`` needs it, and what to do.
    """
    try:
        import_module(name.partition(".")[0])  # by itself: a part of it may be imported already
        return import_module(name)
    except ImportError as error:
        # What is missing may be a dependency of the module and not the module itself: it is named as Python names it.
        lacking = (error.name or name).partition(".")[0]
        raise ValueError(
            f"{user} needs {lacking}, which is not installed: pip install 'ganneal[{extra}]'{instead}."
        ) from error
