"""Executors of the runs of a study: processes on this machine, or a Ray cluster."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol, runtime_checkable

from ganneal.comparison.job import Job, run
from ganneal.machine import cores
from ganneal.training.interruption import Interrupted


@runtime_checkable
class Executor(Protocol):
    """Runs jobs somewhere, several at a time."""

    @property
    def slots(self) -> int:
        """Number of jobs that may run at once."""
        ...

    @property
    def threads(self) -> int:
        """CPU threads that each of them has to itself."""
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


def _context() -> Any:
    """The way processes begin: as copies of one that has only imported the modules of a run."""
    # A copy of this process itself would have torch's locks without the threads that hold them, and no use of CUDA.
    if sys.platform != "linux":  # macOS' own libraries are not made to be copied
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # An optimizer imports the second of them as it is made: a second of a processor for each run.
    context.set_forkserver_preload(["ganneal.comparison.job", "torch._dynamo"])
    return context


def _with_environment(job: Job, environment: dict[str, str]) -> None:
    """`_child` under the environment of this moment, where the process it is a copy of has that of its own start."""
    os.environ.clear()
    os.environ.update(environment)
    _child(job)


def _child(job: Job) -> None:
    """A process that ends, politely, when the one that started it is gone."""
    # The process was started with it held back, see `_signals_later`.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        # Ready as soon as the parent is gone, even where it was killed and could tell nobody.
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
    try:
        run(job)
    except (Interrupted, KeyboardInterrupt):
        # The status by which a shell reports an end by that signal.
        raise SystemExit(128 + signal.SIGTERM) from None
    except OSError as error:  # not even its outcome can be written
        print(f"{job.arm} seed {job.seed}: {error}", file=sys.stderr)
        raise SystemExit(1) from None


@contextmanager
def _signals_later() -> Iterator[None]:
    """Let SIGINT and SIGTERM wait: between the start of a process and the note of it they would make it an orphan.

    The process starts with both held back. It lets SIGTERM in once it can be asked to save; Ctrl-C, which reaches
    every process of a terminal, stays the business of the one that started it.
    """
    resource_tracker.ensure_running()  # it lets both in again when it starts, so it starts before
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class LocalProcesses:
    """Processes on this machine, each with its share of the cores' threads; as many as it has cores for None."""

    def __init__(self, slots: int | None = None):
        slots = cores() if slots is None else slots
        if slots < 1:
            raise ValueError(f"jobs must be at least 1, got {slots}.")
        self.slots = slots
        self.threads = max(1, cores() // slots)
        self._running: dict[int, tuple[Job, BaseProcess]] = {}

    def start(self, job: Job) -> None:
        about = (job, dict(os.environ))
        process = _context().Process(target=_with_environment, args=about, name=f"{job.arm}-{job.seed}")
        with _signals_later():
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
            # All are asked before the first is waited for, so that they save at the same time.
            process.terminate()
        for _, process in self._running.values():
            process.join()
        self._running.clear()


def _why(exitcode: int | None) -> str | None:
    if not exitcode:
        return None
    if exitcode < 0:
        name = signal.Signals(-exitcode).name
        hint = "; it may have run out of memory, so try --jobs 1" if -exitcode == signal.SIGKILL else ""
        return f"its process was killed by {name}{hint}"
    return f"its process ended with status {exitcode}"
