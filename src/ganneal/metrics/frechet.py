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
    first, second = _moments("real", real), _moments("fake", fake)
    if first.mean.shape != second.mean.shape:
        raise ValueError(
            f"real and fake must have the same d, got d={len(first.mean)} and d={len(second.mean)}; use one "
            f"extractor for both."
        )
    _check_counts(first, second, allow_singular)
    covariances = first.covariance, second.covariance
    spread = float(sum(covariance.trace() for covariance in covariances))
    shift = float((first.mean - second.mean).square().sum())
    return _rounded_up_to_zero(shift + spread - 2 * _trace_of_root(*covariances), spread)


def _moments(name: str, sample: Features | Moments) -> Moments:
    return sample if isinstance(sample, Moments) else Moments.of(checked_features(name, sample))


def _check_counts(real: Moments, fake: Moments, allow_singular: bool) -> None:
    d, smaller = len(real.mean), min(real.n, fake.n)
    for name, n in (("real", real.n), ("fake", fake.n)):
        if n < 2:
            raise ValueError(f"{name} must have at least 2 rows, got {n}; a covariance needs two samples.")
        if n <= d and not allow_singular:
            raise ValueError(
                f"{name} must have more rows than features, got n={n} for d={d}: its covariance is singular, "
                f"the distance mostly bias. Use more samples, an extractor with smaller d or a kernel "
                f"distance; allow_singular=True computes it all the same."
            )
    if smaller < 5 * d:
        warnings.warn(
            f"the smaller sample has n={smaller} rows, below 5 d = {5 * d}: the Fréchet distance is strongly "
            f"biased; compare it at equal sample counts only.",
            stacklevel=3,
        )


def _trace_of_root(first: Float64[Tensor, "d d"], second: Float64[Tensor, "d d"]) -> float:
    """The trace of (S_1^1/2 S_2 S_1^1/2)^1/2, from the eigenvalues of A' S_2 A where A A' = S_1.

    Both cuts drop eigenvalues that are rounding errors: the square root would magnify 1e-16 to 1e-8.
    """
    values, vectors = torch.linalg.eigh(first)
    kept = values > len(values) * _EPSILON * values[-1]
    root = vectors[:, kept] * values[kept].sqrt()
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
