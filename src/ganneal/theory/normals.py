"""Divergences of two normal distributions on the line: closed forms, and quadrature for every divergence and bound."""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, log, pi, sqrt

import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.divergences import Divergence

Critic = Callable[[Tensor], Tensor]
"""Points to raw outputs, both ``[nodes]``."""


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
    total = p.std**2 + q.std**2
    return 4 * (1 - sqrt(2 * p.std * q.std / total) * exp(-((p.mean - q.mean) ** 2) / (4 * total)))


def pearson_chi2(p: Normal1D, q: Normal1D) -> float:
    """½ ∫ (p − q)²/q; infinite unless 2 q.std² > p.std²."""
    v = 2 * q.std**2 - p.std**2
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
    low, high = (f(n.mean + side * 12 * n.std for n in (p, q)) for f, side in ((min, -1), (max, 1)))
    return torch.linspace(low, high, count, dtype=torch.float64)


def log_ratio(p: Normal1D, q: Normal1D) -> Critic:
    """The optimal raw output log p/q."""
    return lambda x: p.log_prob(x) - q.log_prob(x)


def lower_bound(row: Divergence, p: Normal1D, q: Normal1D, critic: Critic) -> float:
    """E_p[a(d)] − E_q[b(d)] for the raw outputs d of ``critic``: at most the divergence, equal to it at the optimum."""
    x = nodes(p, q)
    d = critic(x)
    integrand = p.log_prob(x).exp() * row.real_term(d) - q.log_prob(x).exp() * row.fake_term(d)
    return torch.trapezoid(integrand, x).item()


def divergence(row: Divergence, p: Normal1D, q: Normal1D) -> float:
    """D_f(p, q) by quadrature. Where it is infinite, by fat tails of the ratio, the value is a large number or none."""
    return lower_bound(row, p, q, log_ratio(p, q))
