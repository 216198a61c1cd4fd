"""The runs of the networks' coverage floor."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from ganneal.task import Labelled

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("network_floor")


def test_every_network_under_both_schemes(example: ModuleType) -> None:
    study = example.study(300.0, 1)
    assert [arm.name for arm in study.arms] == [f"{n}-{s}" for n in example.NETWORKS for s in ("cts", "nats")]
    for arm in study.arms:
        arm.experiment.model.build((3, 32, 32), 10 if arm.name.startswith("biggan") else 0)
        assert (arm.experiment.task == Labelled()) == arm.name.startswith("biggan")
        assert arm.experiment.threads == 1
    assert [arm.name for arm in example.study(300.0, 1, ["biggan-nats"]).arms] == ["biggan-nats"]


def test_denoising_has_a_study_of_its_own(example: ModuleType) -> None:
    assert [arm.name for arm in example.digits_study(300.0, 1).arms] == ["ddgan-cts", "ddgan-nats"]
    (arm,) = example.digits_study(300.0, 1, ["ddgan-nats"]).arms
    assert arm.experiment.name == "digits-ddgan-nats"
