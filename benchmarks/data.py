"""Batches from a memory map against training: how many times faster data comes than the players take it.

    python benchmarks/data.py [--repeats 9]

Shuffled batches of 64 are taken from a file of uint8 rows and scaled to [-1, 1]. Beside them a bare loop trains a small
DCGAN, one discriminator and one generator update a batch, on one batch that is at hand. Both have one thread and are
measured in its own seconds, so that other work on the machine does not count; a figure is the median of the ratios of
neighbouring turns.
"""

import argparse
import platform
import tempfile
from collections.abc import Callable
from statistics import median
from time import process_time

import numpy as np
import torch
import torch.nn.functional as F

from ganneal.data import Dataset, Sampler
from ganneal.machine import this_machine
from ganneal.models import DCGAN

BATCH, COUNT = 64, 20_000
WIDTHS = {32: 64, 64: 32}
"""Of the DCGAN by size in pixels: what `ganneal train PATH` takes on a CPU."""


def mapped(path: str, size: int) -> Dataset:
    """Noise in a file: what images show does not change the time."""
    rows = np.memmap(path, np.uint8, "w+", shape=(COUNT, 3, size, size))
    block = np.random.default_rng(0).integers(0, 256, (1_000, 3, size, size), dtype=np.uint8)
    for start in range(0, COUNT, 1_000):
        rows[start : start + 1_000] = block
    rows.flush()
    return Dataset(np.asarray(np.memmap(path, np.uint8, "r", shape=rows.shape)))


def batches(sampler: Sampler, count: int) -> Callable[[], int]:
    """Take ``count`` batches, from where the last turn ended; returns images."""
    position = 0

    def turn() -> int:
        nonlocal position
        for _ in range(count):
            sampler.batch(position, BATCH)
            position += BATCH
        return count * BATCH

    return turn


def training(size: int, bfloat16: bool, count: int) -> Callable[[], int]:
    """Train a DCGAN for ``count`` rounds on one batch; returns images."""
    pair = DCGAN(width=WIDTHS[size]).build((3, size, size))
    random = torch.Generator().manual_seed(0)
    real = torch.randn(BATCH, 3, size, size, generator=random).contiguous(memory_format=torch.channels_last)
    for player in (pair.generator, pair.discriminator):
        player.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    d_parameters, g_parameters = (list(player.parameters()) for player in (pair.discriminator, pair.generator))
    d_optimizer, g_optimizer = (torch.optim.Adam(p, 2e-4, (0.5, 0.999)) for p in (d_parameters, g_parameters))

    def step(loss: torch.Tensor, parameters: list[torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()

    def turn() -> int:
        for _ in range(count):
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                fake = pair.generator(pair.latent.sample(BATCH, random))
                loss = F.softplus(-pair.discriminator(real)) + F.softplus(pair.discriminator(fake.detach()))
            step(loss.float().mean(), d_parameters, d_optimizer)
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = F.softplus(-pair.discriminator(fake))
            step(loss.float().mean(), g_parameters, g_optimizer)
        return count * BATCH

    return turn


def rate(turn: Callable[[], int]) -> float:
    """Images a second of the processor."""
    started = process_time()
    images = turn()
    return images / (process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    bfloat16 = bool(this_machine().bfloat16)
    precision = "bf16" if bfloat16 else "float32"
    print(f"{platform.machine()}, torch {torch.__version__}, one thread, training in {precision}")
    with tempfile.TemporaryDirectory() as folder:
        for size in WIDTHS:
            data = mapped(f"{folder}/{size}.bin", size)
            for flip in (False, True):
                turns = batches(Sampler(data, 0, flip), 100), training(size, bfloat16, 2)
                for turn in turns:  # caches and allocators
                    turn()
                pairs = [tuple(map(rate, turns)) for _ in range(options.repeats)]
                read, trained = (median(column) for column in zip(*pairs, strict=True))
                ratio = median(reading / training for reading, training in pairs)
                what = "with mirror images" if flip else "as they are"
                print(f"{size} px {what}: {read:,.0f} images/s read, {trained:,.0f} trained, ratio {ratio:.0f}")


if __name__ == "__main__":
    main()
