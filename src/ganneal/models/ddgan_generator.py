"""DDGAN's generator: a U-Net in which the latents steer every norm."""

from typing import NamedTuple

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ganneal.models.parts.ddgan_blocks import (
    TINY,
    Down,
    PixelAttention,
    ResidualBlock,
    Up,
    fan_convolution,
    fan_linear,
    group_norm,
    unit_mean_square,
)
from ganneal.models.parts.recomputation import through
from ganneal.models.parts.times import check_times, waves
from ganneal.models.protocol import Shape


class Sizes(NamedTuple):
    """Sizes of the generator."""

    widths: tuple[int, ...]
    """Channels at each size, the images' own first."""
    blocks: int
    """At each size; one more on the way up."""
    latents: int
    style: int
    """Length of the style vector that the norms follow."""
    mapping: int
    """Hidden layers from latents to style."""
    attention: int | None
    """Pixels a side where there is attention, beside the smallest size."""
    pyramid: bool
    lean: bool


class TimeEmbedding(nn.Module):
    """A time to a vector: waves, two linear layers, SiLU between them."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size
        self.first, self.second = (fan_linear(inputs, 4 * size, fan="average") for inputs in (size, 4 * size))

    def forward(self, t: Int[Tensor, " batch"]) -> Float[Tensor, "batch _"]:
        return self.second(F.silu(self.first(waves(t, self.size))))


class Mapping(nn.Sequential):
    """Latents of mean square 1 to a style: linear layers with SiLU behind each."""

    def __init__(self, inputs: int, size: int, hidden: int):
        layers: list[nn.Module] = []
        # One layer from latents to style, then `hidden` more of its size.
        for each in (inputs, *(size,) * hidden):
            layers += [fan_linear(each, size, fan="outputs"), nn.SiLU()]
        super().__init__(*layers)


class DDGANGenerator(nn.Module):
    """Latents, a time t and a sample at t + 1 to a guess of the clean sample, in [-1, 1] and about 0 at first."""

    def __init__(self, shape: Shape, sizes: Sizes):
        super().__init__()
        self.shape, self.lean = shape, sizes.lean
        channels, size = shape[0], min(shape[1:])
        width, last = sizes.widths[0], len(sizes.widths) - 1
        inner, lean = (4 * width, sizes.style), sizes.lean
        attend = [size >> level == sizes.attention for level in range(last + 1)]
        self.time = TimeEmbedding(width)
        self.mapping = Mapping(sizes.latents, sizes.style, sizes.mapping)
        self.first = fan_convolution(channels, width, 3, fan="average")
        # kept has the channels of every map that the way up is given, last in first out.
        kept, inputs, joined = [width], width, channels
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        for level, outputs in enumerate(sizes.widths):
            widths, halve = [inputs, *(outputs,) * sizes.blocks], level < last
            beside = joined if sizes.pyramid else None
            self.downs.append(Down(widths, inner, attend=attend[level], halve=halve, joined=beside, lean=lean))
            # A halved map is kept too, and has the channels of the size that it came from.
            kept += [outputs] * (sizes.blocks + halve)
            inputs = joined = outputs
        self.middle = nn.ModuleList([ResidualBlock(inputs, inputs, *inner) for _ in range(2)])  # around the attention
        self.attention = PixelAttention(inputs)
        for level in reversed(range(last + 1)):
            outputs = sizes.widths[level]
            # Each block on the way up sees its own maps and one from the way down, so it has one block more at each
            # size.
            given = [width + kept.pop() for width in (inputs, *(outputs,) * sizes.blocks)]
            self.ups.append(Up(given, outputs, inner, attend=attend[level], enlarge=level > 0, lean=lean))
            inputs = outputs
        self.norm = group_norm(inputs)
        # About 0 at first: the first guess of a clean image is grey, whatever the noise.
        self.last = fan_convolution(inputs, channels, 3, fan="average", scale=TINY)

    def forward(
        self,
        latents: Float[Tensor, "batch size"],
        t: Tensor,
        noisier: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, "batch channels height width"]:
        check_times(t, latents)
        # The time is added to maps and the style scales norms: two ways into every block.
        time, style = self.time(t), self.mapping(unit_mean_square(latents))
        h, beside = self.first(noisier), noisier
        kept = [h]
        for down in self.downs:
            # beside begins as the noisier sample and is joined to the maps at each size: NCSN++'s progression
            # "residual".
            h, beside, more = down(h, beside, time, style)
            kept += more
        before, after = self.middle
        h = self.attention(through(before, h, time, style, recompute=self.lean))
        h = through(after, h, time, style, recompute=self.lean)
        for up in self.ups:
            h = up(h, kept, time, style)
        return self.last(F.silu(self.norm(h))).tanh()
