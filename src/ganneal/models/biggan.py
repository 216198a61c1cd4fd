"""BigGAN for 32 to 256 px and more: residual players, batch norm that follows classes and chunks of the latents."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.attention import SelfAttention
from ganneal.models.parts.checks import checked_labels
from ganneal.models.parts.conditional import ConditionalBatchNorm
from ganneal.models.parts.grid import grid_of
from ganneal.models.parts.initialization import InitName, initialize, layers, zero_biases
from ganneal.models.parts.recomputation import through
from ganneal.models.parts.residual import GeneratorBlock, ResidualDiscriminator, conv3
from ganneal.models.parts.spectral import spectral_norm
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices

BigGANLayoutName = Literal["brock", "studio"]


class BigGANLayout(NamedTuple):
    """Channels in units of the width."""

    generator: tuple[int, ...]
    """After the linear layer, and after each block."""
    discriminator: tuple[int, ...]
    """After each block."""
    downs: int
    """Blocks of the discriminator that halve the size."""


# The two public codes disagree at 32 px in the discriminator and at 64 px in the generator, so a score names its
# layout.
BIGGAN_LAYOUTS: dict[BigGANLayoutName, dict[int, BigGANLayout]] = {
    "brock": {
        32: BigGANLayout((4, 4, 4, 4), (4, 4, 4, 4), 2),
        64: BigGANLayout((16, 16, 8, 4, 2), (1, 2, 4, 8, 16), 4),
        128: BigGANLayout((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
        256: BigGANLayout((16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), 6),
    },
    "studio": {
        32: BigGANLayout((4, 4, 4, 4), (2, 2, 2, 2), 2),
        64: BigGANLayout((16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
        128: BigGANLayout((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
    },
}


def _doublings(layout: BigGANLayout) -> int:
    """How often the generator doubles the size: once a block."""
    return len(layout.generator) - 1


class SharedEmbedding(nn.Embedding):
    """One vector for each class, given to all of a generator's conditional norms; never normalised or regularised."""


class Conditioning(NamedTuple):
    """What a generator's norms follow."""

    num_classes: int
    shared_size: int
    """Of the class vector that all norms share; 0 gives each norm a table of its own."""
    chunk: int
    """Latents given to each block, and to the linear layer; 0 gives all of them to the linear layer."""
    eps: float
    """Of batch norm."""

    def norm(self, channels: int) -> nn.Module:
        """Batch norm before a convolution of ``channels`` inputs."""
        if self.shared_size or self.chunk:
            inputs = self.shared_size + self.chunk  # c = [class vector, chunk of the latents]
            # Without biases: batch norm's 1 and 0 are in the conditional norm already.
            gain, bias = (nn.Linear(inputs, channels, bias=False) for _ in range(2))
        elif self.num_classes:
            # Tables start as every embedding here does; the conditional norm adds the 1, so that scales start near it.
            gain, bias = (nn.Embedding(self.num_classes, channels) for _ in range(2))
        else:
            return nn.BatchNorm2d(channels, eps=self.eps)
        return ConditionalBatchNorm(channels, gain, bias, self.eps)


class BigGANGenerator(nn.Module):
    """Latents, and labels where there are classes, to images in [-1, 1]."""

    def __init__(
        self,
        latent_size: int,
        base: tuple[int, int],
        widths: tuple[int, ...],
        channels: int,
        given: Conditioning,
        attention: int | None,
        *,
        recompute: bool = False,
    ):
        super().__init__()
        self.recompute = recompute
        self.num_classes, self.chunk = given.num_classes, given.chunk
        self.shared = SharedEmbedding(given.num_classes, given.shared_size) if given.shared_size else None
        # Hierarchical latents: this layer has the first chunk only, the blocks have the rest.
        self.linear = nn.Linear(given.chunk or latent_size, widths[0] * prod(base))
        self.unflatten = nn.Unflatten(1, (widths[0], *base))
        self.blocks = nn.ModuleList(
            GeneratorBlock(i, o, (given.norm(i), given.norm(o))) for i, o in zip(widths, widths[1:], strict=False)
        )
        # Block i leads to the base's size times 2^(i + 1).
        self.attention_after = None if attention is None else (attention // min(base)).bit_length() - 2
        self.attention = None if self.attention_after is None else SelfAttention(widths[self.attention_after + 1])
        # The last norm has an affine map of its own and follows nothing.
        self.norm, self.last = nn.BatchNorm2d(widths[-1], eps=given.eps), conv3(widths[-1], channels)

    def forward(
        self, latents: Float[Tensor, "batch size"], labels: Tensor | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        # One condition a block, or none where the network has neither classes nor chunks.
        first, *conditions = self._conditions(latents, labels)
        h = self.unflatten(self.linear(first))
        for index, block in enumerate(self.blocks):
            h = through(block, h, *conditions[index : index + 1], recompute=self.recompute)
            if self.attention is not None and index == self.attention_after:
                h = through(self.attention, h, recompute=self.recompute)
        return self.last(F.relu(self.norm(h), inplace=True)).tanh()

    def _conditions(self, latents: Tensor, labels: Tensor | None) -> Iterator[Tensor]:
        """The linear layer's latents, then each block's condition where there is one."""
        # Hierarchical latents: the first chunk is the image's start, each further one steers the norms of one block.
        first, *rest = latents.split(self.chunk, dim=1) if self.chunk else (latents,)
        yield first
        if self.num_classes:
            classes = checked_labels(labels, self.num_classes, latents)
            vectors = classes if self.shared is None else self.shared(classes)
            # Class vector and chunk side by side; without hierarchical latents every block has the class vector alone.
            yield from ((torch.cat([vectors, part], 1) for part in rest) if rest else (vectors for _ in self.blocks))
        else:
            yield from rest


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
    """Of one class vector that all norms of the generator share; 0 gives each norm a table of its own."""
    hierarchical: bool = False
    """Give the linear layer and each block's norms a chunk of the latents; with classes this needs ``shared_size``."""
    attention: int | None = None
    """Shorter side, in pixels, of the layer behind which both players attend to all of the image; None for nowhere."""
    layout: BigGANLayoutName = "brock"
    init: InitName = "normal"
    zero_biases: bool = False
    """Start biases at 0, as the studio does, rather than where torch does."""
    norm_eps: float = 1e-5
    """Of batch norm; the studio's is 1e-4."""
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
        generator = BigGANGenerator(
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
