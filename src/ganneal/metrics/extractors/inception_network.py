"""The 2015 Inception network of FID and IS, and torchvision's variant of it, from the same blocks.

Names of modules follow the public weight files. Torchvision's network averages the zero padding in too, and pools the
last block by the mean where the 2015 network takes the maximum.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.metrics.extractors.protocol import Maps

Layer = Literal["64", "192", "768", "2048"]
"""Layers to read features from, by number. The first three give means over positions of the maps."""


class ConvNormReLU(nn.Module):
    """Convolution, batch norm, ReLU; ``kernel`` and ``padding`` are one number or (rows, columns)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int] = 1,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ):
        super().__init__()
        # Batch norm's shift takes the place of a bias.
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        # TensorFlow's epsilon, a hundred times torch's default.
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, maps: Maps) -> Maps:
        return F.relu(self.bn(self.conv(maps)), inplace=True)


def _row(inputs: int, outputs: int, length: int) -> ConvNormReLU:
    return ConvNormReLU(inputs, outputs, (1, length), padding=(0, length // 2))


def _column(inputs: int, outputs: int, length: int) -> ConvNormReLU:
    return ConvNormReLU(inputs, outputs, (length, 1), padding=(length // 2, 0))


class Pooling(nn.Module):
    """3x3 pooling that keeps the size: the mean, with or without the padding in it, or the maximum."""

    def __init__(self, kind: Literal["mean", "padded mean", "max"]):
        super().__init__()
        self.kind = kind

    def forward(self, maps: Maps) -> Maps:
        if self.kind == "max":
            return F.max_pool2d(maps, 3, stride=1, padding=1)
        # TensorFlow averages over the pixels that are there; torchvision's network was trained with the padding counted
        # as zeros.
        return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=self.kind == "padded mean")


class BlockA(nn.Module):
    """Mixed_5b to 5d: 35x35."""

    def __init__(self, inputs: int, pooled: int, pool: Pooling):
        super().__init__()
        self.branch1x1 = ConvNormReLU(inputs, 64)
        self.branch5x5_1 = ConvNormReLU(inputs, 48)
        self.branch5x5_2 = ConvNormReLU(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = ConvNormReLU(inputs, 64)
        self.branch3x3dbl_2 = ConvNormReLU(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNormReLU(96, 96, 3, padding=1)
        self.pool = pool
        self.branch_pool = ConvNormReLU(inputs, pooled)

    def forward(self, maps: Maps) -> Maps:
        # The order of the branches is part of the weights: the next layer reads channels by their number.
        five = self.branch5x5_2(self.branch5x5_1(maps))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(maps)))
        return torch.cat([self.branch1x1(maps), five, double, self.branch_pool(self.pool(maps))], dim=1)  # 224 + pooled


class BlockB(nn.Module):
    """Mixed_6a: 35x35 to 17x17."""

    def __init__(self, inputs: int):
        super().__init__()
        self.branch3x3 = ConvNormReLU(inputs, 384, 3, stride=2)
        self.branch3x3dbl_1 = ConvNormReLU(inputs, 64)
        self.branch3x3dbl_2 = ConvNormReLU(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = ConvNormReLU(96, 96, 3, stride=2)

    def forward(self, maps: Maps) -> Maps:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(maps)))
        return torch.cat([self.branch3x3(maps), double, F.max_pool2d(maps, 3, stride=2)], dim=1)  # 384 + 96 + 288 = 768


class BlockC(nn.Module):
    """Mixed_6b to 6e: 17x17, with 7x7 convolutions as rows and columns of ``width`` channels."""

    def __init__(self, width: int, pool: Pooling):
        super().__init__()
        self.branch1x1 = ConvNormReLU(768, 192)
        self.branch7x7_1 = ConvNormReLU(768, width)
        self.branch7x7_2 = _row(width, width, 7)
        self.branch7x7_3 = _column(width, 192, 7)
        self.branch7x7dbl_1 = ConvNormReLU(768, width)
        self.branch7x7dbl_2 = _column(width, width, 7)
        self.branch7x7dbl_3 = _row(width, width, 7)
        self.branch7x7dbl_4 = _column(width, width, 7)
        self.branch7x7dbl_5 = _row(width, 192, 7)
        self.pool = pool
        self.branch_pool = ConvNormReLU(768, 192)

    def forward(self, maps: Maps) -> Maps:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(maps)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(maps)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(maps), seven, double, self.branch_pool(self.pool(maps))], dim=1)  # 4 x 192


