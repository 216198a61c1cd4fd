"""The Fréchet distance between two samples, each taken for a Gaussian, and its limit for infinitely many samples.

Its name in a table follows from the features: "FID" needs those of the 2015 TensorFlow Inception network; any
other extractor makes it ``FD-<extractor>``. Its bias is of order 1/n: compare at equal sample counts only.
"""

import warnings
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ganneal.metrics.moments import Features, Moments, checked_features
from ganneal.metrics.stored_moments import StoredMoments

_EPSILON = torch.finfo(torch.float64).eps


def frechet_distance(real: Features | Moments, fake: Features | Moments, *, allow_singular: bool = False) -> float:
    r"""Squared 2-Wasserstein distance between the Gaussians fitted to ``real`` and ``fake``.

    .. math:: \|\mu_1 - \mu_2\|^2 + \operatorname{tr} S_1 + \operatorname{tr} S_2
              - 2 \operatorname{tr} (S_1^{1/2} S_2 S_1^{1/2})^{1/2}

    Only eigenvalues of symmetric matrices are taken, so there is no complex root and no added
    :math:`\varepsilon I`; the error is below 1e-7 (1 + tr S_1 + tr S_2), rank-deficient covariances included.

    Args:
        real: Features [n, d], or their `Moments` if they came in batches.
        fake: Features [m, d], or their `Moments`; n and m may differ.
        allow_singular: Compute a value for n or m at or below d too, where a covariance is singular.
    Raises:
        ValueError: n or m is below 2, or at or below d without ``allow_singular``; the features differ in d
            or are not finite.
    Warns:
        UserWarning: n or m is below 5 d, where the bias is a large part of most values.
    References:
        Dowson and Landau, The Fréchet distance between multivariate normal distributions, 1982;
        Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017, Eq. 6.

    >>> x = torch.linspace(-1, 1, 50)[:, None]
    >>> round(frechet_distance(x, x + 3), 6)
    9.0
    """
    first, second = moments_of("real", real), moments_of("fake", fake)
    d = len(first.mean)
    check_shapes((first.n, d), (second.n, len(second.mean)), allow_singular)
    warn_of_bias(min(first.n, second.n), d)
    return gaussian_distance(first, second)


def gaussian_distance(
    real: Moments | StoredMoments, fake: Moments, root: Float64[Tensor, "d r"] | None = None
) -> float:
    """`frechet_distance` of any two moments of equal d, however few their samples.

    Args:
        root: `covariance_root` of the real covariance, where it serves for many fakes.
    """
    # tr S1 + tr S2 is the total variance of both sets. It is also the scale that a rounding error of the distance is
    # measured by.
    first, second = real.covariance, fake.covariance
    spread = float(first.trace() + second.trace())
    shift = float((real.mean - fake.mean).square().sum())
    # Only one of the two covariances needs a root: (S1^1/2 S2 S1^1/2)^1/2 has the same trace whichever of them it is.
    root = covariance_root(first) if root is None else root
    return _rounded_up_to_zero(shift + spread - 2 * _trace_of_root(root, second), spread)


def warn_of_bias(n: int, d: int) -> None:
    """Warn the caller's caller where n samples are few for d features."""
    if n < 5 * d:
        warnings.warn(
            f"the smaller sample has n={n} rows, below 5 d = {5 * d}: the Fréchet distance is strongly "
            f"biased; compare it at equal sample counts only.",
            stacklevel=3,
        )


def moments_of(name: str, sample: Features | Moments) -> Moments:
    """``sample``, or the moments of its features; ``name`` is what errors call it."""
    return sample if isinstance(sample, Moments) else Moments.of(checked_features(name, sample))


