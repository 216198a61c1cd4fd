"""Distances between a run's samples and its data, computed beside training without touching it."""

import warnings

import numpy as np
import torch

from ganneal.data import Dataset, Sampler
from ganneal.metrics import Moments, frechet_distance, pixel_features
from ganneal.sampling import TrainedGenerator

REAL_COUNT = 10_000
SAMPLES_PER_DIMENSION = 5
"""Below five samples a dimension the Fréchet distance is mostly bias."""


class PixelDistance:
    """Fréchet distance on area-averaged pixels between the data and a generator's samples.

    Images are averaged to 16, 8 or 4 px, the largest with at least five samples per dimension on both sides; the size
    is part of the name, `FD-pixels16`. Points are compared as they are, `FD-points`. Not comparable with FID.
    """

    def __init__(self, dataset: Dataset, count: int, seed: int = 0):
        self.count, self.seed = count, seed
        real = Sampler(dataset, seed).batch(0, min(len(dataset), REAL_COUNT)).samples
        channels = dataset.shape[0]
        fewest = min(count, len(real))
        sizes = [size for size in (16, 8, 4) if fewest >= SAMPLES_PER_DIMENSION * channels * size**2]
        self.size = sizes[0] if sizes else 4
        self.name = f"FD-pixels{self.size}" if dataset.is_images else "FD-points"
        self.real = Moments.of(pixel_features(real, size=self.size))

    @property
    def dimensions(self) -> int:
        """Length of a feature vector."""
        return len(self.real.mean)

    @property
    def possible(self) -> bool:
        """Whether there are more samples and images than dimensions, without which there is no distance."""
        return min(self.count, self.real.n) > self.dimensions

    def __call__(self, generator: TrainedGenerator) -> dict[str, float]:
        """The distance under its name; empty where it is not possible, or a sample is no number."""
        if not self.possible:
            return {}
        fake = pixel_features(generator.sample(self.count, self.seed), size=self.size)
        if not torch.isfinite(torch.as_tensor(np.asarray(fake))).all():
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # fewer than five samples a dimension: the best that was to be had
            return {self.name: frechet_distance(self.real, Moments.of(fake))}
