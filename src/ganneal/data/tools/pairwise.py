"""Distances of images from each other and from noise, which decide the weights of annealed CFG (Technique 1)."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ganneal.weights import Geometric

LARGE_DISTANCE = 150.0
"""Between the two settings that the paper gives: about 80 at 64 px and 330 at 256 px."""
START_STD = 0.1
"""Standard deviation of the start pixels of functional gradients: random projections of 100 latents, entries of
0.01."""
COLUMNS = 4_096
MOST_NUMBERS = 100_000_000
"""Numbers of one set that are held as floats: fewer samples are taken of large images."""


@dataclass(frozen=True)
class PairwiseDistances:
    """Euclidean distances over pairs of images."""

    median: float
    percentile_95: float
    largest: float


def pairwise_distances(x: Any, y: Any = None, *, count: int = 2_000, seed: int = 0) -> PairwiseDistances:
    """Distances between samples of ``x``, each pair once, or from samples of ``x`` to samples of ``y``.

    Args:
        x: uint8 ``[N, ...]``, scaled to [-1, 1], or floats, taken as they are; at least two, one with ``y``.
        y: The same of other samples.
        count: At most so many of each set, chosen at random.
    References:
        Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Technique 1.

    >>> pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]])).median
    5.0
    """
    first = _rows(x, count, seed)
    if y is None:
        if len(first) < 2:
            raise ValueError(f"x must have at least 2 samples, got {len(first)}; give y for distances to others.")
        # Above the diagonal: each pair once, and no image with itself.
        found = _distances(first, first)[np.triu_indices(len(first), 1)]
    else:
        second = _rows(y, count, seed + 1)
        if not len(first) or not len(second) or first.shape[1] != second.shape[1]:
            raise ValueError(f"x and y must be samples of one shape, got {np.shape(x)} and {np.shape(y)}.")
        found = _distances(first, second).ravel()
    median, percentile = np.percentile(found, [50, 95])
    return PairwiseDistances(float(median), float(percentile), float(found.max()))


def median_pairwise_distance(x: Any, y: Any = None, *, count: int = 2_000, seed: int = 0) -> float:
    """The median of `pairwise_distances`: the paper's D1, and with noise for ``y`` its D2."""
    return pairwise_distances(x, y, count=count, seed=seed).median


def noise_like(shape: tuple[int, ...], *, std: float = 1.0, count: int = 2_000, seed: int = 0) -> np.ndarray:
    """Normal pixels ``[count, *shape]`` of ``std``, float32: what a generator shows before training, for D2.

    With std 1 the distances are the paper's; functional gradients here start at `START_STD`.
    """
    random = np.random.default_rng(seed)
    pixels = random.standard_normal((min(count, _most(prod(shape))), *shape), dtype=np.float32)
    return pixels if std == 1 else np.float32(std) * pixels


def suggest_weights(d1: float) -> Geometric:
    """The weights that the paper gives annealed CFG for images with a median distance of ``d1``; NATS has (1, 0.01).

    A heuristic, as are the paper's Equations 9 and 10, which make the first move proportional to D2.

    >>> suggest_weights(38), suggest_weights(330)
    (Geometric(first=1.0, last=0.01), Geometric(first=20.0, last=1.0))
    """
    if not d1 > 0:
        raise ValueError(f"d1 must be above 0, got {d1}; all images are the same.")
    return Geometric(1.0, 0.01) if d1 < LARGE_DISTANCE else Geometric(20.0, 1.0)


def fitted_first_weight(d2: float) -> float:
    """A curve of ours through the paper's two settings, not the paper's: max(1, (D2 / 125)^2.1), D2 from std 1."""
    return max(1.0, (d2 / 125) ** 2.1)


def _most(size: int) -> int:
    return max(2, MOST_NUMBERS // max(size, 1))


def _rows(samples: Any, count: int, seed: int) -> np.ndarray:
    """At most ``count`` samples as rows, uint8 or float32."""
    count = min(count, len(samples), _most(prod(samples.shape[1:])))
    rows = np.arange(len(samples))
    if count < len(samples):
        # Sorted, so that a memory map is read from front to back.
        rows = np.sort(np.random.default_rng(seed).choice(len(samples), count, replace=False))
    return np.asarray(samples[rows]).reshape(count, prod(samples.shape[1:]))


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """``[n, m]``, float64, from |a|^2 + |b|^2 - 2 a.b over blocks of columns."""
    squares = np.zeros((len(first), len(second)))
    # Both sets as float64 would take gigabytes; a block of columns of each does not.
    for start in range(0, first.shape[1], COLUMNS):
        a, b = (_scaled(rows[:, start : start + COLUMNS]) for rows in (first, second))
        # In float64, on values in [-1, 1]: the differences that are lost matter for near pairs, not for a median.
        squares += (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    # Rounding leaves equal rows a tiny negative square, whose root would be NaN.
    return np.sqrt(squares.clip(0))


def _scaled(rows: np.ndarray) -> np.ndarray:
    # On the players' scale, as the paper's distances are.
    return rows / 127.5 - 1 if rows.dtype == np.uint8 else rows.astype(np.float64)
