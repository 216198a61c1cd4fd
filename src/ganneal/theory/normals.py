"""Divergences of two normal distributions on the line: closed forms, and quadrature for every divergence and bound."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, inf, log, pi, sqrt
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.divergences import DIVERGENCES, FDivergence
from ganneal.logits import softplus

Critic = Callable[[Tensor], Tensor]
"""Points ``[n, d]``, or ``[n]`` on the line, to raw outputs ``[n]``, differentiable."""


@dataclass(frozen=True)
class Normal1D:
    """The normal distribution of ``mean`` and standard deviation ``std``."""

    mean: float
    std: float

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density at ``x``, in nats."""
        return -0.5 * ((x - self.mean) / self.std) ** 2 - log(self.std * sqrt(2 * pi))


def kl(p: Normal1D, q: Normal1D) -> float:
    """KL(p ‖ q)."""
    return log(q.std / p.std) + (p.std**2 + (p.mean - q.mean) ** 2) / (2 * q.std**2) - 0.5


def squared_hellinger(p: Normal1D, q: Normal1D) -> float:
    """2 ∫ (√p − √q)²."""
    # ∫ (√p − √q)² is 2 − 2 ∫ √(p q), and the last integral has a closed form.
    total = p.std**2 + q.std**2
    return 4 * (1 - sqrt(2 * p.std * q.std / total) * exp(-((p.mean - q.mean) ** 2) / (4 * total)))


def pearson_chi2(p: Normal1D, q: Normal1D) -> float:
    """½ ∫ (p − q)²/q; infinite unless 2 q.std² > p.std²."""
    v = 2 * q.std**2 - p.std**2
    # p²/q grows in the tails where p is wider than √2 times q.
    if v <= 0:
        return inf
    return 0.5 * (q.std**2 / (p.std * sqrt(v)) * exp((p.mean - q.mean) ** 2 / v) - 1)


CLOSED_FORMS: dict[str, Callable[[Normal1D, Normal1D], float]] = {
    "kl": kl,
    "reverse_kl": lambda p, q: kl(q, p),
    "squared_hellinger": squared_hellinger,
    "pearson_chi2": pearson_chi2,
    "neyman_chi2": lambda p, q: pearson_chi2(q, p),
    "jeffreys": lambda p, q: 0.5 * (kl(p, q) + kl(q, p)),
}
"""Divergences of p and q in closed form, under the names of `divergences.DIVERGENCES`."""


def nodes(p: Normal1D, q: Normal1D, count: int = 8_001) -> Float64[Tensor, " count"]:
    """Even nodes over 12 standard deviations around both means, where the trapezoid rule is exact to rounding."""
    # At 12 standard deviations a normal density is below 1e-31, and for smooth functions that vanish at both ends the
    # trapezoid rule converges faster than any power.
    low, high = (f(n.mean + side * 12 * n.std for n in (p, q)) for f, side in ((min, -1), (max, 1)))
    return torch.linspace(low, high, count, dtype=torch.float64)


def normal_log_ratio(p: Normal1D, q: Normal1D) -> Critic:
    """The optimal raw output log p/q."""
    return lambda x: p.log_prob(x) - q.log_prob(x)


def lower_bound(row: FDivergence, p: Normal1D, q: Normal1D, critic: Critic) -> float:
    """E_p[a(d)] − E_q[b(d)] for the raw outputs d of ``critic``: at most the divergence, equal to it at the optimum."""
    x = nodes(p, q)
    d = critic(x)
    integrand = p.log_prob(x).exp() * row.real_term(d) - q.log_prob(x).exp() * row.fake_term(d)
    return torch.trapezoid(integrand, x).item()


def divergence(row: FDivergence, p: Normal1D, q: Normal1D) -> float:
    """D_f(p, q) by quadrature. Where it is infinite, by fat tails of the ratio, the value is a large number or none."""
    return lower_bound(row, p, q, normal_log_ratio(p, q))


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
    # Nodes in the latent, which stay where they are as mean and std move the samples.
    z = torch.linspace(-12, 12, 8_001, dtype=torch.float64)
    mean, std = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (q.mean, q.std))
    x = mean + std * z
    # Training differentiates the sample and holds the discriminator; not frozen, the optimal discriminator moves along.
    held = (mean.detach(), std.detach()) if frozen else (mean, std)
    # Written out, for `Normal1D` holds numbers without a graph.
    log_q = -0.5 * ((x - held[0]) / held[1]) ** 2 - held[1].log() - 0.5 * log(2 * torch.pi)
    expectation = torch.trapezoid(loss(p.log_prob(x) - log_q) * Normal1D(0, 1).log_prob(z).exp(), z)
    return Gradient(*(grad.item() for grad in torch.autograd.grad(expectation, (mean, std))))


Differentiated = TypeVar("Differentiated", float, Tensor)


def difference_quotient(at: Callable[[float], Differentiated], step: float) -> Differentiated:
    """The derivative at 0 of ``at``, by central differences of fourth order.

    >>> round(difference_quotient(lambda t: exp(2 * t), 1e-3), 9)
    2.0
    """
    return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)


def divergence_gradient(row: FDivergence, p: Normal1D, q: Normal1D, *, step: float = 1e-3) -> Gradient:
    """The gradient of D(p, q) in the parameters of q, by differences of fourth order."""
    return Gradient(
        difference_quotient(lambda t: divergence(row, p, replace(q, mean=q.mean + t)), step),
        difference_quotient(lambda t: divergence(row, p, replace(q, std=q.std + t)), step),
    )


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
