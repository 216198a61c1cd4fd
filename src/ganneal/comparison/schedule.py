"""Running a study: every job once, in the order its budget allows; one that was cut off goes on, none runs twice."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganneal.comparison.executors import Executor
from ganneal.comparison.job import Job, failed, read_outcome
from ganneal.comparison.results import Results, first_line
from ganneal.comparison.study import (
    MATCHED,
    SHORT_CLOCK_WORDS,
    Study,
    budget_of,
    control_cautions,
    count,
    is_annealed,
)
from ganneal.data.identity import Identity, data_changes, identify
from ganneal.evaluation.run_data import check_identity
from ganneal.evaluation.stored import Say
from ganneal.report.records import STUDY
from ganneal.storage.atomic import write_bytes
from ganneal.storage.encoding import difference
from ganneal.storage.json_files import read_json
from ganneal.storage.run_directory import RunDirectory
from ganneal.training.forewarning import forewarnings
from ganneal.training.interruption import ended_by_signals
from ganneal.wording import number

STUDY_FORMAT = 1
ATTEMPTS = 2
"""A run whose process died goes on from its checkpoint once more before it counts as failed."""

NO_OUTCOME = "its process ended without an outcome"

Ended = Callable[[Job, dict[str, Any]], None]
JobKey = tuple[str, int]
"""Arm and seed."""


def compare(
    study: Study,
    out: str | Path,
    executor: Executor,
    *,
    say: Say = lambda text: None,
    command: str | None = None,
    chosen: Mapping[str, Any] | None = None,
    known: Mapping[JobKey, dict[str, Any]] | None = None,
    ended: Ended = lambda job, outcome: None,
) -> Results:
    """Run ``study`` in the directory ``out``, or go on where it was stopped; blocks until every run has ended.

    A run that fails or diverges is a row of the result. Runs that had ended are not repeated; more seeds, more arms,
    another baseline and a larger amount may be asked for later.

    Args:
        say: Called with a line on each run that starts or ends, and with warnings of what arms will come to.
        command: What a person typed to get here, for the record.
        chosen: What was chosen automatically, for `stored_choices` to find.
        known: Outcomes of runs that ended elsewhere, by arm and seed. They are not repeated and need no directory here.
        ended: Called with each other run and its outcome once it has ended, in this call or in one before.
    Raises:
        ValueError: ``out`` holds another study, the message shows the difference; or it is in use.
        Interrupted: SIGINT or SIGTERM came; running jobs have saved, the same call goes on.
    """
    folder = Path(out).resolve()
    _check_place(folder)
    with RunDirectory(folder).locked(), ended_by_signals():  # a second comparison here would start the same runs
        # Everything that may be refused is refused before the first run begins.
        description = _begin(study, folder, command, chosen or {})
        for warning in _warnings(study):
            say(warning)
        return _StudyRun(study, folder, executor, say, command, description, ended, known or {}).run()


def _warnings(study: Study) -> list[str]:
    """Warnings about arms on this machine, each once for all arms that share it."""
    arms: dict[str, list[str]] = {}
    for arm in study.arms:
        for text in forewarnings(arm.experiment):
            arms.setdefault(text, []).append(arm.name)
    every = len(study.arms)
    controlled = any(arm.name in MATCHED for arm in study.arms)
    said = [
        text
        for arm in study.arms
        if controlled and is_annealed(arm.experiment.scheme)
        for text in control_cautions(arm)
    ]
    return [f"note: {text}" for text in said] + [
        f"warning for {'all' if len(names) == every else ', '.join(names)}: {text}" for text, names in arms.items()
    ]


@dataclass
class _StudyRun:
    """A study while its jobs run: what is waiting, running and measured."""

    study: Study
    folder: Path
    executor: Executor
    say: Say
    command: str | None
    description: bytes
    """Content of the study's file."""
    told: Ended
    """Who is told of each run that has ended."""
    known: Mapping[JobKey, dict[str, Any]]

    def __post_init__(self) -> None:
        known = self.known
        # Seed by seed, so that every arm has its first value before any has its second.
        keys = [(arm.name, seed) for seed in self.study.seeds for arm in self.study.arms]
        self.outcomes: dict[JobKey, dict[str, Any]] = {key: dict(known[key]) for key in keys if key in known}
        self.waiting: list[JobKey] = [key for key in keys if key not in known]
        self.total = len(keys)
        self.looked_at: set[JobKey] = set()
        """Jobs whose directory has told what an earlier process left there."""
        self.attempts: Counter[JobKey] = Counter()
        self.running = 0

    def run(self) -> Results:
        """Start what may run and take in what has ended, until nothing is left."""
        try:
            while self.waiting or self.running:
                self._start()
                if self.running:
                    for job, error in self.executor.ended():
                        self._take(job, error)
        except BaseException:
            # Ctrl-C and signals too: running jobs save before the exception goes on.
            self.executor.stop()
            raise
        return self._write()

    def _write(self) -> Results:
        if not (file := self.folder / STUDY).exists():  # somebody removed the directory, and runs made it again
            write_bytes(file, self.description)
        results = Results.collect(self.study, self.outcomes, self.command)
        results.write(self.folder)
        return results

    def _start(self) -> None:
        """Settle what has ended before, which may free others; fill the slots from what has not, in order."""
        # Again until nothing settles: an arm whose budget is another's may be known only once that one is.
        while settled := [key for key in self.waiting if self._settle(key)]:
            self.waiting = [key for key in self.waiting if key not in settled]
        # A copy, as jobs leave the list when they start.
        for key in list(self.waiting):
            if self.running >= self.executor.slots:
                return
            if (job := self._job(key)) is not None:
                self.waiting.remove(key)
                self.say(f"{job.arm} seed {job.seed}: {'going on' if job.path.exists() else 'begins'}")
                self.executor.start(job)
                self.running += 1

    def _settle(self, key: JobKey) -> bool:
        """True if the outcome is known, so that nothing has to be run."""
        if key in self.looked_at or (job := self._job(key)) is None:
            return False
        self.looked_at.add(key)
        # In this order: a run that had ended keeps its outcome, whatever became of the one that it is like.
        outcome = self._written(job) or self._hopeless(job)
        if outcome is not None:
            self.outcomes[key] = outcome
            self.told(job, outcome)
        return outcome is not None

    def _job(self, key: JobKey) -> Job | None:
        """The job of one arm and seed; None while the run its budget comes from has not ended."""
        name, seed = key
        arm, used = self.study.arm(name), None
        if arm.like is not None:
            model = self.outcomes.get((arm.like.arm, seed))
            if model is None:
                return None
            # Seed by seed: the run of the same seed decides how much this one may use.
            used = budget_of(arm.like.clock, model[arm.like.clock]) if model[arm.like.clock] else None
        experiment = self.study.experiment(arm, seed, used)
        return Job(name, seed, experiment, _place(self.folder, name, seed), self.command)

    def _written(self, job: Job) -> dict[str, Any] | None:
        """The outcome in the job's directory; None, and said, where it is damaged: the run goes on from there."""
        try:
            return job.outcome()
        except ValueError as error:
            self.say(f"{job.arm} seed {job.seed}: passing over its outcome, which is made again: {error}")
            return None

    def _hopeless(self, job: Job) -> dict[str, Any] | None:
        """The outcome of a job that has nothing to be equal to, because the run it is like failed."""
        like = self.study.arm(job.arm).like
        if like is None:
            return None
        model = self.outcomes[like.arm, job.seed]
        if model["status"] != "failed" and model[like.clock]:
            return None
        what = "failed" if model["status"] == "failed" else "did nothing"
        return failed(
            job, f"{like.arm} seed {job.seed} {what}, so there are no {SHORT_CLOCK_WORDS[like.clock]} to be equal to"
        )

    def _take(self, job: Job, error: str | None) -> None:
        """Take in the outcome of a job that has ended, or let it go on once more."""
        self.running -= 1
        self.attempts[job.key] += 1
        outcome = self._ended(job, error)
        if outcome is None and self.attempts[job.key] < ATTEMPTS:
            self.say(f"{job.arm} seed {job.seed}: {error or NO_OUTCOME}; once more")
            # First in line: it goes on from its checkpoint, and nothing else has to wait longer for it.
            self.waiting.insert(0, job.key)
            return
        self.outcomes[job.key] = outcome or failed(job, error or NO_OUTCOME)
        self.told(job, self.outcomes[job.key])
        self.say(f"{_line(self.outcomes[job.key])}; {len(self.outcomes)} of {self.total} done")
        self._write()

    def _ended(self, job: Job, error: str | None) -> dict[str, Any] | None:
        """The outcome that the job's process wrote before it ended; a failure written by one that died may be old."""
        if error is not None:
            return self._written(job)
        try:
            return read_outcome(job.path)
        except ValueError:
            return None


