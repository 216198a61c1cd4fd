"""Features without a network: averaged pixels of images, and points as they are."""

from dataclasses import dataclass

import torch

from ganneal.metrics.extractors.module import check_samples, check_shape
from ganneal.metrics.extractors.protocol import Extracted, Precision, RawSamples
from ganneal.metrics.pixels import pixel_features
from ganneal.metrics.resize import TO_SIGNED


@dataclass(frozen=True)
class Pixels:
    """Images area-averaged to at most ``size`` x ``size`` pixels, `pixel_features`: layout and colour, no more."""

    size: int = 16

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}; 16 is the default.")

    def build(self, shape: tuple[int, ...]) -> "PixelExtractor":
        if len(shape) != 3:
            raise ValueError(f"shape must be (C, H, W) for pixels, got {shape}; for points use the extractor 'points'.")
        return PixelExtractor(self.size, shape)


class PixelExtractor:
    """`Pixels` for images of one shape."""

    sha256: str | None = None
    layer, input_scaling = "pixels", str(TO_SIGNED)
    precision: Precision = "float32"

    def __init__(self, size: int, shape: tuple[int, ...]):
        self.size, self.shape = size, shape
        self.name = f"pixels{size}"
        self.dimensions = shape[0] * min(shape[1], size) * min(shape[2], size)
        self.resize = f"area average to {min(shape[1], size)}x{min(shape[2], size)}"

    def __call__(self, samples: RawSamples) -> Extracted:
        check_samples(self.name, self.shape, samples)
        if len(samples) == 0:
            return Extracted(torch.empty(0, self.dimensions), None)
        # Averaged in float64 and given on in float32, as every extractor's features are.
        return Extracted(pixel_features(samples.float() / 127.5 - 1, size=self.size).float(), None)


@dataclass(frozen=True)
class Points:
    """Points [n, d] as their own features."""

    def build(self, shape: tuple[int, ...]) -> "PointExtractor":
        check_shape("points", shape, None)
        if len(shape) != 1:
            raise ValueError(f"shape must be (D,) for points, got {shape}; for images use 'pixels' or a network.")
        return PointExtractor(shape)


class PointExtractor:
    """`Points` of one dimension."""

    name, layer, resize, input_scaling = "points", "points", "none", "none"
    sha256: str | None = None
    precision: Precision = "float32"

    def __init__(self, shape: tuple[int, ...]):
        self.shape, self.dimensions = shape, shape[0]

    def __call__(self, samples: RawSamples) -> Extracted:
        check_samples(self.name, self.shape, samples)
        return Extracted(samples.detach().float().cpu(), None)
