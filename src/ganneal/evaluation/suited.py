"""Seeds of samples, and features for data that comes without a choice of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganneal.data import Dataset
from ganneal.metrics.extractors import Extractor, ExtractorConfig, Pixels, Points
from ganneal.randomness import derive_seed
from ganneal.storage.pictures import to_uint8

SELECTION_SEED = derive_seed(0, "selection")
"""Samples of the evaluations beside training, which choose ``best/``."""
FRESH_SEED = 1_000_003
"""Samples of the values that `ganneal compare` and `ganneal reproduce` report."""
EVALUATION_SEEDS = (0, 1, 2)
"""Samples of `ganneal evaluate`, unless told otherwise."""


def check_fresh(seeds: Sequence[int]) -> None:
    """Refuse to measure on the samples that chose the best weights.

    Raises:
        ValueError: `SELECTION_SEED` is among ``seeds``.
    """
    if SELECTION_SEED in seeds:
        raise ValueError(
            f"seeds must not hold {SELECTION_SEED}: its samples chose the best weights, whose value on them is too "
            f"good; use another seed, as 0."
        )


REAL_COUNT = 10_000
SAMPLES_PER_DIMENSION = 5
"""Below five samples a dimension the Fréchet distance is mostly bias."""


def suited_extractor(dataset: Dataset, count: int, chosen: ExtractorConfig | None = None) -> Extractor:
    """What is ``chosen``, else points as they are, or pixels averaged to 16, 8 or 4 a side.

    The side is the largest with five samples a dimension among the data and ``count`` generated samples.
    """
    if chosen is not None:
        return chosen.build(dataset.shape)
    if not dataset.is_images:
        return Points().build(dataset.shape)
    channels, fewest = dataset.shape[0], min(count, len(dataset), REAL_COUNT)
    sizes = [size for size in (16, 8, 4) if fewest >= SAMPLES_PER_DIMENSION * channels * size**2]
    return Pixels(sizes[0] if sizes else 4).build(dataset.shape)


def as_stored(samples: Tensor) -> Tensor:
    """Generated samples as files hold them: images quantised to uint8, points as they are."""
    return torch.from_numpy(to_uint8(samples)) if samples.dim() == 4 else samples
