"""Time embedding for players of a diffusion: sines and cosines of the time."""

from math import log

import torch
from jaxtyping import Float, Int
from torch import Tensor

LONGEST_PERIOD = 10_000.0
"""Period of the slowest of the waves, in units of 2 pi."""


def check_even(**sizes: int) -> None:
    """Refuse sizes of a vector of waves that are odd or below 4, naming the field."""
    for name, size in sizes.items():
        if size < 4 or size % 2:
            raise ValueError(f"{name} must be even and at least 4, half of it sines, half cosines, got {size}.")


def waves(t: Int[Tensor, " batch"], size: int) -> Float[Tensor, "batch size"]:
    """sin(t f) and cos(t f) for ``size // 2`` frequencies f from 1 to 1 / 10,000, evenly spaced in their logarithm.

    >>> [round(x, 6) for x in waves(torch.tensor([1]), 8)[0, :4].tolist()]
    [0.841471, 0.046399, 0.002154, 0.0001]

    References:
        Vaswani et al., Attention Is All You Need, 2017, sec. 3.5; as in Ho et al., 2020, the last frequency included.
    """
    half = size // 2
    # From 0 to 1 inclusive, so the slowest wave is exactly the longest period.
    exponents = torch.arange(half, dtype=torch.float32, device=t.device) / (half - 1)
    angles = t.float()[:, None] * torch.exp(-log(LONGEST_PERIOD) * exponents)
    return torch.cat([angles.sin(), angles.cos()], 1)


def check_times(t: Tensor, samples: Tensor) -> None:
    """Refuse times that are no whole numbers, one for each of ``samples``."""
    if t.shape != samples.shape[:1] or t.is_floating_point():
        raise ValueError(
            f"t must be whole numbers, one for each of {len(samples)} samples, got {str(t.dtype)[6:]} of shape "
            f"{tuple(t.shape)}; the task 'denoising' gives them."
        )
