"""The residual networks of spectral normalisation, and their class-conditional form with projection."""

from dataclasses import dataclass
from math import prod, sqrt
from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.checks import checked_labels
from ganneal.models.parts.conditional import ConditionalBatchNorm
from ganneal.models.parts.grid import DoublingGrid, grid_of
from ganneal.models.parts.initialization import initialize
from ganneal.models.parts.recomputation import through
from ganneal.models.parts.residual import DiscriminatorBlock, GeneratorBlock, ResidualDiscriminator, Upsampling, conv3
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices


class SNGANLayout(NamedTuple):
    """Channels as published, at one size."""

    generator: tuple[int, ...]
    """After the linear layer, and after each block."""
    discriminator: tuple[int, ...]
    """After each block."""
    downs: int
    """Number of the discriminator's blocks that halve the size, from the first on. A block behind them that keeps its
    width too has no shortcut convolution."""


SNGAN_LAYOUTS = {
    32: SNGANLayout((256, 256, 256, 256), (128, 128, 128, 128), 2),
    48: SNGANLayout((512, 256, 128, 64), (64, 128, 256, 512, 1024), 4),
    64: SNGANLayout((1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024), 5),
    128: SNGANLayout((1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 5),
}


SNGAN_DOUBLINGS = {4: 64, 5: 128}
"""Doublings of the generator, and the published size whose layout other sizes of so many take; three are below."""


def layout_of(grid: DoublingGrid) -> SNGANLayout:
    """The published layout of the size, or of another one with as many doublings: of 48 px for three.

    A discriminator never halves an odd side.
    """
    # Three doublings are published twice: 32 px from a 4x4 map, 48 px from 6x6.
    published = SNGAN_DOUBLINGS.get(grid.doublings, 32 if grid.base == (4, 4) else 48)
    layout = SNGAN_LAYOUTS[published]
    even = all(side % 2 == 0 for side in grid.base)
    # 48 and 64 px are halved once more than they are doubled, 6x6 to 3x3 and 4x4 to 2x2; an odd base cannot follow.
    return layout if even else layout._replace(downs=min(layout.downs, grid.doublings))


def conditional_norm(channels: int, num_classes: int) -> nn.Module:
    """Batch norm, with classes one scale and shift for each, from a table; scales start N(1, 0.02²), shifts at 0."""
    if not num_classes:
        return nn.BatchNorm2d(channels)
    gain, bias = nn.Embedding(num_classes, channels), nn.Embedding(num_classes, channels)
    # The conditional norm adds 1 to its gain, so scales start about 1.
    nn.init.normal_(gain.weight, std=0.02)
    nn.init.zeros_(bias.weight)
    return ConditionalBatchNorm(channels, gain, bias)


class SNGANGenerator(nn.Module):
    """Latents, and labels where there are classes, to images in [-1, 1]."""

    def __init__(
        self,
        latent_size: int,
        base: tuple[int, int],
        widths: tuple[int, ...],
        channels: int,
        num_classes: int,
        upsampling: Upsampling,
        *,
        recompute: bool = False,
    ):
        super().__init__()
        self.num_classes, self.recompute = num_classes, recompute
        self.linear = nn.Linear(latent_size, widths[0] * prod(base))
        self.unflatten = nn.Unflatten(1, (widths[0], *base))
        self.blocks = nn.ModuleList(
            # The first norm sees the block's inputs, the second its outputs.
            GeneratorBlock(i, o, (conditional_norm(i, num_classes), conditional_norm(o, num_classes)), upsampling)
            for i, o in zip(widths, widths[1:], strict=False)
        )
        self.norm, self.last = nn.BatchNorm2d(widths[-1]), conv3(widths[-1], channels)

    def forward(
        self, latents: Float[Tensor, "batch size"], labels: Tensor | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        condition = (checked_labels(labels, self.num_classes, latents),) if self.num_classes else ()
        h = self.unflatten(self.linear(latents))
        for block in self.blocks:
            h = through(block, h, *condition, recompute=self.recompute)
        # The last norm is unconditional in cGAN-PD too.
        return self.last(F.relu(self.norm(h))).tanh()


@dataclass(frozen=True)
class SNGAN:
    """SNGAN's residual networks for 32, 48, 64 and 128 px; with classes cGAN-PD: conditional batch norm, projection.

    Its discriminator is normalised by the experiment: ``normalization=Spectral()`` as published.

    Symbols: ngf -> ``g_width``, ndf -> ``d_width``.

    References:
        Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018; Miyato and Koyama, cGANs with
        Projection Discriminator, 2018; widths and initialisation as in the public library mimicry.
    """

    g_width: int | None = None
    """After the generator's linear layer, the others in proportion; None is as published: 256, 512, 1024, 1024."""
    d_width: int | None = None
    """After the discriminator's last block, the others in proportion; None is as published: 128, 1024, 1024, 1024."""
    latent_size: int = 128
    upsampling: Upsampling = "nearest"
    recompute: bool = False
    """Compute each block's activations again in the backward pass rather than keep them: the same bits in less memory,
    for a third more work."""

    def __post_init__(self) -> None:
        widths = {"g_width": self.g_width, "d_width": self.d_width}
        check_at_least_one(latent_size=self.latent_size, **{k: v for k, v in widths.items() if v is not None})
        check_choices(self)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        grid = grid_of("SNGAN", shape, [3, *SNGAN_DOUBLINGS])
        layout = layout_of(grid)
        g_widths = scaled_widths("g_width", self.g_width, layout.generator, layout.generator[0])
        d_widths = scaled_widths("d_width", self.d_width, layout.discriminator, layout.discriminator[-1])
        generator = SNGANGenerator(
            self.latent_size,
            grid.base,
            g_widths,
            grid.channels,
            num_classes,
            self.upsampling,
            recompute=self.recompute,
        )
        discriminator = ResidualDiscriminator(
            shape, d_widths, layout.downs, num_classes, wide=False, recompute=self.recompute
        )
        _initialize(generator, discriminator)
        return ModelPair(generator, discriminator, Normal(self.latent_size), shape, num_classes)


def scaled_widths(name: str, width: int | None, published: tuple[int, ...], reference: int) -> tuple[int, ...]:
    """The ``published`` widths with ``width`` in the place of ``reference``."""
    if width is None:
        return published
    # The narrowest layer must stay whole.
    least = reference // min(published)
    if width % least:
        raise ValueError(f"{name} must be a multiple of {least} at this size, got {width}.")
    return tuple(width * channels // reference for channels in published)


def _initialize(generator: SNGANGenerator, discriminator: ResidualDiscriminator) -> None:
    """Glorot uniform, by sqrt(2) larger in the blocks' 3x3 convolutions; the generator's tables stay as they are."""
    # First everything with gain 1, then the blocks' convolutions again with the gain of a ReLU.
    initialize(discriminator, "xavier")
    for player in (generator, discriminator):
        for module in player.modules():
            if isinstance(module, GeneratorBlock | DiscriminatorBlock):
                nn.init.xavier_uniform_(module.conv1.weight, sqrt(2))
                nn.init.xavier_uniform_(module.conv2.weight, sqrt(2))
                if module.shortcut is not None:
                    nn.init.xavier_uniform_(module.shortcut.weight)
    # Not through `initialize`: it would also change the generator's class tables, which start by their own rule.
    for layer in (generator.linear, generator.last):
        nn.init.xavier_uniform_(layer.weight)
