"""What the engine is measured against: the players' moves as one would write them by hand, and operations counted.

The same networks, loss, task, data stream and fused optimizers, and none of what the engine adds: no counters, meters,
learning-rate rules or bookkeeping. The discriminator's buffers and power iterations go on in the generator's moves too,
as in most codes.
"""

from itertools import pairwise
from statistics import median
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganneal.engine.run import Run
from ganneal.task import Condition


class Operations(TorchDispatchMode):
    """Sums torch's own counts of operations; its `FlopCounterMode` follows modules too, and fails on an embedding."""

    flop = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.flop += count(*args, **(kwargs or {}), out_val=result)
        return result


class BareMoves:
    """Moves on the players of ``run``, whose optimizers it leaves alone.

    Args:
        penalised: Add the squared norms of the discriminator's gradients at reals and at fakes to its loss.
    """

    def __init__(self, run: Run, penalised: bool = False):
        self.run, self.penalised = run, penalised
        self.generator, self.discriminator = run.generator, run.discriminator
        self.d_parameters, self.g_parameters = list(run.d_parameters), list(run.g_parameters)
        fused: dict[str, Any] = {"lr": 2e-4, "betas": (0.5, 0.999), "fused": True}
        self.d_optimizer = torch.optim.Adam(self.d_parameters, **fused)
        self.g_optimizer = torch.optim.Adam(self.g_parameters, **fused)
        self.losses: list[Tensor] = []

    def update_discriminator(self) -> None:
        """A batch of reals and one of fresh fakes."""
        run, task, random = self.run, self.run.experiment.task, self.run.random["task"]
        with run.autocast():
            with torch.no_grad():
                real = task.real_view(run.next_batch(run.experiment.batch_size), random)
                condition = task.fake_condition(len(real.samples), run.pair.num_classes, real, random)
                fake = task.fake(self.generator, self._latents(len(real.samples)), condition, random)
            self._update_discriminator(real.samples, real.condition, fake, condition)

    def update_discriminator_from_pool(self) -> None:
        """A batch of reals and the pool's first samples."""
        run = self.run
        assert run.pool is not None
        with run.autocast():
            real = run.next_batch(run.experiment.batch_size).samples
            self._update_discriminator(real, (), run.pool.samples[: len(real)], ())

    def _update_discriminator(self, real: Tensor, given: Condition, fake: Tensor, other: Condition) -> None:
        loss = self.run.experiment.loss.discriminator(
            self.discriminator(real, *given), self.discriminator(fake, *other)
        ).mean()
        if self.penalised:
            for points in (real, fake):
                loss = loss + self._squared_slope(points).mean() / 2
        self._optimize(loss, self.d_parameters, self.d_optimizer)

    def _squared_slope(self, points: Tensor) -> Tensor:
        with torch.autocast(points.device.type, enabled=False):
            points = points.detach().float().requires_grad_()
            (slope,) = torch.autograd.grad(self.discriminator(points).sum(), points, create_graph=True)
            return slope.square().flatten(1).sum(1)

    def update_generator(self) -> None:
        """Fresh latents through a discriminator without parameter gradients."""
        run, task, random = self.run, self.run.experiment.task, self.run.random["task"]
        count, loss = run.experiment.generator_batch, run.experiment.loss
        self.discriminator.requires_grad_(False)
        with run.autocast():
            with torch.no_grad():
                needed = task.needs_real or loss.needs_real
                real = task.real_view(run.next_batch(count), random) if needed else None
                condition = task.fake_condition(count, run.pair.num_classes, real, random)
            fake = task.fake(self.generator, self._latents(count), condition, random)
            logits = self.discriminator(fake, *condition)
            others = None
            if real is not None and loss.needs_real:
                others = self.discriminator(real.samples, *real.condition)
        self._optimize(loss.generator(logits, others).mean(), self.g_parameters, self.g_optimizer)
        self.discriminator.requires_grad_(True)

    def push(self) -> None:
        """The pool through the discriminator and back to its input."""
        run = self.run
        assert run.pool is not None
        self.discriminator.requires_grad_(False)
        moved = []
        for part in run.pool.samples.split(run.experiment.batch_size):
            points = part.detach().requires_grad_()
            with run.autocast():
                outputs = self.discriminator(points)
            (gradient,) = torch.autograd.grad(outputs.float().sum(), points)
            moved.append(part + 0.25 * gradient)
        run.pool.samples = torch.cat(moved)
        self.discriminator.requires_grad_(True)

    def fit(self) -> None:
        """One epoch of regression onto the pool."""
        run = self.run
        assert run.pool is not None
        size = run.experiment.batch_size
        for latents, targets in zip(run.pool.latents.split(size), run.pool.samples.split(size), strict=True):
            with run.autocast():
                made = self.generator(latents)
            loss = (made.float() - targets).square().sum() / (2 * len(targets))
            self._optimize(loss, self.g_parameters, self.g_optimizer)

    def _latents(self, count: int) -> Tensor:
        return self.run.draw_latents(count)

    def _optimize(self, loss: Tensor, parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
        self.losses = [loss.detach()]


def turns(a: Any, b: Any, repeats: int) -> tuple[float, float]:
    """Seconds of ``a()``, and the median ratio of ``a()`` to ``b()`` over neighbouring turns that alternate.

    Processor seconds, which with one thread are the time on a machine that does nothing else.
    """
    taken = []
    for call in (a, b) * (repeats + 1):  # the first two are a warm-up
        started = process_time()
        call()
        taken.append(process_time() - started)
    taken = taken[2:]
    ratios = [x / y if i % 2 == 0 else y / x for i, (x, y) in enumerate(pairwise(taken))]
    return median(taken[::2]), median(ratios)
