r"""Penalties on the discriminator's input gradient :math:`g(x) = \nabla_x D(x)`.

The functions are per sample and unscaled, for a loop of your own. `GradientPenalty` adds coefficient, points and
interval, and is what experiments name. The norm is over all axes but the batch's, always in at least float32.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.regularizers.protocol import Context, Discriminator, GeneratorContext, State

PerSample = Float[Tensor, " batch"]
Samples = Float[Tensor, "batch ..."]


def squared_input_gradient(discriminator: Discriminator, x: Samples) -> PerSample:
    r""":math:`\|\nabla_x D(x)\|^2` with a graph to the discriminator's parameters."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(x).sum(), x, create_graph=True)
    gradient = gradient if gradient.dtype == torch.float64 else gradient.float()
    return gradient.square().flatten(1).sum(1)


def _norm(squared: PerSample) -> PerSample:
    """Square root with slope 0 at 0, where a flat discriminator would otherwise give NaN."""
    return squared.clamp_min(1e-30).sqrt()


def line_points(real: Samples, fake: Samples, share: Float[Tensor, " batch"]) -> Samples:
    """Points between each real and its fake, ``share`` of the way towards the real one."""
    share = share.to(real).view(-1, *(1,) * (real.dim() - 1))
    return share * real + (1 - share) * fake


def dragan_points(real: Samples, share: Float[Tensor, " batch"], noise: Samples) -> Samples:
    """Real samples moved by ``share * 0.5 * std * noise``, std over all elements of the batch, noise in U[0, 1].

    References:
        Kodali et al., On Convergence and Stability of GANs, 2017; uniform noise as in its authors' code.
    """
    share = share.to(real).view(-1, *(1,) * (real.dim() - 1))
    return real + share * 0.5 * real.std() * noise


def r1(discriminator: Discriminator, real: Samples, fake: Samples) -> PerSample:
    r"""Squared norm of the discriminator's gradient at real samples, :math:`\|\nabla_x D(x)\|^2`.

    The published penalty scales it by :math:`\gamma/2`. ``fake`` is unused, so that penalties share one signature.

    References:
        Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, sec. 4.1.
    """
    return squared_input_gradient(discriminator, real)


def r2(discriminator: Discriminator, real: Samples, fake: Samples) -> PerSample:
    """`r1` at fake samples."""
    return squared_input_gradient(discriminator, fake)


def wgan_gp(discriminator: Discriminator, real: Samples, fake: Samples, *, share: Float[Tensor, " batch"]) -> PerSample:
    r"""One-centred penalty :math:`(\|\nabla D(\hat x)\| - 1)^2` at points ``share`` of the way from fake to real.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017, Eq. 3.
    """
    return (_norm(squared_input_gradient(discriminator, line_points(real, fake, share))) - 1).square()


def wgan_lp(discriminator: Discriminator, real: Samples, fake: Samples, *, share: Float[Tensor, " batch"]) -> PerSample:
    r"""One-sided penalty :math:`\max(0, \|\nabla D(\hat x)\| - 1)^2`.

    References:
        Petzka et al., On the Regularization of Wasserstein GANs, 2018, Eq. 8.
    """
    return F.relu(_norm(squared_input_gradient(discriminator, line_points(real, fake, share))) - 1).square()


def zero_gp(discriminator: Discriminator, real: Samples, fake: Samples, *, share: Float[Tensor, " batch"]) -> PerSample:
    r"""Zero-centred penalty :math:`\|\nabla D(\hat x)\|^2` on the line.

    References:
        Thanh-Tung et al., Improving Generalization and Stability of GANs, 2019.
    """
    return squared_input_gradient(discriminator, line_points(real, fake, share))


@runtime_checkable
class Points(Protocol):
    """Where a penalty looks at the discriminator."""

    @property
    def on_lines(self) -> bool:
        """Whether real i is mixed with fake i."""
        ...

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """One point per sample."""
        ...


@dataclass(frozen=True)
class Reals:
    """At the real samples."""

    on_lines = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        return real


@dataclass(frozen=True)
class Generated:
    """At the fakes."""

    on_lines = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        return fake


@dataclass(frozen=True)
class Line:
    """Uniformly on the line between real i and fake i."""

    on_lines = True

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        return line_points(real, fake, torch.rand(len(real), generator=random, device=real.device))


@dataclass(frozen=True)
class Dragan:
    """Around the real samples, with noise in proportion to their standard deviation."""

    on_lines = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        share = torch.rand(len(real), generator=random, device=real.device)
        noise = torch.rand(real.shape, generator=random, device=real.device).to(real)
        return dragan_points(real, share, noise)


@dataclass(frozen=True)
class GradientPenalty:
    r"""``coefficient`` times the mean of :math:`(\|g\| - \text{center})^2`, or of its positive side only.

    ``interval`` applies it at every so many discriminator updates, multiplied by the interval if ``scale_by_interval``.
    R1 with the usual :math:`\gamma` is ``GradientPenalty(center=0, points=Reals(), coefficient=gamma / 2)``.
    """

    center: float = 1.0
    one_sided: bool = False
    points: Points = Line()
    coefficient: float = 10.0
    interval: int = 1
    scale_by_interval: bool = True
    per_sample_gradients = True

    def __post_init__(self) -> None:
        if self.interval < 1:
            raise ValueError(f"interval must be at least 1 discriminator update, got {self.interval}.")
        for name in ("center", "coefficient"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"{name} must be a finite number >= 0, got {getattr(self, name)}.")

    @property
    def on_lines(self) -> bool:
        return self.points.on_lines

    def init_state(self) -> State:
        return {}

    def discriminator_term(self, context: Context, state: State) -> Float[Tensor, ""] | None:
        if context.counters.d_updates % self.interval:
            return None
        points = self.points(context.real, context.fake, context.random)
        squared = squared_input_gradient(context.discriminator, points)
        excess = squared
        if self.center or self.one_sided:
            distance = _norm(squared) - self.center
            excess = (F.relu(distance) if self.one_sided else distance).square()
        scale = self.coefficient * (self.interval if self.scale_by_interval else 1)
        return scale * excess.mean()

    def generator_term(self, context: GeneratorContext, state: State) -> None:
        return None

    def constrain(self, discriminator: nn.Module) -> None:
        return None