class BlockD(nn.Module):
    """Mixed_7a: 17x17 to 8x8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = ConvNormReLU(768, 192)
        self.branch3x3_2 = ConvNormReLU(192, 320, 3, stride=2)
        self.branch7x7x3_1 = ConvNormReLU(768, 192)
        self.branch7x7x3_2 = _row(192, 192, 7)
        self.branch7x7x3_3 = _column(192, 192, 7)
        self.branch7x7x3_4 = ConvNormReLU(192, 192, 3, stride=2)

    def forward(self, maps: Maps) -> Maps:
        three = self.branch3x3_2(self.branch3x3_1(maps))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(maps))))
        return torch.cat([three, seven, F.max_pool2d(maps, 3, stride=2)], dim=1)  # 320 + 192 + 768 = 1280


class BlockE(nn.Module):
    """Mixed_7b and 7c: 8x8, with 3x3 convolutions as a row beside a column."""

    def __init__(self, inputs: int, pool: Pooling):
        super().__init__()
        self.branch1x1 = ConvNormReLU(inputs, 320)
        self.branch3x3_1 = ConvNormReLU(inputs, 384)
        self.branch3x3_2a = _row(384, 384, 3)
        self.branch3x3_2b = _column(384, 384, 3)
        self.branch3x3dbl_1 = ConvNormReLU(inputs, 448)
        self.branch3x3dbl_2 = ConvNormReLU(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = _row(384, 384, 3)
        self.branch3x3dbl_3b = _column(384, 384, 3)
        self.pool = pool
        self.branch_pool = ConvNormReLU(inputs, 192)

    def forward(self, maps: Maps) -> Maps:
        three = self.branch3x3_1(maps)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(maps))
        # 320 + 4 x 384 + 192 = 2048 channels.
        crossed = [self.branch3x3_2a(three), self.branch3x3_2b(three)]
        crossed += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(maps), *crossed, self.branch_pool(self.pool(maps))], dim=1)


class InceptionNetwork(nn.Module):
    """Scaled 299x299 images to the features of ``layer``, and logits where it is the last, "2048".

    Args:
        torchvision: Torchvision's pooling and 1,000 outputs, in place of the 2015 network's and 1,008.
        biased_logits: Add the bias of the last layer; the Inception Score of the 2015 network leaves it out.
    References:
        Szegedy et al., Rethinking the Inception Architecture for Computer Vision, CVPR 2016.
    """

    def __init__(self, layer: Layer = "2048", *, biased_logits: bool = False, torchvision: bool = False):
        super().__init__()
        if layer not in get_args(Layer):
            raise ValueError(f"layer must be one of {', '.join(get_args(Layer))}, got {layer!r}.")
        self.layer, self.biased_logits = layer, biased_logits
        mean, last = (
            # The 2015 graph pools by the maximum in its very last block, unlike the paper's figure and torchvision.
            # Scores depend on it, so it is part of FID.
            (Pooling("padded mean"), Pooling("padded mean")) if torchvision else (Pooling("mean"), Pooling("max"))
        )
        self.Conv2d_1a_3x3 = ConvNormReLU(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvNormReLU(32, 32, 3)
        self.Conv2d_2b_3x3 = ConvNormReLU(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = ConvNormReLU(64, 80)
        self.Conv2d_4a_3x3 = ConvNormReLU(80, 192, 3)
        self.Mixed_5b = BlockA(192, 32, mean)
        self.Mixed_5c = BlockA(256, 64, mean)
        self.Mixed_5d = BlockA(288, 64, mean)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(128, mean)
        self.Mixed_6c = BlockC(160, mean)
        self.Mixed_6d = BlockC(160, mean)
        self.Mixed_6e = BlockC(192, mean)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, mean)
        self.Mixed_7c = BlockE(2048, last)
        # The 2015 graph has 1008 outputs, of which 1000 are ImageNet's classes.
        self.fc = nn.Linear(2048, 1000 if torchvision else 1008)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n k"] | None]:
        maps = self._maps(images)
        # The mean over positions is taken in float32 under bf16 too: 64 values of 8 bits would round each other.
        features = maps.float().mean(dim=(2, 3))
        if self.layer != "2048":
            return features, None
        with torch.autocast(features.device.type, enabled=False):  # one product, not worth bf16's rounding
            return features, F.linear(features, self.fc.weight, self.fc.bias if self.biased_logits else None)

    def _maps(self, images: Maps) -> Maps:
        """The maps of ``layer``; what lies behind it is not computed."""
        maps = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images)))  # 149, 147, 147
        maps = F.max_pool2d(maps, 3, stride=2)  # 73x73
        if self.layer == "64":
            return maps
        maps = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(maps)), 3, stride=2)  # 35x35
        if self.layer == "192":
            return maps
        maps = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(maps))))
        maps = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(maps))))  # 17x17
        if self.layer == "768":
            return maps
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(maps)))  # 8x8
