"""The processes that train one run: found where torchrun has started them, else started here."""

import atexit
import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from itertools import count

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from ganneal.checks import ThisMachine, check
from ganneal.experiment import Experiment
from ganneal.machine import cores
from ganneal.ranks import ALONE, RankLost, Ranks

PATIENCE = timedelta(minutes=30)
"""A rank that hears nothing from the others for so long gives up; the others wait while the first one evaluates. One
that was killed is noticed at once."""
LOCALHOST = "127.0.0.1"
_trainings = count()


def leads(experiment: Experiment) -> bool:
    """True if this process is the first of its run, as far as the environment tells; for messages before launch."""
    return experiment.ranks == 1 or os.environ.get("RANK", "0") == "0"


@contextmanager
def launched(experiment: Experiment) -> Iterator[Ranks]:
    """This process's place among those of ``experiment``, started where they are not there yet.

    Outside torchrun the program is run again, from its beginning, for each further process.

    Raises:
        ValueError: Nothing is started for an experiment that cannot be right, or not on this machine or in a notebook.
        RankLost: A process that was started here ended before it had joined.
    """
    check(experiment, ThisMachine())
    if experiment.ranks == 1:
        yield ALONE
        return
    # The processes meet at a store of keys and values; the groups that compute are made on top of it.
    store, rank, ranks = _meeting(experiment.devices)
    device = torch.device(experiment.device)
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    # A script may train several times: each time under keys of its own in the one store.
    store = dist.PrefixStore(f"training-{next(_trainings)}", store)
    backend = "gloo" if device.type == "cpu" else "nccl"
    dist.init_process_group(backend, store=store, rank=rank, world_size=ranks, timeout=PATIENCE)
    # Decisions and states travel as Python objects on the CPU: over NCCL they would have to be copied to the GPU and
    # would wait for its queue.
    control = None if backend == "gloo" else dist.new_group(backend="gloo", timeout=PATIENCE)
    yield Ranks(rank, ranks, device, control)
    dist.destroy_process_group()
    # What still holds the group is a cycle of references: left to the end of the interpreter, the group's threads
    # abort the process there (seen with gloo under torchrun in one of three runs).
    gc.collect()


@cache
def _meeting(devices: int) -> tuple[dist.Store, int, int]:
    """The store through which the processes of this program find each other, this one's rank, and their number."""
    if "RANK" in os.environ:
        store, rank, ranks = next(rendezvous("env://", timeout=PATIENCE))
        store.set(f"joined-{rank}", "")
        return store, rank, ranks
    store = dist.TCPStore(LOCALHOST, 0, devices, is_master=True, timeout=PATIENCE, wait_for_workers=False)
    if "OMP_NUM_THREADS" not in os.environ:  # each process would take every core
        os.environ["OMP_NUM_THREADS"] = str(max(1, cores() // devices))
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    meeting = {"MASTER_ADDR": LOCALHOST, "MASTER_PORT": str(store.port), "WORLD_SIZE": str(devices)}
    others = {rank: _again(meeting | {"RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(1, devices)}
    while waited_for := [rank for rank in others if not store.check([f"joined-{rank}"])]:
        if lost := [rank for rank in waited_for if others[rank].poll() is not None]:
            for process in others.values():
                process.kill()
            raise RankLost(
                f"process {lost[0]} of {devices} ended at its start, with status {others[lost[0]].returncode}; its "
                f"messages stand above. Each process runs this program from its beginning: {' '.join(sys.orig_argv)}."
            )
        time.sleep(0.02)  # in seconds; importing torch takes a process a few
    return store, 0, devices


def _again(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """This program once more, from its beginning."""
    process = subprocess.Popen([sys.executable, *sys.orig_argv[1:]], env=os.environ | environment)
    # Not at the end of a training: the script may have more of them, which need the process.
    atexit.register(process.wait)
    return process
