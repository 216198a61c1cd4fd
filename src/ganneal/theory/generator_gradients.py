"""Which divergence a generator descends: its gradient at the optimal discriminator, held fixed.

For every pair of a discriminator's divergence f and a generator's g the optimal raw output is log p/q, whatever f is;
held fixed, it gives the generator of loss -E_q[b_g(d)] the gradient of D_g(p, q). With the non-saturating loss, and
softened reverse KL for g, this is the theorem of `nonsaturating_theorem`.
"""

from collections.abc import Callable
from dataclasses import replace
from math import log
from typing import NamedTuple

import torch
from torch import Tensor

from ganneal.divergences import DIVERGENCES, Divergence
from ganneal.logits import softplus
from ganneal.theory.normals import Normal1D, divergence

PerSampleLoss = Callable[[Tensor], Tensor]
"""A generator's loss of raw outputs, per sample."""


class Gradient(NamedTuple):
    """Derivatives in the mean and the standard deviation of a normal model."""

    mean: float
    std: float


def generator_gradient(loss: PerSampleLoss, p: Normal1D, q: Normal1D, *, frozen: bool = True) -> Gradient:
    """The gradient that a generator x = mean + std z gets from the optimal discriminator log p/q.

    Args:
        frozen: Whether the discriminator keeps its parameters, as in training. Otherwise it follows the generator,
            which is another gradient, and a wrong one.
    """
    z = torch.linspace(-12, 12, 8_001, dtype=torch.float64)
    mean, std = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (q.mean, q.std))
    x = mean + std * z
    held = (mean.detach(), std.detach()) if frozen else (mean, std)
    log_q = -0.5 * ((x - held[0]) / held[1]) ** 2 - held[1].log() - 0.5 * log(2 * torch.pi)
    expectation = torch.trapezoid(loss(p.log_prob(x) - log_q) * Normal1D(0, 1).log_prob(z).exp(), z)
    return Gradient(*(grad.item() for grad in torch.autograd.grad(expectation, (mean, std))))


def divergence_gradient(row: Divergence, p: Normal1D, q: Normal1D, *, step: float = 1e-3) -> Gradient:
    """The gradient of D(p, q) in the parameters of q, by differences of fourth order."""

    def derivative(name: str) -> float:
        def at(offset: float) -> float:
            return divergence(row, p, replace(q, **{name: getattr(q, name) + offset * step}))

        return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step)

    return Gradient(derivative("mean"), derivative("std"))


def nonsaturating_theorem(p: Normal1D, q: Normal1D) -> tuple[Gradient, Gradient]:
    """Both sides of: non-saturating training follows half the gradient of softened reverse KL.

    At d = log p/q held fixed, grad E_q[softplus(-d)] = grad srkl(p, q) / 2 = 2 grad KL((p + q)/2 ‖ p), because
    -b(d) of softened reverse KL is 2 softplus(-d) - 2 log 2: the same function of d, twice, up to a constant.

    Returns:
        The gradient of the non-saturating loss by backpropagation through the samples; half that of the divergence by
        differences. Nothing is shared between the two but the densities.
    References:
        Shannon et al., Non-saturating GAN training as divergence minimization, 2020.
    """
    descended = divergence_gradient(DIVERGENCES["srkl"], p, q)
    return generator_gradient(lambda d: softplus(-d), p, q), Gradient(descended.mean / 2, descended.std / 2)
