"""Tests lie where the code lies: a folder of tests for each folder of the package that has them."""

from pathlib import Path

import ganneal

TESTS = Path(__file__).parent
PACKAGE = Path(ganneal.__file__).parent

OF_NO_PART = {
    "benchmarks": "the scripts of benchmarks/",
    "contracts": "one suite for every registered member of a kind",
    "digests": "the bits of training, over all parts",
    "docs": "README, pages, docstrings and the advice in messages",
    "edits": "wrong edits of the source, each of which tests are to notice",
    "examples": "the scripts of examples/",
    "faults": "runs that are killed, or lose their disk or files",
    "fuzz": "damaged files, for every reader",
    "independent": "parts against code written from the papers alone",
    "packaging": "dependencies, lock files and the environment",
}
WHOLE = {"test_imports", "test_layout", "test_names"}
"""Tests of all modules together."""


def test_each_folder_of_tests_is_one_of_the_package_or_has_its_reason() -> None:
    folders = {path.parent.relative_to(TESTS).as_posix() for path in TESTS.rglob("*.py")} - {"."}
    parts = {path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")}
    assert folders - parts == set(OF_NO_PART)


def test_only_modules_of_the_top_have_their_tests_at_the_top() -> None:
    modules = {f"test_{path.stem}" for path in PACKAGE.glob("*.py")}
    assert {path.stem for path in TESTS.glob("test_*.py")} - modules == WHOLE