def _check_place(folder: Path) -> None:
    """Refuse a directory that holds something else; what a comparison leaves that was killed at once is nothing."""
    held = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if STUDY not in held and held - {".lock", f".{STUDY}.tmp"}:
        raise ValueError(f"out must be a new directory or one of a comparison, got {folder}; name another.")


def stored_choices(out: str | Path) -> dict[str, Any]:
    """The automatic choices stored for the study in ``out``; empty where there are none."""
    return _stored(Path(out)).get("chosen", {})


def _stored(folder: Path) -> dict[str, Any]:
    """The content of the study's file in ``folder``; empty where there is none."""
    file = folder / STUDY
    return read_json(file) if file.exists() else {}


def _begin(study: Study, folder: Path, command: str | None, chosen: Mapping[str, Any]) -> bytes:
    """Refuse what contradicts the directory, and write the study's file; its content."""
    stored = _stored(folder)
    if (folder / STUDY).exists():
        _check_same(study, folder, stored)
    data = _data(study, folder, stored.get("data"))
    for arm in study.arms:
        for seed in study.seeds:  # of an arm that a study in between left out, too
            directory = RunDirectory(_place(folder, arm.name, seed))
            # Refused here for all, rather than by each run when its turn comes.
            if _is_readable(directory.description):
                check_identity(directory, study.experiment(arm, seed, None))
    # What may change from call to call stands outside of `describe`.
    content = study.describe() | {
        "format": STUDY_FORMAT,
        "name": study.name,
        "data": data,
        "command": command,
        "chosen": {**stored.get("chosen", {}), **chosen},  # those of an arm that is left out this time are kept
        "baseline": study.baseline,
        "amount": study.amount,
        "seeds": list(study.seeds),
    }
    description = json.dumps(content, indent=2).encode()
    write_bytes(folder / STUDY, description)
    return description


