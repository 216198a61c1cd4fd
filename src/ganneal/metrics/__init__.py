"""Distances between real and generated samples: pure functions of arrays, the real ones always first."""

from ganneal.metrics.binned import binned_divergence
from ganneal.metrics.divergence_estimates import gaussian_kl, knn_divergence, pushforward_kl
from ganneal.metrics.frechet import extrapolated_frechet, frechet_distance
from ganneal.metrics.inception_score import inception_score
from ganneal.metrics.intervals import paired_comparison, seed_interval
from ganneal.metrics.kernel import kernel_distance
from ganneal.metrics.memorisation import authenticity, copying_test, memorisation
from ganneal.metrics.mixture import mixture_quality
from ganneal.metrics.moments import Moments
from ganneal.metrics.neighbours import density_coverage, precision_recall
from ganneal.metrics.per_class import per_class_frechet
from ganneal.metrics.pixels import pixel_features
from ganneal.metrics.stacked import stacked_modes
from ganneal.metrics.wasserstein import sliced_wasserstein, wasserstein_1d

__all__ = [
    "Moments",
    "authenticity",
    "binned_divergence",
    "copying_test",
    "density_coverage",
    "extrapolated_frechet",
    "frechet_distance",
    "gaussian_kl",
    "inception_score",
    "kernel_distance",
    "knn_divergence",
    "memorisation",
    "mixture_quality",
    "paired_comparison",
    "per_class_frechet",
    "pixel_features",
    "precision_recall",
    "pushforward_kl",
    "seed_interval",
    "sliced_wasserstein",
    "stacked_modes",
    "wasserstein_1d",
]
