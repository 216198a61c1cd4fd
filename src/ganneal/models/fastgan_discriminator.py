"""FastGAN's discriminator: two paths over the image, and decoders that must reconstruct real images from its maps."""

from collections.abc import Callable
from fractions import Fraction

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ganneal.logits import DiscriminatorOutput, PatchDiscriminator
from ganneal.models.parts.attention import SkipExcitation
from ganneal.models.parts.checks import check_images
from ganneal.models.parts.doubling import UpConvolution
from ganneal.models.parts.grid import DoublingGrid
from ganneal.models.parts.spectral import CONVOLUTIONS, spectral_norm
from ganneal.models.protocol import FeatureMaps, Shape

Channels = Callable[[int | Fraction], int]
"""Units of the width to a number of channels."""
HALF, QUARTER, EIGHTH = Fraction(1, 2), Fraction(1, 4), Fraction(1, 8)
LARGE: tuple[int | Fraction, ...] = (16, 8, 4, 2, 1, HALF, QUARTER)
"""Channels of the path of the image at 4 px, 8 px and so on, in units of the width; larger ones are first halved."""
SMALL: tuple[int | Fraction, ...] = (8, 4, 2, 1, HALF)
"""Channels of the path of the image averaged down to half its size, at most 128 px."""
DECODER: tuple[int | Fraction, ...] = (2, 1, 1, HALF)
"""Channels of a decoder after each doubling; the last one leads from 8 to 128 px."""
HALVINGS_TO_GATE = 3
"""Halvings between a map and the one that it gates."""
PRE_HEAD = 16
SLOPE = 0.2
SPECTRAL_EPS = 1e-12


def same_convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=False)


def with_batch_norm(layer: nn.Module, channels: int) -> list[nn.Module]:
    """``layer``, batch norm, leaky ReLU."""
    return [layer, nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE, inplace=True)]


