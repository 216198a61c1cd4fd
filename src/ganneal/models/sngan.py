"""The residual networks of spectral normalisation, and their class-conditional form with projection."""

from dataclasses import dataclass
from math import sqrt

from torch import nn

from ganneal.models.parts.conditional import Conditioning, class_tables
from ganneal.models.parts.grid import DoublingGrid, grid_of
from ganneal.models.parts.initialization import initialize
from ganneal.models.parts.residual import (
    DiscriminatorBlock,
    GeneratorBlock,
    ResidualDiscriminator,
    ResidualGenerator,
    ResidualLayout,
    Upsampling,
)
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices

SNGAN_LAYOUTS = {
    32: ResidualLayout((256, 256, 256, 256), (128, 128, 128, 128), 2),
    48: ResidualLayout((512, 256, 128, 64), (64, 128, 256, 512, 1024), 4),
    64: ResidualLayout((1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024), 5),
    128: ResidualLayout((1024, 1024, 512, 256, 128, 64), (64, 128, 256, 512, 1024, 1024), 5),
}


SNGAN_DOUBLINGS = {4: 64, 5: 128}
"""Doublings of the generator, and the published size whose layout other sizes of so many take; three are below."""


def layout_of(grid: DoublingGrid) -> ResidualLayout:
    """The published layout of the size, or of another one with as many doublings: of 48 px for three.

    A discriminator never halves an odd side.
    """
    # Three doublings are published twice: 32 px from a 4x4 map, 48 px from 6x6.
    published = SNGAN_DOUBLINGS.get(grid.doublings, 32 if grid.base == (4, 4) else 48)
    layout = SNGAN_LAYOUTS[published]
    even = all(side % 2 == 0 for side in grid.base)
    # 48 and 64 px are halved once more than they are doubled, 6x6 to 3x3 and 4x4 to 2x2; an odd base cannot follow.
    return layout if even else layout._replace(downs=min(layout.downs, grid.doublings))


def started_tables(num_classes: int, channels: int) -> tuple[nn.Embedding, nn.Embedding]:
    """The gain and the bias of each class; scales start N(1, 0.02²), shifts at 0."""
    gain, bias = class_tables(num_classes, channels)
    # The conditional norm adds 1 to its gain, so scales start about 1.
    nn.init.normal_(gain.weight, std=0.02)
    nn.init.zeros_(bias.weight)
    return gain, bias


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
        generator = ResidualGenerator(
            self.latent_size,
            grid.base,
            g_widths,
            grid.channels,
            Conditioning(num_classes, tables=started_tables),
            upsampling=self.upsampling,
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


def _initialize(generator: ResidualGenerator, discriminator: ResidualDiscriminator) -> None:
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
