"""Where a gradient penalty looks at the discriminator."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ganneal import ranks as collective
from ganneal.logits import Samples


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
    return real + share * 0.5 * _deviation(real) * noise


def _deviation(x: Tensor) -> Tensor:
    """Standard deviation over all elements, of all ranks."""
    count = collective.ranks().count
    if count == 1:
        return x.std()
    exact = x.double()
    squares = collective.mean((exact - collective.mean(exact.mean())).square().sum())
    return (squares * count / (x.numel() * count - 1)).sqrt().to(x.dtype)


@runtime_checkable
class Points(Protocol):
    """Where a penalty looks at the discriminator."""

    @property
    def on_lines(self) -> bool:
        """Whether real i is mixed with fake i."""
        ...

    @property
    def on_fakes(self) -> bool:
        """Whether the points are fakes, to be judged under the condition of the fakes."""
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
        return line_points(real, fake, torch.rand(len(real), generator=random, device=real.device))


@dataclass(frozen=True)
class Dragan:
    """Around the real samples, with noise in proportion to their standard deviation."""

    on_lines = False
    on_fakes = False

    def __call__(self, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        share = torch.rand(len(real), generator=random, device=real.device)
        noise = torch.rand(real.shape, generator=random, device=real.device).to(real)
        return dragan_points(real, share, noise)
