"""Distances between real and generated samples: pure functions of arrays, the real ones always first."""

from ganneal.metrics.frechet import frechet_distance
from ganneal.metrics.moments import Moments
from ganneal.metrics.pixels import pixel_features

__all__ = ["Moments", "frechet_distance", "pixel_features"]
