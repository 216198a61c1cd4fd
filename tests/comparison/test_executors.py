"""Processes of this machine: the same outcomes as here, ends that are told, runs that save when they are asked to."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.for_each import for_each

from ganneal.comparison import executors
from ganneal.comparison.cluster import RayCluster, _on_worker
from ganneal.comparison.executors import LocalProcesses
from ganneal.comparison.job import Job, read_outcome, run
from ganneal.experiment import Budget, Experiment
from ganneal.training.interruption import Interrupted, ended_by_signals

Make = Callable[..., Any]
TIMES = ("seconds", "cpu_seconds")


def timeless(outcome: dict[str, Any] | None) -> dict[str, Any]:
    assert outcome is not None
    return {key: value for key, value in outcome.items() if key not in TIMES}


def endless(experiment: Experiment) -> Experiment:
    records = replace(experiment.records, evaluate_count=0, log_every=160)
    return replace(experiment, budget=Budget(num_real=10**9), records=records)


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < limit, "it did not come to that"
        time.sleep(0.02)


def recorded(job: Job) -> int:
    """Bytes of the job's record so far."""
    file = job.path / "metrics.jsonl"
    return file.stat().st_size if file.exists() else 0


@for_each(("slots", "processors", "threads"), [(1, 8, 8), (2, 8, 4), (3, 8, 2), (9, 8, 1)])
def test_processes_share_the_processors(
    slots: int, processors: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "cores", lambda: processors)
    executor = LocalProcesses(slots)
    assert (executor.slots, executor.threads) == (slots, threads)


def test_the_processors_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5}, raising=False)
    assert executors.cores() == 2


@pytest.mark.parametrize("slots", [0, -1])
def test_no_slots_are_refused(slots: int) -> None:
    with pytest.raises(ValueError, match=f"jobs must be at least 1, got {slots}"):
        LocalProcesses(slots)


@for_each(
    ("exitcode", "said"),
    [
        (0, None),
        (3, "its process ended with status 3"),
        (-signal.SIGSEGV, "its process was killed by SIGSEGV"),
        (-signal.SIGKILL, "its process was killed by SIGKILL; it may have run out of memory, so try --jobs 1"),
    ],
)
def test_how_a_process_ended_is_told(exitcode: int, said: str | None) -> None:
    assert executors._why(exitcode) == said


@pytest.mark.runs
@pytest.mark.parametrize("seeds", [(0,), pytest.param((0, 1), marks=pytest.mark.slow)])
def test_processes_come_to_the_same_outcomes(seeds: tuple[int, ...], ring: Make, tmp_path: Path) -> None:
    executor = LocalProcesses(2)
    made = [Job("nats", seed, ring(seed=seed), tmp_path / f"seed{seed}") for seed in seeds]
    for job in made:
        executor.start(job)
    ended: list[tuple[Job, str | None]] = []
    while len(ended) < len(made):
        ended += executor.ended()
    assert sorted(((job.seed, error) for job, error in ended), key=str) == [(seed, None) for seed in seeds]
    for job in made:
        here = run(replace(job, path=tmp_path / f"here{job.seed}"))
        assert here["status"] == "finished" and timeless(read_outcome(job.path)) == timeless(here)
    executor.stop()  # of nothing


@pytest.mark.runs
def test_a_killed_process_is_told_and_the_others_save_when_they_are_stopped(ring: Make, tmp_path: Path) -> None:
    executor = LocalProcesses(2)
    lost, kept = (Job(name, 0, endless(ring()), tmp_path / name) for name in ("lost", "kept"))
    for job in (lost, kept):
        executor.start(job)
    try:
        until(lambda: all(recorded(job) for job in (lost, kept)))
        processes = {child.name: child for child in active_children()}
        assert processes["lost-0"].pid is not None and processes["kept-0"].pid is not None
        os.kill(processes["lost-0"].pid, signal.SIGKILL)
        assert executor.ended() == [
            (lost, "its process was killed by SIGKILL; it may have run out of memory, so try --jobs 1")
        ]

        os.kill(processes["kept-0"].pid, signal.SIGINT)  # as Ctrl-C in a terminal: the business of the parent alone
        written = recorded(kept)
        until(lambda: recorded(kept) > written)
        assert processes["kept-0"].is_alive() and not list(kept.path.glob("checkpoints/*.pt"))
    finally:
        executor.stop()
    assert not processes["kept-0"].is_alive() and processes["kept-0"].exitcode == 128 + signal.SIGTERM
    assert len(list(kept.path.glob("checkpoints/*.pt"))) == 1 and read_outcome(kept.path) is None


def test_a_process_that_cannot_write_its_outcome_says_so_in_a_line(
    ring: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def full(job: Job) -> dict[str, Any]:
        raise OSError(28, "No space left on device", str(job.path))

    reader, writer = os.pipe()  # which stays open, as the one of a process that lives
    monkeypatch.setattr(executors.multiprocessing, "parent_process", lambda: SimpleNamespace(sentinel=reader))
    monkeypatch.setattr(executors, "run", full)
    with pytest.raises(SystemExit) as ended:
        executors._child(Job("nats", 3, ring(), tmp_path))
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"nats seed 3: [Errno 28] No space left on device: '{tmp_path}'\n"


def test_a_process_has_the_environment_of_its_start(
    ring: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # It is a copy of a process that may be older than a change of the environment.
    found: list[tuple[str | None, str | None]] = []
    monkeypatch.setattr(os, "environ", {"GANNEAL_CACHE": "before", "GONE": "1"})
    monkeypatch.setattr(
        executors, "_child", lambda job: found.append((os.environ["GANNEAL_CACHE"], os.environ.get("GONE")))
    )
    executors._with_environment(Job("nats", 0, ring(), tmp_path), {"GANNEAL_CACHE": "now"})
    assert found == [("now", None)]


class Ray:
    """A cluster on which nothing ends; a signal comes while it is asked."""

    def __init__(self) -> None:
        self.went_through = False

    def wait(self, references: list[Any], *, num_returns: int, timeout: float) -> tuple[list[Any], list[Any]]:
        os.kill(os.getpid(), signal.SIGTERM)
        self.went_through = True  # an exception in here would end the process: Ray's code cannot pass it on
        return [], references


def test_a_signal_does_not_interrupt_rays_own_code_and_ends_the_wait(ring: Make, tmp_path: Path) -> None:
    cluster = object.__new__(RayCluster)
    ray: Any = Ray()
    cluster._ray, cluster._running = ray, {object(): Job("nats", 0, ring(), tmp_path)}
    with pytest.raises(Interrupted) as stopped, ended_by_signals():
        cluster.ended()
    assert ray.went_through and stopped.value.signum == signal.SIGTERM


def test_ray_sees_the_end_of_a_task_where_a_signal_ended_its_training(
    ring: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a SystemExit for the loss of a worker, and would start the task again."""

    def stopped(given: Job) -> None:
        raise Interrupted(signal.SIGINT, "stopped; saved")

    monkeypatch.setattr("ganneal.comparison.cluster.run", stopped)
    with pytest.raises(KeyboardInterrupt) as ended:
        _on_worker(Job("nats", 0, ring(), tmp_path))
    assert not isinstance(ended.value, SystemExit)
