"""The canonical f-divergences by name; each row is written out, and `verify_divergence` holds for all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ganneal.logits import growth, softplus


@runtime_checkable
class Term(Protocol):
    """A function of the log ratio d, elementwise; ``exp_cap`` continues exponentials beyond it along their tangent."""

    def __call__(self, d: Tensor, exp_cap: float | None = None, /) -> Tensor: ...


class TailWeights(NamedTuple):
    """f''(u) ~ u^-left for u -> 0, the model's mass where data are scarce; ~ u^(right - 3) for u -> infinity."""

    left: float
    right: float

    @property
    def mode_seeking(self) -> float:
        """left - right: above 0 mode-seeking, below 0 mass-covering."""
        return self.left - self.right


@dataclass(frozen=True)
class FDivergence:
    """D_f(p, q) = E_q[f(p/q)] of data p and model q, scaled to f(1) = f'(1) = 0, f''(1) = 1.

    Symbol -> name: u = p/q the ratio; d = log u the optimal raw output; a(d) = f'(e^d) -> ``real_term``;
    b(d) = e^d f'(e^d) - f(e^d) -> ``fake_term``. For any function d of the samples, E_p[a(d)] - E_q[b(d)] is at most
    D_f(p, q), and equal to it at d = log p/q. The discriminator's loss is minus that; the generator's is -E_q[b(d)],
    whose gradient at the optimal d, held fixed, is that of D_f.

    References:
        Nowozin et al., f-GAN, 2016; Shannon et al., Non-saturating GAN training as divergence minimization, 2020.
    """

    symbol: str
    """The divergence as a formula, with its scale."""
    f: Callable[[Tensor], Tensor]
    """The function f of u > 0."""
    f_prime: Callable[[Tensor], Tensor]
    f_second: Callable[[Tensor], Tensor]
    real_term: Term
    fake_term: Term
    fake_slope: Callable[[Tensor], Tensor]
    """b'(d) = e^(2d) f''(e^d): how strongly the generator is pulled at a sample of log ratio d."""
    tail_weights: TailWeights
    at_zero: float
    """The limit of f(u) for u -> 0: finite exactly if the left tail weight is below 2."""
    at_infinity: float
    """The limit of f(u) / u for u -> infinity: finite exactly if the right tail weight is below 2."""

    def curvature(self, d: Tensor) -> Tensor:
        """s(d) = e^(3d/2) f''(e^d), which of the reversed divergence is s(-d): the shape to compare divergences by."""
        return self.fake_slope(d) * torch.exp(-d / 2)

    @property
    def disjoint(self) -> float:
        """Its value for two distributions without common support."""
        # Where p has mass q has none and the other way round: u is infinity on the one and 0 on the other.
        return self.at_zero + self.at_infinity

    def reversed(self) -> "FDivergence":
        """The divergence with data and model exchanged: u f(1/u), in place of f."""
        return FDivergence(
            symbol=f"{self.symbol}, reversed",
            f=lambda u: u * self.f(1 / u),
            # The first two derivatives of u f(1/u).
            f_prime=lambda u: self.f(1 / u) - self.f_prime(1 / u) / u,
            f_second=lambda u: self.f_second(1 / u) / u**3,
            # With data and model exchanged the ratio is inverted, so the log ratio d changes its sign and the two terms
            # their places.
            real_term=lambda d, cap=None, /: -self.fake_term(-d, cap),
            fake_term=lambda d, cap=None, /: -self.real_term(-d, cap),
            fake_slope=lambda d: torch.exp(d) * self.fake_slope(-d),
            tail_weights=TailWeights(self.tail_weights.right, self.tail_weights.left),
            at_zero=self.at_infinity,
            at_infinity=self.at_zero,
        )


# softplus(0) = log 2: taking twice that away makes the terms of js, srkl and skl 0 at d = 0.
TWO_LOG_TWO = 2 * log(2)


def power(k: float, symbol: str | None = None) -> FDivergence:
    """The power family, f''(u) = u^-k: tail weights (k, 3 - k), mode-seeking for k above 3/2.

    k = 0, 1, 3/2, 2, 3 are Pearson's chi squared, KL, squared Hellinger, reverse KL and Neyman's chi squared.
    """

    def f(u: Tensor) -> Tensor:
        d = u.log()
        # One formula for all k: growth has the logarithm as its limit where an exponent is 0, at k = 1 and 2.
        return u * growth(d, 1 - k) - growth(d, 2 - k)

    return FDivergence(
        symbol=symbol or f"power {k:g}",
        f=f,
        f_prime=lambda u: growth(u.log(), 1 - k),
        f_second=lambda u: u**-k,
        # a(d) = f'(e^d) and b(d) are expm1 over the exponent: exact near d = 0, where e^d - 1 would cancel.
        real_term=lambda d, cap=None, /: growth(d, 1 - k, cap),
        fake_term=lambda d, cap=None, /: growth(d, 2 - k, cap),
        fake_slope=lambda d: torch.exp((2 - k) * d),  # e^(2d) e^(-k d)
        tail_weights=TailWeights(k, 3 - k),
        # The limits of -growth(d, 2 - k) for d to -infinity and of growth(d, 1 - k) for d to infinity.
        at_zero=1 / (2 - k) if k < 2 else inf,
        at_infinity=1 / (k - 1) if k > 1 else inf,
    )


