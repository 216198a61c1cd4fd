"""Docstrings begin with their noun or verb, and sentences of the help are short, for a reader who skims."""

import ast
import re
from collections.abc import Iterator
from inspect import getdoc
from itertools import pairwise
from pathlib import Path

import pytest
from tests.cli.test_options import commands
from tests.for_each import for_each

import ganneal
from ganneal.cli import _help, help
from ganneal.cli.command import Command
from ganneal.cli.configure import EXPERIMENT_PARTS
from ganneal.cli.fields import docstrings

PACKAGE = Path(ganneal.__file__).parent
LATE = re.compile(r"(Of|What|Those|Whether|How|Where|That)\b")
"""Words that put off the noun or the verb."""
MOST_WORDS = 25
"""Words of a sentence."""
NAMES = re.compile(r"[\w*-]+((, | \| )[\w*-]+)+\.?")
"""A list of names to choose from, which is no sentence."""


def docs_in(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each docstring in ``node``: modules, classes, functions, fields and constants."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for _, text in pairwise((inner, *inner.body)):
                match text:
                    case ast.Expr(value=ast.Constant(value=str(said))):
                        yield text.lineno, said.strip()


def long_sentences(text: str) -> list[str]:
    """The sentences of ``text`` with more than `MOST_WORDS` words."""
    sentences = re.split(r"(?<=[.?!])\s+(?=[\w`(\"'-])", text)
    return [one for one in sentences if len(one.split()) > MOST_WORDS and not NAMES.fullmatch(one)]


@pytest.mark.runs
@for_each("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_docstrings_begin_with_their_noun_or_verb(path: Path) -> None:
    found = docs_in(ast.parse(path.read_text(encoding="utf-8")))
    assert [f"{path.name}:{line}: {text.splitlines()[0]}" for line, text in found if LATE.match(text)] == []


def test_a_late_docstring_is_found_at_each_place() -> None:
    late = '"""Of it."""\nA = 1\n"""What."""\nclass B:\n    """Those."""\n    c: int = 0\n    """Whether."""\n'
    late += '    def d(self):\n        """How."""\n        self.e = 1\n        """Where."""\n'
    assert [text for _, text in docs_in(ast.parse(late)) if LATE.match(text)] == [
        *("Of it.", "What.", "Those.", "Whether.", "How.", "Where."),
    ]


@for_each(("name", "command"), commands().items())
def test_sentences_of_the_help_are_short(name: str, command: type[Command], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(help, "_width", lambda: 10**6)  # a row is a line
    rows = help.help_of(command, name).replace(getdoc(command) or "", "").splitlines()
    cells = [cell for row in rows for cell in re.split("  +", row)]
    paragraphs = (getdoc(command) or "").replace("\n", " ").split("  ")
    assert [one for text in (*cells, *paragraphs) for one in long_sentences(text)] == []


@for_each(("path", "registry"), [(path, registry) for path, (_, registry) in EXPERIMENT_PARTS.items()])
def test_sentences_of_the_help_on_all_options_are_short(path: str, registry: dict[str, object]) -> None:
    kinds = {type(part) for part in registry.values()}
    texts = [text for kind in kinds for text in docstrings(kind).values()]
    assert [one for text in texts for one in long_sentences(text)] == []


def test_the_list_of_commands_has_short_sentences() -> None:
    assert [one for line in _help().splitlines() for one in long_sentences(line)] == []
