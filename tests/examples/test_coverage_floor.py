"""The twelve runs of the coverage floor, and its verdict on results that are given."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("coverage_floor")


def test_three_schemes_with_four_losses(example: ModuleType) -> None:
    arms = example.study("images.npy", 300.0, 1).arms
    assert len(arms) == 12 and len({arm.name for arm in arms}) == 12
    assert [arm.experiment.scheme.levels for arm in arms[4:]] == [5] * 8
    for arm in arms:
        penalised = arm.name.endswith("wgan-gp")
        assert (arm.experiment.model.d_norm == "layer") == penalised
        assert arm.experiment.scheme.d_steps == (5 if penalised else 1)
    only = example.study("images.npy", 300.0, 1, ["nats-hinge", "cts-lsgan"])
    assert [arm.name for arm in only.arms] == ["cts-lsgan", "nats-hinge"]


def test_a_run_below_the_floor_or_unfinished_is_named(example: ModuleType) -> None:
    arms = {
        "good": [{"seed": 0, "status": "finished", "coverage": 0.05}],
        "low": [{"seed": 0, "status": "finished", "coverage": 0.049}],
        "nothing": [{"seed": 1, "status": "finished", "coverage": float("nan")}],
        "gone": [{"seed": 0, "status": "diverged"}],
    }
    assert example.below(arms, example.FLOOR) == [
        "low seed 0: coverage 0.049",
        "nothing seed 1: coverage nan",
        "gone seed 0: diverged",
    ]
