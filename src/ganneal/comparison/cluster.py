"""Runs of a study on a Ray cluster, or on several Ray workers of one machine.

Every machine needs ganneal and the directory of the study at the same path (a shared file system). A worker that dies
takes no run with it: Ray starts the task elsewhere, where it goes on from its checkpoint.
"""

import os
import signal
from typing import Any

from ganneal.comparison.job import Job, run
from ganneal.training.interruption import Interrupted, Interruption

RETRIES = 3
SECONDS_A_LOOK = 0.5
"""Longest delay of a signal while a study waits for its runs, seconds."""


def _on_worker(job: Job) -> dict[str, Any]:
    """`run`; Ray asks for the end of a task by a signal, and takes a `SystemExit` for the loss of its worker."""
    try:
        return run(job)
    except Interrupted as stop:
        raise KeyboardInterrupt from stop


class RayCluster:
    """An executor over the Ray cluster at ``address``: "auto" for this machine's, "local" to start one here.

    Each run has the threads of ``cpus_per_run``. Ray's usage reports are off unless RAY_USAGE_STATS_ENABLED says so.

    Raises:
        ValueError: Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str = "auto", *, cpus_per_run: float = 1.0):
        try:
            import ray
            from ray.exceptions import RayError, RayTaskError
        except ImportError as error:
            raise ValueError(
                "running on a cluster needs Ray: pip install 'ganneal[cluster]'; or leave --cluster out."
            ) from error
        self._ray, self._error_type, self._task_error_type = ray, RayError, RayTaskError
        self._cpus = cpus_per_run
        # Before `init`, which reads it.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        # A caller may have begun one, with settings of its own.
        if not ray.is_initialized():
            try:
                # What runs print stays on their machines; what they come to is in their outcomes.
                ray.init(address=address, log_to_driver=False)
            except (ConnectionError, ValueError) as error:
                raise ValueError(
                    f"address must be that of a running Ray cluster, or 'local', got {address!r} ({error}); start one "
                    f"with `ray start --head`."
                ) from error
        # Retries are for lost workers alone: an error of the run itself is an outcome, no exception.
        self._task: Any = ray.remote(num_cpus=cpus_per_run, max_retries=RETRIES)(_on_worker)
        self._running: dict[Any, Job] = {}

    @property
    def slots(self) -> int:
        """Runs that the cluster's processors hold at once."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1) / self._cpus))

    @property
    def threads(self) -> int:
        """A run's share of its machine."""
        return max(1, int(self._cpus))

    def start(self, job: Job) -> None:
        self._running[self._task.remote(job)] = job

    def ended(self) -> list[tuple[Job, str | None]]:
        done: list[Any] = []
        while not done:
            with Interruption() as signals:  # an exception of a handler inside Ray's own code would end the process
                # For a moment at a time, or a signal would be heard when a run ends, hours later.
                done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=SECONDS_A_LOOK)
            if signals.signum is not None:
                signal.raise_signal(signals.signum)
        return [(self._running.pop(reference), self._error(reference)) for reference in done]

    def stop(self) -> None:
        for reference in self._running:
            # Without force Ray interrupts the task, which saves and ends.
            self._ray.cancel(reference)
        if self._running:
            self._ray.wait(list(self._running), num_returns=len(self._running))  # they are saving
        self._running.clear()

    def _error(self, reference: Any) -> str | None:
        try:
            self._ray.get(reference)
        except self._error_type as error:
            lines = str(error).splitlines()
            if isinstance(error, self._task_error_type):
                return f"it failed on its worker: {lines[-1]}"  # of a traceback
            return f"its worker was lost {RETRIES + 1} times: {lines[0]}"
        return None
