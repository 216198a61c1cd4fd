"""DDGAN's discriminators: how likely is a sample at time t, given the noisier one at t + 1?"""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.checks import check_images
from ganneal.models.parts.ddgan_blocks import TINY, fan_convolution, fan_linear, scaled_sum
from ganneal.models.parts.fir import Resample
from ganneal.models.parts.recomputation import through
from ganneal.models.parts.times import check_times, waves
from ganneal.models.protocol import FeatureMaps, Shape

COMPARED = 4
"""Samples of which the deviations are looked at together."""
DDGANLayoutName = Literal["small", "large"]


class DDGANLayout(NamedTuple):
    """Blocks of a discriminator; channels in units of its width."""

    outputs: tuple[int, ...]
    halved: tuple[bool, ...]
    last_scale: float
    """Scale of the initial variance of the convolution after the blocks."""


DDGAN_LAYOUTS: dict[DDGANLayoutName, DDGANLayout] = {
    "small": DDGANLayout((2, 4, 8, 8), (False, True, True, True), TINY),
    "large": DDGANLayout((4, 8, 8, 8, 8, 8), (True,) * 6, 1.0),
}


class MinibatchDeviation(nn.Module):
    """One more channel: the standard deviation over four samples, averaged over features and pixels.

    Sample b of B is compared with those whose number is the same modulo B / 4; batches below 4 with themselves.

    References:
        Karras et al., Progressive Growing of GANs, 2018, sec. 3; in groups as in StyleGAN2.
    """

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        batch = len(x)
        group = min(batch, COMPARED)
        if batch % group:
            raise ValueError(
                f"batch must be below {COMPARED} or a multiple of it, for so many samples are compared with each "
                f"other, got {batch}."
            )
        # Sample b goes with b + B / 4, b + B / 2 and b + 3 B / 4.
        parts = x.reshape(group, batch // group, *x.shape[1:])
        # The constant keeps the root's slope finite where samples are equal, as in a collapsed batch.
        # [group, B / group, C, H, W] to one number a subgroup, told to all its members: a collapsed batch is seen in
        # each sample.
        deviation = (parts.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3)).repeat(group)
        channel = deviation[:, None, None, None].expand(-1, 1, *x.shape[2:])
        return torch.cat([x, channel.to(x.dtype)], 1)


class TimedDiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions behind leaky ReLU, the time added between them; both ways may be halved."""

    def __init__(self, inputs: int, outputs: int, time_size: int, halve: bool):
        super().__init__()
        self.first = fan_convolution(inputs, outputs, 3, fan="outputs")
        self.time = fan_linear(time_size, outputs, fan="outputs")
        self.resample = Resample(up=False) if halve else nn.Identity()
        self.second = fan_convolution(outputs, outputs, 3, fan="outputs", scale=TINY)
        # There even where no width changes, unlike in the generator's blocks; its input is not activated.
        self.shortcut = fan_convolution(inputs, outputs, 1, fan="outputs", bias=False)

    def forward(self, x: FeatureMaps, time: Float[Tensor, "batch _"]) -> FeatureMaps:
        h = self.first(F.leaky_relu(x, 0.2)) + self.time(time)[:, :, None, None]
        # Halved between the activation and the second convolution, which then has a quarter of the pixels.
        h = self.second(self.resample(F.leaky_relu(h, 0.2)))
        return scaled_sum(self.shortcut(self.resample(x)), h)


class DDGANDiscriminator(nn.Module):
    """One raw output for each sample at time t, given the noisier one at t + 1."""

    def __init__(self, shape: Shape, width: int, time_size: int, layout: DDGANLayout, lean: bool):
        super().__init__()
        self.shape, self.time_size, self.lean = shape, time_size, lean
        self.times = nn.ModuleList([fan_linear(time_size, time_size, fan="outputs") for _ in range(2)])
        inputs = 2 * width
        self.first = fan_convolution(2 * shape[0], inputs, 1, fan="outputs")
        self.blocks = nn.ModuleList()
        for units, halve in zip(layout.outputs, layout.halved, strict=True):
            self.blocks.append(TimedDiscriminatorBlock(inputs, units * width, time_size, halve))
            inputs = units * width
        self.deviation = MinibatchDeviation()
        self.last = fan_convolution(inputs + 1, inputs, 3, fan="outputs", scale=layout.last_scale)  # + 1: the deviation
        self.linear = fan_linear(inputs, 1, fan="outputs")

    def forward(
        self,
        images: Float[Tensor, "batch channels height width"],
        t: Tensor,
        noisier: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, " batch"]:
        check_images(images, self.shape)
        check_times(t, images)
        time = waves(t, self.time_size)  # [batch, time_size]
        for layer in self.times:
            time = F.leaky_relu(layer(time), 0.2)
        # The discriminator sees the pair (x_t, x_{t+1}): it asks whether this could be one step of the diffusion, not
        # whether the image is real.
        h = self.first(torch.cat([images, noisier], 1))
        for block in self.blocks:
            h = through(block, h, time, recompute=self.lean)
        h = F.leaky_relu(self.last(self.deviation(h)), 0.2)
        # A sum over pixels, not a mean, as in the projection discriminator.
        return self.linear(h.sum((2, 3))).squeeze(1)
