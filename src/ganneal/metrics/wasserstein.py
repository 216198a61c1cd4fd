"""Earth mover's distances (Wasserstein-1) between samples: on a line, and over random slices."""

from math import exp, lgamma, pi, sqrt

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from ganneal.metrics.distances import checked_pair
from ganneal.metrics.moments import Features

_SLICES = 16  # directions in memory at a time


def wasserstein_1d(
    real: Float[Tensor, " n"] | Float[np.ndarray, " n"], fake: Float[Tensor, " m"] | Float[np.ndarray, " m"]
) -> float:
    r"""Distance on a line, :math:`\int |F - G|`; the sizes may differ.

    >>> round(wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0, 3.0])), 6)
    0.833333
    """
    first, second = checked_pair(real[:, None], fake[:, None])  # [n, 1], [m, 1]
    return float(_columns(first, second))


def sliced_wasserstein(real: Features, fake: Features, *, directions: int = 128, seed: int = 0) -> float:
    """Mean distance of the samples projected on random unit directions.

    Depends on the directions drawn: compare values of one seed, and of one dimension only, since a shift of the
    same length counts less the more dimensions there are, see `expected_shift_slice`.

    References:
        Rabin et al., Wasserstein Barycenter and its Application to Texture Mixing, 2011.

    >>> x = torch.zeros(5, 1)
    >>> sliced_wasserstein(x, x + 2)
    2.0
    """
    first, second = checked_pair(real, fake)
    if directions < 1:
        raise ValueError(f"directions must be at least 1, got {directions}; 128 is the default.")
    rows = torch.from_numpy(np.random.default_rng(seed).standard_normal((directions, first.shape[1])))
    # A normal vector over its length is uniform on the sphere.
    units = rows / rows.norm(dim=1, keepdim=True)
    # A few directions at a time: all projections at once are n x directions.
    return float(torch.cat([_columns(first @ part.T, second @ part.T) for part in units.split(_SLICES)]).mean())


def expected_shift_slice(d: int) -> float:
    """The sliced distance of samples from themselves moved by 1 in ``d`` dimensions, over all directions.

    >>> [round(expected_shift_slice(d), 6) for d in (1, 2, 3, 64)]
    [1.0, 0.63662, 0.5, 0.100126]
    """
    if d < 1:
        raise ValueError(f"d must be at least 1, got {d}.")
    # The mean of |u_1| over the unit sphere, Gamma(d / 2) / (sqrt(pi) Gamma((d + 1) / 2)).
    return exp(lgamma(d / 2) - lgamma((d + 1) / 2)) / sqrt(pi)


def _columns(x: Float64[Tensor, "n slices"], y: Float64[Tensor, "m slices"]) -> Float64[Tensor, " slices"]:
    """The distance in each column, as an integral over quantiles: |Q_x(u) - Q_y(u)| for u in [0, 1]."""
    # In one dimension the best transport keeps the order, so W1 is the integral over |Q_x - Q_y|.
    x_rows, y_rows, lengths = _common_quantiles(len(x), len(y))
    differences = x.sort(dim=0).values[x_rows] - y.sort(dim=0).values[y_rows]  # [parts, slices]
    return (differences.abs() * lengths[:, None]).sum(dim=0)


def _common_quantiles(
    n: int, m: int
) -> tuple[Int64[Tensor, " parts"], Int64[Tensor, " parts"], Float64[Tensor, " parts"]]:
    """Parts of [0, 1] on which both quantile functions are constant: their rows in sorted samples, their lengths."""
    # in units of 1 / (n m) all steps are whole numbers, so that equal ones meet without rounding
    steps = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), steps[:-1]])
    # In these units row i of n sorted values covers i m to (i + 1) m.
    return starts // m, starts // n, (steps - starts).double() / (n * m)
