"""Random convolutions as features: no weights to find, for tests and for a first look."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.metrics.extractors.module import ModuleExtractor
from ganneal.metrics.extractors.protocol import Precision
from ganneal.registry import check_at_least_one


class RandomNetwork(nn.Module):
    """Three strided 3x3 convolutions with ReLU, means over positions; 10 logits from a linear layer."""

    def __init__(self, channels: int, width: int, seed: int):
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        sizes = (channels, width, width, width)
        # From a generator of its own: the same features on every machine, and no draw of the run moves.
        for layer, (inputs, outputs) in enumerate(zip(sizes, sizes[1:], strict=False)):
            scale = (2 / (9 * inputs)) ** 0.5  # keeps the variance through ReLU (He et al. 2015)
            # Buffers, not parameters: nothing may train them, and they are saved and hashed all the same.
            self.register_buffer(f"weight{layer}", scale * torch.randn(outputs, inputs, 3, 3, generator=random))
        self.register_buffer("head", torch.randn(10, width, generator=random) / width**0.5)

    def forward(self, images: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n 10"]]:
        maps = images
        for layer in range(3):
            maps = F.relu(F.conv2d(maps, self.get_buffer(f"weight{layer}"), stride=2, padding=1))
        features = maps.float().mean(dim=(2, 3))
        return features, F.linear(features, self.get_buffer("head"))


@dataclass(frozen=True)
class Random:
    """``width`` features of a fixed random network, and 10 logits; distances on them rank only gross differences."""

    seed: int = 0
    width: int = 32
    precision: Precision = "float32"
    batch_size: int = 256

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width)

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        if len(shape) != 3:
            raise ValueError(f"shape must be (C, H, W) for random, got {shape}; for points use the extractor 'points'.")
        return ModuleExtractor(
            RandomNetwork(shape[0], self.width, self.seed),
            name="random",
            shape=shape,
            layer="pool",
            batch_size=self.batch_size,
            precision=self.precision,
        )
