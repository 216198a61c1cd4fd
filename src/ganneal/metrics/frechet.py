"""The Fréchet distance between two samples, each taken for a Gaussian.

Its name in a table follows from the features: "FID" needs those of the 2015 TensorFlow Inception network; any
other extractor makes it ``FD-<extractor>``. Its bias is of order 1/n: compare at equal sample counts only.
"""

import warnings

import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.metrics.moments import Features, Moments, checked_features

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


def gaussian_distance(real: Moments, fake: Moments, root: Float64[Tensor, "d r"] | None = None) -> float:
    """`frechet_distance` of any two moments of equal d, however few their samples.

    Args:
        root: `covariance_root` of the real covariance, where it serves for many fakes.
    """
    first, second = real.covariance, fake.covariance
    spread = float(first.trace() + second.trace())
    shift = float((real.mean - fake.mean).square().sum())
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
    values, vectors = torch.linalg.eigh(covariance)
    kept = values > len(values) * _EPSILON * values[-1]
    return vectors[:, kept] * values[kept].sqrt()


def _trace_of_root(root: Float64[Tensor, "d r"], second: Float64[Tensor, "d d"]) -> float:
    """The trace of (S_1^1/2 S_2 S_1^1/2)^1/2, from the eigenvalues of A' S_2 A where A A' = S_1.

    The cuts, here and in A, drop eigenvalues that are rounding errors: the square root would magnify 1e-16 to 1e-8.
    """
    inner = root.T @ second @ root
    squares = torch.linalg.eigvalsh((inner + inner.T) / 2)
    return float(squares[squares > len(squares) * _EPSILON * squares[-1:]].sqrt().sum())


def _rounded_up_to_zero(distance: float, spread: float) -> float:
    """``distance``, or 0 where it is negative by rounding, relative to the total variance ``spread``."""
    if distance >= 0:
        return distance
    if distance > -1e-6 * spread:
        return 0.0
    raise ValueError(
        f"real and fake must have positive semi-definite covariances, got a distance of {distance} at total "
        f"variance {spread}; check the scatter of Moments built by hand."
    )
