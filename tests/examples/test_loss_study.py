"""The study of losses: its arms, and its summary, table and figure from results that are given."""

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ganneal.data import Zip

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location("loss_study", ROOT / "examples" / "loss_study.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_arms_differ_in_the_loss_and_its_companions_only(example: ModuleType) -> None:
    study = example.study("images.npy", 300.0, 3)
    assert [arm.name for arm in study.arms] == list(example.ARMS) and study.seeds == (0, 1, 2)
    assert (study.clock, study.amount, study.baseline) == ("seconds", 300.0, "non-saturating")
    companions = {"loss", "regularizer", "scheme", "d_optimizer", "g_optimizer", "normalization"}
    assert all(set(changes) <= companions and "loss" in changes for changes in example.ARMS.values())
    assert len({str(changes) for changes in example.ARMS.values()}) == len(example.ARMS)


def test_no_arm_has_batch_norm_under_a_penalty(example: ModuleType) -> None:
    for arm in example.study("images.npy", 1.0, 1).arms:
        assert arm.experiment.model.d_norm == "layer" and arm.experiment.precision == "bf16"


def test_images_are_decoded_once(example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "study"
    np.save(tmp_path / "study-cifar10.npy", np.zeros((2, 3, 32, 32), np.uint8))
    monkeypatch.setattr(Zip, "load", lambda self: pytest.fail("decoded again"))
    assert example.decoded(out) == str(tmp_path / "study-cifar10.npy")


VALUES = {"distance": 3.0, "precision": 0.5, "recall": 0.25, "coverage": 0.75}


def run(seed: int, status: str = "finished") -> dict[str, Any]:
    clocks = {"num_real": 64_000, "d_updates": 1_000, "g_updates": 1_000, "cpu_seconds": 300.0}
    return {"seed": seed, "status": status, "path": f"arm/seed{seed}"} | clocks


def test_summary_table_and_figure_of_given_results(example: ModuleType, tmp_path: Path) -> None:
    for seed, distance in ((0, 3.0), (1, 5.0)):
        folder = tmp_path / "arm" / f"seed{seed}"
        folder.mkdir(parents=True)
        values = VALUES | {"distance": distance, "samples": 100}
        (folder / example.MEASURED).write_text(json.dumps(values))
    results = {
        "metric": "FD-resnet20",
        "amount": 300.0,
        "hardware": {},
        "arms": [{"name": "one", "runs": [run(0), run(1)]}, {"name": "two", "runs": [run(2, "diverged")]}],
    }
    content = example.summary(results, tmp_path, 100)
    one, two = example.table(content).splitlines()[2:]
    assert one == "| one | 2 of 2 | 4 (3–5) | 0.5 (0.5–0.5) | 0.25 (0.25–0.25) | 0.75 (0.75–0.75) | 64,000 | 300 |"
    assert two == "| two | 0 of 1 | – | – | – | – | 64,000 | 300 |"
    example.draw(content, tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000