def check_shapes(real: tuple[int, int], fake: tuple[int, int], allow_singular: bool = False) -> None:
    """Refuse two sets of features, by their shapes, that differ in d or are too few for a covariance."""
    d = real[1]
    if fake[1] != d:
        raise ValueError(f"real and fake must have the same d, got d={d} and d={fake[1]}; use one extractor for both.")
    for name, n in (("real", real[0]), ("fake", fake[0])):
        if n < 2:
            raise ValueError(f"{name} must have at least 2 rows, got {n}; a covariance needs two samples.")
        if n <= d and not allow_singular:
            raise ValueError(
                f"{name} must have more rows than features, got n={n} for d={d}: its covariance is singular, "
                f"the distance mostly bias. Use more samples, an extractor with smaller d or a kernel "
                f"distance; frechet_distance with allow_singular=True computes it all the same."
            )


def covariance_root(covariance: Float64[Tensor, "d d"]) -> Float64[Tensor, "d r"]:
    """A with A A' = ``covariance``, without the directions that are rounding errors."""
    # eigh is exact about symmetry, so all values are real. The usual sqrtm of the product S1 S2 may be complex, and
    # fails where a covariance is singular.
    values, vectors = torch.linalg.eigh(covariance)
    # The usual cut for a numerical rank; eigenvalues come in rising order, so the last is the largest.
    kept = values > len(values) * _EPSILON * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


def _trace_of_root(root: Float64[Tensor, "d r"], second: Float64[Tensor, "d d"]) -> float:
    """The trace of (S_1^1/2 S_2 S_1^1/2)^1/2, from the eigenvalues of A' S_2 A where A A' = S_1.

    The cuts, here and in A, drop eigenvalues that are rounding errors: the square root would magnify 1e-16 to 1e-8.
    """
    # A' S2 A is r x r, r the rank that is left: with few samples far smaller than d x d. It is symmetric but for
    # rounding, and the mean with its transpose makes it so exactly, as eigvalsh reads one triangle only.
    inner = root.T @ second @ root
    # Its eigenvalues are those of S_1 S_2 that are not 0, and the trace of the root is the sum of their roots.
    squares = torch.linalg.eigvalsh((inner + inner.T) / 2)
    # A slice, as there may be none: constant features have a root without columns.
    return float(squares[squares > len(squares) * _EPSILON * squares[-1:]].sqrt().sum())


def _rounded_up_to_zero(distance: float, spread: float) -> float:
    """``distance``, or 0 where it is negative by rounding, relative to the total variance ``spread``."""
    if distance >= 0:
        return distance
    # The four terms nearly cancel where the sets are alike, so the error is measured by their size.
    if distance > -1e-6 * spread:
        return 0.0
    raise ValueError(
        f"real and fake must have positive semi-definite covariances, got a distance of {distance} at total "
        f"variance {spread}; check the scatter of Moments built by hand."
    )


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
    # Below d + 1 rows a covariance is singular and the distance no longer linear in 1 / size.
    sizes = tuple(round(size) for size in np.linspace(max(d + 1, m / 10), m, points).tolist())
    # One root of the real covariance serves all sizes.
    generator, root = np.random.default_rng(seed), covariance_root(whole.covariance)
    # Each size draws anew: nested subsets would tie the errors of neighbouring sizes together.
    orders = (torch.from_numpy(generator.permutation(m)[:size]) for size in sizes)
    distances = tuple(gaussian_distance(whole, _moments_of_rows(rows, order), root) for order in orders)
    # The bias is of order 1 / size, so the intercept of a line over 1 / size is the distance at infinitely many fakes.
    slope, value = np.polyfit(1 / np.array(sizes), distances, deg=1).tolist()
    return Extrapolation(value, slope, sizes, distances)


def _moments_of_rows(rows: Float64[Tensor, "m d"], order: Int64[Tensor, " drawn"], block: int = 10_000) -> Moments:
    """Moments of the rows named by ``order``, copied a block at a time."""
    # Rows are copied where they are drawn: all at once would double the memory that the features take.
    return reduce(Moments.merge, (Moments.of(rows[part]) for part in order.split(block)))
