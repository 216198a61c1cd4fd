"""The parser of the command line: every form of an option, values by the field's type, messages, one style of help."""

import re
from dataclasses import dataclass
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from tests.for_each import for_each

from ganneal.cli import COMMANDS
from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT, REST, Typed, options_of
from ganneal.cli.help import help_of
from ganneal.cli.options import parse


@dataclass(frozen=True)
class Inner:
    depth: int = 1
    wide: bool = False


@dataclass(frozen=True)
class Everything:
    """One field of each kind."""

    run: Annotated[str, ARGUMENT]
    number: int = 1
    rate: float = 0.5
    maybe: float | None = None
    switch: bool = False
    on: bool = True
    path: Path = Path("here")
    order: Literal["up", "down"] = "up"
    depth: Literal[20, 56] = 20
    split: Literal["train", "test"] | None = None
    pair: tuple[float, float] | None = None
    many: tuple[int, ...] = (1, 2)
    names: Annotated[tuple[str, ...], Typed(name="name", aliases=("--labels",))] = ()
    style: Annotated[str, Typed(names=("plain", "bold"))] = "plain"
    part: Inner = Inner()
    parts: tuple[Inner, ...] = (Inner(), Inner(2))


@dataclass(frozen=True)
class Open:
    arms: Annotated[tuple[str, ...], ARGUMENT]
    seeds: int = 3
    changes: Annotated[tuple[str, ...], REST] = ()


@for_each(
    ("words", "changes"),
    [
        ("x", {}),
        ("--number 7 x", {"number": 7}),
        ("x --number=7", {"number": 7}),
        ("x --number 7 --number 8", {"number": 8}),
        ("x --rate -1e-3", {"rate": -0.001}),
        ("x --rate inf", {"rate": float("inf")}),
        ("x --rate -inf", {"rate": float("-inf")}),
        ("x --maybe 3", {"maybe": 3.0}),
        ("x --maybe 3 --maybe None", {}),
        ("--switch x", {"switch": True}),
        ("x --switch --no-switch", {}),
        ("x --no-on", {"on": False}),
        ("x --path a/b", {"path": Path("a/b")}),
        ("x --order down", {"order": "down"}),
        ("x --depth 56", {"depth": 56}),
        ("x --split test", {"split": "test"}),
        ("x --pair 0 4095", {"pair": (0.0, 4095.0)}),
        ("--pair -1 1 x", {"pair": (-1.0, 1.0)}),
        ("x --pair None", {}),
        ("x --many 3", {"many": (3,)}),
        ("x --many 3 4 5 --number 2", {"many": (3, 4, 5), "number": 2}),
        ("x --name a b", {"names": ("a", "b")}),
        ("x --labels a", {"names": ("a",)}),
        ("x --part.depth 3 --part.wide", {"part": Inner(3, True)}),
        ("x --part.no-wide", {}),
        ("x --parts.1.depth 5", {"parts": (Inner(), Inner(5))}),
        ("x --parts.0.wide --parts.0.depth 9", {"parts": (Inner(9, True), Inner(2))}),
    ],
)
def test_every_kind_of_field_is_read(words: str, changes: dict[str, Any]) -> None:
    assert parse(Everything, words.split(), "t") == Everything("x", **changes)


def test_values_of_an_instance_are_the_defaults() -> None:
    begun = Everything("x", number=5, parts=())
    assert parse(begun, ["--rate", "1"], "t") == Everything("x", number=5, rate=1.0, parts=())


@for_each(
    ("words", "message"),
    [
        ([], "RUN is missing: `ganneal t --help` says what it is."),
        (["x", "y"], "'y' belongs to no option; `ganneal t --help` lists the options."),
        (["x", "--switch", "True"], "'True' belongs to no option: --switch before it takes no further value; `ganneal"),
        (["x", "--number", "1", "2"], "'2' belongs to no option: --number before it takes no further value; `ganneal"),
        (["x", "--number"], "--number needs a value."),
        (["x", "--number", "--switch"], "--number needs a value."),
        (["x", "--path="], "--path needs a value, got the empty ''."),
        (["x", "--many"], "--many needs a value."),
        (["x", "--style"], "--style needs a name. Known: plain, bold."),
        (["x", "--number", "1.5"], "--number must be a whole number, got '1.5'."),
        (["x", "--rate", "fast"], "--rate must be a number, got 'fast'."),
        (["x", "--order", "sideways"], "--order must be one of up, down, got 'sideways'."),
        (["x", "--depth", "8"], "--depth must be one of 20, 56, got '8'."),
        (["x", "--pair", "1"], "--pair must be 2 numbers, got '1'."),
        (["x", "--many", "1", "x"], "--many must be whole numbers, got '1 x'."),
        (["x", "--numbre", "1"], "unknown option --numbre. Did you mean '--number'?"),
        (
            ["x", "--part.dpth", "1"],
            "--part.dpth: Inner has no 'dpth', only: depth, wide. Did you mean '--part.d",
        ),
        (["x", "--part", "1"], "--part needs a field, as --part.depth."),
        (["x", "--parts.2.depth", "1"], "there is no part of that number, only: 0 (Inner), 1 (Inner)."),
        (["x", "-n", "1"], "unknown option -n."),
    ],
)
def test_what_is_wrong_with_a_word_is_said(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(Everything, words, "t")


def test_options_that_no_field_takes_are_kept_as_they_were_typed() -> None:
    words = ["a", "b", "--flip", "--data.size=8", "--seeds", "4", "--rate", "1", "2"]
    assert parse(Open, words, "t") == Open(("a", "b"), 4, ("--flip", "--data.size=8", "--rate", "1", "2"))


def commands() -> dict[str, type[Command]]:
    found: dict[str, type[Command]] = {}
    for name in COMMANDS:
        command = getattr(import_module(f"ganneal.cli.{name}"), f"{name.capitalize()}Command")
        found |= {name: command, **{f"{name} {inner}": kind for inner, kind in command.commands.items()}}
    return found


@for_each(("name", "command"), commands().items())
def test_every_help_has_one_style(name: str, command: type[Command], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = help_of(command, name)
    usage, about, *tables = text.split("\n\n")
    assert all(re.match(r"(usage:|      ) ganneal " + name, line) for line in usage.splitlines())
    assert text.count(getdoc(command) or "?") == 1 and about
    assert tables[-1].startswith("options:\n") and tables[-1].endswith("Print this.")
    rows = re.findall(r"^  (?=--)(.*?)(?:  |$)", tables[-1], re.MULTILINE)
    plain = [option for option in options_of(command) if option.typed.place == "option" and option.plain]
    assert all(any(re.search(rf"{option.flag}(?![\w-])", row) for row in rows) for option in plain)
    assert not re.search(r"[│╭╰]", text)


def test_an_argument_that_may_be_left_out_stands_in_brackets() -> None:
    assert "usage: ganneal theory [NAME...] [options]" in help_of(commands()["theory"], "theory")
    assert "usage: ganneal sample RUN [options]" in help_of(commands()["sample"], "sample")