def _data(study: Study, folder: Path, stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """The identity of the data that all arms are trained on; the ``stored`` one where they cannot be read now.

    Raises:
        ValueError: They are not the data that the study in ``folder`` began with.
    """
    try:
        # Any arm's, as those of a study are measured alike, and so on one set of data.
        now = identify(study.arms[0].experiment.data.load())
    except (ValueError, OSError):  # the error of each run, which is a row of the result
        return stored
    if stored is not None and (changes := data_changes(Identity.of(stored), now)):
        listed = "\n  ".join(changes)
        raise ValueError(
            f"{folder} holds a study on other data, with which new runs are not comparable:\n  {listed}\nBring the "
            "data back, or compare into another directory (--out)."
        )
    return now.as_dict()


def _is_readable(file: Path) -> bool:
    """True if the run is there and whole. A damaged run fails, and its error is a row of the result."""
    try:
        return file.exists() and "experiment" in read_json(file)
    except ValueError:
        return False


def _check_same(study: Study, folder: Path, stored: dict[str, Any]) -> None:
    """Refuse to go on with another study than the ``stored`` one, or with less of it.

    Raises:
        ValueError: Something differs; the message shows what.
    """
    if stored.get("format") != STUDY_FORMAT:
        raise ValueError(f"{folder / STUDY} is no comparison of format {STUDY_FORMAT}; name another directory (--out).")
    # Through JSON and back, as the stored side went: tuples have become lists there.
    ours = json.loads(json.dumps(study.describe()))
    for arms in (stored["arms"], ours["arms"]):
        for name in set(arms) - (set(stored["arms"]) & set(ours["arms"])):
            del arms[name]  # an arm of one of them only is no contradiction
    changes = difference({key: stored[key] for key in ours if key in stored}, {k: ours[k] for k in ours if k in stored})
    if study.amount < stored["amount"]:  # runs that have used more would stand beside runs that may not
        changes.append(f"amount: {count(stored['amount'])} -> {count(study.amount)}")
    if changes:
        listed = "\n  ".join(changes)
        raise ValueError(
            f"{folder} holds another study:\n  {listed}\nCompare into another directory (--out), or go back to "
            f"these settings to go on. Seeds, arms and the amount may be added to, and the baseline is free."
        )


def _place(folder: Path, arm: str, seed: int) -> Path:
    return folder / arm / f"seed{seed}"


def _line(outcome: dict[str, Any]) -> str:
    value = "no value" if outcome["last"] is None else f"{outcome['metric']} {number(outcome['last'], 4)}"
    reason = f" ({first_line(outcome['error'])})" if outcome["error"] else ""
    return (
        f"{outcome['arm']} seed {outcome['seed']}: {outcome['status']}{reason}, {value}, "
        f"{outcome['num_real']:,} images, {outcome['seconds']:.0f} s"
    )
