"""`make evidence`: calls that the command line takes, the decisive ones first, every row with data at last."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from ganneal.comparison.study import seeds_of
from ganneal.reproduction import TABLES
from ganneal.reproduction.plan import chosen_rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def evidence() -> ModuleType:
    spec = spec_from_file_location("evidence", ROOT / "examples" / "evidence.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.runs
def test_every_call_is_one_that_the_command_takes(evidence: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    planned = set()
    for table, rows, seeds in evidence.stages():
        if (table, *rows) not in planned:
            planned.add((table, *rows))
            chosen = ["--rows", *rows] if rows else []
            command = ["reproduce", table, "--scale", "cpu", *chosen, "--seeds", seeds, "--jobs", "1", "--plan"]
            assert evidence.ganneal(command) == 0, capsys.readouterr().err


def test_one_seed_of_the_original_loss_at_ten_levels_comes_first_and_three_seeds_of_all_losses_in_the_end(
    evidence: ModuleType,
) -> None:
    calls = [
        ([row.name for row in chosen_rows(TABLES[table], rows)], seeds_of(seeds))
        for table, rows, seeds in evidence.stages()
    ]
    first, seeds = calls[0]
    assert seeds == (0,) and {name.removeprefix("cifar10/original-") for name in first} == {
        "cts", "nts-10", "nats-10", "matched-step-10", "long-step-10", "cts-time-10",
    }  # fmt: skip
    most: dict[str, int] = {}
    for names, seeds in calls:
        for name in names:
            most[name] = max(most.get(name, 0), len(seeds))
    assert all(most[row.name] == 3 for row in TABLES["table9"].all_rows if not row.arm.endswith("-15"))
    assert all(row.name in most for table in TABLES.values() for row in table.all_rows)


@pytest.mark.parametrize(("statuses", "calls", "ends_with"), [([143], 1, 143), ([2, 0], 2, 2)])
def test_a_signal_ends_it_and_a_table_that_fails_does_not(
    evidence: ModuleType, monkeypatch: pytest.MonkeyPatch, statuses: list[int], calls: int, ends_with: int
) -> None:
    given = iter(statuses)
    called: list[list[str]] = []
    monkeypatch.setattr(evidence, "ganneal", lambda arguments: (called.append(arguments), next(given))[1])
    monkeypatch.setattr(evidence, "stages", lambda: iter([("table9", [], "1"), ("table12", [], "1")]))
    assert evidence.main(["--data", "celeba=faces"]) == ends_with and len(called) == calls
    assert all(arguments[-6:-4] == ["--data", "celeba=faces"] for arguments in called)
