"""The fields of frozen dataclasses as options of the command line, those of their parts by a dotted path."""

import ast
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache, cached_property, reduce
from inspect import getsource
from itertools import pairwise
from operator import or_
from pathlib import Path
from textwrap import dedent
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ganneal.registry import nearest


@dataclass(frozen=True)
class Typed:
    """Settings of a field on the command line beyond its name and type: ``Annotated[str, Typed(...)]``."""

    place: Literal["option", "argument", "rest"] = "option"
    """An option; an argument without a flag; or the rest, every option that no other field takes."""
    name: str | None = None
    """The option's name, where it is not the field's."""
    aliases: tuple[str, ...] = ()
    value: str | None = None
    """Placeholder for the value in the help."""
    names: tuple[str, ...] = ()
    """Names that the value may be, for help and messages. The command itself checks the value."""


ARGUMENT, REST = Typed("argument"), Typed("rest")


@dataclass(frozen=True)
class Option:
    """A field as it is typed on the command line."""

    owner: type
    path: tuple[str, ...]
    hint: Any
    default: Any
    typed: Typed = Typed()

    @property
    def said(self) -> str:
        """The docstring of the field, in one line."""
        return docstrings(self.owner).get(self.path[-1], "")

    @property
    def flag(self) -> str:
        """The option, as ``--records.log-every``."""
        return flag_of((*self.path[:-1], self.typed.name or self.path[-1]))

    @property
    def flags(self) -> dict[str, bool | None]:
        """Every form of the option, with the value of each form that takes none."""
        if self.switch:
            # The word goes before the last name alone: --records.no-tensorboard.
            before, dot, last = self.flag[2:].rpartition(".")
            return {self.flag: True, f"--{before}{dot}no-{last}": False}
        return dict.fromkeys((self.flag, *self.typed.aliases))

    @property
    def optional(self) -> bool:
        """True if the word None is a value."""
        return NoneType in get_args(self.hint)

    @cached_property
    def kinds(self) -> tuple[Any, ...]:
        """The type of each word of the value; for any number of words, the one type and an ellipsis."""
        others = [one for one in get_args(self.hint) if one is not NoneType]
        # Of an optional value None is a word by itself; every other word is read by the union of the rest.
        bare = reduce(or_, others) if self.optional else self.hint
        return get_args(bare) if get_origin(bare) is tuple else (bare,)

    @property
    def switch(self) -> bool:
        """True if the option stands alone, without a value."""
        return self.kinds == (bool,)

    @property
    def count(self) -> int | None:
        """Number of words of the value; None for any number."""
        # A switch has one kind and no word.
        return None if ... in self.kinds else len(self.kinds) - self.switch

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that the value may be, if they are few."""
        return tuple(map(str, get_args(self.kinds[0]))) if get_origin(self.kinds[0]) is Literal else self.typed.names

    @property
    def plain(self) -> bool:
        """True if words make the value. A part is made by its name and by options of its own instead."""
        return all(kind is ... or _made_of_words(kind) for kind in self.kinds) and not parts_in(self.default)

    def read(self, words: Sequence[str], name: str) -> Any:
        """The value that ``words`` after the option typed as ``name`` make.

        Raises:
            ValueError: They make none; the message names the option and what it takes.
        """
        if self.switch:
            return self.flags[name]
        if not words:
            needed = f"name. {nearest('', dict.fromkeys(self.typed.names))}" if self.typed.names else "value."
            raise ValueError(f"{name} needs a {needed}")
        if not all(word.strip() for word in words):
            raise ValueError(f"{name} needs a value, got the empty {words[0]!r}.")
        # Only an option that may be left out can be put back to that, as over a value of an experiment.
        if self.optional and list(words) == ["None"]:
            return None
        # tuple[int, ...] reads each word as the one kind; tuple[float, float] takes exactly two.
        kinds = self.kinds[:1] * len(words) if self.count is None else self.kinds
        try:
            values = tuple(_value(kind, word) for kind, word in zip(kinds, words, strict=True))
        except ValueError:
            raise ValueError(f"{name} must be {self._in_words()}, got {' '.join(words)!r}.") from None
        return values if len(self.kinds) > 1 else values[0]

    def _in_words(self) -> str:
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        number = {int: "whole number", float: "number"}.get(self.kinds[0], "word")
        several = "" if self.count is None else f"{self.count} "
        return f"{several}{number}s" if len(self.kinds) > 1 else f"a {number}"


def flag_of(path: Sequence[str]) -> str:
    """A path of fields as an option."""
    return f"--{'.'.join(path)}".replace("_", "-")


def _made_of_words(kind: Any) -> bool:
    if isinstance(kind, UnionType):
        return all(map(_made_of_words, get_args(kind)))
    return kind in (bool, int, float, str, Path) or get_origin(kind) is Literal


def _value(kind: Any, word: str) -> Any:
    if isinstance(kind, UnionType):  # the first that takes the word: a number before a text
        for one in get_args(kind):
            with suppress(ValueError):
                return _value(one, word)
        raise ValueError(word)
    if get_origin(kind) is not Literal:
        return kind(word)
    # Choices may be numbers, so the words are compared; that none is equal is a ValueError as well.
    [value] = (choice for choice in get_args(kind) if str(choice) == word)
    return value


@cache
def docstrings(kind: type) -> dict[str, str]:
    """The text below each field of the dataclass ``kind``, in one line."""
    found: dict[str, str] = {}
    # Python keeps no docstring of a field: only the source has it. A subclass that says a field again wins.
    for own in reversed([base for base in kind.__mro__ if is_dataclass(base)]):
        [statement] = ast.parse(dedent(getsource(own))).body
        assert isinstance(statement, ast.ClassDef)
        for field, text in pairwise(statement.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(said))):
                    found[name] = " ".join(said.split())
    return found


def options_of(options: Any) -> Iterator[Option]:
    """Every field of a dataclass, or of an instance, whose values are the defaults; those of its parts after it."""
    kind = options if isinstance(options, type) else type(options)
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        default = field.default if options is kind else getattr(options, field.name)
        # Annotated[hint, Typed(...)] keeps the hint in __origin__ and the rest in __metadata__.
        settings = getattr(hints[field.name], "__metadata__", ())
        hint = hints[field.name].__origin__ if settings else hints[field.name]
        yield Option(kind, (field.name,), hint, default, *settings)
        # The parts in place decide which options there are, so they are taken from the values, not from the types.
        for steps, part in parts_in(default).items():
            for inner in options_of(part):
                yield replace(inner, path=(field.name, *steps, *inner.path))


def parts_in(value: Any) -> dict[tuple[str, ...], Any]:
    """The dataclasses in a field, by the steps that lead to them: itself, or the numbers of several."""
    # `is_dataclass` says yes to a class too, which holds no values.
    if is_dataclass(value) and not isinstance(value, type):
        return {(): value}
    several = value if isinstance(value, tuple) else ()
    return {(str(number),): part for number, part in enumerate(several) if is_dataclass(part)}
