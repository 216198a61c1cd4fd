"""The engine against a plain hand-written loop, as ratios measured in one process.

    python benchmarks/engine.py [--repeats 9] [--threads 2]

Both sides do the same work: the same networks, optimizer, averaging of the generator, data stream and one read of the
losses per log interval. Their turns alternate, so that a machine whose speed drifts slows both; a figure is the median
of the ratios of neighbouring turns.
"""

import argparse
import platform
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from statistics import median
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import nn

from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import cifar10_cts, ring_cts
from ganneal.optim import average_
from ganneal.steps import UpdateGenerator

LOG_EVERY = 16
"""Rounds between two reads of the losses, on both sides."""
GENERATOR_MMACS, DISCRIMINATOR_MMACS = 18.1, 17.6
"""Multiply-adds of one forward pass per image of the 32-px RGB DCGAN, in millions."""


def noise_images(count: int = 2_000) -> Dataset:
    """uint8 images of noise: what they show does not change the time."""
    pixels = torch.randint(0, 256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Dataset(pixels.numpy())


class BareLoop:
    """Alternating training as one would write it by hand, for the players, data and precision of ``run``."""

    def __init__(self, run: Run):
        self.run = run
        self.generator, self.discriminator = run.generator, run.discriminator
        self.average = deepcopy(self.generator)
        self.d_optimizer = torch.optim.Adam(self.discriminator.parameters(), 2e-4, (0.5, 0.999), fused=True)
        self.g_optimizer = torch.optim.Adam(self.generator.parameters(), 2e-4, (0.5, 0.999), fused=True)
        self.d_parameters = list(self.discriminator.parameters())
        self.g_parameters = list(self.generator.parameters())
        self.rounds = 0
        self.losses: list[torch.Tensor] = []

    def latents(self) -> torch.Tensor:
        size = self.run.pair.latent.size  # type: ignore[attr-defined]
        return torch.randn(self.run.experiment.batch_size, size)

    def step(self, loss: torch.Tensor, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
        self.losses.append(loss.detach())

    def rounds_of(self, count: int) -> None:
        for _ in range(count):
            self.round()

    def round(self) -> None:
        run = self.run
        real = run.data.batch(run.data_position, run.experiment.batch_size).samples
        if real.dim() == 4:
            real = real.contiguous(memory_format=torch.channels_last)
        run.data_position += len(real)
        with run.autocast():
            with torch.no_grad():
                fake = self.generator(self.latents())
            real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        loss = (F.softplus(-real_logits.float()) + F.softplus(fake_logits.float())).mean()
        self.step(loss, self.d_parameters, self.d_optimizer)
        self.discriminator.requires_grad_(False)
        with run.autocast():
            logits = self.discriminator(self.generator(self.latents()))
        self.step(F.softplus(-logits.float()).mean(), self.g_parameters, self.g_optimizer)
        self.discriminator.requires_grad_(True)
        average_(self.average, self.generator, 0.999)
        self.rounds += 1
        if self.rounds % LOG_EVERY == 0:
            assert torch.stack(self.losses).isfinite().all()
            self.losses.clear()


def build(experiment: Experiment, dataset: Dataset, precision: str) -> Run:
    every = LOG_EVERY * experiment.batch_size
    records = Records(log_every=every)
    return Run(replace(experiment, precision=precision, records=records), dataset)  # type: ignore[arg-type]


def seconds(call: Callable[[], object], times: int) -> float:
    started = perf_counter()
    for _ in range(times):
        call()
    return perf_counter() - started


def ratio(a: Callable[[], object], b: Callable[[], object], times: int, repeats: int) -> tuple[float, float, float]:
    """Median of time(a) / time(b) over alternating turns, with the two medians in seconds per call."""
    for call in (a, b):
        seconds(call, max(2, times // 4))
    turns = [seconds(call, times) / times for _ in range(repeats) for call in (a, b)]
    ratios = [x / y if i % 2 == 0 else y / x for i, (x, y) in enumerate(pairwise(turns))]
    return median(ratios), median(turns[::2]), median(turns[1::2])


def drain(run: Run, rounds: int) -> None:
    """``rounds`` rounds through the engine in one call, as training does."""
    goal = run.counters.g_updates + rounds
    run.experiment = replace(run.experiment, budget=Budget(g_updates=goal))
    for _ in engine.training_rows(run):
        pass


def against_bare_loop(
    experiment: Experiment, data: Dataset, precision: str, rounds: int, repeats: int
) -> tuple[float, float]:
    """Time of the engine over that of the bare loop, and the engine's seconds per round."""
    run, bare = build(experiment, data, precision), BareLoop(build(experiment, data, precision))
    found, taken, _ = ratio(lambda: drain(run, rounds), lambda: bare.rounds_of(rounds), 1, repeats)
    return found, taken / rounds


def generator_move(images: Dataset, precision: str, repeats: int) -> tuple[float, float]:
    """Time of the engine's generator move, and of one by hand, over that of one with a trainable discriminator."""
    run, naive = build(cifar10_cts(), images, precision), build(cifar10_cts(), images, precision)
    run.cursor.seek(1, 0)  # a round in which the step length is not measured, as seven of eight
    ours = ratio(lambda: engine.apply(UpdateGenerator(), run), lambda: naive_generator_move(naive), 4, repeats)[0]
    by_hand = ratio(lambda: frozen_generator_move(run), lambda: naive_generator_move(naive), 4, repeats)[0]
    return ours, by_hand


def matmul_gflops(dtype: torch.dtype, size: int = 2048) -> float:
    """What the machine reaches on a square matrix product."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return 2 * size**3 / min(seconds(lambda: torch.mm(a, b), 3) / 3 for _ in range(4)) / 1e9


def naive_generator_move(run: Run) -> None:
    """A generator move that leaves the discriminator trainable: its weight gradients are computed and dropped."""
    with run.autocast():
        logits = run.discriminator(run.generator(run.draw_latents(run.experiment.batch_size)))
    loss = F.softplus(-logits.float()).mean()
    loss.backward()
    run.g_optimizer.step()
    run.g_optimizer.zero_grad()
    run.discriminator.zero_grad()


def frozen_generator_move(run: Run) -> None:
    """A generator move by hand with a frozen discriminator: what the kernels allow, without the engine."""
    run.discriminator.requires_grad_(False)
    with run.autocast():
        logits = run.discriminator(run.generator(run.draw_latents(run.experiment.batch_size)))
    loss = F.softplus(-logits.float()).mean()
    for parameter, gradient in zip(run.g_parameters, torch.autograd.grad(loss, run.g_parameters), strict=True):
        parameter.grad = gradient
    run.g_optimizer.step()
    run.g_optimizer.zero_grad()
    run.discriminator.requires_grad_(True)


def dcgan_flops(batch: int) -> float:
    """FLOPs of one discriminator and one generator update."""
    d_update = GENERATOR_MMACS + 6 * DISCRIMINATOR_MMACS
    g_update = 3 * GENERATOR_MMACS + 2 * DISCRIMINATOR_MMACS
    return 2e6 * batch * (d_update + g_update)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    repeats, images = options.repeats, noise_images()
    print(f"torch {torch.__version__}, {options.threads} threads, {platform.processor() or platform.machine()}")

    ring = ring_cts()
    found, taken = against_bare_loop(ring, ring.data.load(), "float32", rounds=100, repeats=repeats)
    print(f"engine / bare loop, 2-D MLP, batch 256       {found:.3f}  (goal <= 1.15; {taken * 1e6:.0f} us a round)")
    for precision in ("float32", "bf16"):
        found, _ = against_bare_loop(cifar10_cts(), images, precision, rounds=4, repeats=repeats)
        print(f"engine / bare loop, DCGAN 32 px, batch 64, {precision:<8}  {found:.3f}   (goal <= 1.03)")
        found, by_hand = generator_move(images, precision, repeats)
        print(f"generator move / naive, {precision:<8} {found:.3f}   (goal <= 0.87; by hand {by_hand:.3f})")

    runs = {precision: build(cifar10_cts(), images, precision) for precision in ("float32", "bf16")}
    found, slow, fast = ratio(lambda: drain(runs["float32"], 3), lambda: drain(runs["bf16"], 3), 1, repeats)
    print(f"float32 / bf16 time, DCGAN 32 px                    {found:.2f}    (goal >= 1.4)")
    for name, dtype, taken in (("float32", torch.float32, slow / 3), ("bf16", torch.bfloat16, fast / 3)):
        reached, machine = dcgan_flops(64) / taken / 1e9, matmul_gflops(dtype)
        print(
            f"{name:<8} {64 / taken:5.0f} images/s, {reached:5.0f} GFLOP/s, {100 * reached / machine:3.0f} % of the "
            f"machine's matmul rate of {machine:.0f}"
        )


if __name__ == "__main__":
    main()
