"""Every option that a message, a help text or a docstring of the source names is one that a command takes."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from ganneal.cli import COMMANDS, main
from ganneal.cli.configure import PARTS
from ganneal.cli.data import COMMANDS as DATA_COMMANDS
from ganneal.experiments.digits import digits_cts

SOURCE = Path(__file__).resolve().parents[2] / "src" / "ganneal"
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9]*(?:[.-][a-z0-9]+)*")
STYLES = {"report/page.py", "report/figures.py"}
"""Modules that hold style sheets, whose variables begin alike."""
OF_OTHERS = {"--head", "--address", "--find-links"}
"""Options of other programs."""


def dashed(path: str) -> str:
    return f"--{path.replace('_', '-')}"


def options_of(part: Any, path: str) -> Iterator[str]:
    """The options of a part at ``path`` and of the parts inside it, switches with their opposites."""
    for field in fields(part):
        inner = f"{path}.{field.name}" if path else field.name
        yield dashed(inner)
        if isinstance(value := getattr(part, field.name), bool):
            yield dashed(f"{path}.no-{field.name}" if path else f"no-{field.name}")
        for number, held in enumerate(value) if isinstance(value, tuple) else [(None, value)]:
            if is_dataclass(held):  # a part of several is called by its number
                yield from options_of(held, inner if number is None else f"{inner}.{number}")


@pytest.fixture
def known(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Every option of every command: as its help lists them, and the fields of every part that training takes."""
    found = set(options_of(digits_cts(), ""))
    asked = [[], *([name] for name in COMMANDS), *(["data", name] for name in DATA_COMMANDS)]
    for arguments in [*([*command, "--help"] for command in asked), ["games", "--help-all"]]:
        try:
            main(arguments)
        except SystemExit:  # tyro's own help
            pass
        found |= set(OPTION.findall("".join(capsys.readouterr())))
    for path, (_, registry) in PARTS.items():
        found.add(dashed(path))
        for part in registry.values():
            found |= set(options_of(part, path))
    return found | OF_OTHERS


def named() -> dict[str, str]:
    """Where the source names each option."""
    found = {}
    for file in sorted(SOURCE.rglob("*.py")):
        place = str(file.relative_to(SOURCE))
        if place in STYLES:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):  # what is joined to an option belongs to it
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= {option: f"{place}:{node.lineno}" for option in OPTION.findall(node.value)}
    return found


def test_every_option_that_the_source_names_exists(known: set[str]) -> None:
    unknown = {option: place for option, place in named().items() if option not in known}
    assert not unknown


def test_the_check_knows_what_is_wrong(known: set[str]) -> None:
    assert "--data.size" in known and "--channels" in known and "--records.held-out.fit" in known
    assert not known & {"--skip-damaged", "--data.chanels", "--sizes"}
