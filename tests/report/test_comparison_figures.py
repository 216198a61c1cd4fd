"""The charts of a comparison show the figures they are given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganneal.report.comparison_figures import distances, mean_curve, values_by_arm
from ganneal.report.records import RunRecord


def curve(slope: float, end: int = 4) -> RunRecord:
    rows = [{"num_real": 10 * i, "seconds": i, "FD-x": slope * i + 1} for i in range(end + 1)]
    return RunRecord(Path("run"), {}, rows=rows)


def test_seeds_are_averaged_only_where_all_of_them_are_known() -> None:
    x, mean, low, high = mean_curve([curve(1.0, 4).series("FD-x"), curve(3.0, 2).series("FD-x")])
    assert (x[0], x[-1]) == (0, 20)
    np.testing.assert_allclose(mean, 2 * x / 10 + 1)
    np.testing.assert_allclose([low, high], [x / 10 + 1, 3 * x / 10 + 1])


def test_a_run_that_did_not_finish_is_in_no_mean() -> None:
    runs = {("a", "0"): curve(1.0), ("a", "1"): curve(100.0)}
    both = distances(["a"], runs, {}, "FD-x", "seconds")
    one = distances(["a"], runs, {("a", "1"): "diverged"}, "FD-x", "seconds")
    assert both is not None and "a ends at 203 over 2 seeds" in both.svg
    assert one is not None and "a ends at 5 over 1 seed;" in one.svg and "a seed 1 diverged at 401" in one.svg
    assert both.title == "FD-x over seconds of training"


def test_an_unmeasured_comparison_has_no_chart() -> None:
    assert distances(["a"], {("a", "0"): curve(1.0)}, {}, "FD-other", "num_real") is None
    assert values_by_arm([{"name": "a", "runs": [], "last": None, "best": None}], "FD-x") is None


@pytest.mark.parametrize("low", [2.0, -3.0])
def test_every_arm_keeps_its_colour_and_says_its_values(low: float) -> None:
    arms: list[dict[str, Any]] = [
        {"name": "none", "runs": [], "last": None, "best": None},
        {
            "name": "some",
            "runs": [{"last": 2.5, "best": 2.0}, {"last": 300.0, "best": None}],
            "last": {"mean": 150.0, "low": low, "high": 400.0, "n": 2},
            "best": {"mean": 2.0, "low": None, "high": None, "n": 1},
        },
    ]
    figure = values_by_arm(arms, "FD-x")
    assert figure is not None
    assert "some: last 150 [" in figure.svg and "best 2 (1 seed)" in figure.svg
    assert "var(--s1)" in figure.svg and "var(--s0)" not in figure.svg
