"""The page on the theory shows what its functions return."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from tests.for_each import for_each

from ganneal.theory.propositions import PROPOSITIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "notes" / "theory.md").read_text()


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location("propositions_example", ROOT / "examples" / "propositions.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_statement_is_on_the_page_and_holds(example: ModuleType) -> None:
    rows = example.printed(PAGE, "statements").splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == list(PROPOSITIONS)
    assert all(row.endswith("| yes |") for row in rows)


@pytest.mark.runs
@for_each("name", [name for name, statement in PROPOSITIONS.items() if not statement.slow])
def test_quick_statements_of_the_page_are_the_measured_ones(example: ModuleType, name: str) -> None:
    rows = example.printed(PAGE, "statements").splitlines()
    assert example.row(name) in rows, "run python examples/propositions.py"


def test_tables_of_the_page_are_the_measured_ones(example: ModuleType) -> None:
    tables = {
        "chains": example.chains(),
        "step sizes": example.step_sizes(),
        "noise ratios": example.noise_ratios(),
    }
    for name, table in tables.items():
        assert example.printed(PAGE, name) == table, "run python examples/propositions.py"


def test_writing_changes_what_is_between_the_marks_only(example: ModuleType) -> None:
    begin, end = example.MARKS["chains"]
    page = f"above\n{begin}\nold\n{end}\nbelow\n"
    assert example.written(page, {"chains": "new"}, example.MARKS) == f"above\n{begin}\nnew\n{end}\nbelow\n"


def test_rounding_errors_are_not_printed_and_failures_are(example: ModuleType) -> None:
    exact, coarse = PROPOSITIONS["T2.1"], PROPOSITIONS["T1.2"]
    assert example.shown(exact, 3e-16) == "rounding" and example.shown(exact, 0.25) == "0.25"
    assert example.shown(coarse, 0.003152) == "0.00315"
