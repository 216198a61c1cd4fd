"""What each regularizer, normalisation and augmentation costs, as a ratio to the plain move in the same process.

    python benchmarks/regularizers.py [--repeats 5] [--threads 1]

DCGAN at 32 px with layer norm in the discriminator, batch 64, float32, penalties at every update. Turns of the plain
moves and the changed ones alternate; a figure is the median of the ratios of neighbouring turns, in processor time.
"""

import argparse
import platform
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from time import process_time
from typing import Any

import torch

from ganneal.augment import AUGMENTATIONS, Scheduled, Transforms
from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment
from ganneal.experiments import cifar10_cts
from ganneal.models import DCGAN
from ganneal.normalization import NORMALIZATIONS
from ganneal.regularizers import REGULARIZERS, LeCam
from ganneal.steps import UpdateDiscriminator, UpdateGenerator


def noise_images(count: int = 256) -> Dataset:
    """uint8 images of noise: what they show does not change the time."""
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Dataset(pixels.numpy())


def changes() -> dict[str, dict[str, Any]]:
    """Fields of the experiment by the label of their row."""
    regularizers = {**REGULARIZERS, "lecam": LeCam(start=0)}
    augmentations = {**AUGMENTATIONS, "ada": Transforms(Scheduled(0.5))}
    lazy = replace(REGULARIZERS["r1"], interval=16)  # type: ignore[type-var]
    return {
        **{f"`{name}`": {"regularizer": part} for name, part in regularizers.items() if name != "none"},
        "`r1` at every 16th update": {"regularizer": lazy},
        **{f"normalization `{name}`": {"normalization": p} for name, p in NORMALIZATIONS.items() if name != "none"},
        **{f"augmentation `{name}`": {"augmentation": p} for name, p in augmentations.items() if name != "none"},
    }


def build(dataset: Dataset, **fields: Any) -> Run:
    experiment: Experiment = replace(cifar10_cts(), model=DCGAN(d_norm="layer"), threads=None, **fields)
    run = Run(experiment, dataset)
    run.cursor.seek(1, 0)  # a round in which the step length is not measured, as seven of eight
    return run


def seconds(call: Callable[[], object]) -> float:
    started = process_time()  # of this process: other work on the machine does not enter
    call()
    return process_time() - started


def cost(plain: Run, changed: Run, step: UpdateDiscriminator | UpdateGenerator, repeats: int, moves: int) -> float:
    """Median time of ``moves`` moves of ``changed`` over those of ``plain``."""

    def turn(run: Run) -> None:
        for _ in range(moves):
            engine.apply(step, run)
            run.meters.values.clear()

    for run in (plain, changed):
        turn(run)
    ratios = []
    for _ in range(repeats):
        before, taken, after = (
            seconds(lambda: turn(plain)),
            seconds(lambda: turn(changed)),
            seconds(lambda: turn(plain)),
        )
        ratios.append(2 * taken / (before + after))
    return median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dataset = noise_images()
    plain = build(dataset)
    print(f"torch {torch.__version__}, {options.threads} threads, {platform.processor() or platform.machine()}\n")
    print("| | discriminator's move | generator's move |\n| --- | --- | --- |")
    for label, fields in changes().items():
        run = build(dataset, **fields)
        moves = 16 if "16th" in label else 2
        d, g = (cost(plain, run, step, options.repeats, moves) for step in (UpdateDiscriminator(), UpdateGenerator()))
        print(f"| {label} | {d:.2f} | {g:.2f} |", flush=True)


if __name__ == "__main__":
    main()
