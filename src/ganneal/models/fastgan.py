"""FastGAN: a generator whose small maps gate its large ones, and a discriminator that must reconstruct its reals.

The discriminator is in `fastgan_discriminator`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal import ranks as collective
from ganneal.models.fastgan_discriminator import SPECTRAL_EPS, FastGANDiscriminator
from ganneal.models.parts.attention import SkipExcitation
from ganneal.models.parts.checks import check_unconditional
from ganneal.models.parts.doubling import UpConvolution
from ganneal.models.parts.grid import DoublingGrid, grid_of
from ganneal.models.parts.spectral import CONVOLUTIONS, spectral_norm
from ganneal.models.protocol import FeatureMaps, ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices

FastGANLayout = Literal["liu", "sauer"]
FASTGAN_WIDTHS = (16, 8, 4, 2, 2, 1, Fraction(1, 2), Fraction(1, 4), Fraction(1, 8))
"""Channels at 4 px, 8 px and so on, in units of the width."""
DOUBLINGS = range(3, len(FASTGAN_WIDTHS))
DOUBLINGS_TO_GATE = 4
"""Doublings between a map and the one that it gates."""


class NoiseInjection(nn.Module):
    """Adds one map of normal noise to all channels, times a learnt scale that starts at 0.

    Training draws fresh noise for each sample. In eval mode the noise is a fixed map, the same for every sample, so
    that a sample is a function of its latents, as StyleGAN draws.
    """

    fixed: Tensor

    def __init__(self, side: tuple[int, int]):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))
        # A buffer, so that a stored generator draws the same image on every machine.
        self.register_buffer("fixed", torch.randn(1, 1, *side))

    def forward(self, maps: FeatureMaps) -> FeatureMaps:
        return maps + self.scale * (self._fresh(maps) if self.training else self.fixed)

    def _fresh(self, maps: FeatureMaps) -> FeatureMaps:
        # Every rank draws the noise of the whole batch and keeps its own rows, so that ranks compute as one process.
        ranks = collective.ranks()
        size = (len(maps) * ranks.count, 1, *maps.shape[2:])
        noise = torch.randn(size, dtype=maps.dtype, device=maps.device)
        return noise if ranks.count == 1 else noise.chunk(ranks.count)[ranks.rank]


def up_block(inputs: int, outputs: int, side: tuple[int, int], *, compound: bool) -> nn.Sequential:
    """Doubled, convolved, normalised and gated by half of its channels; ``compound`` does so twice, with noise."""
    noise = (lambda: [NoiseInjection(side)]) if compound else list
    # GLU multiplies one half of the channels by the sigmoid of the other, hence twice the outputs.
    layers: list[nn.Module] = [UpConvolution(inputs, 2 * outputs), *noise(), nn.BatchNorm2d(2 * outputs), nn.GLU(1)]
    if compound:
        again = nn.Conv2d(outputs, 2 * outputs, 3, padding=1, bias=False)
        layers += [again, *noise(), nn.BatchNorm2d(2 * outputs), nn.GLU(1)]
    return nn.Sequential(*layers)


class FastGANGenerator(nn.Module):
    """Latents to images: a small map, doubled; a map of 64 px or more is gated by the one of a sixteenth of its size.

    Args:
        widths: Channels at the base and after each doubling.
    """

    def __init__(self, latent_size: int, widths: list[int], grid: DoublingGrid, layout: FastGANLayout):
        super().__init__()
        self.layout: FastGANLayout = layout
        published = layout == "liu"
        start = nn.ConvTranspose2d(latent_size, 2 * widths[0], grid.base, bias=False)  # twice the channels, for the GLU
        self.start = nn.Sequential(start, nn.BatchNorm2d(2 * widths[0]), nn.GLU(1))
        self.blocks = nn.ModuleList(
            # Liu et al. have noise and a second convolution at 8, 32, 128 and 512 px only.
            up_block(widths[level], outputs, grid.side(level + 1), compound=not published or level % 2 == 0)
            for level, outputs in enumerate(widths[1:])
        )
        # Images of 32 px have three doublings only: the smallest map gates the largest.
        gated_by = min(DOUBLINGS_TO_GATE, grid.doublings)
        self.gates = nn.ModuleDict(
            {
                str(level): SkipExcitation(widths[level - gated_by], widths[level])
                for level in range(gated_by, len(widths))
            }
        )
        self.gated_by = gated_by
        self.last = nn.Conv2d(widths[-1], grid.channels, 3, padding=1, bias=not published)
        if published:
            for layer in [layer for layer in self.modules() if isinstance(layer, CONVOLUTIONS)]:
                spectral_norm(layer, SPECTRAL_EPS)

    def forward(self, latents: Float[Tensor, "batch size"]) -> Float[Tensor, "batch channels height width"]:
        if self.layout == "sauer":
            # Projected GANs normalise the latents and leave the image without tanh; Liu et al. do neither.
            latents = latents * (latents.square().mean(1, keepdim=True) + 1e-8).rsqrt()  # of mean square 1
        maps = [self.start(latents[:, :, None, None])]
        for level, block in enumerate(self.blocks, start=1):
            grown = block(maps[-1])
            gate = self.gates[str(level)] if level >= self.gated_by else None
            # All maps are kept, as later ones are gated by them.
            maps.append(grown if gate is None else gate(maps[level - self.gated_by], grown))
        image = self.last(maps[-1])
        return image.tanh() if self.layout == "liu" else image


@dataclass(frozen=True)
class FastGAN:
    """FastGAN for few images, of 32 to 1024 px on the shorter side.

    Its authors train it with the hinge loss, Adam 2e-4 (0.5, 0.999) for both players, batches of 8 and DiffAugment. The
    discriminator adds to its loss how badly three small decoders reconstruct its real images from its features. The
    paper compares them by a perceptual network, this library by squared error at the decoder's size.

    The layout "liu" is the published generator without its second output, an image of 128 px: here the discriminator
    averages the image down by itself. "sauer" is the generator of Projected GANs: latents of unit length, noise and two
    convolutions at every size, no spectral normalisation, no tanh.

    References:
        Liu et al., Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis, ICLR 2021;
        Sauer et al., Projected GANs Converge Faster, NeurIPS 2021.
    """

    width: int = 64
    """Channels at 128 px; smaller maps have up to 16 times as many, larger ones fewer."""
    latent_size: int = 256
    layout: FastGANLayout = "liu"
    reconstruction: float = 1.0
    """Factor of the reconstruction error in the discriminator's loss; 0 leaves out the decoders."""

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, latent_size=self.latent_size)
        check_choices(self)
        if not self.reconstruction >= 0:
            raise ValueError(f"reconstruction must be at least 0 (no decoders), got {self.reconstruction}.")

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        grid = self._grid(shape, num_classes)
        widths = [self._channels(units) for units in FASTGAN_WIDTHS[: grid.doublings + 1]]
        generator = FastGANGenerator(self.latent_size, widths, grid, self.layout)
        return ModelPair(generator, self.build_discriminator(shape), Normal(self.latent_size), shape)

    def build_discriminator(self, shape: Shape, num_classes: int = 0) -> nn.Module:
        """The discriminator alone."""
        grid = self._grid(shape, num_classes)
        return FastGANDiscriminator(shape, grid, self._channels, self.reconstruction)

    def _grid(self, shape: Shape, num_classes: int) -> DoublingGrid:
        check_unconditional("FastGAN", num_classes)
        return grid_of("FastGAN", shape, DOUBLINGS)

    def _channels(self, units: int | Fraction) -> int:
        channels = Fraction(self.width * units)
        if channels.denominator != 1:
            raise ValueError(
                f"width must be a multiple of {Fraction(units).denominator} for images of this size, got {self.width}."
            )
        return int(channels)
