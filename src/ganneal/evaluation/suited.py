"""Seeds of samples, and features for data that comes without a choice of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ganneal.data import Dataset
from ganneal.metrics.extractors import CifarCNN, EfficientNetLite0, ExtractorConfig, Pixels, Points
from ganneal.metrics.extractors.efficientnet import INSTALL, weights_path
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
    # best/ is the smallest of many noisy values on these samples: on them it is biased downwards.
    if SELECTION_SEED in seeds:
        raise ValueError(
            f"seeds must not hold {SELECTION_SEED}: its samples chose the best weights, so their value on them is "
            "biased; use another seed, such as 0."
        )


REAL_COUNT = 10_000
SAMPLES_PER_DIMENSION = 5
"""Below five samples a dimension the Fréchet distance is mostly bias."""
SMALL_PHOTOGRAPHS, PHOTOGRAPHS = 28, 48
"""Shorter sides, in pixels, from which colour images suit a classifier of 32 px, and one of ImageNet's photographs."""
PIXEL_SIZES = (16, 8, 4)


def suited_extractor(
    dataset: Dataset, count: int, before: ExtractorConfig | None = None, *, flattered: bool = False
) -> ExtractorConfig:
    """The features for ``dataset`` where nobody chose any; points are their own.

    Colour images of 28 to 47 px suit the CIFAR-10 classifier that ships with ganneal. Larger ones suit
    EfficientNet-Lite0 where its weights are installed. All others are measured by pixels averaged to 16, 8 or 4 a side,
    the most with five samples a dimension on both sides.

    Args:
        count: Generated samples.
        before: What the run was followed with when it began: it goes on with it where its weights are installed.
        flattered: Whether the discriminator saw features of EfficientNet-Lite0, in which distances flatter the
            generator: photographs are then compared by the CIFAR-10 classifier.
    """
    # Another network in the middle of a log would look as if training had jumped.
    if before is not None and not (isinstance(before, EfficientNetLite0) and weights_path() is None):
        return before
    if not dataset.is_images:
        return Points()
    channels, side = dataset.shape[0], min(dataset.shape[1:])
    if channels == 3 and SMALL_PHOTOGRAPHS <= side < PHOTOGRAPHS:
        return CifarCNN()
    if channels == 3 and side >= PHOTOGRAPHS and weights_path() is not None:
        # A projected discriminator trains on these very features; distances in them reward what it has taught.
        return CifarCNN() if flattered else EfficientNetLite0()
    # Both sides need their samples a dimension, so the smaller one decides.
    fewest = min(count, len(dataset), REAL_COUNT)
    sizes = [size for size in PIXEL_SIZES if fewest >= SAMPLES_PER_DIMENSION * channels * size**2]
    return Pixels(sizes[0] if sizes else PIXEL_SIZES[-1])


def better_features(shape: Sequence[int], chosen: ExtractorConfig) -> str | None:
    """Advice on features of photographs of ``shape`` beyond ``chosen``'s pixels; None where there are none."""
    if not isinstance(chosen, Pixels) or len(shape) != 3 or shape[0] != 3 or min(shape[1:]) < PHOTOGRAPHS:
        return None
    # They are installed and were not chosen: somebody asked for pixels.
    if weights_path() is not None:
        return None
    return f"images are compared by averaged pixels alone; {INSTALL} adds features of photographs (efficientnet-lite0)."


def fewer_features(shape: Sequence[int], count: int) -> str | None:
    """The options for averaged pixels of ``shape`` that are fewer than ``count`` samples; None without any."""
    if len(shape) != 3:
        return None
    size = next((size for size in PIXEL_SIZES if shape[0] * min(shape[1], size) * min(shape[2], size) < count), None)
    return None if size is None else f"--extractor pixels --extractor.size {size}"


def as_stored(samples: Tensor) -> Tensor:
    """Generated samples as files hold them: images quantised to uint8, points as they are."""
    # As real images are bytes: levels between two of them would tell the sides apart and move a distance near 0.
    return torch.from_numpy(to_uint8(samples)) if samples.dim() == 4 else samples
