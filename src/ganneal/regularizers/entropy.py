"""Entropy of the generator from below, by an encoder that reads the latent back from the sample."""

from dataclasses import dataclass
from math import log, pi, prod

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models import ModelPair
from ganneal.optim.lr_rules import Constant, LRRule
from ganneal.registry import check_at_least_one
from ganneal.regularizers.protocol import (
    GeneratorContext,
    Regularizer,
    RegularizerState,
    check_coefficients,
    coefficient_now,
)

LOG_DEVIATIONS = (-5.0, 2.0)
"""The encoder's log standard deviations are kept within."""


def latent_log_density(
    mean: Float[Tensor, "batch size"], log_deviation: Float[Tensor, "batch size"], latents: Float[Tensor, "batch size"]
) -> Float[Tensor, " batch"]:
    r""":math:`\log q(z | x)` of a normal with the given means and log standard deviations, summed over the latent."""
    # Times e^-s rather than divided by e^s: no division by a deviation near 0.
    standard = (latents - mean) * (-log_deviation).exp()
    return -(0.5 * standard.square() + log_deviation + 0.5 * log(2 * pi)).sum(1)


class Encoder(nn.Module):
    """Samples to the mean and log standard deviation of a normal over the latent that made them."""

    def __init__(self, shape: tuple[int, ...], latent_size: int, width: int):
        super().__init__()
        layers: list[nn.Module] = []
        inputs, sides = shape[0], shape[1:]
        # Points have no sides: the two linear layers below are their whole encoder.
        while sides and min(sides) > 4:
            layers += [nn.Conv2d(inputs, width, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
            # (side + 1) // 2 is the size behind a 3x3 convolution of stride 2 with padding 1.
            inputs, sides, width = width, tuple((side + 1) // 2 for side in sides), 2 * width
        layers += [nn.Flatten(), nn.Linear(inputs * prod(sides), width)]
        self.net = nn.Sequential(*layers, nn.LeakyReLU(0.2), nn.Linear(width, 2 * latent_size))

    def forward(self, samples: Float[Tensor, "batch ..."]) -> tuple[Tensor, Tensor]:
        mean, log_deviation = self.net(samples).chunk(2, dim=1)
        # Without bounds the encoder could claim certainty and send the bound to infinity.
        return mean, log_deviation.clamp(*LOG_DEVIATIONS)


@dataclass(frozen=True)
class LatentEntropy(Regularizer):
    r"""A latent-reconstruction entropy bound: generator and encoder minimise :math:`-\lambda\, E \log q(z | G(z))`.

    :math:`H(G(z)) \ge H(z) + E \log q(z | G(z))` for samples of finite entropy; the constant H(z) is left out. The
    encoder trains in the generator's moves with an optimizer like the generator's.

    Symbols: lambda -> ``coefficient``.

    References:
        After GAN+VER, arXiv 2009.11921; its own bound and coefficient could not be read, so this claims neither.
    """

    coefficient: float = 1.0
    width: int = 32
    """Units of the encoder's first layer; each further convolution doubles them."""
    rule: LRRule = Constant()

    def __post_init__(self) -> None:
        check_coefficients(coefficient=self.coefficient)
        check_at_least_one(width=self.width)

    def build(self, pair: ModelPair) -> nn.Module:
        # From a generator of its own: asking for the size must not move a draw of the run.
        latent_size = pair.latent.sample(1, torch.Generator()).shape[1]
        return Encoder(pair.shape, latent_size, self.width)

    def generator_term(self, context: GeneratorContext, state: RegularizerState) -> Float[Tensor, ""] | None:
        strength = coefficient_now(context.counters, self.coefficient, self.rule, own="g_updates")
        if strength == 0:
            return None
        assert context.network is not None
        # The gradient goes on into the generator: a sample that tells its latent apart from others lowers the term, a
        # collapsed one cannot.
        # In float32 under mixed precision too: the log density squares differences over small deviations.
        mean, log_deviation = context.network(context.fake.float())
        return -strength * latent_log_density(mean, log_deviation, context.latents).mean()
