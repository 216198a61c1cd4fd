"""Text files are read and written in the same encoding on every system."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ganneal

PACKAGE = Path(ganneal.__file__).parent


def without_encoding(source: str) -> Iterator[int]:
    """Lines that open a text file in whatever encoding the system prefers."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr="read_text"), args=[], keywords=[]):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="write_text"), args=[_], keywords=[]):
                yield node.lineno
            case ast.Call(func=ast.Name(id="open"), args=[_, *mode], keywords=named):
                modes = [part.value for part in mode[:1] if isinstance(part, ast.Constant)]
                if "b" not in "".join(map(str, modes)) and not {"encoding"} & {keyword.arg for keyword in named}:
                    yield node.lineno


@pytest.mark.runs
def test_every_text_file_names_its_encoding() -> None:
    found = {path.name: list(without_encoding(path.read_text("utf-8"))) for path in PACKAGE.rglob("*.py")}
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_what_names_none_is_found() -> None:
    assert list(without_encoding("p.read_text()\nopen(p)\nopen(p, 'a')\np.write_text(x)")) == [1, 2, 3, 4]
    assert list(without_encoding("p.read_text('utf-8')\nopen(p, 'rb')\nopen(p, encoding='utf-8')")) == []
