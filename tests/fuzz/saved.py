"""The readers of what ganneal itself writes: cards, descriptions, records, training states, kept features."""

import hashlib
import io
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from readers import Canary, Reader

import ganneal
from ganneal.data import Ring
from ganneal.engine.run import Run
from ganneal.evaluation.run_data import check_identity
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import MLP
from ganneal.storage.run_directory import CHECKPOINT_FORMAT, RunDirectory
from ganneal.training.session import restore

EXPERIMENT = Experiment(
    name="tiny",
    data=Ring(num_samples=16),
    model=MLP(width=2, depth=1, latent_size=1),
    batch_size=4,
    budget=Budget(num_real=16),
    records=Records(log_every=8, evaluate_count=0, sample_count=1, tensorboard=False),
    threads=1,
)


def trained(folder: Path) -> RunDirectory:
    """A finished run in ``folder``, like that beside it; trained where there is none yet."""
    whole = folder.parent / "whole-run"
    if not whole.exists():
        ganneal.train(EXPERIMENT, whole)
    if not (folder / "run").exists():
        shutil.copytree(whole, folder / "run")
    return RunDirectory(folder / "run")


def _written(name: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [(trained(folder).path / name).read_bytes()]


def _changed(name: str, read: Callable[[RunDirectory], object]) -> Callable[[bytes, Path], object]:
    """``read`` a run of which the file ``name`` is other bytes."""

    def with_other_bytes(data: bytes, folder: Path) -> object:
        directory = trained(folder)
        file = directory.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return read(directory)

    return with_other_bytes


def _draw(directory: RunDirectory) -> object:
    return ganneal.load(directory.path).sample(1)


def _states(folder: Path) -> list[bytes]:
    directory = trained(folder)
    whole = directory.list_checkpoints()[0].read_bytes()
    hostile = io.BytesIO()
    torch.save({"format": CHECKPOINT_FORMAT, "identity": "{}", "state": Canary(folder)}, hostile)
    return [whole, whole, hostile.getvalue()]


@cache
def _run() -> Run:
    return Run(EXPERIMENT)


def _read_state(data: bytes, folder: Path) -> object:
    """Under a name that holds the hash of what is in it, as accidents never leave it."""
    directory = RunDirectory(folder / "resumed")
    directory.checkpoints.mkdir(parents=True, exist_ok=True)
    path = directory.checkpoints / f"{1:012d}-{hashlib.sha256(data).hexdigest()[:16]}.pt"
    path.write_bytes(data)
    try:
        content = directory.load_checkpoint(EXPERIMENT.changes_from)
        assert content is not None
        return restore(_run(), content["state"], directory)
    finally:
        path.unlink()


OWN = {
    "card.json": Reader(_written("final/card.json"), _changed("final/card.json", _draw), "card.json"),
    "weights": Reader(
        _written("final/generator.safetensors"), _changed("final/generator.safetensors", _draw), "generator.safetensors"
    ),
    "experiment.json": Reader(
        _written("experiment.json"),
        _changed("experiment.json", lambda directory: check_identity(directory, EXPERIMENT)),
        "experiment.json",
    ),
    "metrics.jsonl": Reader(_written("metrics.jsonl"), _changed("metrics.jsonl", RunDirectory.rows), "metrics.jsonl"),
    "checkpoint": Reader(_states, _read_state, "resumed"),
}
