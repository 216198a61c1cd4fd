"""What trackers are shown, and that they neither end a training nor change one."""

import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.for_each import for_each

import ganneal
from ganneal.data import Digits
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import DCGAN
from ganneal.training import trackers
from ganneal.training.session import Session

STEPS = 6


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """An experiment's threads are set for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def digits(d_updates: int = STEPS, **records: Any) -> Experiment:
    own: dict[str, Any] = {"log_every": 16, "sample_every": 32, "sample_count": 4, "evaluate_count": 0}
    own |= {"tensorboard": False} | records
    return Experiment(
        "digits",
        Digits(),
        DCGAN(width=4, latent_size=4),
        batch_size=16,
        threads=1,
        budget=Budget(d_updates=d_updates),
        records=Records(**own),
    )


def weights(out: Path) -> dict[str, bytes]:
    names = ("generator", "generator-raw", "discriminator")
    return {
        f"{name} {key}": tensor.numpy().tobytes()
        for name in names
        for key, tensor in load_file(out / "final" / f"{name}.safetensors").items()
    }


def grids(out: Path) -> dict[int, np.ndarray]:
    found = {}
    for path in (out / "samples").glob("0*.png"):
        with Image.open(path) as grid:
            found[int(path.stem)] = np.asarray(grid.convert("RGB"))
    return found


# TensorBoard


def test_without_tensorboard_the_training_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ganneal.train(digits(), tmp_path / "quiet")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    ganneal.train(digits(tensorboard=True), tmp_path / "absent")
    assert weights(tmp_path / "absent") == weights(tmp_path / "quiet")
    assert not (tmp_path / "absent" / "tensorboard").exists()


def test_tensorboard_shows_every_grid_that_samples_holds_and_every_row(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    ganneal.train(digits(3, tensorboard=True), tmp_path)
    ganneal.train(digits(tensorboard=True), tmp_path)  # resumed
    shown = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    shown.Reload()
    images = {event.step: event.encoded_image_string for event in shown.Images("samples")}
    expected = grids(tmp_path)
    assert sorted(expected) == [0, 32, 48, 64, 96] and images.keys() == expected.keys()
    for step, encoded in images.items():
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encoded))), expected[step])
    assert [event.step for event in shown.Images("real")] == [0]
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = {event.step: event.value for event in shown.Scalars("d_loss")}
    assert losses == pytest.approx({row["num_real"]: row["d_loss"] for row in rows})


# W&B, by a module of the same calls


class Server:
    """What a module in the place of `wandb` was called with; it fails at each call of the names in ``broken``."""

    def __init__(self, *broken: str):
        self.broken = broken
        self.inits: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.finished = 0

    def module(self) -> ModuleType:
        made: Any = ModuleType("wandb")
        made.init, made.Image = self.init, lambda picture: ("image", picture.size)
        made.Settings = lambda **settings: settings
        return made

    def called(self, name: str) -> None:
        torch.manual_seed(0)  # a program of others may do this
        if name in self.broken:
            raise RuntimeError(f"no {name}")

    def init(self, **given: Any) -> Any:
        self.called("init")
        self.inits.append(given)
        return SimpleNamespace(log=self.log, finish=self.finish)

    def log(self, values: dict[str, Any], step: int) -> None:
        self.called("log")
        self.logged.append((step, values))

    def finish(self) -> None:
        self.called("finish")
        self.finished += 1


def serve(monkeypatch: pytest.MonkeyPatch, *broken: str) -> Server:
    server = Server(*broken)
    monkeypatch.setitem(sys.modules, "wandb", server.module())
    return server


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("untracked")
    ganneal.train(digits(), out)
    return out


def test_wandb_is_sent_what_the_record_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = serve(monkeypatch)
    ganneal.train(digits(wandb="project"), tmp_path / "run")
    [given] = server.inits
    assert (given["project"], given["name"], given["dir"]) == ("project", "run", str(tmp_path / "run"))
    assert given["config"]["model"]["type"] == "DCGAN"
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(step, sent["d_loss"]) for step, sent in server.logged if "d_loss" in sent] == [
        (row["num_real"], row["d_loss"]) for row in rows
    ]
    pictures = sorted({step for step, sent in server.logged if "samples" in sent})
    assert pictures == sorted(grids(tmp_path / "run"))
    assert [step for step, _ in server.logged] == sorted(step for step, _ in server.logged)  # W&B drops smaller steps
    assert server.finished == 1


def test_a_resumed_run_is_the_same_run_of_wandb_and_another_project_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = serve(monkeypatch)
    for count, project in ((2, "a"), (4, "a"), (6, "b")):
        ganneal.train(digits(count, wandb=project), tmp_path)
    first, again, other = (given["id"] for given in server.inits)
    assert first == again != other
    assert all(given["resume"] == "allow" for given in server.inits)
    assert server.finished == 3


@pytest.mark.runs
@for_each("broken", [(), ("init",), ("log",), ("finish",)], ids=" ".join)
def test_a_tracker_neither_ends_nor_changes_a_training(
    broken: tuple[str, ...],
    untracked: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    serve(monkeypatch, *broken)
    ganneal.train(digits(wandb="project"), tmp_path, progress=True)
    assert weights(tmp_path) == weights(untracked)
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: W&B")]
    assert len(warnings) == len(broken)
    assert all(f"RuntimeError: no {name}" in line for name, line in zip(broken, warnings, strict=True))


def test_trackers_are_closed_where_a_training_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server = serve(monkeypatch)

    def fail(self: Session) -> None:
        raise OSError("no room")

    monkeypatch.setattr(Session, "save", fail)
    with pytest.raises(OSError, match="no room"):
        ganneal.train(digits(wandb="project"), tmp_path)
    assert server.finished == 1


def test_wandb_that_is_not_installed_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as `import` sees what is not there
    with pytest.raises(ValueError, match=r"pip install 'ganneal\[wandb\]'.*--records.wandb"):
        ganneal.train(digits(wandb="project"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_nothing_is_sent_unasked(untracked: Path) -> None:
    assert Records().wandb is None
    assert not (untracked / "wandb.json").exists() and not (untracked / "wandb").exists()


def test_a_project_has_a_name() -> None:
    with pytest.raises(ValueError, match="records.wandb must name"):
        replace(Records(), wandb=" ")


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="W&B is not installed")
def test_wandb_itself_takes_a_run_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, untracked: Path) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    ganneal.train(digits(wandb="project"), tmp_path)
    run_id = json.loads((tmp_path / "wandb.json").read_text())["id"]
    [record] = tmp_path.glob(f"wandb/offline-run-*/run-{run_id}.wandb")
    assert record.stat().st_size > 0 and weights(tmp_path) == weights(untracked)
