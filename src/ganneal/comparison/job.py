"""One run of a study, in a process of its own: train, measure once more on fresh samples, write the outcome."""

import json
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Literal

from ganneal.atomic import write_bytes
from ganneal.directory import DirectoryInUse, RunDirectory, read_json
from ganneal.evaluation import Evaluator
from ganneal.experiment import Experiment
from ganneal.sampling import load
from ganneal.stop import Row, TrainingStopped
from ganneal.training import train

FRESH_SEED = 1_000_003
"""Evaluation seed of the reported values: other samples than those that chose the best checkpoint."""
OUTCOME = "outcome.json"
MOST_SECONDS_TO_LET_GO = 120.0

Status = Literal["finished", "diverged", "failed"]


@dataclass(frozen=True)
class Job:
    """One arm under one seed."""

    arm: str
    seed: int
    experiment: Experiment
    path: Path
    command: str | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What tells jobs of one study apart."""
        return self.arm, self.seed

    def outcome(self) -> dict[str, Any] | None:
        """What came of it, or None while it has not ended with the present budget."""
        return read_outcome(self.path, self.experiment)


def read_outcome(path: Path, experiment: Experiment) -> dict[str, Any] | None:
    """The outcome in ``path`` if it is of ``experiment`` with its present budget; a failed one is to be tried again."""
    file = path / OUTCOME
    if not file.exists():
        return None
    outcome = read_json(file)
    same = outcome["budget"] == _budget(experiment) and outcome["status"] != "failed"
    return outcome if same else None


def _budget(experiment: Experiment) -> dict[str, Any]:
    return {name: getattr(experiment.budget, name) for name in ("num_real", "d_updates", "g_updates", "seconds")}


def run(job: Job) -> dict[str, Any]:
    """Do the job, or go on with it; the outcome is written to its directory and returned.

    An error of the run itself is an outcome, not an exception; an interruption is passed on.
    """
    status: Status = "finished"
    message = None
    try:
        _train(job)
    except TrainingStopped as error:
        status, message = "diverged", str(error)
    except (ValueError, OSError, RuntimeError, MemoryError) as error:
        status, message = "failed", f"{type(error).__name__}: {error}"
    outcome = {"status": status, "error": message} | _identity(job) | _measured(job, status)
    write_bytes(job.path / OUTCOME, json.dumps(outcome, indent=2).encode())
    return outcome


def _train(job: Job) -> None:
    """Train; a process of a comparison that was killed may take a moment to save and let go of the directory."""
    patience = monotonic() + MOST_SECONDS_TO_LET_GO
    while True:
        try:
            train(job.experiment, job.path, command=job.command)
            return
        except DirectoryInUse:
            if monotonic() > patience:
                raise
            sleep(0.5)


def failed(job: Job, error: str) -> dict[str, Any]:
    """The outcome of a job whose process ended without one, written to its directory."""
    outcome = {"status": "failed", "error": error} | _identity(job) | _of_record(job)
    write_bytes(job.path / OUTCOME, json.dumps(outcome, indent=2).encode())
    return outcome


def _identity(job: Job) -> dict[str, Any]:
    return {"arm": job.arm, "seed": job.seed, "budget": _budget(job.experiment)}


def _of_record(job: Job) -> dict[str, Any]:
    """What the run's own log says: nothing where it is damaged, which then is the error of the run."""
    try:
        rows = RunDirectory(job.path).rows()
    except ValueError:
        rows = []
    distance = next((key for row in rows for key in row if key.startswith("FD-")), None)
    seen = [(row["num_real"], row[distance]) for row in rows if distance is not None and distance in row]
    trained = [value for num_real, value in seen if num_real]
    last: Row = rows[-1] if rows else {}
    steps = [row["g_step_per_d_update"] for row in rows if "g_step_per_d_update" in row]
    return {
        "metric": distance,
        "untrained": seen[0][1] if seen and not seen[0][0] else None,
        "last_seen": trained[-1] if trained else None,
        "best_seen": min(trained, default=None),
        "evaluations": len(trained),
        "last": None,
        "best": None,
        "g_step_per_d_update": sum(steps) / len(steps) if steps else None,
    } | {key: last.get(key, 0) for key in ("num_real", "d_updates", "g_updates", "seconds", "cpu_seconds")}


def _measured(job: Job, status: Status) -> dict[str, Any]:
    """The record's figures, and the last and best weights measured on fresh samples.

    A diverged run keeps its last finite evaluation as its last value, that of before training if there is no other.
    """
    found = _of_record(job)
    if status == "failed" or not job.experiment.records.evaluate_count:
        return found
    evaluator = Evaluator(job.experiment.data.load(), job.experiment.records)
    if status == "finished":
        found["last"] = evaluator.distance(load(job.path), FRESH_SEED)
    if found["last"] is None:
        found["last"] = found["untrained"] if found["last_seen"] is None else found["last_seen"]
    if (job.path / "best" / "card.json").exists():
        found["best"] = evaluator.distance(load(job.path, checkpoint="best"), FRESH_SEED)
    return found
