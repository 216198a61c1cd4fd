"""The example of two rules of thumb: what it measures, and what it writes."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The example with few samples, pushes and weights."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    module = import_module("heuristics")
    small = {"COUNT": 60, "PUSHES": 2, "UPDATES": 1, "SEEDS": (0,), "AWAY": (2.0, 4.0), "FIRST": (1.0, 2.0)}
    for name, value in {**small, "CENTERS": (None, 1.0)}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_both_tables_are_written_between_their_marks(example: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    marks = [mark for pair in example.MARKS.values() for mark in pair]
    page.write_text("\n".join(["above", *marks, "below"]) + "\n")
    assert example.main(["--page", str(page)]) == 0
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("above", "below") and all(mark in lines for mark in marks)
    assert [line.split(" | ")[0] for line in lines if line.startswith(("| 2", "| 4", "| none", "| ε"))] == [
        "| 2.0",
        "| 4.0",
        "| none",
        "| ε = 1",
    ]


def test_the_page_has_the_marks_and_tables_of_every_setting() -> None:
    page = (ROOT / "docs" / "notes" / "theory.md").read_text()
    for name in ("first weights", "penalties"):
        table = page.partition(f"<!-- {name}, by examples/heuristics.py -->")[2].partition("<!-- end of")[0]
        assert len(table.strip().splitlines()) == 2 + 5


def test_the_exact_gradient_is_the_difference_of_scores(example: ModuleType) -> None:
    """Of means apart by D along one axis, with stds s and t: |(x - D)/s² - x/t²| of each point of the start."""
    x = example.start(0)
    expected = ((x - torch.tensor([4.0, 0.0])) / 0.25 - x / 0.01).norm(dim=1).mean().item()
    assert example.exact_norm(4.0) == pytest.approx(expected, rel=1e-5)


def test_without_a_step_nothing_arrives_and_moves_are_those_of_the_start(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, _ = example.left(8.0, 1e-9, 0)
    assert end == pytest.approx(8.0, rel=0.05)
    monkeypatch.setattr(example, "STEP_SIZE", 0.0)
    assert example.stretched(None, 0)[1] == pytest.approx(example.START_STD, rel=1e-9)
