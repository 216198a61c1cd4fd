"""Generator losses from any increasing function of the log ratio: the view of MonoFlow.

Samples that follow the gradient of h(log p/q) never raise KL(q ‖ p) if h increases everywhere, whatever h is:
d/dt KL(q ‖ p) = -E_q[h'(log p/q) |grad log p/q|^2]. Its loss is -h(D(G(z))).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganneal.logits import softplus
from ganneal.losses.protocol import Logistic, Logits, PerSample, Weight, WeightOn, weighted

MonotoneFunction = Callable[[Tensor], Tensor]
"""Raw outputs to values, elementwise and differentiable; a frozen dataclass if a run is to write it down."""

GRID_LIMIT, GRID_STEP = 20, 0.01


@dataclass(frozen=True)
class Arcsinh:
    """h(d) = arcsinh d: reverse KL near 0, bounded by a logarithm far away."""

    def __call__(self, d: Tensor) -> Tensor:
        # Slope 1 / sqrt(1 + d^2), between 0 and 1: no fake is left alone, and none pulls without bounds.
        return torch.asinh(d)


@dataclass(frozen=True)
class ShiftedSoftplus:
    """h(d) = softplus(d + shift): minimax that saturates only on fakes below -shift; about reverse KL above."""

    shift: float = 5.0

    def __post_init__(self) -> None:
        if not self.shift > 0:
            raise ValueError(f"shift must be above 0, got {self.shift}; use the loss 'minimax' for 0.")

    def __call__(self, d: Tensor) -> Tensor:
        # Slope sigmoid(d + shift): about 1 above -shift, as that of h(d) = d, and falling to 0 below.
        return softplus(d + self.shift)


@dataclass(frozen=True)
class PowerOfRatio:
    """h(d) = e^(rate d), a power of the ratio: 1 for KL, 1/2 for squared Hellinger, 2 for Pearson's chi squared."""

    rate: float = 1.5
    exp_cap: float | None = None
    """Exponents beyond it go on along the tangent; None never, 15 is sensible in training."""

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ValueError(f"rate must be above 0, got {self.rate}; h would not increase.")
        if self.exp_cap is not None and not self.exp_cap > 0:
            raise ValueError(f"exp_cap must be above 0, got {self.exp_cap}; use 15, or None for no cap.")

    def __call__(self, d: Tensor) -> Tensor:
        t = self.rate * d
        if self.exp_cap is None:
            return t.exp()
        # Beyond the cap the tangent e^c (1 + t - c): finite, and still increasing, so that such fakes keep their pull.
        return t.clamp(max=self.exp_cap).exp() * (1 + F.relu(t - self.exp_cap))


MONOTONE: dict[str, MonotoneFunction] = {
    "arcsinh": Arcsinh(),
    "shifted-softplus": ShiftedSoftplus(),
    "exponential": PowerOfRatio(),
}
"""Increasing functions by name."""


def check_increases(h: MonotoneFunction) -> None:
    """Refuse ``h`` unless it increases, in float64, between all neighbours of a grid from -20 to 20.

    Raises:
        ValueError: The message names the first place where it does not.
    """
    last = round(GRID_LIMIT / GRID_STEP)
    # Whole numbers times the step: adding the step up would drift off 0.
    d = torch.arange(-last, last + 1, dtype=torch.float64) * GRID_STEP
    values = h(d)
    stuck = ~(values.diff() > 0)  # so that NaN is refused
    if stuck.any():
        i = int(stuck.nonzero()[0])
        raise ValueError(
            f"h must increase everywhere from {-GRID_LIMIT} to {GRID_LIMIT}, got {h!r}, which goes from "
            f"{values[i]:.6g} at {d[i]:.2f} to {values[i + 1]:.6g} at {d[i + 1]:.2f}. Fakes there would be left "
            "alone or pushed away from the data. Use an increasing function, such as --loss.h arcsinh, in Python "
            "Arcsinh()."
        )


@dataclass(frozen=True)
class FromMonotone(Logistic):
    """The logistic discriminator against -h(w D(G(z))), for any increasing ``h``.

    >>> FromMonotone(torch.sin)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: h must increase everywhere from -20 to 20, ... at -17.28 to ... at -17.27. Fakes there would be left ...

    References:
        Yi, Zhu and Xu, MonoFlow: Rethinking Divergence GANs via the Perspective of Wasserstein Gradient Flows, 2023.
    """

    h: MonotoneFunction = Arcsinh()
    weight_on: WeightOn = "output"

    def __post_init__(self) -> None:
        check_increases(self.h)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        # In the sample this has the gradient -w h'(w d) grad d: h decides how strongly a fake is pulled, never where
        # to.
        return weighted(lambda t: -self.h(t), weight, self.weight_on, fake)

    def f_second(self, u: Tensor) -> Tensor:
        """f'' of the canonical divergence whose gradient the generator follows: h'(log u) / (u^2 h'(0))."""
        # The slope at 0 rides along, for the scale at which f''(1) = 1.
        d = torch.cat([u.detach().log(), u.new_zeros(1)]).requires_grad_()
        (slope,) = torch.autograd.grad(self.h(d).sum(), d)
        return slope[:-1] / (u**2 * slope[-1])
