"""The page on divergences shows what the library has."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from ganneal.divergences import DIVERGENCES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "losses.md"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location("divergences_example", ROOT / "examples" / "divergences.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_page_is_the_generated_one(example: ModuleType) -> None:
    committed = PAGE.read_text().partition(example.BEGIN)[2].partition(example.END)[0].strip()
    assert committed == example.table(), "run python examples/divergences.py"


def test_the_table_has_every_row_from_mode_seeking_to_mass_covering(example: ModuleType) -> None:
    rows = [line.split(" | ") for line in example.table().splitlines()[2:]]
    names = [cells[0].strip("| `") for cells in rows]
    index = [float(cells[3]) for cells in rows]
    assert sorted(names) == sorted(DIVERGENCES) and index == sorted(index, reverse=True)
    assert (names[0], names[1], names[-1]) == ("neyman_chi2", "srkl", "pearson_chi2")


def test_writing_changes_the_table_and_the_figure_only(example: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"above\n{example.BEGIN}\nold\n{example.END}\nbelow\n")
    assert example.main(["--page", str(page)]) == 0
    assert page.read_text() == f"above\n{example.BEGIN}\n{example.table()}\n{example.END}\nbelow\n"
    assert page.with_name("divergences.png").stat().st_size > 10_000
