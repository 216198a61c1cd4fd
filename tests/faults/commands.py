"""The commands that are disturbed, as a person types them, on the smallest experiment that is trained and measured."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ganneal.cli.compare import CompareCommand
from ganneal.cli.evaluate import EvaluateCommand
from ganneal.cli.train import TrainCommand
from ganneal.comparison import executors
from ganneal.comparison.executors import LocalProcesses
from ganneal.comparison.schedule import compare
from ganneal.comparison.study import Arm, Study
from ganneal.data import DATASETS, Dataset
from ganneal.data.finding import find_data
from ganneal.evaluation.records import keep_records
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import MLP
from ganneal.optim import Adam
from ganneal.schemes import Alternating, Nested
from ganneal.training.session import train
from ganneal.weights import Geometric


@dataclass(frozen=True)
class FilePoints:
    """Points of a file, which can be damaged, removed, or no numbers; found through GANNEAL_DATA."""

    path: str = "points.npy"

    def load(self) -> Dataset:
        """float32 ``[N, 2]``."""
        try:
            return Dataset(np.load(find_data(self.path)), description={"name": "points"})
        except (ValueError, EOFError) as error:
            raise ValueError(f"{self.path} cannot be read ({error}); restore it.") from error


DATASETS["points-of-a-file"] = FilePoints()

LONG = 128
"""Real images of a whole run; a run of half as many is what larger budgets go on from."""


def experiment() -> Experiment:
    """A nested run of some hundred moves, logged, sampled, measured and saved all the time."""
    return Experiment(
        name="points",
        data=FilePoints(),
        model=MLP(width=4, depth=2, latent_size=2),
        scheme=Nested(levels=2, weights=Geometric()),
        d_optimizer=Adam(lr=1e-2),
        g_optimizer=Adam(lr=1e-2),
        batch_size=8,
        budget=Budget(num_real=LONG),
        records=Records(
            log_every=16,
            sample_every=64,
            sample_count=4,
            evaluate_every=32,
            evaluate_count=24,
            evaluate_share=1.0,
            checkpoint_seconds=0.0,
            tensorboard=False,
        ),
        threads=1,
    )


def write_points(root: Path) -> None:
    """The data of `experiment`."""
    np.save(root / "points.npy", np.random.default_rng(0).standard_normal((64, 2)).astype(np.float32))


def _train(root: Path) -> None:
    train(experiment(), root / "run", progress=True)


def _evaluate(root: Path) -> None:
    records = evaluate_run(root / "run", settings=Settings(count=40, seeds=(0, 1)))
    keep_records(records, root / "run" / "evaluation.jsonl")


def _compare(root: Path) -> None:
    whole = experiment()
    arms = (Arm("nats", whole), Arm("cts", replace(whole, scheme=Alternating())))
    compare(Study("points", arms, (0,), "num_real", LONG // 2, "cts"), root / "study", LocalProcesses(1), say=_say)


def _say(text: str) -> None:
    print(text, flush=True)


def _fork(method: str | None = None) -> Any:
    """A study's processes without seconds of imports: the one that forks has a single thread."""
    return _CONTEXT(method and "fork")


_CONTEXT = multiprocessing.get_context


def install() -> None:
    """Put the commands in place of the ones that parse options; what prints errors and exits stays the real one."""
    for kind, work in ((TrainCommand, _train), (EvaluateCommand, _evaluate), (CompareCommand, _compare)):
        kind.parse = lambda words, name, work=work: lambda typed: work(Path(words[0]))  # type: ignore[method-assign]
    executors.multiprocessing.get_context = _fork  # type: ignore[assignment]


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _weights(root: Path) -> dict[str, str]:
    return {path.name: _hash(path) for path in sorted((root / "run" / "final").glob("*.safetensors"))}


def _values(root: Path) -> dict[str, Any]:
    path = root / "run" / "evaluation.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {f"{row['checkpoint']} {row['name']}": row["value"] for row in rows}


def _outcomes(root: Path) -> dict[str, Any]:
    found = {}
    for path in sorted((root / "study").glob("*/seed*/outcome.json")):
        outcome = json.loads(path.read_text())
        found[path.parent.parent.name] = {k: outcome[k] for k in ("status", "last", "best", "num_real", "g_updates")}
    return found


RESULTS: dict[str, Callable[[Path], dict[str, Any]]] = {"train": _weights, "evaluate": _values, "compare": _outcomes}
"""By command, what must be the same whatever happened on the way."""
