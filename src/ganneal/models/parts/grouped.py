"""Grouped convolutions in mixed precision."""

from collections.abc import Callable

import torch
from torch import Tensor


def convolve_grouped(convolution: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """``convolution(x)``, under autocast on a CPU in float32 between values in autocast's precision.

    There torch's grouped convolutions are slower in bfloat16 than in float32, the more so the fewer channels a group
    has (``benchmarks/convolutions.py``).
    """
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return convolution(x)
    with torch.autocast("cpu", enabled=False):
        return convolution(x.float()).to(torch.get_autocast_dtype("cpu"))
