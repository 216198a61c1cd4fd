"""Padding as TensorFlow does it, for networks that were trained there."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Maps = Float[Tensor, "n _ _ _"]


def padded_as_tensorflow(maps: Maps, kernel: int, stride: int) -> Maps:
    """``maps`` with the zeros of TensorFlow's padding "SAME": an odd pixel too many goes to the bottom and the right.

    A convolution of that kernel and stride then gives ceil(length / stride) positions.
    """
    sides = []
    for length in (maps.shape[3], maps.shape[2]):
        missing = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        sides += [missing // 2, missing - missing // 2]
    return F.pad(maps, sides)
