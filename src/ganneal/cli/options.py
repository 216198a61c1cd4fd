"""Command-line options of dataclasses: fields by tyro, whole parts by their registered name.

``--loss hinge`` puts another registered part in place, ``--loss.weight-on loss`` changes a field of the one in place,
``--regularizer.terms.0.coefficient 5`` a field of one of several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

import tyro

from ganneal.registry import lookup, nearest

Options = TypeVar("Options")

Parts = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Option path -> (kind for messages, registry); a part comes before the parts inside it."""


@dataclass(frozen=True)
class PlaceOption:
    """Where data lies."""

    path: str | None = None


def _get(options: Any, path: list[str]) -> Any:
    for name in path:
        if not hasattr(options, name):
            held = ", ".join(field.name for field in fields(options)) if is_dataclass(options) else ""
            raise ValueError(f"--{'.'.join(path)}: {type(options).__name__} has no {name!r}, only: {held}.")
        options = getattr(options, name)
    return options


def _put(options: Any, path: list[str], part: Any) -> Any:
    name, *inner = path
    return replace(options, **{name: _put(getattr(options, name), inner, part) if inner else part})


def switch_parts(options: Options, arguments: Sequence[str], parts: Parts) -> tuple[Options, list[str]]:
    """Put the parts named in ``arguments`` into ``options``.

    Returns:
        The new options, and the arguments that named no part.
    Raises:
        ValueError: A name is not registered, or the option has no name after it.
    """
    chosen: dict[str, str] = {}
    rest: list[str] = []
    queue = list(arguments)
    while queue:
        option, equals, value = queue.pop(0).partition("=")
        path = option.removeprefix("--").replace("-", "_")
        if not option.startswith("--") or path not in parts:
            rest.append(f"{option}{equals}{value}")
            continue
        if not equals:
            if not queue or queue[0].startswith("--"):
                raise ValueError(f"{option} needs a name. {nearest('', parts[path][1])}")
            value = queue.pop(0)
        chosen[path] = value
    for path, (kind, registry) in parts.items():
        if path in chosen:
            steps = path.split(".")
            _get(options, steps)
            options = _put(options, steps, lookup(kind, registry, chosen[path]))
    return options, rest


def _narrowed(options: Any) -> Any:
    """``options`` in a class whose annotations name the class of each part it holds, in place of the part's protocol.

    tyro narrows annotations by itself, but not protocols with properties.
    """
    values = (
        {field.name: _narrowed(getattr(options, field.name)) for field in fields(options)} if _is_part(options) else {}
    )
    annotations = {name: type(value) for name, value in values.items() if _is_part(value)}
    if not annotations:
        return options
    return _derived(type(options), tuple(annotations.items()))(**values)


@cache
def _derived(own: type, annotations: tuple[tuple[str, type], ...]) -> type:
    """``own`` with other annotations: one class for the same ones, of which tyro remembers what it found out."""
    # it has no source: of a module that has one, tyro would parse it again for each field, in vain
    members = {"__annotations__": dict(annotations), "__doc__": own.__doc__, "__module__": "builtins"}
    return dataclass(frozen=True)(type(own.__name__, (own,), members))


def _is_part(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type)


def _widened(parsed: Any, like: Any) -> Any:
    """``parsed`` in the classes of ``like``."""
    if not _is_part(like):
        return parsed
    return type(like)(**{f.name: _widened(getattr(parsed, f.name), getattr(like, f.name)) for f in fields(like)})


def _elements(arguments: Sequence[str]) -> tuple[dict[tuple[str, ...], list[str]], list[str]]:
    """Options of single elements, as ``--regularizer.terms.0.coefficient 5``, by the element's path; and the others."""
    found: dict[tuple[str, ...], list[str]] = {}
    rest: list[str] = []
    target = rest
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, value = argument[2:].partition("=")
            steps = name.split(".")
            number = next((at for at, step in enumerate(steps) if step.isdecimal()), None)
            target = rest
            if number is not None:
                path = tuple(step.replace("-", "_") for step in steps[: number + 1])
                target = found.setdefault(path, [])
                argument = f"--{'.'.join(steps[number + 1 :])}{equals}{value}"
        target.append(argument)
    return found, rest


def _with_elements(options: Any, elements: Mapping[tuple[str, ...], list[str]], prog: str) -> Any:
    """``options`` with the fields of single elements of its tuples changed.

    Raises:
        ValueError: There is no such element.
    """
    for (*path, number), arguments in elements.items():
        name, held = f"--{'.'.join(path)}".replace("_", "-"), _get(options, path)
        parts = held if isinstance(held, tuple) and all(map(_is_part, held)) else ()
        if int(number) >= len(parts):
            known = ", ".join(f"{index} ({type(part).__name__})" for index, part in enumerate(parts)) or "none"
            raise ValueError(f"{name}.{number}: there is no part of that number, only: {known}.")
        if "--" in arguments:
            raise ValueError(f"{name}.{number} needs a field, as {name}.{number}.{fields(parts[int(number)])[0].name}.")
        changed = parse(parts[int(number)], arguments, prog=prog)
        parts = (*parts[: int(number)], changed, *parts[int(number) + 1 :])
        options = _put(options, path, parts)
    return options


def parse(options: Options, arguments: Sequence[str], prog: str) -> Options:
    """``options`` with the fields given in ``arguments`` changed; ``--help`` prints every field."""
    elements, arguments = _elements(arguments)
    options = _with_elements(options, elements, prog)
    narrowed = _narrowed(options)
    parsed = tyro.cli(type(narrowed), default=narrowed, args=list(arguments), prog=prog)
    return _widened(parsed, options)
