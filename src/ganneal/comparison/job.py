"""One run of a study, in a process of its own: train, measure once more on fresh samples, write the outcome."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from traceback import print_exception
from typing import Any, Literal

from ganneal.evaluation.read_again import training_data
from ganneal.evaluation.run_data import KnownData
from ganneal.evaluation.suited import FRESH_SEED
from ganneal.experiment import Budget, Experiment
from ganneal.inference.loading import TrainedGenerator, load
from ganneal.report.records import is_finite
from ganneal.stop import Row, Stop, TrainingStopped
from ganneal.storage.atomic import write_bytes
from ganneal.storage.json_files import read_json
from ganneal.storage.run_directory import DirectoryInUse, RunDirectory
from ganneal.training.evaluator import Evaluator
from ganneal.training.session import train

OUTCOME = "outcome.json"
STEP_RATIO = "g_step_per_d_update"
COUNTED = ("num_real", "g_num_real", "d_updates", "g_updates", "seconds", "cpu_seconds")
OUTCOME_FIELDS = frozenset(
    ("status", "error", "arm", "seed", "budget", "metric", "untrained", "last_seen", "best_seen", "evaluations")
    + ("last", "best", STEP_RATIO, *COUNTED)
)
"""Fields of every outcome."""
SEAL = "sha256"
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
        """The arm and the seed, which identify a job in its study."""
        return self.arm, self.seed

    def outcome(self) -> dict[str, Any] | None:
        """The outcome, or None while the job has not ended with the present budget.

        Raises:
            ValueError: The file that says so is damaged; the message names it.
        """
        outcome = read_outcome(self.path)
        return outcome if outcome is not None and _holds(outcome, self.experiment.budget) else None


def read_outcome(path: Path) -> dict[str, Any] | None:
    """Read the outcome in the run directory ``path``, of whatever budget; None where there is none.

    Raises:
        ValueError: The file is damaged.
    """
    file = path / OUTCOME
    if not file.exists():
        return None
    outcome = read_json(file)
    if outcome.pop(SEAL, None) != seal(outcome):
        raise ValueError(f"{file} is damaged: its content has changed since it was written.")
    if OUTCOME_FIELDS - outcome.keys():
        raise ValueError(f"{file} is damaged: it is not the outcome of a run.")
    return outcome


def _holds(outcome: dict[str, Any], budget: Budget) -> bool:
    """True if the outcome also answers for ``budget``. An earlier divergence does; an earlier failure may not."""
    match outcome["status"]:
        # Tried again: a disk that was full may have room by now.
        case "failed":
            return False
        case "diverged" if all(limit is None or outcome[clock] < limit for clock, limit in asdict(budget).items()):
            return True
    return outcome["budget"] == asdict(budget)


def run(job: Job) -> dict[str, Any]:
    """Do the job, or go on with it; the outcome is written to its directory and returned.

    An error of the run itself is an outcome, not an exception; an interruption is passed on.
    """
    status: Status = "finished"
    message = None
    try:
        _train(job)
    except TrainingStopped as error:
        # A collapse is a result of the scheme, and no other error is.
        status, message = "diverged", str(error)
    except Exception as error:
        status, message = "failed", _said(error)
    try:
        # Of a run that failed too: what its log holds is kept.
        found = _measured(job, status)
    except Exception as error:
        before = "" if message is None else f"{message} "
        status, message = "failed", f"{before}It could not be measured: {_said(error)}"
        found = _of_record(job)
    return _write(job, status, message, found)


def failed(job: Job, error: str) -> dict[str, Any]:
    """The outcome of a job whose process ended without one, written to its directory."""
    return _write(job, "failed", error, _of_record(job))


def _said(error: Exception) -> str:
    if not isinstance(error, ValueError | OSError):  # a fault in somebody's part, for whom the place is of use
        print_exception(error)
    return f"{type(error).__name__}: {error}"


def _write(job: Job, status: Status, message: str | None, found: dict[str, Any]) -> dict[str, Any]:
    outcome = {
        "status": status,
        "error": message,
        "arm": job.arm,
        "seed": job.seed,
        "budget": asdict(job.experiment.budget),
        "sampler": job.experiment.sampler,
        **found,
    }
    # shared: the process of a comparison that was killed may be at its end when the next one begins
    sealed = outcome | {SEAL: seal(outcome)}
    write_bytes(job.path / OUTCOME, json.dumps(sealed, indent=2, allow_nan=False).encode(), shared=True)
    return outcome


def seal(content: dict[str, Any]) -> str:
    """A hash of an outcome or a ledger's row: a digit that changed on the disk would be a figure like any other."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _train(job: Job) -> None:
    """Train; a process of a comparison that was killed may take a moment to save and let go of the directory.

    A run whose record ends where it diverged is not trained on: its process died before it could say so.
    """
    patience = monotonic() + MOST_SECONDS_TO_LET_GO
    while True:
        try:
            if (stop := _diverged(job)) is not None:
                raise TrainingStopped(f"training stopped: {stop.reason}.")
            train(job.experiment, job.path, command=job.command)
            return
        except DirectoryInUse:
            if monotonic() > patience:
                raise
            sleep(0.5)


def _diverged(job: Job) -> Stop | None:
    rows = RunDirectory(job.path).rows()
    # By the stop rule that training itself asks, on the last row it logged.
    return job.experiment.losing_touch(rows[-1]) if rows else None


def _of_record(job: Job) -> dict[str, Any]:
    """The outcome's fields from the run's own log; empty where the log is damaged, which the run itself reports."""
    try:
        rows = RunDirectory(job.path).rows()
    except ValueError:
        rows = []
    # KD where samples were too few for a covariance.
    distance = next((key for row in rows for key in row if key.startswith(("FD-", "KD-"))), None)
    seen = [(row["num_real"], row[distance]) for row in rows if distance is not None and is_finite(row.get(distance))]
    # An evaluation before training is of no trained weights, and so cannot be the best.
    trained = [value for num_real, value in seen if num_real]
    last: Row = rows[-1] if rows else {}
    steps = [row[STEP_RATIO] for row in rows if is_finite(row.get(STEP_RATIO))]
    return {
        "metric": distance,
        "untrained": seen[0][1] if seen and not seen[0][0] else None,
        "last_seen": trained[-1] if trained else None,
        "best_seen": min(trained, default=None),
        "evaluations": len(trained),
        "last": None,
        "best": None,
        STEP_RATIO: sum(steps) / len(steps) if steps else None,
    } | {key: last.get(key, 0) for key in COUNTED}


def _measured(job: Job, status: Status) -> dict[str, Any]:
    """The record's figures, and the last and best weights of a finished run measured on fresh samples.

    A diverged run has neither: it is worse than every finite value, its best weights included.
    """
    found = _of_record(job)
    if status != "finished" or not job.experiment.records.evaluate_count:
        return found
    # Held-out data serve the accuracy of the discriminator, which is not measured here.
    directory, records = RunDirectory(job.path), replace(job.experiment.records, held_out=None)
    # The features that the run was followed with, even where another choice would be made today.
    before = KnownData(directory).suited_extractor()
    evaluator = Evaluator(training_data(directory).dataset, records, before=before)
    # On latents that chose nothing: the best of many evaluations is partly luck with its draw.
    found["last"] = _fresh(evaluator, load(job.path))
    if (job.path / "best" / "card.json").exists():
        found["best"] = _fresh(evaluator, load(job.path, checkpoint="best"))
    return found


def _fresh(evaluator: Evaluator, generator: TrainedGenerator) -> float | None:
    distance = evaluator.distance(generator, FRESH_SEED)
    return distance if is_finite(distance) else None
