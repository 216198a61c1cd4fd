"""What the page says in plain words follows from the figures."""

from pathlib import Path
from typing import Any

import pytest
from tests.for_each import for_each

from ganneal.report import words
from ganneal.report.records import RunRecord

METRIC = "FD-pixels16"


def run_with(distances: list[float], **changes: Any) -> RunRecord:
    rows = [{"num_real": 100 * index, METRIC: value} for index, value in enumerate(distances)]
    return RunRecord(Path("run"), {"name": "x"}, {"shape": [1, 8, 8]}, rows=rows, **changes)


@for_each(
    ("distances", "severity", "said"),
    [
        ([100.0, 10.0], "good", "fell from 100 to 10"),
        ([100.0, 10.0, 4.0, 5.0], "warning", "The end is worse than the best, 4 after 200 real images: 1.25 times"),
        ([100.0, 4.0, 5.0], "good", "fell from 100 to 5"),  # too few evaluations to call the best one better
        ([100.0, 10.0, 4.0, 4.1], "good", "fell from 100 to 4.1"),
        ([100.0, 10.0, 4.0, 130.0], "alarm", "did not come closer"),
        ([14.78, 14.83], "alarm", "was 14.78 before training and is 14.83 now"),
        ([100.0], "warning", "measured once"),
    ],
)
def test_progress_is_judged_by_the_distance(distances: list[float], severity: str, said: str) -> None:
    found = words.progress(run_with(distances))
    assert found is not None
    assert found[0] == severity and said in found[1] and METRIC in found[1]


@pytest.mark.parametrize(("updates", "severity"), [(99, "warning"), (100, "alarm")])
def test_a_run_that_has_barely_begun_is_no_alarm(updates: int, severity: str) -> None:
    run = run_with([100.0, 130.0])
    run.rows[-1]["d_updates"] = updates
    found = words.progress(run)
    assert found is not None and found[0] == severity
    assert ("After 99 discriminator updates that says little: train longer." in found[1]) == (updates < 100)


def test_without_a_distance_nothing_is_said_of_progress() -> None:
    assert words.progress(RunRecord(Path("run"), {})) is None


@for_each(
    ("rows", "outcome", "severity", "said"),
    [
        ([{"num_real": 5, "stopped": "num_real reached 5"}], None, "good", "finished: real points reached 5."),
        ([{"stopped": "seconds reached 60 (0.1 over)"}], None, "good", "seconds of training reached 60 (0.1 over)."),
        ([{"num_real": 5}], {"status": "finished"}, "good", "The run finished."),
        ([{"num_real": 5}], None, "warning", "has not finished: its last record is at 5 real points"),
        ([], None, "warning", "Nothing was recorded"),
        ([{"num_real": 5}], {"status": "diverged", "error": "d_loss is NaN"}, "alarm", "diverged: d_loss is NaN"),
    ],
)
def test_status_is_what_was_written_down(
    rows: list[dict[str, Any]], outcome: dict[str, Any] | None, severity: str, said: str
) -> None:
    found = words.status(RunRecord(Path("run"), {}, rows=rows, outcome=outcome))
    assert found[0] == severity and said in found[1]


@for_each(
    ("encoded", "weights", "said"),
    [
        ({"type": "Alternating", "d_steps": 1}, (1.0,), "common training"),
        ({"type": "Nested", "levels": 3}, (1.0, 1.0, 1.0), "nested training, 3 levels"),
        ({"type": "Nested", "levels": 2}, (1.0, 0.01), "nested annealed training, 2 levels, weights 1 to 0.01"),
        ({"type": "Nested", "levels": 2}, (0.01, 1.0), "nested training with weights that rise"),
        ({"type": "MyScheme"}, (), "MyScheme"),
        (None, (), "an unknown scheme"),
    ],
)
def test_annealed_is_said_of_falling_weights_only(
    encoded: dict[str, Any] | None, weights: tuple[float, ...], said: str
) -> None:
    assert said in words.scheme(encoded, weights)
