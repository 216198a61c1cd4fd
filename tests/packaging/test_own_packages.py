"""Our tests are found where another package of the environment is named `tests` too, as some wheels bring one."""

import multiprocessing
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def leave_a_word(path: Path) -> None:
    path.write_text(__name__)


def test_a_package_named_tests_elsewhere_does_not_hide_ours_in_a_spawned_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = tmp_path / "tests"
    stranger.mkdir()
    (stranger / "__init__.py").write_text("raise SystemExit('the tests of another package')")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])  # behind ours, where pip puts it
    process = multiprocessing.get_context("spawn").Process(target=leave_a_word, args=(tmp_path / "word",))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert (tmp_path / "word").read_text() == "tests.packaging.test_own_packages"


def test_nothing_but_ganneal_and_what_it_names_is_put_into_the_environment() -> None:
    """A package that one test compares with may bring a `tests` or an older NumPy: it lies beside the environment."""
    recipes = (ROOT / "Makefile").read_text().replace("\\\n", " ").splitlines()
    installs = [line for line in recipes if "$(BIN)/pip install" in line]
    assert installs and [line for line in installs if " -e " not in line and " --target build/" not in line] == []
