"""The guesses of a chain whose generator is known, and the verdict on runs of a few updates."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

import ganneal
from ganneal.data import Ring
from ganneal.experiment import Budget, Experiment, Records
from ganneal.inference.generator import TrainedGenerator
from ganneal.metrics.intervals import seed_interval
from ganneal.models import DenoisingMLP, ModelPair, Normal
from ganneal.task import Denoising

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("denoising_steps")


class Time(nn.Module):
    """Guesses the time, and what it saw of the noise."""

    shape = (2,)

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, latents: Tensor, t: Tensor, noisier: Tensor) -> Tensor:
        return torch.stack([t.float(), noisier[:, 0]], 1)


def test_guesses_are_those_of_each_step_in_the_order_of_the_samples(example: ModuleType) -> None:
    pair = ModelPair(Time(), nn.Identity(), Normal(1), (2,), denoises=True)
    generator = TrainedGenerator(pair.generator, pair, Denoising(steps=3))
    found = example.guesses(generator, 300, 0)  # two batches
    assert [guess[:, 0].unique().tolist() for guess in found] == [[2], [1], [0]]
    assert all(guess.shape == (300, 2) for guess in found)
    samples = generator.sample(300, 0)  # the hook is gone, and was no part of the draw
    assert torch.equal(found[-1], samples)


def test_intervals_are_apart_only_in_the_right_order(example: ModuleType) -> None:
    low, high, wide = seed_interval([1.0, 1.1, 0.9]), seed_interval([2.0, 2.1, 1.9]), seed_interval([0.0, 2.0, 1.0])
    assert example.apart(low, high)
    assert not example.apart(high, low) and not example.apart(low, wide) and not example.apart(low, low)


def test_a_run_is_measured_and_another_task_is_refused(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = Experiment(
        name="short",
        data=Ring(num_samples=200),
        model=DenoisingMLP(width=4, depth=1),
        task=Denoising(steps=2),
        batch_size=8,
        budget=Budget(d_updates=1),
        records=Records(evaluate_count=0, sample_count=4, tensorboard=False),
    )
    ganneal.train(experiment, tmp_path / "run")
    status = example.main([str(tmp_path / "run"), "--count", "100", "--seeds", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[1:3]] == ["after 1 of 2 passes", "after 2 of 2 passes"]
    assert all("modes held" in line and "[" in line for line in lines[1:3])
    assert status == int("not apart" in lines[3])
    with pytest.raises(SystemExit, match="at least 2 for an interval, got 1"):
        example.main([str(tmp_path / "run"), "--seeds", "1"])
