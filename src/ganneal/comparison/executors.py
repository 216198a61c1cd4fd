"""Where the runs of a study are executed: processes on this machine, or a Ray cluster."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Collection
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Protocol, runtime_checkable

from ganneal.comparison.job import Job, run


@runtime_checkable
class Executor(Protocol):
    """Runs jobs somewhere, several at a time."""

    @property
    def slots(self) -> int:
        """How many jobs may run at once."""
        ...

    def start(self, job: Job) -> None:
        """Begin ``job``."""
        ...

    def ended(self) -> Collection[tuple[Job, str | None]]:
        """Wait until a job ends; every one that has, with what went wrong outside of the run itself, or None."""
        ...

    def stop(self) -> None:
        """Ask every running job to save and end, and wait for it."""
        ...


def _child(job: Job) -> None:
    """A process that ends, politely, when the one that started it is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        run(job)
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGTERM) from None


class LocalProcesses:
    """Processes on this machine, each with its share of the cores' threads."""

    def __init__(self, slots: int):
        if slots < 1:
            raise ValueError(f"jobs must be at least 1, got {slots}.")
        self.slots = slots
        self._running: dict[int, tuple[Job, BaseProcess]] = {}

    def start(self, job: Job) -> None:
        process = multiprocessing.get_context("spawn").Process(target=_child, args=(job,), name=f"{job.arm}-{job.seed}")
        process.start()
        self._running[process.sentinel] = (job, process)

    def ended(self) -> list[tuple[Job, str | None]]:
        done = []
        for sentinel in wait(list(self._running)):
            assert isinstance(sentinel, int)
            job, process = self._running.pop(sentinel)
            process.join()
            done.append((job, _why(process.exitcode)))
        return done

    def stop(self) -> None:
        for _, process in self._running.values():
            process.terminate()
        for _, process in self._running.values():
            process.join()
        self._running.clear()


def _why(exitcode: int | None) -> str | None:
    if not exitcode:
        return None
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; out of memory, perhaps: give --jobs 1" if -exitcode == signal.SIGKILL else ""
        return f"its process was killed by {name}{hint}"
    return f"its process ended with status {exitcode}"
