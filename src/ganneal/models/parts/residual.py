"""Residual blocks of SNGAN and BigGAN, and the discriminator that both build from them.

The 1x1 shortcuts run at the smaller of a block's two sizes: nearest or bilinear upsampling before one, and average
pooling after one, give the same as upsampling after and pooling before it, at four times the work.
"""

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.checks import check_images
from ganneal.models.parts.conditional import ProjectionHead
from ganneal.models.parts.recomputation import through
from ganneal.models.protocol import FeatureMaps, Shape

Upsampling = Literal["nearest", "bilinear"]


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
