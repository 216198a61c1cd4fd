"""SN-DCGAN, the standard CNN of spectral normalisation, for sizes that 8 divides."""

from dataclasses import dataclass
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.checks import check_unconditional
from ganneal.models.parts.grid import grid_of
from ganneal.models.parts.initialization import initialize, zero_biases
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one

HALVINGS = 3
SN_DCGAN_BASES = range(1, 33)
"""Pixels of the shorter side before the generator's doublings."""


class SNDCGANGenerator(nn.Module):
    """Latents to images in [-1, 1]: a linear layer, three doublings, a 3x3 convolution and tanh."""

    def __init__(self, latent_size: int, base: tuple[int, int], width: int, channels: int):
        super().__init__()
        inputs = 8 * width
        layers: list[nn.Module] = [nn.Linear(latent_size, inputs * prod(base)), nn.Unflatten(1, (inputs, *base))]
        for outputs in (4 * width, 2 * width, width):
            # Norm and ReLU stand before each layer, so that the linear layer's map is normalised too. Biases stay, as
            # published.
            layers += [nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
            inputs = outputs
        last = nn.Conv2d(inputs, channels, 3, padding=1)
        self.net = nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), last, nn.Tanh())

    def forward(self, latents: Float[Tensor, "batch size"]) -> Float[Tensor, "batch channels height width"]:
        return self.net(latents)


class SNDCGANDiscriminator(nn.Module):
    """Images to one raw output each: 3x3 convolutions and 4x4 halvings in turn, leaky ReLU 0.1, no norm."""

    def __init__(self, base: tuple[int, int], width: int, channels: int):
        super().__init__()
        # The kernel of 4 with stride 2 covers each pixel equally often, which one of 3 would not.
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        inputs = width
        for outputs in (2 * width, 4 * width, 8 * width):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.1, inplace=True)]
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
            inputs = outputs
        # Flattened, not pooled: every position of the last map has its own weight.
        self.net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * prod(base), 1))

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, " batch"]:
        return self.net(images).squeeze(1)


@dataclass(frozen=True)
class SNDCGAN:
    """The standard CNN of spectral normalisation, for square images of 8 to 256 px in steps of 8.

    Its discriminator is normalised by the experiment: ``normalization=Spectral()`` as published, or
    ``GradientNormalization()`` for GN-GAN on the same networks.

    References:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018, Table 3.
    """

    width: int = 64
    """Channels of the discriminator's first convolution; both players reach eight times as many."""
    latent_size: int = 128

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, latent_size=self.latent_size)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        check_unconditional("SNDCGAN", num_classes)
        channels, base, _ = grid_of("SNDCGAN", shape, [HALVINGS], SN_DCGAN_BASES)
        players = (
            SNDCGANGenerator(self.latent_size, base, self.width, channels),
            SNDCGANDiscriminator(base, self.width, channels),
        )
        for player in players:
            # N(0, 0.02²), as DCGAN starts.
            initialize(player, "normal")
            zero_biases(player)
        return ModelPair(*players, Normal(self.latent_size), shape)
