"""BigGAN for 32 to 256 px and more: residual players, batch norm that follows classes and chunks of the latents."""

from dataclasses import dataclass
from typing import Literal

from torch import nn

from ganneal.models.parts.attention import SelfAttention
from ganneal.models.parts.conditional import Conditioning
from ganneal.models.parts.grid import grid_of
from ganneal.models.parts.initialization import InitName, initialize, layers, zero_biases
from ganneal.models.parts.residual import ResidualDiscriminator, ResidualGenerator, ResidualLayout
from ganneal.models.parts.spectral import spectral_norm
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices

BigGANLayoutName = Literal["brock", "studio"]


# The two public codes disagree at 32 px in the discriminator and at 64 px in the generator, so a score names its
# layout.
BIGGAN_LAYOUTS: dict[BigGANLayoutName, dict[int, ResidualLayout]] = {
    "brock": {
        32: ResidualLayout((4, 4, 4, 4), (4, 4, 4, 4), 2),
        64: ResidualLayout((16, 16, 8, 4, 2), (1, 2, 4, 8, 16), 4),
        128: ResidualLayout((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
        256: ResidualLayout((16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), 6),
    },
    "studio": {
        32: ResidualLayout((4, 4, 4, 4), (2, 2, 2, 2), 2),
        64: ResidualLayout((16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
        128: ResidualLayout((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
    },
}


def _doublings(layout: ResidualLayout) -> int:
    """Number of times the generator doubles the size: once a block."""
    return len(layout.generator) - 1


@dataclass(frozen=True)
class BigGAN:
    """BigGAN with or without classes; the defaults at 32 px are its authors' script for CIFAR-10.

    The published one for ImageNet at 128 px is ``BigGAN(width=96, latent_size=120, shared_size=128, hierarchical=True,
    attention=64, init="orthogonal")``. The discriminator is normalised by the experiment: ``normalization=Spectral()``
    as published.

    Symbols: ch -> ``width``.

    References:
        Brock et al., Large Scale GAN Training for High Fidelity Natural Image Synthesis, 2019; layouts as in the
        authors' BigGAN-PyTorch ("brock") and PyTorch-StudioGAN ("studio"), which differ at 32 and at 64 px.
    """

    width: int = 64
    latent_size: int = 128
    """Rounded down to equal chunks where ``hierarchical``."""
    shared_size: int = 0
    """Length of the class vector that all norms of the generator share; 0 gives each norm a table of its own."""
    hierarchical: bool = False
    """Give the linear layer and each block's norms a chunk of the latents; with classes this needs ``shared_size``."""
    attention: int | None = None
    """Shorter side, in pixels, of the layer behind which both players attend to all of the image; None for nowhere."""
    layout: BigGANLayoutName = "brock"
    init: InitName = "normal"
    zero_biases: bool = False
    """Start biases at 0, as the studio does, rather than where torch does."""
    norm_eps: float = 1e-5
    """Epsilon of batch norm; the studio's is 1e-4."""
    g_spectral: bool = True
    """Spectral normalisation of the generator's convolutions and linear layers."""
    recompute: bool = False
    """Compute each block's activations again in the backward pass rather than keep them: the same bits in less memory,
    for a third more work."""

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, latent_size=self.latent_size)
        if self.shared_size < 0:
            raise ValueError(f"shared_size must be at least 0, got {self.shared_size}; 0 shares no class vector.")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps must be above 0, got {self.norm_eps}.")
        check_choices(self)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        layouts = {_doublings(layout): layout for layout in BIGGAN_LAYOUTS[self.layout].values()}
        channels, base, doublings = grid_of("BigGAN", shape, list(layouts))
        layout = layouts[doublings]
        g_widths, d_widths = (tuple(self.width * units for units in part) for part in layout[:2])
        given = self._conditioning(num_classes, len(layout.generator))
        # Latents that do not divide evenly would leave a block with fewer: the rest is dropped instead.
        latent_size = given.chunk * len(layout.generator) or self.latent_size
        size = min(shape[1:])
        self._check_attention(size, min(base), layout.downs)
        generator = ResidualGenerator(
            latent_size, base, g_widths, channels, given, self.attention, recompute=self.recompute
        )
        extra: dict[int, nn.Module] = {}
        if self.attention is not None:
            # Block i of the discriminator leads to size / 2^(i + 1) pixels a side.
            # At 32 px the published table says 16 px of all four blocks: attention stands behind the first of them
            # only.
            after = (size // self.attention).bit_length() - 2
            extra[after] = SelfAttention(d_widths[after])
        discriminator = ResidualDiscriminator(
            shape, d_widths, layout.downs, num_classes, wide=True, extra=extra, recompute=self.recompute
        )
        # Before spectral normalisation, which moves the weights of the generator into parametrizations.
        for player in (generator, discriminator):
            initialize(player, self.init)
            if self.zero_biases:
                zero_biases(player)
        if self.g_spectral:
            # Listed first: registering a parametrization changes the modules that are being walked over. Tables of
            # class vectors stay as they are.
            for layer in [layer for layer in layers(generator) if not isinstance(layer, nn.Embedding)]:
                spectral_norm(layer, 1e-8)
        return ModelPair(generator, discriminator, Normal(latent_size), shape, num_classes)

    def _conditioning(self, num_classes: int, chunks: int) -> Conditioning:
        if self.hierarchical and num_classes and not self.shared_size:
            raise ValueError(
                "shared_size must be above 0 where hierarchical, got 0: norms join the class's vector and their part "
                "of the latents; use --model.shared-size 128, or --model.no-hierarchical."
            )
        if self.hierarchical and self.latent_size < chunks:
            raise ValueError(
                f"latent_size must be at least {chunks} where hierarchical at this size, one for each chunk, got "
                f"{self.latent_size}."
            )
        # One chunk for the linear layer and one for each block.
        chunk = self.latent_size // chunks if self.hierarchical else 0
        return Conditioning(num_classes, self.shared_size if num_classes else 0, chunk, self.norm_eps)

    def _check_attention(self, size: int, base: int, downs: int) -> None:
        """Attention stands behind a block of each player, below the images' own size."""
        sizes = [size >> halvings for halvings in range(1, downs + 1) if size >> halvings > base]
        if self.attention is not None and self.attention not in sizes:
            raise ValueError(f"attention must be one of {sizes} or None at {size} px, got {self.attention}.")
