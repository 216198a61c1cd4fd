"""Classes in what is measured: as often as the data has them, or all alike where that is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ganneal
from ganneal.cli import main
from ganneal.data import Arrays, Dataset
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.inference.generator import TrainedGenerator
from ganneal.metrics.measures import METRICS
from ganneal.models import MLP, ModelPair, Normal
from ganneal.storage.run_directory import RunDirectory
from ganneal.task import Labelled, Unconditional
from ganneal.training.evaluator import Evaluator
from ganneal.training.session import train

COUNTS = (360, 40)
PLACES = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
"""Where the two classes lie: a generator that puts each sample on its class's place is exact."""
pytestmark = pytest.mark.usefixtures("empty_pictures")


class Exact(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.places = nn.Parameter(PLACES)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        return self.places[labels] + 0 * latents[:, :2]


def data(counts: Sequence[int] = COUNTS) -> Dataset:
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Dataset(PLACES[labels].numpy(), labels.numpy(), len(counts))


def exact(counts: Sequence[int] = COUNTS) -> TrainedGenerator:
    pair = ModelPair(Exact(), nn.Identity(), Normal(2), (2,), num_classes=2)
    return TrainedGenerator(pair.generator, pair, Labelled(), class_counts=counts)


def test_an_exact_generator_of_unequal_classes_has_no_distance_to_the_data() -> None:
    evaluator = Evaluator(data(), Records(evaluate_count=400))  # as many as the data: the same covariance
    assert evaluator.distance(exact(), seed=0) == pytest.approx(0, abs=1e-9)
    uniform = Evaluator(data(), Records(evaluate_count=400, classes="uniform"))
    # means at 1 and 5, deviations 3 and 5, of which sqrt(399 / 400) is lost by dividing by 399
    assert uniform.distance(exact(), seed=0) == pytest.approx(4**2 + 2**2 * 400 / 399, abs=1e-9)
    assert (evaluator.name, uniform.name) == ("FD-points", "FD-points-uniform-classes")


def test_the_exact_generator_wins_against_one_that_has_learned_the_classes_alike() -> None:
    evaluator = Evaluator(data(), Records(evaluate_count=200))
    right, wrong = exact(), exact((1, 1))
    assert evaluator.distance(right, 0) < evaluator.distance(wrong, 0)  # type: ignore[operator]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on points of two classes at 90:10."""
    folder = tmp_path_factory.mktemp("shares")
    points = data()
    np.savez(folder / "points.npz", points=points.samples, labels=points.labels)  # type: ignore[arg-type]
    train(experiment(folder), folder / "run")
    return folder / "run"


def experiment(folder: Path) -> Experiment:
    return Experiment(
        "points",
        Arrays(str(folder / "points.npz"), images="points", labels="labels"),
        MLP(width=4, depth=2, latent_size=2),
        task=Labelled(),
        batch_size=8,
        budget=Budget(d_updates=2),
        records=Records(evaluate_count=40, sample_count=4, tensorboard=False),
        threads=1,
    )


def test_samples_of_a_run_have_the_classes_of_its_data(run: Path) -> None:
    generator = ganneal.load(run)
    assert list(generator.class_counts) == list(COUNTS)
    for classes, expected in (("data", [90, 10]), ("uniform", [50, 50])):
        _, condition, _ = generator.draw(100, classes=classes)  # type: ignore[arg-type]
        labels = generator.labels_of(condition)
        assert labels is not None and labels.bincount().tolist() == expected


def test_each_value_says_how_often_classes_were_drawn(run: Path) -> None:
    values = {}
    for classes in ("data", "uniform"):
        settings = Settings((METRICS["frechet"],), count=100, seeds=(0,), classes=classes)  # type: ignore[arg-type]
        (record,) = evaluate_run(run, checkpoints=("last",), settings=settings)
        values[record.protocol.classes] = record.value
    assert set(values) == {"data", "uniform"} and len(set(values.values())) == 2


def test_values_of_both_ways_stand_beside_each_other(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for way in ([], ["--classes", "uniform"], []):
        assert main(["evaluate", str(run), "--metrics", "frechet", "--count", "40", "--seeds", "0", *way]) in (None, 0)
    assert "last weights, uniform classes, 16 real images seen" in capsys.readouterr().out
    ways = [line.split('"classes": ')[1].split(",")[0] for line in (run / "evaluation.jsonl").read_text().splitlines()]
    assert sorted(set(ways)) == ['"data"', '"uniform"'] and len(ways) == len(set(ways)) * 2


def test_what_is_followed_beside_training_says_it_in_its_name(run: Path, tmp_path: Path) -> None:
    followed = experiment(run.parent)
    train(replace(followed, records=replace(followed.records, classes="uniform")), tmp_path / "run")
    for place, name in ((run, "FD-points"), (tmp_path / "run", "FD-points-uniform-classes")):
        assert all(name in row for row in RunDirectory(place).rows() if "coverage" in row)


def test_a_run_without_classes_draws_none(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = replace(experiment(run.parent), task=Unconditional())
    with pytest.raises(ValueError, match="records.classes must be 'data' for a run without classes"):
        train(replace(plain, records=replace(plain.records, classes="uniform")), tmp_path / "other")
    train(plain, tmp_path / "run")
    for command in ("sample", "evaluate"):
        assert main([command, str(tmp_path / "run"), "--classes", "uniform"]) == 2
        assert "classes must be left out: this generator was trained without classes" in capsys.readouterr().err
