"""First pictures and distances by the clock: once each, across a resumption too, and no bit of training changes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import ganneal
from ganneal.comparison.study import Arm, Study
from ganneal.data import Digits
from ganneal.engine import loop
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments.digits import digits_nats
from ganneal.experiments.images import FIRST_LOOKS, images
from ganneal.metrics.extractors import Pixels
from ganneal.models import DCGAN
from ganneal.schemes import Nested
from ganneal.training import evaluations

STEP = 1.0
"""Seconds that each move takes."""
BATCH = 8


def digits(**changes: Any) -> Experiment:
    records = Records(10**6, 10**6, 4, 0, 80, extractor=Pixels(4), tensorboard=False, early_seconds=(5.0, 9.0, 40.0))
    experiment = replace(
        digits_nats(),
        data=Digits(size=8),
        model=DCGAN(width=4, latent_size=4),
        scheme=Nested(2),
        batch_size=BATCH,
        budget=Budget(d_updates=10),
        records=records,
        threads=1,
    )
    return replace(experiment, **changes)


@pytest.fixture(autouse=True)
def steady(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every move takes a second, an evaluation next to nothing."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop, "perf_counter", lambda: STEP * next(ticks))
    monkeypatch.setattr(evaluations, "perf_counter", lambda: 0.0)


def looks(out: Path) -> tuple[list[float], list[int]]:
    """The seconds of each evaluation, and the images of each picture."""
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    pictures = sorted(int(file.stem) for file in (out / "samples").glob("0*.png"))
    return [row["seconds"] for row in rows if "FD-pixels4" in row], pictures


@pytest.mark.runs
def test_they_come_when_their_time_has_come_and_at_both_ends(tmp_path: Path) -> None:
    ganneal.train(digits(), tmp_path)
    seconds, pictures = looks(tmp_path)
    # Of a round's five moves D G D G G, the fifth and the ninth end after these images; 23 seconds are all.
    assert seconds == [0, 5, 9, 23] and pictures == [0, 2 * BATCH, 4 * BATCH, 10 * BATCH]


def test_a_resumed_run_does_not_repeat_them(tmp_path: Path) -> None:
    ganneal.train(digits(budget=Budget(d_updates=3)), tmp_path)
    assert looks(tmp_path)[0] == [0, 5, 6]
    ganneal.train(digits(), tmp_path)
    assert looks(tmp_path)[0] == [0, 5, 6, 9, 23]


def test_no_bit_of_training_changes(tmp_path: Path) -> None:
    with_them = ganneal.train(digits(), tmp_path / "with").digest()
    records = replace(digits().records, early_seconds=())
    assert ganneal.train(digits(records=records), tmp_path / "without").digest() == with_them


def test_a_dear_evaluation_waits_until_it_takes_a_quarter_and_the_picture_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = iter(range(0, 10**6, 3))
    monkeypatch.setattr(evaluations, "perf_counter", lambda: float(next(cost)))
    ganneal.train(digits(records=replace(digits().records, log_every=BATCH)), tmp_path)
    seconds, pictures = looks(tmp_path)
    # 3 seconds are a quarter of 3 + 9, and 6 of 6 + 18: not before the row at 9 and the end.
    assert seconds == [0, 9, 23] and pictures == [0, 2 * BATCH, 4 * BATCH, 10 * BATCH]


def test_own_images_have_them_and_a_study_keeps_its_own_points(tmp_path: Path) -> None:
    for number in range(8):
        Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / f"{number}.png")
    own = images(str(tmp_path))
    assert own.records.early_seconds == FIRST_LOOKS == (30, 60, 120, 240, 480)
    arm = Arm("own", own)
    study = Study("own", (arm,), (0,), "num_real", 100, "own")
    assert study.experiment(arm, 0, None).records.early_seconds == ()


@pytest.mark.parametrize("wrong", [(0.0,), (5.0, -1.0), (float("inf"),), (float("nan"),)])
def test_times_that_never_come_are_refused(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"records\.early_seconds must be finite and above 0"):
        Records(early_seconds=wrong)
