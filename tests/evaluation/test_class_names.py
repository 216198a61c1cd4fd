"""Classes of two sides are the same by their names, whatever their numbers."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ganneal.cli import main
from ganneal.data import Arrays, Dataset
from ganneal.data.classes import paired_classes
from ganneal.evaluation.stored import Settings, evaluate_images, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics.extractors import Pixels
from ganneal.metrics.measures import METRICS
from ganneal.models import MLP
from ganneal.task import Labelled, Unconditional
from ganneal.training.evaluator import Evaluator
from ganneal.training.session import train

COUNT = 24
SETTINGS = Settings((METRICS["per-class-frechet"],))


def images(seed: int = 0) -> np.ndarray:
    """Dark ones, then bright ones."""
    random = np.random.default_rng(seed)
    dark, bright = (random.integers(low, low + 100, (COUNT, 4, 4), dtype=np.uint8) for low in (0, 150))
    return np.concatenate([dark, bright])


def written(path: Path, classes: list[str], labels: np.ndarray | None = None) -> Path:
    given = np.repeat([0, 1], COUNT) if labels is None else labels
    np.savez(path, images=images(), labels=given, **({"class_names": np.array(classes)} if classes else {}))  # type: ignore[arg-type]
    return path


def test_the_same_classes_under_other_numbers_have_no_distance(tmp_path: Path) -> None:
    real = written(tmp_path / "real.npz", ["dark", "light"])
    fake = written(tmp_path / "fake.npz", ["light", "dark"], np.repeat([1, 0], COUNT))
    said: list[str] = []
    (record,) = evaluate_images(real, fake, settings=SETTINGS, extractor=Pixels(4), say=said.append)
    assert record.value == pytest.approx(0, abs=1e-9)
    assert set(record.extra["distances"]) == {"dark", "light"} and record.extra["worst"][1] in ("dark", "light")
    assert record.protocol.classes_paired == "by name"
    assert "classes of real and fake are paired by name" in said


def test_the_same_letters_in_both_forms_of_unicode_are_one_name(tmp_path: Path) -> None:
    real = written(tmp_path / "real.npz", ["gro\u00df", "gr\u00f6\u00dfe"])
    fake = written(tmp_path / "fake.npz", ["gro\u00df", "gro\u0308\u00dfe"])
    (record,) = evaluate_images(real, fake, settings=SETTINGS, extractor=Pixels(4))
    assert record.value == pytest.approx(0, abs=1e-9) and record.protocol.classes_paired == "by name"
    assert paired_classes(["\u00e1", "a\u0301"], ["a\u0301", "\u00e1"], called=("real", "fake")).places == (1, 0)


def test_classes_of_which_one_side_has_the_names_are_paired_in_their_order(tmp_path: Path) -> None:
    real, fake = written(tmp_path / "real.npz", ["dark", "light"]), written(tmp_path / "fake.npz", [])
    (record,) = evaluate_images(real, fake, settings=SETTINGS, extractor=Pixels(4))
    assert record.value == pytest.approx(0, abs=1e-9)
    assert record.protocol.classes_paired == "by index, as only one side has names: 0 = dark, 1 = light"


def test_other_classes_are_refused_where_a_metric_needs_them_alone(tmp_path: Path) -> None:
    real, fake = written(tmp_path / "real.npz", ["dark", "light"]), written(tmp_path / "fake.npz", ["dark", "grey"])
    with pytest.raises(ValueError, match="same in real and fake, got light of real only; grey of fake only"):
        evaluate_images(real, fake, settings=SETTINGS, extractor=Pixels(4))
    (record,) = evaluate_images(real, fake, settings=Settings((METRICS["frechet"],)), extractor=Pixels(4))
    assert record.value == pytest.approx(0, abs=1e-9) and record.protocol.classes_paired is None


def test_a_class_without_a_sample_is_not_measured(tmp_path: Path) -> None:
    real = written(tmp_path / "real.npz", ["absent", "dark", "light"], np.repeat([1, 2], COUNT))
    fake = written(tmp_path / "fake.npz", ["dark", "light"])
    (record,) = evaluate_images(real, fake, settings=SETTINGS, extractor=Pixels(4))
    assert set(record.extra["distances"]) == {"dark", "light"}


def test_a_side_without_classes_is_said(tmp_path: Path) -> None:
    real = written(tmp_path / "real.npz", ["dark", "light"])
    np.savez(tmp_path / "fake.npz", images=images(), labels=np.full(2 * COUNT, 0.5))
    said: list[str] = []
    assert evaluate_images(real, tmp_path / "fake.npz", settings=SETTINGS, say=said.append) == []
    assert "warning: no per-class-frechet, as fake has no classes" in said
    assert any("warning: labels of fake are not used: " in line and "no whole numbers, as 0.5" in line for line in said)


def test_too_few_samples_of_a_class_are_counted_under_its_name(tmp_path: Path) -> None:
    real = written(tmp_path / "real.npz", ["dark", "light"])
    few = written(tmp_path / "few.npz", ["dark", "light"], np.repeat([0, 1], [COUNT + 20, COUNT - 20]))
    with pytest.raises(ValueError, match="got 24 and 4 of the class light"):
        evaluate_images(real, few, settings=SETTINGS, extractor=Pixels(4))


# Held-out data


@dataclass(frozen=True)
class Points:
    """Points at 0 of class ``names[0]`` and points at 1 of class ``names[1]``, 8 of each."""

    names: tuple[str, ...] = ("a", "b")
    labels: tuple[int, ...] = (0, 1)

    def load(self) -> Dataset:
        values = np.repeat(np.array([[0.0, 0], [1, 1]], dtype=np.float32), 8, axis=0)
        return Dataset(values, np.repeat(self.labels, 8), 2, {"classes": list(self.names)})


def test_held_out_samples_are_judged_under_the_datas_numbers_of_their_classes() -> None:
    records = Records(evaluate_count=20, held_out=Points(("b", "a"), (1, 0)))
    evaluator = Evaluator(Points().load(), records, num_classes=2)
    judged = evaluator.judged
    assert evaluator.held_out_paired == "by name"
    assert judged.labels is not None and judged.labels.tolist() == [0] * 8 + [1] * 8


def test_held_out_data_of_other_classes_are_refused_where_classes_matter() -> None:
    records = Records(evaluate_count=20, held_out=Points(("a", "c")))
    with pytest.raises(ValueError, match="same in the data and records.held_out, got b of the data only; c of"):
        Evaluator(Points().load(), records, num_classes=2)
    Evaluator(Points().load(), records)


# Runs


def experiment(path: Path, **changes: object) -> Experiment:
    start = Experiment(
        name="points",
        data=Arrays(str(path), images="points", labels="labels"),
        model=MLP(width=4, depth=1, latent_size=2),
        task=Labelled(),
        batch_size=4,
        budget=Budget(d_updates=1),
        records=Records(evaluate_count=0, tensorboard=False),
    )
    return replace(start, **changes)  # type: ignore[arg-type]


def points(path: Path, names: list[str]) -> Path:
    held = Points().load()
    np.savez(path, points=held.samples, labels=held.labels, class_names=np.array(names))  # type: ignore[arg-type]
    return path


@pytest.fixture
def run(tmp_path: Path, empty_pictures: None) -> Path:
    train(experiment(points(tmp_path / "first.npz", ["a", "b"])), tmp_path / "run")
    return tmp_path / "run"


def test_a_run_is_measured_class_by_class_under_the_names_of_its_classes(run: Path) -> None:
    settings = Settings((METRICS["per-class-frechet"],), count=32, seeds=(0,))
    said: list[str] = []
    records = evaluate_run(run, checkpoints=["last"], settings=settings, say=said.append)
    assert set(records[0].extra["distances"]) == {"a", "b"}
    assert records[0].protocol.classes_paired == "by name"
    assert "classes of the run and of the data are paired by name" in said


def test_classes_of_numbers_are_chosen_by_name_from_the_command_line(
    tmp_path: Path, empty_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    held = np.repeat(np.array([[0.0, 0], [1, 1], [2, 2]], dtype=np.float32), 8, axis=0)
    np.savez(tmp_path / "set.npz", points=held, labels=np.repeat([10, 20, 3], 8))
    train(experiment(tmp_path / "set.npz"), tmp_path / "run")
    out = tmp_path / "s.npz"
    assert main(["sample", str(tmp_path / "run"), "--count", "2", "--class", "20", "--out", str(out)]) == 0
    drawn = np.load(out)
    assert [drawn["class_names"][label] for label in drawn["labels"]] == ["20", "20"]
    assert main(["sample", str(tmp_path / "run"), "--class", "1", "--out", str(tmp_path / "t.npz")]) == 2
    assert "class must be a name of a class, got '1'. Did you mean '10'? Known: 3, 10, 20" in capsys.readouterr().err


def test_classes_are_of_no_matter_without_the_task(tmp_path: Path, run: Path) -> None:
    second = points(tmp_path / "second.npz", ["a", "c"])
    assert train(experiment(second, task=Unconditional()), tmp_path / "next").pair.num_classes == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "c"], "classes must be the same in the run .*, got b of the run .* only; c of the data only"),
        (["b", "a"], "classes must be in the same order in the run .* and the data, got a, b and b, a"),
    ],
)
def test_players_go_on_with_the_classes_that_they_know_alone(
    tmp_path: Path, run: Path, names: list[str], message: str
) -> None:
    more = replace(experiment(points(tmp_path / "first.npz", names)), budget=Budget(d_updates=2))
    with pytest.raises(ValueError, match="are not those that the run began with"):
        train(more, run)
    with pytest.raises(ValueError, match=message):
        train(more, run, accept_changed_data=True)
