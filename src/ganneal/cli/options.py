"""Frozen dataclasses read from the command line: their fields, and whole parts by their registered name.

``--loss hinge`` puts another registered part in place, ``--loss.weight-on loss`` changes a field of the one in place,
``--regularizer.terms.0.coefficient 5`` a field of one of several.

This parser is no library's. argparse takes ``-1e-3`` and ``-inf`` for options, the one word None of a pair for too few,
and refuses a word after a switch, and the walk over the fields, their values and the messages would remain; tyro fixes
the options by the types, while here a name exchanges a part, whose fields are the options then.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from ganneal.cli.fields import Option, Typed, flag_of, options_of, parts_in
from ganneal.registry import lookup

Options = TypeVar("Options")
FieldPath = tuple[str, ...]

Parts = Mapping[str, tuple[str, Mapping[str, Any]]]
"""Option path -> (kind for messages, registry); a part comes before the parts inside it."""


def parse(
    options: Options | type[Options], arguments: Sequence[str], command: str, parts: Parts | None = None
) -> Options:
    """``options``, or those of a class, with the parts and fields given in ``arguments`` changed.

    Args:
        command: The words typed before them, for messages.
        parts: The options that take a registered name.

    Raises:
        ValueError: An argument names no part and no field, or a value does not fit.
    """
    # Parts first, wherever they were typed: their fields are the options of the second pass.
    options, rest = switch_parts(options, arguments, parts or {})
    # Of the parts now in place; fields that words cannot make have no option.
    known = [option for option in options_of(options) if option.plain]
    changes, bare, rest = _given(rest, {name: o for o in known if o.typed.place == "option" for name in o.flags})
    for option in known:
        if option.typed.place == "rest":
            # As they were typed, for a second parser that knows them: that of an experiment.
            changes[option.path], rest = tuple(rest), []
        elif option.typed.place == "argument" and bare:
            # Arguments are filled in the order of the fields; one of any number of words takes all that are left.
            changes[option.path] = option.read(bare[: option.count], option.path[-1].upper())
            bare = [] if option.count is None else bare[option.count :]
        elif option.default is MISSING and option.path not in changes:
            raise ValueError(f"{option.path[-1].upper()} is missing: `ganneal {command} --help` says what it is.")
    if rest:
        raise ValueError(_unknown(options, rest[0].partition("=")[0], command))
    if bare:
        raise ValueError(_left_over(bare[0], arguments, command))
    return _changed(options, changes)


def _left_over(word: str, arguments: Sequence[str], command: str) -> str:
    """The refusal of ``word``, with the option that it follows: it may have been meant as one more value."""
    before = next((name for _, name, words in _chunks(arguments) if name and word in words), None)
    after = f": {before} before it takes no further value" if before else ""
    return f"{word!r} belongs to no option{after}; `ganneal {command} --help` lists the options."


def switch_parts(options: Any, arguments: Sequence[str], parts: Parts) -> tuple[Any, list[str]]:
    """Put the parts named in ``arguments`` into ``options``.

    Returns:
        The new options, and the arguments that named no part.
    Raises:
        ValueError: A name is not registered, or the option has no name after it.
    """
    named = {
        flag_of([path]): Option(type(options), tuple(path.split(".")), str, None, Typed(names=tuple(registry)))
        for path, (_, registry) in parts.items()
    }
    chosen, bare, rest = _given(arguments, named)
    for (kind, registry), option in zip(parts.values(), named.values(), strict=True):
        if option.path in chosen:
            # Only to refuse a place that the parts in place do not have, with what they do have.
            _get(options, option.path)
            options = _changed(options, {option.path: lookup(kind, registry, chosen[option.path])})
    # Words before the options, lest one be read as the value of an option that it did not follow.
    return options, [*bare, *rest]


def _given(arguments: Sequence[str], named: Mapping[str, Option]) -> tuple[dict[FieldPath, Any], list[str], list[str]]:
    """The values of the options in ``named``, the words that belong to no option, and every other option."""
    changes: dict[FieldPath, Any] = {}
    bare, rest = list[str](), list[str]()
    for typed, name, words in _chunks(arguments):
        if option := named.get(name):
            # The last of several wins, so that a line of the shell's history can be changed at its end.
            changes[option.path] = option.read(words[: option.count], name)
            # Words after those that the option takes are arguments: `sample --overwrite runs/a`.
            bare += [] if option.count is None else words[option.count :]
        else:
            (rest if name else bare).extend(typed)
    return changes, bare, rest


def _chunks(arguments: Sequence[str]) -> Iterator[tuple[list[str], str, list[str]]]:
    """Each option as it was typed, its name, and the words after it; the words before the first have no name."""
    typed, name, words = list[str](), "", list[str]()
    for argument in arguments:
        if _is_option(argument):
            yield typed, name, words
            # Both spellings from here on: --a=b is --a b, and --a_b, copied from a field, is --a-b.
            name, equals, value = argument.partition("=")
            typed, name, words = [], name.replace("_", "-"), [value] if equals else []
        else:
            words.append(argument)
        typed.append(argument)
    yield typed, name, words


def _is_option(word: str) -> bool:
    try:
        # -1e-3 and -inf are numbers for Python, hence values.
        float(word)
    except ValueError:
        return word.startswith("-") and len(word) > 1
    return False  # a negative number is a value


def peek(arguments: Sequence[str], flag: str) -> str | None:
    """The first word of the last option ``flag`` in ``arguments``, before they are parsed; None where there is none."""
    found = [words[0] for _, name, words in _chunks(arguments) if name == flag and words]
    return found[-1] if found else None


def options_on(arguments: Sequence[str], *heads: str) -> list[str]:
    """The words of ``arguments`` that belong to the options called ``heads`` and to those inside them."""
    return [
        word
        for typed, name, _ in _chunks(arguments)
        if name.removeprefix("--").partition(".")[0] in heads
        for word in typed
    ]


def _get(options: Any, path: Sequence[str]) -> Any:
    """The value at ``path`` in ``options``.

    Raises:
        ValueError: There is none; the message says what is there.
    """
    for name in path:
        # A number is a step into a tuple of parts, as the terms of a sum.
        if name.isdecimal():
            held = {steps[0]: part for steps, part in parts_in(options).items() if steps}
            if name not in held:
                known = ", ".join(f"{index} ({type(part).__name__})" for index, part in held.items()) or "none"
                raise ValueError(f"{flag_of(path)}: there is no part of that number, only: {known}.")
            options = held[name]
        elif hasattr(options, name):
            options = getattr(options, name)
        else:
            held = ", ".join(field.name for field in fields(options)) if is_dataclass(options) else ""
            raise ValueError(f"{flag_of(path)}: {type(options).__name__} has no {name!r}, only: {held}.")
    return options


def _changed(options: Any, changes: Mapping[FieldPath, Any]) -> Any:
    """``options``, or those of a class, with other values at the paths of ``changes``, all put in place at once."""
    values: dict[str, Any] = {}
    inner: dict[str, dict[FieldPath, Any]] = defaultdict(dict)
    for (name, *deeper), value in changes.items():
        if deeper:
            inner[name][tuple(deeper)] = value
        else:
            values[name] = value
    # All at once, since fields may only fit together: each step in between would be checked by __post_init__.
    for name, deeper in inner.items():
        values[name] = _changed(_get(options, [name]), deeper)
    if isinstance(options, tuple):
        return tuple(values.get(str(number), part) for number, part in enumerate(options))
    return options(**values) if isinstance(options, type) else replace(options, **values)


def _unknown(options: Any, name: str, command: str) -> str:
    """The error for the unknown option ``name``."""
    known = [flag for option in options_of(options) if option.plain for flag in option.flags]
    # A part that no name exchanges, or one of several, has options only for its fields.
    inside = [flag for flag in known if flag.startswith(f"{name}.")]
    if inside:
        return f"{name} needs a field, as {inside[0]}."
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    question = f" Did you mean {close[0]!r}?" if close else ""
    head, *deeper = name.removeprefix("--").replace("-", "_").split(".")
    if deeper and hasattr(options, head):
        # The first step is there, so what is wrong is a name inside a part, whose fields are the better answer.
        try:
            _get(options, [head, *deeper])
        except ValueError as error:
            return f"{error}{question}"
    return f"unknown option {name}.{question} `ganneal {command} --help-all` lists the options."
