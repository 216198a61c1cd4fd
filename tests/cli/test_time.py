"""`ganneal train --for`: a time in words, the width that suits it, and what it does not go with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from ganneal.cli import main
from ganneal.cli.train import TrainCommand
from ganneal.experiment import Budget
from ganneal.experiments.images import OWN_PATIENCE
from ganneal.wording import seconds_of

SMALL = "--records.evaluate-count 0 --records.no-tensorboard --data.size 16 --threads 1"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        Image.new("RGB", (16, 16), (20 * number, 90, 0)).save(folder / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A machine that makes 640 / width discriminator updates a second; the widths that were measured."""
    measured: list[int] = []

    def updates(experiment, dataset) -> float:
        measured.append(experiment.model.width)
        return 640 / experiment.model.width

    monkeypatch.setattr("ganneal.training.width.updates_a_second", updates)
    return measured


def train(arguments: str) -> TrainCommand:
    given = TrainCommand.parse(arguments.split(), "train")
    assert isinstance(given, TrainCommand)
    return given


def width_of(given: TrainCommand) -> Any:
    return getattr(given.resolved.model, "width")  # noqa: B009


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("30min", 1_800), ("90m", 5_400), ("2h", 7_200), ("1.5h", 5_400), ("1h30min", 5_400)]
    + [("overnight", 28_800), ("OVERNIGHT", 28_800), ("2 h", 7_200), ("1d", 86_400)],
)
def test_times_are_read_as_people_type_them(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "30", "0s", "-5min", "5 parsecs", "h2", "1h!", "1..5h", "nan s", "1e3s"])
def test_other_words_are_answered_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="must be written like 45s, 30min, 1.5h, 1h30min or overnight"):
        seconds_of(text)
    with pytest.raises(ValueError, match="^--for must be written like 45s"):
        seconds_of(text, "--for")


def test_a_named_experiment_is_given_the_time_and_keeps_its_network(speed: list[int]) -> None:
    given = train("digits-nats --for 30min")
    assert (given.resolved.time_limit, given.resolved.budget) == (1_800, Budget())
    assert given.resolved.model == train("digits-nats").resolved.model and speed == []


@pytest.mark.parametrize(
    ("time", "width"),
    # 16 px on a CPU begin with 64 channels: 10 updates a second there, 5 at 128, 20 at 32.
    [("30min", 64), ("2h", 128), ("3min", 32), ("1min", 16), ("10s", 16), ("overnight", 128)],
)
def test_own_images_get_the_width_that_leaves_enough_updates(
    photos: Path, speed: list[int], time: str, width: int
) -> None:
    given = train(f"photos --for {time} {SMALL}")
    assert width_of(given) == width and speed
    assert given.width is not None and "discriminator updates in" in given.width.reason


@pytest.mark.parametrize("typed", ["--model.width 24", "--model dcgan"])
def test_a_network_that_was_typed_is_not_measured(photos: Path, speed: list[int], typed: str) -> None:
    assert train(f"photos --for 10s {typed} {SMALL}").width is None and speed == []


@pytest.mark.parametrize("other", ["--budget.seconds 5", "--budget.num-real=9", "--time-limit 5", "--time_limit 5"])
def test_two_budgets_are_refused(photos: Path, other: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "photos", "--for", "30min", *other.split()]) == 2
    assert "--for sets the budget" in capsys.readouterr().err


def test_a_run_stops_early_only_where_nobody_said_how_long(photos: Path, speed: list[int]) -> None:
    assert train("photos").resolved.records.patience == OWN_PATIENCE
    assert train("photos --budget.seconds 60").resolved.records.patience is None
    assert train("photos --for 1h").resolved.records.patience is None
    assert train("photos --for 1h --records.patience 0.5").resolved.records.patience == 0.5
    assert train("digits-nats").resolved.records.patience is None


def test_the_run_ends_in_time_and_goes_on_with_the_width_it_began_with(
    photos: Path, speed: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "photos", "--for", "2s", "--out", "run", *SMALL.split()]) == 0
    said = capsys.readouterr().err
    assert "stopped: time_limit reached 2 s" in said
    assert re.search(r"--model\.width +16  \(about [0-9,]+ discriminator updates in 2 s here\)", said)
    description = json.loads(Path("run/experiment.json").read_text())
    assert description["experiment"]["model"]["width"] == description["chosen"]["model.width"]["value"] == 16
    speed.clear()
    assert width_of(train(f"photos --for 3h --out run {SMALL}")) == 16 and speed == []
