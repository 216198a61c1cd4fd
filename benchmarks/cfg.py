"""A stage of composite functional gradients, as ratios measured in one process.

    python benchmarks/cfg.py [--repeats 5] [--pool-size 640] [--only ratios|reference]

The reference stage: T = 15 pushes, U = 1 discriminator update each, batches of 64, ten epochs of the fit, the 32-px RGB
DCGAN of width 32 on images of noise, one thread. Turns of the two sides alternate and a figure is the median of the
ratios of neighbouring turns.

What is to be expected, with one forward pass of a batch through either player as the unit: a discriminator update 6, a
pass that moves samples 2, an update of the fit 3, a batch of the generator's samples 1. Replay: 15 * 6 + 255 * 2 + 15 +
10 = 625; pool: 15 * 6 + 150 * 2 + 10 = 400; the fit of either: 100 * 3. So 1.56 without the fit and 1.32 with it.

The reference's own networks, DCGAN-ext in float32, are timed beside a plain loop: the same networks and passes of a
stage by replay, written by hand in PyTorch with its default memory order, as the authors' code has it.
"""

import argparse
import platform
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from statistics import median
from time import process_time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Experiment, Records
from ganneal.experiments import cifar10_cfg
from ganneal.models import DCGANExt, Model
from ganneal.schemes import FunctionalGradient
from ganneal.steps import FitGenerator, PushPool

EXPECTED = {"without the fit": 625 / 400, "with the fit": 925 / 700}

REFERENCE = {"32 x 32 x 3, width 64": (3, DCGANExt(width=64)), "32 x 32, grey, width 32": (1, DCGANExt(width=32))}
"""Channels and networks."""


def noise_images(count: int = 2_000, channels: int = 3) -> Dataset:
    """uint8 images of noise: what they show does not change the time."""
    random = torch.Generator().manual_seed(0)
    return Dataset(torch.randint(0, 256, (count, channels, 32, 32), generator=random, dtype=torch.uint8).numpy())


def build(scheme: FunctionalGradient, dataset: Dataset, precision: Any = "float32", model: Model | None = None) -> Run:
    """A run that has made its first round, so that there is a pool to fit to."""
    plain = cifar10_cfg()
    experiment: Experiment = replace(
        plain,
        model=model or plain.model,
        scheme=scheme,
        precision=precision,
        threads=1,
        records=Records(log_every=10**9),
    )
    run = Run(experiment, dataset)
    for step in scheme(0):
        engine.apply(step, run)
    return run


def stage(run: Run, fits: bool) -> Callable[[], None]:
    """A call that makes one round, with or without its fit."""
    steps = [step for step in run.experiment.scheme(1) if fits or not isinstance(step, FitGenerator)]

    def make() -> None:
        for step in steps:
            engine.apply(step, run)
        run.meters.values.clear()

    return make


def seconds(call: Callable[[], object]) -> float:
    """Processor time, which with one thread is the time on a machine that does nothing else."""
    started = process_time()
    call()
    return process_time() - started


def ratio(a: Callable[[], object], b: Callable[[], object], repeats: int) -> tuple[float, float, float]:
    """Median of time(a) / time(b) over alternating turns, with the two medians in seconds."""
    for call in (a, b):
        call()
    turns = [seconds(call) for _ in range(repeats) for call in (a, b)]
    ratios = [x / y if i % 2 == 0 else y / x for i, (x, y) in enumerate(pairwise(turns))]
    return median(ratios), median(turns[::2]), median(turns[1::2])


def bare_pass(run: Run) -> Callable[[], None]:
    """The pool through the running discriminator and back to the input, as one would write it by hand."""
    assert run.pool is not None
    samples, discriminator = run.pool.samples, run.discriminator

    def make() -> None:
        discriminator.requires_grad_(False)
        moved = []
        for part in samples.split(run.experiment.batch_size):
            points = part.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(discriminator(points).sum(), points)
            moved.append(part + 0.25 * gradient)
        torch.cat(moved)
        discriminator.requires_grad_(True)

    return make


