r"""Penalties on the discriminator's input gradient :math:`g(x) = \nabla_x D(x)`, for a loop of your own.

Per sample and unscaled; the norm is over all axes but the batch's, always in at least float32.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ganneal import ranks as collective
from ganneal.logits import PerSample, Samples, input_gradient, norm, squared_input_gradient
from ganneal.regularizers.protocol import Discriminator


def line_points(real: Samples, fake: Samples, share: Float[Tensor, " batch"]) -> Samples:
    """Points between each real and its fake, ``share`` of the way towards the real one."""
    share = share.to(real).view(-1, *(1,) * (real.dim() - 1))
    # One share for all pixels of a sample: the point lies on the line between the two images.
    return share * real + (1 - share) * fake


def dragan_points(real: Samples, share: Float[Tensor, " batch"], noise: Samples) -> Samples:
    """Real samples moved by ``share * 0.5 * std * noise``, std over all elements of the batch, noise in U[0, 1].

    References:
        Kodali et al., On Convergence and Stability of GANs, 2017; uniform noise as in its authors' code.
    """
    share = share.to(real).view(-1, *(1,) * (real.dim() - 1))
    # Noise of one sign, U[0, 1], as in the published code: points lie on one side of the data.
    return real + share * 0.5 * _deviation(real) * noise


def _deviation(x: Tensor) -> Tensor:
    """Standard deviation over all elements, of all ranks."""
    count = collective.ranks().count
    if count == 1:
        # torch divides by n - 1 by default, and so does what follows.
        return x.std()
    # In float64: the ranks' sums of squares must add to the bits of one process, up to float32's last digit.
    exact = x.double()
    # A mean over ranks times their number is the sum over all elements; all ranks hold parts of one size.
    squares = collective.mean((exact - collective.mean(exact.mean())).square().sum())
    return (squares * count / (x.numel() * count - 1)).sqrt().to(x.dtype)


@runtime_checkable
class PenaltyPoints(Protocol):
    """Points at which a penalty evaluates the discriminator."""

    @property
    def on_lines(self) -> bool:
        """True if real i is mixed with fake i."""
        ...

    @property
    def on_fakes(self) -> bool:
        """True if the points are fakes, judged under the condition of the fakes."""
        ...

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """One point per sample."""
        ...


@dataclass(frozen=True)
class Reals:
    """At the real samples."""

    on_lines = False
    on_fakes = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        return real


@dataclass(frozen=True)
class Generated:
    """At the fakes."""

    on_lines = False
    on_fakes = True

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        return fake


@dataclass(frozen=True)
class Line:
    """Uniformly on the line between real i and fake i."""

    on_lines = True
    on_fakes = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        return line_points(real, fake, torch.rand(len(real), generator=random, device=real.device))  # [batch]


@dataclass(frozen=True)
class Dragan:
    """Around the real samples, with noise in proportion to their standard deviation."""

    on_lines = False
    on_fakes = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        share = torch.rand(len(real), generator=random, device=real.device)
        # Drawn after the shares, in float32: the order and the type of draws are part of a seed's bits.
        noise = torch.rand(real.shape, generator=random, device=real.device).to(real)
        return dragan_points(real, share, noise)


Share = Float[Tensor, " batch"]


def r1(discriminator: Discriminator, real: Samples, fake: Samples) -> PerSample:
    r"""Squared norm of the discriminator's gradient at real samples, :math:`\|\nabla_x D(x)\|^2`.

    The published penalty scales it by :math:`\gamma/2`. ``fake`` is unused, so that penalties share one signature.

    References:
        Mescheder et al., Which Training Methods for GANs do actually Converge?, 2018, sec. 4.1.
    """
    return squared_input_gradient(discriminator, real)


def r2(discriminator: Discriminator, real: Samples, fake: Samples) -> PerSample:
    """`r1` at fake samples."""
    # At fakes without a graph to G: the term moves D alone.
    return squared_input_gradient(discriminator, fake)


def wgan_gp(discriminator: Discriminator, real: Samples, fake: Samples, *, share: Share) -> PerSample:
    r"""One-centred penalty :math:`(\|\nabla D(\hat x)\| - 1)^2` at points ``share`` of the way from fake to real.

    References:
        Gulrajani et al., Improved Training of Wasserstein GANs, 2017, Eq. 3.
    """
    return centered_gp(discriminator, line_points(real, fake, share), center=1.0)


def wgan_lp(discriminator: Discriminator, real: Samples, fake: Samples, *, share: Share) -> PerSample:
    r"""One-sided penalty :math:`\max(0, \|\nabla D(\hat x)\| - 1)^2`.

    References:
        Petzka et al., On the Regularization of Wasserstein GANs, 2018, Eq. 8.
    """
    # Slopes below 1 are free: Lipschitz continuity asks for no more.
    return centered_gp(discriminator, line_points(real, fake, share), center=1.0, one_sided=True)


def zero_gp(discriminator: Discriminator, real: Samples, fake: Samples, *, share: Share) -> PerSample:
    r"""Zero-centred penalty :math:`\|\nabla D(\hat x)\|^2` on the line.

    References:
        Thanh-Tung et al., Improving Generalization and Stability of GANs, 2019.
    """
    return squared_input_gradient(discriminator, line_points(real, fake, share))


def centered_gp(
    discriminator: Discriminator, points: Samples, *, center: float | Tensor, one_sided: bool = False
) -> PerSample:
    r""":math:`(\|g\| - \varepsilon)^2` for a number ``center``, :math:`\|g - \varepsilon\|^2` for a tensor.

    With ``one_sided`` norms below a number are free.

    Experimental for other centres than 0 and 1: Li-CFG is known from its abstract and a summary, so which of the two
    its authors use is not.

    References:
        A New Formulation of Lipschitz Constrained With Functional Gradient Learning for GANs, arXiv 2501.11236.
    """
    gradient = input_gradient(discriminator, points)
    if isinstance(center, Tensor):
        if one_sided:
            raise ValueError("one_sided must be False for a tensor as center: a vector has no positive side.")
        # No root here, so a flat D has a finite slope as it is.
        return (gradient - center.to(gradient)).square().flatten(1).sum(1)
    squared = gradient.square().flatten(1).sum(1)
    if one_sided:
        return F.relu(norm(squared) - center).square()
    # At centre 0 the square would undo the root: both are left out, and with them the root's slope at 0.
    return (norm(squared) - center).square() if center else squared


def even_center(center: float, points: Samples) -> Tensor:
    r"""The vector of length ``center`` with equal components, :math:`\varepsilon \mathbf 1 / \sqrt d`."""
    # Of length ``center``, as d components of center / sqrt d are.
    return torch.full_like(points[0], center / points[0].numel() ** 0.5)
