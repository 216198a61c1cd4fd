"""The Fréchet distance extrapolated to infinitely many generated samples, which takes most of its bias away."""

from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ganneal.metrics.frechet import check_shapes, covariance_root, gaussian_distance, moments_of, warn_of_bias
from ganneal.metrics.moments import Features, Moments, checked_features


@dataclass(frozen=True)
class Extrapolation:
    """Fréchet distances of growing subsets of the fakes, and the line through them over 1 / size."""

    value: float
    """The intercept: the distance at infinitely many fakes, still biased by the finite real set."""
    slope: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


def extrapolated_frechet(real: Features | Moments, fake: Features, *, points: int = 15, seed: int = 0) -> Extrapolation:
    """The Fréchet distance to infinitely many fakes, by least squares over 1 / size of subsets of them.

    Subsets overlap, so the fit's own standard error would be too small: repeat over ``seed`` instead. The intercept
    may come out below 0, and is left there.

    Args:
        real: Features [n, d] or their `Moments`, used whole at every size.
        fake: Features [m, d].
        points: Sizes, evenly spaced from a tenth of the fakes, or from d + 1 if that is more, to all of them.
        seed: Of the draws; each size draws anew.
    Raises:
        ValueError: As `frechet_distance`; or the sizes cannot differ, with m = d + 1.
    Warns:
        UserWarning: n or m is below 5 d.
    References:
        Chong and Forsyth, Effectively Unbiased FID and Inception Score and Where to Find Them, CVPR 2020.
    """
    if points < 2:
        raise ValueError(f"points must be at least 2 for a line, got {points}; 15 is the default.")
    whole, rows = moments_of("real", real), checked_features("fake", fake)
    m, d = rows.shape
    check_shapes((whole.n, len(whole.mean)), (m, d))
    if m < d + 2:
        raise ValueError(f"fake must have at least d + 2 = {d + 2} rows for a line over sizes, got {m}; draw more.")
    warn_of_bias(min(whole.n, m), d)
    sizes = tuple(round(size) for size in np.linspace(max(d + 1, m / 10), m, points).tolist())
    generator, root = np.random.default_rng(seed), covariance_root(whole.covariance)
    orders = (torch.from_numpy(generator.permutation(m)[:size]) for size in sizes)
    distances = tuple(gaussian_distance(whole, _moments_of_rows(rows, order), root) for order in orders)
    slope, value = np.polyfit(1 / np.array(sizes), distances, deg=1).tolist()
    return Extrapolation(value, slope, sizes, distances)


def _moments_of_rows(rows: Float64[Tensor, "m d"], order: Int64[Tensor, " drawn"], block: int = 10_000) -> Moments:
    """Of the rows named by ``order``, copied a block at a time."""
    return reduce(Moments.merge, (Moments.of(rows[part]) for part in order.split(block)))