class HalvingBlock(nn.Module):
    """Half the size: the mean of two convolutions and of an average with a 1x1 convolution."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        first, second = same_convolution(inputs, outputs, 4, 2), same_convolution(outputs, outputs, 3)
        self.main = nn.Sequential(*with_batch_norm(first, outputs), *with_batch_norm(second, outputs))
        self.beside = nn.Sequential(nn.AvgPool2d(2), *with_batch_norm(same_convolution(inputs, outputs, 1), outputs))

    def forward(self, maps: FeatureMaps) -> FeatureMaps:
        # The mean of two branches of one variance, not their sum.
        return (self.main(maps) + self.beside(maps)) / 2


def decoder(inputs: int, widths: list[int], channels: int) -> nn.Sequential:
    """Maps to an image in [-1, 1] of twice their size for each of ``widths``."""
    layers: list[nn.Module] = []
    for outputs in widths:
        layers += [UpConvolution(inputs, 2 * outputs), nn.BatchNorm2d(2 * outputs), nn.GLU(1)]
        inputs = outputs
    return nn.Sequential(*layers, same_convolution(inputs, channels, 3), nn.Tanh())


class FastGANDiscriminator(PatchDiscriminator):
    """Images to one logit for each place of two paths: a 5x5 map each where the base is 4x4.

    The first path halves the image down to twice the base, its last maps gated by maps of 8 times their size. The
    second one sees the image averaged down: to half its size, of large images to 32 times the base.

    Args:
        channels: Units of the width to a number of channels.
        reconstruction: Factor of the decoders' error; 0 builds none.
    """

    def __init__(self, shape: Shape, grid: DoublingGrid, channels: Channels, reconstruction: float):
        super().__init__()
        self.shape, self.grid, self.reconstruction = shape, grid, reconstruction
        # Larger images are halved by the stem first: the path itself begins at 64 times the base at most.
        self.top = min(grid.doublings, len(LARGE) - 1)
        # One halving less than the image has: the second path sees it at half the size.
        self.small_top = min(grid.doublings - 1, len(SMALL))
        large = [channels(units) for units in LARGE[: self.top + 1]]
        small = [channels(units) for units in SMALL[: self.small_top]]
        self.stem = self._stem(large[-1], channels)
        self.halvings = nn.ModuleDict(
            {str(level): HalvingBlock(large[level + 1], large[level]) for level in range(1, self.top)}
        )
        self.gates = nn.ModuleDict(
            {
                str(level): SkipExcitation(large[self._gate_of(level)], large[level])
                for level in range(1, max(self.top - HALVINGS_TO_GATE, 1) + 1)
            }
        )
        inner = channels(PRE_HEAD)
        self.head = nn.Sequential(
            *with_batch_norm(same_convolution(large[1], inner, 1), inner), nn.Conv2d(inner, 1, 4, bias=False)
        )
        self.small = small_path(shape[0], small)
        self.small_head = nn.Conv2d(small[1], 1, 4, bias=False)
        self.decoders = self._decoders(large, small, channels) if reconstruction else None
        for layer in [layer for layer in self.modules() if isinstance(layer, CONVOLUTIONS)]:
            spectral_norm(layer, SPECTRAL_EPS)

    def _stem(self, outputs: int, channels: Channels) -> nn.Sequential:
        """The image to the first map, through one or two halvings where it is larger than 64 times the base."""
        inputs, activation = self.shape[0], nn.LeakyReLU(SLOPE, inplace=True)
        match self.grid.doublings - self.top:
            case 0:
                return nn.Sequential(same_convolution(inputs, outputs, 3), activation)
            case 1:
                return nn.Sequential(same_convolution(inputs, outputs, 4, 2), activation)
            case _:
                inner = channels(EIGHTH)
                halved = with_batch_norm(same_convolution(inner, outputs, 4, 2), outputs)
                return nn.Sequential(same_convolution(inputs, inner, 4, 2), activation, *halved)

    def _gate_of(self, level: int) -> int:
        return min(level + HALVINGS_TO_GATE, self.top)

    def _decoders(self, large: list[int], small: list[int], channels: Channels) -> nn.ModuleList:
        """Decoders of the last map, of a quarter of the one before it, and of the second path's last one.

        They make the image, or its quarter, at its own size or at 32 times the base.
        """
        whole, part = (min(self.grid.doublings - less, len(DECODER)) for less in (1, 2))
        sources = ((large[1], whole), (large[2], part), (small[1], whole))
        widths = [channels(units) for units in DECODER[:whole]]
        return nn.ModuleList(decoder(inputs, widths[:doublings], self.shape[0]) for inputs, doublings in sources)

    def outputs(self, samples: Tensor, *condition: Tensor) -> DiscriminatorOutput:
        check_images(samples, self.shape)
        maps = {self.top: self.stem(samples)}
        for level in range(self.top - 1, 0, -1):
            halved = self.halvings[str(level)](maps[level + 1])
            if str(level) in self.gates:
                halved = self.gates[str(level)](maps[self._gate_of(level)], halved)
            maps[level] = halved
        small = self.small(F.adaptive_avg_pool2d(samples, self.grid.side(self.small_top)))
        # One head of all places: the hinge is taken per place and averaged over both paths.
        logits = torch.cat([self.head(maps[1]).flatten(1), self.small_head(small).flatten(1)], 1)
        return DiscriminatorOutput(logits[:, None], (maps[1], maps[2], small))  # [batch, 1, places]

    def reconstruction_error(
        self, features: tuple[Tensor, ...], images: FeatureMaps, quarters: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """Mean squared errors of the image from the last map of either path, and of a quarter of it, summed."""
        assert self.decoders is not None
        last, before, small = features
        # The same quarter of the maps and of the image: the decoder must find its detail in what lies there.
        sources = (last, quarter(before, quarters), small)
        errors = []
        for decode, source, wanted in zip(
            self.decoders, sources, (images, quarter(images, quarters), images), strict=True
        ):
            found = decode(source)
            wanted = F.adaptive_avg_pool2d(wanted, found.shape[2:])
            # At the decoder's own size: the image is averaged down to it rather than the guess enlarged.
            errors.append((found - wanted).square().flatten(1).mean(1))
        return torch.stack(errors).sum(0)


def small_path(inputs: int, widths: list[int]) -> nn.Sequential:
    """Halvings to the map of ``widths[1]`` channels."""
    layers: list[nn.Module] = [same_convolution(inputs, widths[-1], 4, 2), nn.LeakyReLU(SLOPE, inplace=True)]
    for level in range(len(widths) - 2, 0, -1):
        layers += with_batch_norm(same_convolution(widths[level + 1], widths[level], 4, 2), widths[level])
    return nn.Sequential(*layers)


def quarter(maps: FeatureMaps, which: Int[Tensor, " batch"]) -> FeatureMaps:
    """The quarter of each map that ``which`` names, 0 to 3 in reading order."""
    # Halves of columns and of rows as axes of their own, so that one index picks a quarter for each sample.
    parts = maps.unflatten(3, (2, -1)).unflatten(2, (2, -1)).permute(0, 2, 4, 1, 3, 5)
    return parts[torch.arange(len(maps), device=maps.device), which // 2, which % 2]
