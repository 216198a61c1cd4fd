"""Running a study: every job once, in the order its budget allows; one that was cut off goes on, none runs twice."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganneal.atomic import write_bytes
from ganneal.comparison.executors import Executor
from ganneal.comparison.job import Job, failed
from ganneal.comparison.results import Results
from ganneal.comparison.study import Study, used_budget
from ganneal.config import difference
from ganneal.directory import RunDirectory, read_json

STUDY = "study.json"
STUDY_FORMAT = 1
ATTEMPTS = 2
"""A run whose process died goes on from its checkpoint once more before it counts as failed."""

Say = Callable[[str], None]


def compare(
    study: Study,
    out: str | Path,
    executor: Executor,
    *,
    say: Say = lambda text: None,
    command: str | None = None,
) -> Results:
    """Run ``study`` in the directory ``out``, or go on where it was stopped; blocks until every run has ended.

    A run that fails or diverges is a row of the result. Runs that had ended are not repeated; more seeds, more arms
    and a larger amount may be asked for later.

    Args:
        say: Called with a line on each run that starts or ends.
        command: What a person typed to get here, for the record.
    Raises:
        ValueError: ``out`` holds another study, the message shows the difference; or it is in use.
        KeyboardInterrupt: Running jobs have saved; the same call goes on.
    """
    folder = Path(out).resolve()
    _check_place(folder)
    with RunDirectory(folder).locked():  # a second comparison here would start the same runs
        _begin(study, folder, command)
        return _run(study, folder, executor, say, command)


def _run(study: Study, folder: Path, executor: Executor, say: Say, command: str | None) -> Results:
    outcomes: dict[tuple[str, int], dict[str, Any]] = {}
    waiting = [(arm.name, seed) for seed in study.seeds for arm in study.arms]
    attempts: dict[tuple[str, int], int] = {}
    running = 0
    try:
        while waiting or running:
            for key in list(waiting):
                job = _job(study, folder, key, outcomes, command)
                if job is None or running >= executor.slots:
                    continue
                waiting.remove(key)
                if (outcome := job.outcome() or _hopeless(study, job, outcomes)) is not None:
                    outcomes[key] = outcome
                    continue
                say(f"{job.arm} seed {job.seed}: {'going on' if job.path.exists() else 'begins'}")
                executor.start(job)
                running += 1
            if not running:
                continue
            for job, error in executor.ended():
                running -= 1
                attempts[job.key] = attempts.get(job.key, 0) + 1
                outcome = _ended(job, error)
                if outcome is None and attempts[job.key] < ATTEMPTS:
                    say(f"{job.arm} seed {job.seed}: {error}; once more")
                    waiting.insert(0, job.key)
                    continue
                outcomes[job.key] = outcome or failed(job, error or "its process ended without an outcome")
                say(_line(outcomes[job.key]))
                Results.collect(study, folder, outcomes, command).write(folder)
    except BaseException:
        executor.stop()
        raise
    results = Results.collect(study, folder, outcomes, command)
    results.write(folder)
    return results


def _check_place(folder: Path) -> None:
    """Refuse a directory that holds something else; what a comparison leaves that was killed at once is nothing."""
    held = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if STUDY not in held and held - {".lock", f".{STUDY}.tmp"}:
        raise ValueError(f"out must be a new directory or one of a comparison, got {folder}; name another.")


def _begin(study: Study, folder: Path, command: str | None) -> None:
    file = folder / STUDY
    if file.exists():
        _check_same(study, folder, read_json(file))
    for arm in study.arms:
        for seed in study.seeds:  # of an arm that a study in between left out, too
            RunDirectory(_place(folder, arm.name, seed)).check_identity(study.experiment(arm, seed, None))
    content = study.describe() | {
        "format": STUDY_FORMAT,
        "command": command,
        "amount": study.amount,
        "seeds": list(study.seeds),
    }
    write_bytes(file, json.dumps(content, indent=2).encode())


def _check_same(study: Study, folder: Path, stored: dict[str, Any]) -> None:
    """Refuse to go on with another study than the ``stored`` one, or with less of it.

    Raises:
        ValueError: Something differs; the message shows what.
    """
    if stored.get("format") != STUDY_FORMAT:
        raise ValueError(f"{folder / STUDY} is no comparison of format {STUDY_FORMAT}; name another directory (--out).")
    ours = json.loads(json.dumps(study.describe()))
    for arms in (stored["arms"], ours["arms"]):
        for name in set(arms) - (set(stored["arms"]) & set(ours["arms"])):
            del arms[name]  # an arm of one of them only is no contradiction
    changes = difference({key: stored[key] for key in ours if key in stored}, {k: ours[k] for k in ours if k in stored})
    if study.amount < stored["amount"]:  # runs that have used more would stand beside runs that may not
        changes.append(f"amount: {stored['amount']:g} -> {study.amount:g}")
    if changes:
        listed = "\n  ".join(changes)
        raise ValueError(
            f"{folder} holds another study:\n  {listed}\nCompare into another directory (--out), or go back to "
            f"these settings to go on. Seeds, arms and the amount may be added to."
        )


def _place(folder: Path, arm: str, seed: int) -> Path:
    return folder / arm / f"seed{seed}"


def _job(
    study: Study,
    folder: Path,
    key: tuple[str, int],
    outcomes: dict[tuple[str, int], dict[str, Any]],
    command: str | None,
) -> Job | None:
    """The job of one arm and seed; None while the run its budget comes from has not ended."""
    name, seed = key
    arm, used = study.arm(name), None
    if arm.like is not None:
        model = outcomes.get((arm.like.arm, seed))
        if model is None:
            return None
        used = used_budget(arm.like, model) if model[arm.like.clock] else None
    return Job(name, seed, study.experiment(arm, seed, used), _place(folder, name, seed), command)


def _hopeless(study: Study, job: Job, outcomes: dict[tuple[str, int], dict[str, Any]]) -> dict[str, Any] | None:
    """The outcome of a job that has nothing to be equal to, because the run it is like never began."""
    like = study.arm(job.arm).like
    if like is None or outcomes[like.arm, job.seed][like.clock]:
        return None
    return failed(job, f"{like.arm} seed {job.seed} made no {like.clock} to be equal to")


def _ended(job: Job, error: str | None) -> dict[str, Any] | None:
    """The outcome that the job's process wrote before it ended, failures included."""
    file = job.path / "outcome.json"
    if error is not None or not file.exists():
        return None
    return read_json(file)


def _line(outcome: dict[str, Any]) -> str:
    value = "no value" if outcome["last"] is None else f"{outcome['metric']} {outcome['last']:.4g}"
    reason = f" ({str(outcome['error']).splitlines()[0]})" if outcome["error"] else ""
    return (
        f"{outcome['arm']} seed {outcome['seed']}: {outcome['status']}{reason}, {value}, "
        f"{outcome['num_real']:,} images, {outcome['seconds']:.0f} s"
    )
