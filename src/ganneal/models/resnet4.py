"""The residual network of composite functional gradients: four blocks a player at 32 and 64 px, more for larger images.

A block's shortcut sees what its main path sees, the rectified input, because the published code rectifies in place.
"""

from dataclasses import dataclass
from math import prod

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.data.protocol import Images
from ganneal.models.dcgan import NormName
from ganneal.models.parts.cfg import (
    base_and_depth,
    check_depth,
    kaiming_linear,
    normal_convolution,
    shortcut,
    uniform_norm,
)
from ganneal.models.parts.grid import doubling_widths
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices

Resized = Float[Tensor, "batch outputs new_height new_width"]


class UpBlock(nn.Module):
    """ReLU, then doubled: two 3x3 convolutions and a norm, beside a 1x1 one."""

    def __init__(self, inputs: int, outputs: int, norm_name: NormName):
        super().__init__()
        last = normal_convolution(outputs, outputs, 3)
        self.main = nn.Sequential(
            normal_convolution(inputs, outputs, 3), nn.ReLU(), last, *uniform_norm(norm_name, outputs)
        )
        self.shortcut = shortcut(inputs, outputs)

    def forward(self, x: Images) -> Resized:
        rectified = F.relu(x)
        # Unlike SNGAN's, this shortcut sees the rectified input.
        beside = F.interpolate(self.shortcut(rectified), scale_factor=2, mode="nearest")
        return self.main(F.interpolate(rectified, scale_factor=2, mode="nearest")) + beside


class DownBlock(nn.Module):
    """ReLU (but not of the image), two 3x3 convolutions and a norm, then halved by averages, beside a 1x1 one.

    Without biases, which the published code creates and never adds.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, norm_name: NormName, *, first: bool):
        super().__init__()
        self.first = first
        before, after = (
            normal_convolution(inputs, hidden, 3, bias=False),
            normal_convolution(hidden, outputs, 3, bias=False),
        )
        self.main = nn.Sequential(before, nn.ReLU(), after, *uniform_norm(norm_name, outputs), nn.AvgPool2d(2))
        self.shortcut = shortcut(inputs, outputs)

    def forward(self, x: Images) -> Resized:
        seen = x if self.first else F.relu(x)
        # The mean first: a 1x1 convolution commutes with it and has a quarter of the pixels left.
        return self.main(seen) + self.shortcut(F.avg_pool2d(seen, 2))


class ResNet4Generator(nn.Module):
    """Latents to images in [-1, 1]: a linear layer, up-blocks, a convolution and tanh."""

    def __init__(self, latent_size: int, base: tuple[int, int], widths: list[int], channels: int, norm_name: NormName):
        super().__init__()
        inputs = [*reversed(widths)]
        blocks = [UpBlock(a, b, norm_name) for a, b in zip(inputs, [*inputs[1:], inputs[-1]], strict=True)]
        first = [kaiming_linear(latent_size, inputs[0] * prod(base)), nn.Unflatten(1, (inputs[0], *base))]
        self.net = nn.Sequential(*first, *blocks, nn.ReLU(), normal_convolution(inputs[-1], channels, 3), nn.Tanh())

    def forward(self, latents: Float[Tensor, "batch size"]) -> Images:
        return self.net(latents)


class ResNet4Discriminator(nn.Module):
    """Images to one raw output each: down-blocks, ReLU, a linear layer."""

    def __init__(self, base: tuple[int, int], widths: list[int], channels: int, norm_name: NormName):
        super().__init__()
        blocks = [DownBlock(channels, widths[0], widths[0], norm_name, first=True)]
        blocks += [DownBlock(a, a, b, norm_name, first=False) for a, b in zip(widths, widths[1:], strict=False)]
        self.net = nn.Sequential(*blocks, nn.ReLU(), nn.Flatten(), kaiming_linear(widths[-1] * prod(base), 1))

    def forward(self, images: Images) -> Float[Tensor, " batch"]:
        return self.net(images).squeeze(1)


@dataclass(frozen=True)
class ResNet4:
    """Residual players for images of an even size; the defaults at 64 px are the reference's for LSUN.

    Four blocks at 32 and 64 px. Beyond 64 px as many as lead to 4 px (6 at 256 px), widths at most 8 times ``width``:
    the reference has no such network.

    References:
        Johnson and Zhang, Composite Functional Gradient Learning of Generative Adversarial Models, ICML 2018; layout
        and initialisation as in the authors' cfg-gan-pt, without its inert biases.
    """

    width: int = 64
    depth: int | None = None
    """Blocks of each player; None is 4 up to 64 px, fewer where the size cannot be halved so often (2 at 28 px)."""
    latent_size: int = 100
    g_norm: NormName = "batch"
    d_norm: NormName = "batch"

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, latent_size=self.latent_size)
        check_choices(self)
        check_depth(self.depth)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        base, depth = base_and_depth("ResNet4", shape, num_classes, self.depth, least=4)
        of = doubling_widths(self.width, depth)
        return ModelPair(
            ResNet4Generator(self.latent_size, base, of, shape[0], self.g_norm),
            ResNet4Discriminator(base, of, shape[0], self.d_norm),
            Normal(self.latent_size),
            shape,
        )
