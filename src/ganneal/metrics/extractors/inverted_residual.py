"""Inverted residuals, the blocks of MobileNetV2 and EfficientNet, padded as TensorFlow does where they were trained."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import nn

from ganneal.metrics.extractors.protocol import Maps

StageSettings = tuple[int, int, int, int, int]
"""(expansion, channels, kernel, stride of the first block, blocks)."""


def padded_as_tensorflow(maps: Maps, kernel: int, stride: int) -> Maps:
    """``maps`` with the zeros of TensorFlow's padding "SAME": an odd pixel too many goes to the bottom and the right.

    A convolution of that kernel and stride then gives ceil(length / stride) positions.
    """
    sides = []
    for length in (maps.shape[3], maps.shape[2]):
        # ceil(length / stride) windows of `kernel` pixels, `stride` apart, reach over so many pixels more than there
        # are.
        missing = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        sides += [missing // 2, missing - missing // 2]
    return F.pad(maps, sides) if any(sides) else maps  # padding by nothing would copy


class PaddedConvolution(nn.Module):
    """A convolution padded as TensorFlow does, with batch norm or a bias, and ReLU6 behind it unless ``linear``."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
        *,
        norm: bool = True,
    ):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=not norm)
        # TensorFlow's epsilon; the weights were trained there.
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3) if norm else nn.Identity()
        self.linear = linear

    def forward(self, maps: Maps) -> Maps:
        kernel, stride = self.convolution.kernel_size[0], self.convolution.stride[0]
        maps = self.norm(self.convolution(padded_as_tensorflow(maps, kernel, stride)))
        return maps if self.linear else F.relu6(maps)


class InvertedResidual(nn.Module):
    """Expansion, a depthwise convolution, a linear projection; the input is added where its shape allows.

    Args:
        unit: A convolution with what follows it, called as ``unit(inputs, outputs, kernel, stride, groups, linear)``.
    """

    def __init__(
        self, unit: Callable[..., nn.Module], inputs: int, outputs: int, expansion: int, kernel: int, stride: int
    ):
        super().__init__()
        inner = inputs * expansion
        self.expand = unit(inputs, inner) if expansion > 1 else nn.Identity()
        self.depthwise = unit(inner, inner, kernel, stride, groups=inner)
        # Without ReLU6: in so few channels it would lose what it cuts off (sec. 3.2 of MobileNetV2).
        self.project = unit(inner, outputs, linear=True)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: Maps) -> Maps:
        inner = self.project(self.depthwise(self.expand(maps)))
        return inner + maps if self.residual else inner


def inverted_residuals(unit: Callable[..., nn.Module], inputs: int, stages: Sequence[StageSettings]) -> nn.Sequential:
    """The blocks of all ``stages``; only the first of a stage has its stride."""
    blocks = []
    for expansion, outputs, kernel, stride, count in stages:
        for index in range(count):
            blocks.append(InvertedResidual(unit, inputs, outputs, expansion, kernel, stride if index == 0 else 1))
            inputs = outputs
    return nn.Sequential(*blocks)
