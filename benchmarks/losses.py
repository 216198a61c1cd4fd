"""What each loss costs in the generator's move, as a ratio to the non-saturating move in the same process.

    python benchmarks/losses.py [--repeats 9] [--threads 1]

The engine's move on the 32-px DCGAN, batch 64, in bf16, in processor seconds. Turns of both losses alternate; a figure
is the median of the ratios of neighbouring turns. Losses that need real outputs pay for one more batch through the
discriminator. Alone: both methods and their gradients, on 64 outputs.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from statistics import median
from time import process_time

import torch
from engine import noise_images

from ganneal.data import Dataset
from ganneal.divergences import DIVERGENCES
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiments import cifar10_cts
from ganneal.losses import LOSSES, Hybrid, Loss
from ganneal.steps import UpdateGenerator

GOAL = 1.05
MOVES = 2
"""Moves in a turn."""


def build(loss: Loss, images: Dataset) -> Run:
    run = Run(replace(cifar10_cts(), loss=loss, precision="bf16"), images)
    run.cursor.seek(1, 0)  # a round in which the step length is not measured, as seven of eight
    return run


def alone(loss: Loss, calls: int = 300) -> float:
    """Microseconds of both methods and their gradients on 64 raw outputs."""
    real, fake = torch.randn(2, 64, requires_grad=True)

    def call() -> None:
        torch.autograd.grad(loss.discriminator(real, fake).mean(), (real, fake))
        torch.autograd.grad(loss.generator(fake, real).mean(), fake)

    cpu(call, calls // 10)
    return 1e6 * cpu(call, calls) / calls


def cpu(call: Callable[[], object], times: int) -> float:
    """Processor seconds of ``times`` calls: other work on the machine adds less to them than to the clock's."""
    started = process_time()
    for _ in range(times):
        call()
    return process_time() - started


def move_ratio(loss: Loss, base: Run, images: Dataset, repeats: int) -> float:
    """Median over neighbouring turns of the time of the move with ``loss`` over that with the loss of ``base``."""
    run = build(loss, images)
    turns = [
        cpu(lambda of=of: engine.apply(UpdateGenerator(), of), MOVES) for _ in range(repeats + 1) for of in (run, base)
    ][2:]
    ratios = [x / y if i % 2 == 0 else y / x for i, (x, y) in enumerate(pairwise(turns))]
    return median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    images = noise_images()
    base = build(LOSSES["nonsaturating"], images)
    print(f"torch {torch.__version__}, {options.threads} threads; generator's move / non-saturating move, DCGAN 32 px")
    for name, loss in LOSSES.items():
        found = move_ratio(loss, base, images, options.repeats)
        note = "reads real" if loss.needs_real else "" if found <= GOAL else "missed"
        print(f"{name:<24} {found:>6.3f} {note:<11}alone {alone(loss):>5.0f} us", flush=True)
    for name in DIVERGENCES:
        pair = Hybrid("js", name, exp_cap=15.0)
        print(f"hybrid js, {name:<31}alone {alone(pair):>5.0f} us", flush=True)
    milliseconds = 1e3 * cpu(lambda: engine.apply(UpdateGenerator(), base), MOVES) / MOVES
    print(f"goal <= {GOAL} without real outputs; the non-saturating move takes {milliseconds:.0f} ms")


if __name__ == "__main__":
    main()