class PlainStage:
    """A stage by replay in plain PyTorch: T updates and stored copies, the targets, ten epochs of the fit."""

    def __init__(self, run: Run, scheme: FunctionalGradient):
        self.run, self.size, self.scheme = run, run.experiment.batch_size, scheme
        # Out of channels last, in which the engine holds its players.
        players = [deepcopy(player) for player in (run.discriminator, run.generator)]
        for player in players:
            player.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        self.discriminator, self.generator = players
        self.stored = [deepcopy(self.discriminator).requires_grad_(False) for _ in range(self.scheme.steps)]
        self.d_optimizer = self._optimizer(self.discriminator)

    def _optimizer(self, player: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(player.parameters(), lr=2.5e-4, alpha=0.95)

    def __call__(self) -> None:
        for level in range(self.scheme.steps):
            _, fake = self.generate(self.size, level)
            real = self.run.next_batch(self.size).samples.contiguous()
            loss = F.softplus(-self.discriminator(real)).mean() + F.softplus(self.discriminator(fake)).mean()
            self._step(loss, self.d_optimizer)
            self.stored[level].load_state_dict(self.discriminator.state_dict())
        self.fit(*self.generate(self.scheme.pool_size, self.scheme.steps))

    def generate(self, count: int, pushes: int) -> tuple[Tensor, Tensor]:
        """Latents, and the generator's samples of them after ``pushes`` stored discriminators."""
        latents, moved = self.run.draw_latents(count), []
        self.generator.eval()
        for part in latents.split(self.size):
            with torch.no_grad():
                samples = self.generator(part)
            for discriminator in self.stored[:pushes]:
                points = samples.detach().requires_grad_()
                (gradient,) = torch.autograd.grad(discriminator(points).sum(), points)
                samples = points.detach() + self.scheme.step_size * gradient
            moved.append(samples)
        self.generator.train()
        return latents, torch.cat(moved)

    def fit(self, latents: Tensor, targets: Tensor) -> None:
        """Every epoch of the generator's regression."""
        optimizer = self._optimizer(self.generator)
        for _ in range(self.scheme.epochs):
            for chosen in torch.randperm(len(latents)).split(self.size):
                loss = (self.generator(latents[chosen]) - targets[chosen]).square().sum() / (2 * len(chosen))
                self._step(loss, optimizer)

    def _step(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--pool-size", type=int, default=640)
    parser.add_argument("--only", choices=("ratios", "reference"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, 1 thread")
    if options.only != "reference":
        ratios(options)
    if options.only != "ratios":
        reference(options)


def reference(options: argparse.Namespace) -> None:
    """A stage of the reference's networks, as a part of the plain loop's time."""
    for name, (channels, model) in REFERENCE.items():
        for fakes in ("replay", "pool"):
            scheme = FunctionalGradient(pool_size=options.pool_size, step_size=0.25, fakes=fakes)
            run = build(scheme, noise_images(channels=channels), model=model)
            figure, ours, plain = ratio(stage(run, fits=True), PlainStage(run, scheme), options.repeats)
            print(
                f"DCGAN-ext, {name}, {fakes}: {ours:.1f} s, {figure:.2f} of the plain loop's {plain:.1f} s", flush=True
            )


def ratios(options: argparse.Namespace) -> None:
    """Replay over pool, bf16 over float32, and a push over bare passes."""
    dataset = noise_images()
    schemes = {f: FunctionalGradient(pool_size=options.pool_size, step_size=0.25, fakes=f) for f in ("replay", "pool")}
    replay, pool = (build(scheme, dataset) for scheme in schemes.values())
    for name, expected in EXPECTED.items():
        fits = name == "with the fit"
        figure, a, b = ratio(stage(replay, fits), stage(pool, fits), options.repeats)
        print(f"replay over pool stage, {name}: {figure:.2f} (by operations {expected:.2f}; {a:.2f} s and {b:.2f} s)")
    mixed = build(schemes["pool"], dataset, "bf16")
    figure, a, b = ratio(stage(pool, True), stage(mixed, True), options.repeats)
    print(f"float32 over bf16, pool stage with the fit: {figure:.2f} ({a:.2f} s and {b:.2f} s)")
    figure, a, b = ratio(lambda: engine.apply(PushPool(0.25, 1), pool), bare_pass(pool), options.repeats)
    print(f"a push of the pool over bare passes: {figure:.3f} ({a:.3f} s and {b:.3f} s)")


if __name__ == "__main__":
    main()
