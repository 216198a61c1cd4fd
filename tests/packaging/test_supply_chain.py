"""What is imported is declared, what is declared is locked, and the lock agrees with the versions tested together."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {"PIL": "pillow"}
"""Where the name in an import is another than on the index."""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def imported() -> set[str]:
    """The distributions that the library imports, at the top of a file or inside functions."""
    found: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Import(names=aliases):
                    found |= {alias.name.partition(".")[0] for alias in aliases}
                case ast.ImportFrom(module=str(module), level=0):
                    found.add(module.partition(".")[0])
    outside = found - sys.stdlib_module_names - {"ganneal"}
    return {normal(DISTRIBUTIONS.get(name, name)) for name in outside}


def pins(text: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([\w.+-]+)", text, re.MULTILINE)
    return {normal(name): version for name, version in found}


LOCK = (ROOT / "requirements.lock").read_text()


@pytest.mark.runs
def test_what_is_imported_is_declared_and_nothing_else():
    extras = {name for requirements in PROJECT["optional-dependencies"].values() for name in names(requirements)}
    declared = names(PROJECT["dependencies"])
    assert imported() <= declared | extras
    assert declared <= imported()


def test_every_declared_dependency_has_a_lower_bound():
    optional = PROJECT["optional-dependencies"].values()
    every = [*PROJECT["dependencies"], *(one for requirements in optional for one in requirements)]
    assert [one for one in every if ">=" not in one and not one.startswith("ganneal[")] == []


def test_the_lock_holds_what_was_tested_together():
    locked, tested = pins(LOCK), pins((ROOT / "constraints.txt").read_text())
    assert names(PROJECT["dependencies"]) <= set(locked), "run `make lock`"
    assert {name: version for name, version in locked.items() if tested.get(name, version) != version} == {}


def test_every_locked_release_has_hashes():
    entries = re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]
    bare = [entry.partition(" ")[0] for entry in entries if not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)]
    assert len(entries) == len(pins(LOCK)) and bare == []


@pytest.mark.parametrize(("requirement", "name"), [("Markup_Safe>=2", "markup-safe"), ("a[b]; x", "a"), ("c.d", "c-d")])
def test_requirements_are_named_as_the_index_does(requirement: str, name: str):
    assert names([requirement]) == {name}
