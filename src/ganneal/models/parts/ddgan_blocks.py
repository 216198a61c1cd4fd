"""Layers of the DDGAN players with their initial weights, and the blocks of the generator."""

from math import sqrt
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.fir import Resample, Smooth
from ganneal.models.parts.recomputation import through
from ganneal.models.protocol import FeatureMaps

Fan = Literal["average", "outputs"]
"""Reciprocal of the initial variance: the mean of a layer's inputs and outputs, or its outputs."""
TINY = 1e-10
"""Scale of the initial variance of layers whose output is nearly 0 at first."""


def fill(weight: Tensor, fan: Fan, scale: float) -> None:
    """Uniform with a variance of ``scale`` over the fan."""
    pixels = weight[0, 0].numel()  # of a kernel; 1 of a linear layer
    outputs, inputs = weight.shape[0] * pixels, weight.shape[1] * pixels
    # A uniform distribution on [-b, b] has variance b^2 / 3.
    bound = sqrt(3 * scale / (outputs if fan == "outputs" else (inputs + outputs) / 2))
    nn.init.uniform_(weight, -bound, bound)


def fan_convolution(
    inputs: int, outputs: int, kernel: int, *, fan: Fan, scale: float = 1.0, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """With biases of 0; of the same size where the stride is 1, else without padding."""
    padding = kernel // 2 if stride == 1 else 0
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)
    fill(layer.weight, fan, scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def fan_linear(inputs: int, outputs: int, *, fan: Fan) -> nn.Linear:
    """With biases of 0."""
    layer = nn.Linear(inputs, outputs)
    fill(layer.weight, fan, 1.0)
    nn.init.zeros_(layer.bias)
    return layer


def scaled_sum(x: FeatureMaps, y: FeatureMaps) -> FeatureMaps:
    """The sum over sqrt 2: of the same variance, where both are of one variance and independent."""
    return (x + y) * sqrt(0.5)


EPS = 1e-6
"""Epsilon of group norm."""
MOST_GROUPS = 32
Style = Float[Tensor, "batch _"]


def groups(channels: int) -> int:
    """Groups of a group norm: four channels each, or 32 of them.

    Raises:
        ValueError: They do not divide the channels.
    """
    found = min(channels // 4, MOST_GROUPS)
    if not found or channels % found:
        raise ValueError(
            f"width must make layers of whole groups of channels, got a layer of {channels}; use 32 or 64."
        )
    return found


def group_norm(channels: int) -> nn.GroupNorm:
    """With a scale and a shift of its own."""
    return nn.GroupNorm(groups(channels), channels, EPS)


class AdaptiveGroupNorm(nn.Module):
    """Group norm whose scale and shift are linear in a style; 1 and 0 plus a small part of it at first."""

    def __init__(self, channels: int, style_size: int):
        super().__init__()
        self.groups = groups(channels)
        # One over the outputs: the published helper is called by the name of the average and computes this.
        self.affine = fan_linear(style_size, 2 * channels, fan="outputs")
        with torch.no_grad():
            # Scales start at 1: without it the block would multiply by about 0.
            self.affine.bias[:channels] = 1

    def forward(self, x: FeatureMaps, style: Style) -> FeatureMaps:
        # Without weights of its own: the style gives scale and shift.
        normed = F.group_norm(x, self.groups, eps=EPS)
        scale, shift = self.affine(style)[:, :, None, None].to(normed.dtype).chunk(2, dim=1)
        return torch.addcmul(shift, normed, scale)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions behind adaptive norms, the time added between them; both ways may be resampled."""

    def __init__(self, inputs: int, outputs: int, time_size: int, style_size: int, resample: Resample | None = None):
        super().__init__()
        self.norms = nn.ModuleList([AdaptiveGroupNorm(size, style_size) for size in (inputs, outputs)])
        self.resample = resample or nn.Identity()
        self.first = fan_convolution(inputs, outputs, 3, fan="average")
        # A block adds the time and is scaled by the style: latents steer norms, the time shifts maps.
        self.time = fan_linear(time_size, outputs, fan="average")
        self.second = fan_convolution(outputs, outputs, 3, fan="average", scale=TINY)
        own = inputs == outputs and resample is None
        self.shortcut = nn.Identity() if own else fan_convolution(inputs, outputs, 1, fan="average")

    def forward(self, x: FeatureMaps, time: Style, style: Style) -> FeatureMaps:
        first, second = self.norms
        h = self.first(self.resample(F.silu(first(x, style)))) + self.time(F.silu(time))[:, :, None, None]
        h = self.second(F.silu(second(h, style)))
        # Over sqrt 2, so that blocks in a row keep the variance.
        return scaled_sum(self.shortcut(self.resample(x)), h)


class PixelAttention(nn.Module):
    """(x + attention(x)) / sqrt 2 over all pixels, one head, behind a group norm."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = group_norm(channels)
        self.query, self.key, self.value = (
            fan_convolution(channels, channels, 1, fan="average", scale=0.1) for _ in "qkv"
        )
        self.out = fan_convolution(channels, channels, 1, fan="average", scale=TINY)

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        normed = self.norm(x)
        # [batch, 1, pixels, channels]: one head.
        query, key, value = (
            part(normed).flatten(2).transpose(1, 2)[:, None] for part in (self.query, self.key, self.value)
        )
        # torch divides by the root of the channels, as published here; BigGAN's attention does not divide.
        attended = F.scaled_dot_product_attention(query, key, value)[:, 0]
        return scaled_sum(x, self.out(attended.transpose(1, 2).unflatten(2, x.shape[2:])))


class Down(nn.Module):
    """Blocks at one size, each with attention where ``attend``, then half the size where there is more below.

    The noisier sample, halved along, joins behind each halving where ``joined`` gives its channels.
    """

    def __init__(
        self, widths: list[int], sizes: tuple[int, int], *, attend: bool, halve: bool, joined: int | None, lean: bool
    ):
        super().__init__()
        self.lean, outputs = lean, widths[-1]
        pairs = zip(widths, widths[1:], strict=False)
        self.blocks = nn.ModuleList([ResidualBlock(i, o, *sizes) for i, o in pairs])
        self.attentions = nn.ModuleList([PixelAttention(outputs) if attend else nn.Identity() for _ in self.blocks])
        self.halve = ResidualBlock(outputs, outputs, *sizes, Resample(up=False)) if halve else None
        self.join = None
        if halve and joined:
            # Low pass before a stride of 2, or the noisier sample's high frequencies would fold into low ones.
            self.join = nn.Sequential(Smooth(), fan_convolution(joined, outputs, 3, fan="average", stride=2))

    def forward(
        self, h: FeatureMaps, beside: FeatureMaps, time: Style, style: Style
    ) -> tuple[FeatureMaps, FeatureMaps, list[FeatureMaps]]:
        """Returns the output maps, the noisier sample beside them, and the maps kept for the other half."""
        kept = []
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            h = attention(through(block, h, time, style, recompute=self.lean))
            kept.append(h)
        if self.halve is not None:
            h = through(self.halve, h, time, style, recompute=self.lean)
            if self.join is not None:
                h = beside = scaled_sum(self.join(beside), h)
            kept.append(h)
        return h, beside, kept


class Up(nn.Module):
    """Blocks at one size, each given what the first half kept there, attention behind them, then twice the size."""

    def __init__(
        self, inputs: list[int], outputs: int, sizes: tuple[int, int], *, attend: bool, enlarge: bool, lean: bool
    ):
        super().__init__()
        self.lean = lean
        self.blocks = nn.ModuleList([ResidualBlock(i, outputs, *sizes) for i in inputs])
        self.attention = PixelAttention(outputs) if attend else nn.Identity()
        self.enlarge = ResidualBlock(outputs, outputs, *sizes, Resample(up=True)) if enlarge else None

    def forward(self, h: FeatureMaps, kept: list[FeatureMaps], time: Style, style: Style) -> FeatureMaps:
        for block in self.blocks:
            h = through(block, torch.cat([h, kept.pop()], 1), time, style, recompute=self.lean)
        h = self.attention(h)
        return h if self.enlarge is None else through(self.enlarge, h, time, style, recompute=self.lean)


def unit_mean_square(latents: Style) -> Style:
    """Latents of mean square 1, in at least float32."""
    # Pixel norm of StyleGAN: only the direction of the latents counts.
    return latents * (latents.square().mean(1, keepdim=True) + 1e-8).rsqrt()
