"""Two processes of one thread against one, at the same batch for each process: what exchanging gradients costs.

    python benchmarks/ranks.py [--experiment digits-cts] [--batch 64] [--moves 20] [--repeats 9]

Each process has a core of its own. In every turn the first trains alone, the other waiting; then both train at once,
each a run of its own, which shows what cores cost each other without any exchange; then both train together on twice
the batch. A figure is the median over turns of the ratio of the times for as many moves. Beside the wall clock it gives
that of the processor time of the first process, which waiting for a core that others use does not lengthen. Floor: 1.15
of the wall clock on an idle machine.
"""

import argparse
import os
import tempfile
from dataclasses import replace
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget
from ganneal.experiments import EXPERIMENTS
from ganneal.ranks import ALONE, Ranks

FLOOR = 1.15


class Taken(NamedTuple):
    """Seconds."""

    wall: float
    processor: float


class Turn(NamedTuple):
    """Of the first process: training alone, beside another run, and with the other process."""

    alone: Taken
    beside: Taken
    together: Taken


def seconds(run: Run, moves: int) -> Taken:
    """What the next ``moves`` moves of both players take."""
    wall, processor = perf_counter(), process_time()
    left = iter(range(moves))
    list(engine.training_rows(run, lambda: next(left, None) is None))
    return Taken(perf_counter() - wall, process_time() - processor)


def on_rank(rank: int, folder: str, given: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[rank % len(cores)]})
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    one = replace(EXPERIMENTS[given.experiment](), batch_size=given.batch, budget=Budget(d_updates=10**9))
    one = replace(one, records=replace(one.records, log_every=10**9))
    alone = Run(one, ranks=ALONE)
    together = Run(replace(one, batch_size=2 * given.batch), ranks=Ranks(rank, 2, torch.device("cpu")))
    turns: list[Turn] = []
    for _ in range(given.repeats + 1):
        one_of_one = seconds(alone, given.moves) if rank == 0 else Taken(0, 0)
        dist.barrier()
        one_of_two = seconds(alone, given.moves)
        dist.barrier()
        turns.append(Turn(one_of_one, one_of_two, seconds(together, given.moves)))
        dist.barrier()
    if rank == 0:
        report(turns[1:], given)
    dist.destroy_process_group()


def report(turns: list[Turn], given: argparse.Namespace) -> None:
    one = median(turn.alone.wall for turn in turns) / given.moves
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{given.experiment}, {given.batch} images a process, load of the machine {load}")
    print(f"  one process                       {1e3 * one:8.2f} ms a move")
    for clock in Taken._fields:
        for label, way, base in (
            ("together / one", "together", "alone"),
            ("two runs at once / one", "beside", "alone"),
            ("together / two runs at once", "together", "beside"),
        ):
            ratios = [getattr(getattr(turn, way), clock) / getattr(getattr(turn, base), clock) for turn in turns]
            print(f"  {clock:<9}  {label:<28}  {median(ratios):5.2f}x   ({min(ratios):.2f} to {max(ratios):.2f})")
    whole = median(turn.together.wall / turn.alone.wall for turn in turns)
    print(f"  floor of {FLOOR} of the wall clock, together / one: {'held' if whole <= FLOOR else 'NOT held'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="digits-cts", choices=EXPERIMENTS)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9)
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(on_rank, (folder, parser.parse_args()), nprocs=2)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
