"""Samples and features for data that comes without a choice of either."""

import torch
from torch import Tensor

from ganneal.data import Dataset
from ganneal.metrics.extractors import Extractor, Pixels, Points
from ganneal.storage.pictures import to_uint8

REAL_COUNT = 10_000
SAMPLES_PER_DIMENSION = 5
"""Below five samples a dimension the Fréchet distance is mostly bias."""


def suited_extractor(dataset: Dataset, count: int) -> Extractor:
    """Pixels averaged to 16, 8 or 4 a side, the most with five samples a dimension on both sides; points as are."""
    if not dataset.is_images:
        return Points().build(dataset.shape)
    channels, fewest = dataset.shape[0], min(count, len(dataset), REAL_COUNT)
    sizes = [size for size in (16, 8, 4) if fewest >= SAMPLES_PER_DIMENSION * channels * size**2]
    return Pixels(sizes[0] if sizes else 4).build(dataset.shape)


def as_stored(samples: Tensor) -> Tensor:
    """Generated samples as files hold them: images quantised to uint8, points as they are."""
    return torch.from_numpy(to_uint8(samples)) if samples.dim() == 4 else samples
