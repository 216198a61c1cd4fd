"""What an f-divergence is: its f, and the two terms of its lower bound in the log ratio."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor


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
class Divergence:
    """D_f(p, q) = E_q[f(p/q)] of data p and model q, scaled to f(1) = f'(1) = 0, f''(1) = 1.

    Symbol -> name: u = p/q the ratio; d = log u the optimal raw output; a(d) = f'(e^d) -> ``real_term``;
    b(d) = e^d f'(e^d) - f(e^d) -> ``fake_term``. For any function d of the samples, E_p[a(d)] - E_q[b(d)] is at most
    D_f(p, q), and equal to it at d = log p/q. The discriminator's loss is minus that; the generator's is -E_q[b(d)],
    whose gradient at the optimal d, held fixed, is that of D_f.

    References:
        Nowozin et al., f-GAN, 2016; Shannon et al., Non-saturating GAN training as divergence minimization, 2020.
    """

    symbol: str
    """How it is written, with its scale."""
    f: Callable[[Tensor], Tensor]
    """Of u > 0."""
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
        return self.at_zero + self.at_infinity

    def reversed(self) -> "Divergence":
        """The divergence with data and model exchanged: u f(1/u), in place of f."""
        return Divergence(
            symbol=f"{self.symbol}, reversed",
            f=lambda u: u * self.f(1 / u),
            f_prime=lambda u: self.f(1 / u) - self.f_prime(1 / u) / u,
            f_second=lambda u: self.f_second(1 / u) / u**3,
            real_term=lambda d, cap=None, /: -self.fake_term(-d, cap),
            fake_term=lambda d, cap=None, /: -self.real_term(-d, cap),
            fake_slope=lambda d: torch.exp(d) * self.fake_slope(-d),
            tail_weights=TailWeights(self.tail_weights.right, self.tail_weights.left),
            at_zero=self.at_infinity,
            at_infinity=self.at_zero,
        )
