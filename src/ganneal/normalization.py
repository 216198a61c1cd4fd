"""Normalisations of the discriminator: changes of the network itself, made once when a run is built."""

from dataclasses import dataclass
from math import isfinite
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.logits import PerSample, norm, value_and_input_gradient
from ganneal.models.parts.spectral import CONVOLUTIONS, spectral_norm

NORMALIZED = (nn.Linear, nn.Embedding, *CONVOLUTIONS)
"""Layers whose weight spectral normalisation divides."""


@runtime_checkable
class Normalization(Protocol):
    """A change of the discriminator, applied to it once."""

    @property
    def per_sample_gradients(self) -> bool:
        """True if it differentiates the discriminator sample by sample, which batch norm in it would falsify."""
        ...

    def apply(self, discriminator: nn.Module) -> nn.Module:
        """The changed discriminator; it may be the same object.

        Raises:
            ValueError: There is nothing in it to normalise.
        """
        ...


@dataclass(frozen=True)
class Unnormalized:
    """The discriminator as its model builds it."""

    per_sample_gradients = False

    def apply(self, discriminator: nn.Module) -> nn.Module:
        return discriminator


@dataclass(frozen=True)
class Spectral:
    """Spectral normalisation: weights of convolutions, linear layers and embeddings over their largest singular value.

    One power iteration in every pass of the discriminator's moves; elsewhere from the kept vector, which stays, and
    once for as long as the discriminator stays the same. It is no part of any discriminator that a model builds, so
    that SN-DCGAN, SNGAN and BigGAN are what their papers describe with this normalisation, and another in its place
    keeps their networks equal.

    References:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, Algorithm 1.
    """

    inner_only: bool = False
    """Leave out the first and the last layer, as the conjugate-gradient paper's DCGAN-SN does."""
    eps: float = 1e-8
    per_sample_gradients = False

    def __post_init__(self) -> None:
        if not (isfinite(self.eps) and self.eps > 0):
            raise ValueError(f"eps must be a finite number above 0, got {self.eps}.")

    def apply(self, discriminator: nn.Module) -> nn.Module:
        layers = {name: m for name, m in discriminator.named_modules() if isinstance(m, NORMALIZED)}
        if self.inner_only:
            # In the order of the modules, which is that of the passes for the networks here.
            layers = dict(list(layers.items())[1:-1])
        if not layers:
            raise ValueError(
                "normalization Spectral needs convolutions or linear layers in the discriminator, and found none"
                + (" between the first and the last; use inner_only=False." if self.inner_only else ".")
            )
        for name, layer in layers.items():
            if hasattr(layer, "parametrizations"):
                raise ValueError(
                    "normalization Spectral found a layer whose weight is parametrized already; use the normalization "
                    "'none' for a model that normalises by itself."
                )
            # A weight of zeros has no singular value to divide by: NaN in the first pass. On the meta device, where
            # sizes alone are tried, weights have no values.
            if not layer.weight.is_meta and not layer.weight.any():
                raise ValueError(
                    f"normalization Spectral divides by singular values, and the weight of {name} is initialised at 0; "
                    f"use the normalization 'none', or another model."
                )
            spectral_norm(layer, self.eps)
        return discriminator


def gradient_normalized(logits: PerSample, gradient_norm: PerSample) -> PerSample:
    r""":math:`\hat D = D / (\|g\| + |D|)`, within (-1, 1).

    References:
        Wu et al., Gradient Normalization for Generative Adversarial Networks, 2021, Eq. 12.
    """
    # Where D is piecewise linear the slope of this is ||g||^2 / (||g|| + |D|)^2, at most 1.
    return logits / (gradient_norm + logits.abs())


def gran(logits: PerSample, gradient_norm: PerSample, *, scale: float = 1.0, eps: float = 0.1) -> PerSample:
    r""":math:`\hat D = K D \|g\| / (\|g\|^2 + \epsilon)`, of slope below K where D is piecewise linear.

    References:
        Bhaskara et al., GraN-GAN: Piecewise Gradient Normalization for Generative Adversarial Networks, 2022.
    """
    # eps keeps it finite where D is flat, as a piecewise linear one may be on whole regions.
    return scale * logits * gradient_norm / (gradient_norm.square() + eps)


class GradientNormalized(nn.Module):
    """A discriminator whose output is divided by a function of its own input gradient, outside mixed precision."""

    def __init__(self, net: nn.Module, of: "GradientNormalization | GraN"):
        super().__init__()
        self.net, self.of = net, of

    def forward(self, x: Float[Tensor, "batch ..."], *condition: Tensor) -> PerSample:
        with torch.autocast(x.device.type, enabled=False):
            x = x if x.dtype == torch.float64 else x.float()
            # With a graph through the gradient itself: the player's loss differentiates the norm as well.
            logits, gradient = value_and_input_gradient(lambda points: self.net(points, *condition), x)
            # The norm is 1e-15 at least, so that an output of 0 over a slope of 0 is 0 and not NaN.
            output = self.of(logits, norm(gradient.square().flatten(1).sum(1)))
        # The input gradient was taken with gradients switched on: a caller without them must be given no graph.
        return output if torch.is_grad_enabled() else output.detach()


@dataclass(frozen=True)
class GradientNormalization:
    """GN-GAN: `gradient_normalized` in both players' moves."""

    per_sample_gradients = True

    def __call__(self, logits: PerSample, gradient_norm: PerSample) -> PerSample:
        return gradient_normalized(logits, gradient_norm)

    def apply(self, discriminator: nn.Module) -> nn.Module:
        return GradientNormalized(discriminator, self)


@dataclass(frozen=True)
class GraN:
    """GraN-GAN: `gran` in both players' moves.

    Symbols: K -> ``scale``.
    """

    scale: float = 1.0
    eps: float = 0.1
    per_sample_gradients = True

    def __post_init__(self) -> None:
        for name in ("scale", "eps"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be a finite number above 0, got {getattr(self, name)}.")

    def __call__(self, logits: PerSample, gradient_norm: PerSample) -> PerSample:
        return gran(logits, gradient_norm, scale=self.scale, eps=self.eps)

    def apply(self, discriminator: nn.Module) -> nn.Module:
        return GradientNormalized(discriminator, self)


NORMALIZATIONS: dict[str, Normalization] = {
    "none": Unnormalized(),
    "spectral": Spectral(),
    "gradient": GradientNormalization(),
    "gran": GraN(),
}
"""Normalisations of the discriminator by name."""