_js = FDivergence(
    # The factor 4 makes f''(1) = 1; the Jensen-Shannon divergence itself has 1/4.
    symbol="4 JS(p, q)",
    f=lambda u: 2 * (u * torch.log(2 * u / (1 + u)) + torch.log(2 / (1 + u))),
    f_prime=lambda u: 2 * torch.log(2 * u / (1 + u)),
    f_second=lambda u: 2 / (u * (1 + u)),
    real_term=lambda d, cap=None, /: TWO_LOG_TWO - 2 * softplus(-d),
    fake_term=lambda d, cap=None, /: 2 * softplus(d) - TWO_LOG_TWO,
    fake_slope=lambda d: 2 * torch.sigmoid(d),
    tail_weights=TailWeights(1, 1),
    at_zero=TWO_LOG_TWO,
    at_infinity=TWO_LOG_TWO,
)

_jeffreys = FDivergence(
    symbol="(KL(p ‖ q) + KL(q ‖ p)) / 2",
    f=lambda u: 0.5 * (u - 1) * u.log(),
    f_prime=lambda u: 0.5 * (u.log() + 1 - 1 / u),
    f_second=lambda u: 0.5 * (1 / u + 1 / u**2),
    real_term=lambda d, cap=None, /: 0.5 * (d + growth(d, -1, cap)),  # growth(d, -1) is 1 - e^-d
    fake_term=lambda d, cap=None, /: 0.5 * (d + growth(d, 1, cap)),
    fake_slope=lambda d: 0.5 * (1 + d.exp()),
    tail_weights=TailWeights(2, 2),
    at_zero=inf,
    at_infinity=inf,
)

_srkl = FDivergence(
    # Term by term twice reverse_kl less js; half of its gradient is the non-saturating generator's.
    symbol="4 KL((p + q)/2 ‖ p)",
    f=lambda u: 2 * (u + 1) * torch.log((u + 1) / (2 * u)) + 2 * (u - 1),
    f_prime=lambda u: 2 * torch.log((u + 1) / (2 * u)) + 2 - 2 / u,
    f_second=lambda u: 2 / (u**2 * (1 + u)),
    # The slope 2 e^-d sigmoid(-d) has no bound on reals that D rejects: train D by js, and the generator by this.
    real_term=lambda d, cap=None, /: 2 * softplus(-d) - TWO_LOG_TWO + 2 * growth(d, -1, cap),
    fake_term=lambda d, cap=None, /: TWO_LOG_TWO - 2 * softplus(-d),
    fake_slope=lambda d: 2 * torch.sigmoid(-d),
    tail_weights=TailWeights(2, 0),
    at_zero=inf,
    at_infinity=2 - TWO_LOG_TWO,
)

_skl = FDivergence(
    # Term by term twice kl less js.
    symbol="4 KL((p + q)/2 ‖ q)",
    f=lambda u: 2 * (u + 1) * torch.log((u + 1) / 2) - 2 * (u - 1),
    f_prime=lambda u: 2 * torch.log((u + 1) / 2),
    f_second=lambda u: 2 / (1 + u),
    real_term=lambda d, cap=None, /: 2 * softplus(d) - TWO_LOG_TWO,
    fake_term=lambda d, cap=None, /: 2 * growth(d, 1, cap) - 2 * softplus(d) + TWO_LOG_TWO,
    fake_slope=lambda d: 2 * d.exp() * torch.sigmoid(d),
    tail_weights=TailWeights(0, 2),
    at_zero=2 - TWO_LOG_TWO,
    at_infinity=inf,
)

DIVERGENCES: dict[str, FDivergence] = {
    "kl": power(1, "KL(p ‖ q)"),
    "reverse_kl": power(2, "KL(q ‖ p)"),
    "js": _js,
    "squared_hellinger": power(1.5, "2 ∫ (√p − √q)²"),
    "pearson_chi2": power(0, "½ ∫ (p − q)²/q"),
    "neyman_chi2": power(3, "½ ∫ (p − q)²/p"),
    "jeffreys": _jeffreys,
    "srkl": _srkl,
    "skl": _skl,
}
"""Divergences by name, of data p and model q. Register your own with ``DIVERGENCES["mine"] = FDivergence(...)``."""


def total_variation_term(d: Tensor) -> Tensor:
    """Both terms of total variation, ½ ∫ |p − q|: half the hyperbolic tangent of the raw output.

    It is no row of the table: its f has a kink at u = 1 and no canonical form. E_p[T] - E_q[T] is at most the total
    variation for any |T| <= 1/2, but the best output runs off to plus or minus infinity with the sign of p - q: it is
    no log ratio, and trains no other divergence's generator.
    """
    return 0.5 * torch.tanh(d)
