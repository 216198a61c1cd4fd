"""Residual blocks of SNGAN and BigGAN, and the players that both build from them.

The 1x1 shortcuts run at the smaller of a block's two sizes: nearest or bilinear upsampling before one, and average
pooling after one, give the same as upsampling after and pooling before it, at four times the work.
"""

from collections.abc import Iterator
from math import prod
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.attention import SelfAttention
from ganneal.models.parts.checks import check_images, checked_labels
from ganneal.models.parts.conditional import Conditioning, ProjectionHead, SharedEmbedding
from ganneal.models.parts.recomputation import through
from ganneal.models.protocol import FeatureMaps, Shape

Upsampling = Literal["nearest", "bilinear"]


class ResidualLayout(NamedTuple):
    """Channels of both players at one size, as published or in units of the width."""

    generator: tuple[int, ...]
    """After the linear layer, and after each block."""
    discriminator: tuple[int, ...]
    """After each block."""
    downs: int
    """Number of the discriminator's blocks that halve the size, from the first on. A block behind them that keeps its
    width too has no shortcut convolution."""


def conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class GeneratorBlock(nn.Module):
    """Doubles the size: norm, ReLU, up, 3x3, norm, ReLU, 3x3; shortcut up and 1x1. Norms are given the condition."""

    def __init__(
        self, inputs: int, outputs: int, norms: tuple[nn.Module, nn.Module], upsampling: Upsampling = "nearest"
    ):
        super().__init__()
        self.upsampling = upsampling
        self.norm1, self.norm2 = norms
        self.conv1, self.conv2 = conv3(inputs, outputs), conv3(outputs, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: FeatureMaps, *condition: Tensor) -> FeatureMaps:
        # In place on what the norm made: x is needed for the shortcut.
        h = F.relu(self.norm1(x, *condition), inplace=True)
        h = F.relu(self.norm2(self.conv1(self._up(h)), *condition), inplace=True)
        # A 1x1 convolution and the upsampling commute; before it the convolution has a quarter of the pixels.
        return self.conv2(h) + self._up(self.shortcut(x))

    def _up(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode=self.upsampling)


class DiscriminatorBlock(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, halving the size where ``down``; the ``first`` one sees the image, without its ReLU.

    The shortcut is a 1x1 convolution, and nothing at all where neither size nor width changes.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, *, down: bool, first: bool = False):
        super().__init__()
        self.first, self.down = first, down
        self.conv1, self.conv2 = conv3(inputs, hidden), conv3(hidden, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if down or inputs != outputs else None

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        # The first block sees the image itself: a ReLU would cut away every pixel below grey.
        # The inner ReLU may work in place, the outer one may not: the shortcut below sees x itself.
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x)), inplace=True))
        if self.down:
            # Averaging before the 1x1 shortcut gives the same as behind it, at a quarter of the products.
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (x if self.shortcut is None else self.shortcut(x))


class ResidualGenerator(nn.Module):
    """Latents, and labels where there are classes, to images in [-1, 1]: a linear layer, blocks, norm, ReLU, 3x3, tanh.

    Args:
        widths: Channels after the linear layer and after each block.
        given: What the blocks' norms follow.
        attention: Shorter side, in pixels, of the block's map behind which there is attention.
        recompute: Whether a block's activations are computed again in the backward pass rather than kept.
    """

    def __init__(
        self,
        latent_size: int,
        base: tuple[int, int],
        widths: tuple[int, ...],
        channels: int,
        given: Conditioning,
        attention: int | None = None,
        *,
        upsampling: Upsampling = "nearest",
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
            # The first norm sees the block's inputs, the second its outputs.
            GeneratorBlock(i, o, (given.norm(i), given.norm(o)), upsampling)
            for i, o in zip(widths, widths[1:], strict=False)
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


class ResidualDiscriminator(nn.Module):
    """Images to one raw output each: blocks, ReLU, the sum over pixels, a `ProjectionHead`.

    Args:
        widths: Channels after each block.
        downs: How many of the blocks, from the first on, halve the size.
        wide: Whether a block's hidden width is that of its output, rather than of its input; the first one's always is.
        extra: Put behind the block whose number it has, counted from 0.
        recompute: Whether a block's activations are computed again in the backward pass rather than kept.
    """

    def __init__(
        self,
        shape: Shape,
        widths: tuple[int, ...],
        downs: int,
        num_classes: int,
        *,
        wide: bool,
        extra: dict[int, nn.Module] | None = None,
        recompute: bool = False,
    ):
        super().__init__()
        self.shape, self.recompute = shape, recompute
        blocks: list[nn.Module] = []
        inputs = shape[0]
        for index, outputs in enumerate(widths):
            # BigGAN widens in the first convolution of a block, SNGAN in the second.
            hidden = outputs if wide or index == 0 else inputs
            blocks.append(DiscriminatorBlock(inputs, hidden, outputs, down=index < downs, first=index == 0))
            if extra is not None and index in extra:
                blocks.append(extra[index])
            inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.head = ProjectionHead(inputs, num_classes)

    def forward(self, images: FeatureMaps, labels: Tensor | None = None) -> Float[Tensor, " batch"]:
        check_images(images, self.shape)
        h = images
        for block in self.blocks:
            h = through(block, h, recompute=self.recompute)
        # A sum over pixels, as published: another size of image gives logits of another scale.
        features = F.relu(h).sum((2, 3))
        return self.head(features, labels)
