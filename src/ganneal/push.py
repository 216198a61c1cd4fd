r"""Moves of samples along a discriminator's input gradient: the functional step of composite functional gradients.

A push is :math:`x \leftarrow x + \eta\, \phi(\delta(x) \nabla_x D(x))`. Standard training differentiates the
generator's loss in the generator's parameters, a push differentiates it in the samples: with ``delta`` "loss" it goes
down that loss itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from ganneal.divergences import DIVERGENCES
from ganneal.logits import PerSample, Samples, upcast
from ganneal.losses import Loss
from ganneal.registry import check_choices, lookup


@runtime_checkable
class Delta(Protocol):
    """The positive factor delta(x) on the discriminator's input gradient."""

    @property
    def reads_loss(self) -> bool:
        """True if the factor is that of the generator's loss, which then must not need real samples."""
        ...

    def potential(self, logits: PerSample, loss: Loss) -> PerSample:
        """One value per sample, whose gradient in the sample is delta times the discriminator's."""
        ...


@dataclass(frozen=True)
class Unit:
    """delta = 1, the discriminator's gradient as it is: legitimate for every divergence, and under every loss.

    That it is a difference of scores, of data and samples, holds for the logistic discriminator only.
    """

    reads_loss = False

    def potential(self, logits: PerSample, loss: Loss) -> PerSample:
        return upcast(logits)


@dataclass(frozen=True)
class OfLoss:
    """delta = -l'(D): down the generator's loss l, as its own updates go; of the non-saturating one, sigmoid(-D)."""

    reads_loss = True

    def potential(self, logits: PerSample, loss: Loss) -> PerSample:
        # At weight 1: a schedule's weight is in the step size, and would bend delta here a second time.
        return -loss.generator(logits)


@dataclass(frozen=True)
class OfDivergence:
    r"""Down a divergence of data p and model q, with D read as log p/q: :math:`\delta = e^{2D} f''(e^D)`, 1 at D = 0.

    With r = q/p and f of r, as in the papers, it is :math:`r f''(r)`. The output is clamped to [-limit, limit] in
    delta, where it stands in an exponential.

    References:
        Johnson and Zhang, Composite Functional Gradient Learning of Generative Adversarial Models, 2018, sec. 2.
    """

    divergence: str = "kl"
    limit: float = 10.0
    reads_loss = False
    reads_log_ratio = True

    def __post_init__(self) -> None:
        lookup("divergence", DIVERGENCES, self.divergence)
        if not self.limit > 0:
            raise ValueError(f"limit must be above 0, got {self.limit}; use 10, where e^D is 22026.")

    def potential(self, logits: PerSample, loss: Loss) -> PerSample:
        outputs = upcast(logits)
        # Detached, delta is a factor: the gradient of slope times D is delta(x) grad D(x), without one of delta itself.
        slope = DIVERGENCES[self.divergence].fake_slope(outputs.detach().clamp(-self.limit, self.limit))
        return slope * outputs


DELTAS: dict[str, Delta] = {
    "one": Unit(),
    "loss": OfLoss(),
    **{name: OfDivergence(name) for name in DIVERGENCES},
}
"""Factors by name; register your own with ``DELTAS["mine"] = Mine()``."""


@dataclass(frozen=True)
class Push:
    """One functional step of a batch of samples."""

    delta: Delta = Unit()
    sign: bool = False
    """Only the sign of each component of the direction, phi = sign; otherwise phi is the identity."""
    d_norm_mode: Literal["train", "eval"] = "train"
    """Batch norm in the discriminator: statistics of the samples pushed together, or its running ones."""

    def __post_init__(self) -> None:
        if not isinstance(self.delta, Delta):
            raise ValueError(f"delta must be a Delta, got {self.delta!r}; use a registered one, such as DELTAS['one'].")
        check_choices(self)

    def __call__(
        self, discriminator: Callable[[Tensor], Tensor], samples: Samples, step_size: float, loss: Loss
    ) -> Samples:
        """``samples`` after one step, without a graph.

        Args:
            discriminator: Samples to raw outputs, its parameters frozen.
        """
        points = samples.detach().requires_grad_()
        with torch.enable_grad():  # callers push inside `no_grad`, as sampling does
            potential = self.delta.potential(discriminator(points), loss)
            # The sum's gradient is that of each sample alone, as long as nothing in D mixes samples (batch norm does).
            (direction,) = torch.autograd.grad(potential.sum(), points)
        # Upwards: D is larger where data are likelier. Nothing keeps samples within [-1, 1] between pushes, nor in the
        # authors' code.
        return points.detach() + step_size * (direction.sign() if self.sign else direction)
