"""Residual networks for CIFAR-10, 64 features and 10 logits of 32x32 images."""

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.metrics.extractors.files import load_network, read_npz
from ganneal.metrics.extractors.module import ModuleExtractor, check_shape
from ganneal.metrics.extractors.protocol import Maps, Precision
from ganneal.metrics.resize import Scaling

# The weights expect ImageNet's statistics, though the images that they were trained on are CIFAR's.
IMAGENET = Scaling((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""The channel means and standard deviations of ImageNet."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; where the size halves, it drops every second pixel and pads channels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.stride, self.padding = outputs // inputs, (outputs - inputs) // 2  # 1, 0 or 2, half of the new channels
        self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, maps: Maps) -> Maps:
        # Option A of He et al. for CIFAR: no weights in the shortcut, new channels are 0, half of them on each side.
        shortcut = maps if self.stride == 1 else F.pad(maps[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        inner = F.relu(self.bn1(self.conv1(maps)))
        return F.relu(self.bn2(self.conv2(inner)) + shortcut)


class CifarResNet(nn.Module):
    """``6 blocks + 2`` layers: stages of 16, 32 and 64 channels, the mean over positions, a linear layer."""

    def __init__(self, blocks: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(BasicBlock(16, 16) for _ in range(blocks)))
        self.layer2 = nn.Sequential(*(BasicBlock(16 if i == 0 else 32, 32) for i in range(blocks)))
        self.layer3 = nn.Sequential(*(BasicBlock(32 if i == 0 else 64, 64) for i in range(blocks)))
        self.linear = nn.Linear(64, 10)

    def forward(self, images: Float[Tensor, "n 3 32 32"]) -> tuple[Float[Tensor, "n 64"], Float[Tensor, "n 10"]]:
        maps = F.relu(self.bn1(self.conv1(images)))  # 32x32, then 16x16 and 8x8 in the later stages
        maps = self.layer3(self.layer2(self.layer1(maps)))
        features = maps.float().mean(dim=(2, 3))
        return features, self.linear(features)


@dataclass(frozen=True)
class ResNet:
    """A CIFAR-10 classifier of 20 or 56 layers; features are the mean over positions before the linear layer.

    Args:
        path: Arrays named as in the network's state dict, by default ``weights/cifar10_resnet<depth>.npz``, looked
            for where `data.find_data` looks.
    References:
        He et al., Deep Residual Learning for Image Recognition, CVPR 2016, sec. 4.2.
    """

    depth: Literal[20, 56] = 56
    path: str | None = None
    precision: Precision = "float32"
    batch_size: int = 250

    def __post_init__(self) -> None:
        if self.depth not in (20, 56):
            raise ValueError(f"depth must be 20 or 56, got {self.depth}.")

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        name = f"resnet{self.depth}"
        check_shape(name, shape, 3)
        if shape[1:] != (32, 32):
            raise ValueError(f"shape must be 32x32 for {name}, got {shape}; use 'mobilenet-v2' for other sizes.")
        path = f"weights/cifar10_{name}.npz" if self.path is None else self.path
        state, sha256 = read_npz(path)
        return ModuleExtractor(
            load_network(lambda: CifarResNet((self.depth - 2) // 6), state, path),
            name=name,
            shape=shape,
            layer="pool",
            scaling=IMAGENET,
            channels=3,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )
