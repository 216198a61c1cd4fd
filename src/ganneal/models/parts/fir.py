"""Resampling of images through the filter [1, 3, 3, 1] in both directions; outside the image there are zeros."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganneal.models.protocol import FeatureMaps


def convolve_grouped(convolution: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``convolution(x)``, under autocast on a CPU in float32 between values in autocast's precision.

    There torch's grouped convolutions are slower in bfloat16 than in float32, the more so the fewer channels a group
    has (``benchmarks/convolutions.py``).
    """
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return convolution(x)
    with torch.autocast("cpu", enabled=False):
        return convolution(x.float()).to(torch.get_autocast_dtype("cpu"))


TAPS = (1.0, 3.0, 3.0, 1.0)


def _kernel(gain: float) -> Tensor:
    taps = torch.tensor(TAPS)
    # Twice the size spreads each pixel over four: a gain of 4 keeps its brightness.
    return torch.outer(taps, taps) * (gain / taps.sum() ** 2)


class Resample(nn.Module):
    """Twice or half the size; a constant stays what it was but at the edges."""

    kernel: Tensor

    def __init__(self, *, up: bool):
        super().__init__()
        self.up = up
        self.register_buffer("kernel", _kernel(4.0 if up else 1.0), persistent=False)

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        return convolve_grouped(self._resampled, x)

    def _resampled(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        # One filter for every channel, as a view; with as many groups as channels no channel meets another.
        kernel = self.kernel.to(x.dtype).expand(channels, 1, 4, 4)
        resample = F.conv_transpose2d if self.up else F.conv2d
        # Four taps at stride 2 with one zero on each side make exactly twice or half of an even size.
        return resample(x, kernel, stride=2, padding=1, groups=channels)


class Smooth(nn.Module):
    """The filter alone, one pixel more than the image on each side: what a 3x3 convolution of stride 2 then halves."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernel", _kernel(1.0), persistent=False)

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        return convolve_grouped(self._smoothed, x)

    def _smoothed(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        return F.conv2d(x, self.kernel.to(x.dtype).expand(channels, 1, 4, 4), padding=2, groups=channels)
