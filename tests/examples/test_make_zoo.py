"""Storing a run in the zoo: half the bytes, nearly the same samples, a card with what was measured."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

import ganneal
from ganneal.experiment import Budget, Records
from ganneal.experiments import digits_cts
from ganneal.models import DCGAN

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("make_zoo")


def test_a_run_is_stored_with_what_was_measured_of_it(example: ModuleType, tmp_path: Path) -> None:
    records = Records(evaluate_count=0, sample_count=4, tensorboard=False)
    experiment = replace(
        digits_cts(),
        model=DCGAN(width=4, latent_size=4),
        batch_size=16,
        threads=torch.get_num_threads(),
        budget=Budget(num_real=64),
        records=records,
    )
    ganneal.train(experiment, tmp_path / "run", command="ganneal train digits-cts")
    card = example.store(tmp_path / "run", tmp_path / "stored", samples=100)
    assert card["command"] == "ganneal train digits-cts" and card["data"]["licence"] == "CC BY 4.0"
    (distance,) = [value for name, value in card["measured"].items() if name.startswith("FD-")]
    assert distance > 0 and card["measured_how"] == "100 samples against 1,797 training images"
    before, after = (ganneal.load(tmp_path / name).sample(8) for name in ("run", "stored"))
    torch.testing.assert_close(after, before, atol=5e-3, rtol=0)  # float16 has 11 bits
    files = [tmp_path / name / "final" / "generator.safetensors" for name in ("run", "stored")]
    assert files[1].stat().st_size < files[0].stat().st_size
