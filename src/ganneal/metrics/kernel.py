"""The kernel distance: an unbiased estimate that needs no more samples than features.

Called "KID" in a table only with the features of the 2015 TensorFlow Inception network, else ``KD-<extractor>``.
"""

from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.metrics.distances import checked_pair
from ganneal.metrics.moments import Features

_ALL_SAMPLES = 1e13
"""Most n m d for which all pairs are taken by default: 50,000 samples a side of 2048 features are below it."""
_SUBSETS = 100
"""Beyond it, the published choice: 100 subsets of 1000."""
_BLOCK = 1000


@dataclass(frozen=True)
class KernelDistance:
    """An unbiased estimate, so it may be negative; ``subsets`` is None where all samples were used at once."""

    value: float
    standard_error: float | None
    subsets: int | None = None


def kernel_distance(
    real: Features, fake: Features, *, subsets: int | None = None, subset_size: int = 1000, seed: int = 0
) -> KernelDistance:
    r"""Squared maximum mean discrepancy under the kernel :math:`k(x, y) = (x \cdot y / d + 1)^3`, unbiased.

    .. math:: \frac{1}{n(n-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{m(m-1)} \sum_{i \ne j} k(y_i, y_j)
              - \frac{2}{nm} \sum_{ij} k(x_i, y_j)

    The kernel sees the origin: never centre the features, and do not compare values of differently scaled ones.

    Args:
        real: Features [n, d].
        fake: Features [m, d]; n and m may differ.
        subsets: Mean over so many subsets drawn without replacement, the form of published values. By default all
            samples are used at once, with a smaller error, unless n m d is above 1e13: then 100 subsets.
        subset_size: Rows of each set in a subset.
        seed: Of the subsets; all samples at once need none.
    Returns:
        The value with its standard error from samples. Subsets have none: they overlap, and the deviation between
        their values measures one subset, not their mean.
    Raises:
        ValueError: A set has fewer than 2 rows or fewer than ``subset_size``; the features differ in d or are
            not finite.
    References:
        Bińkowski et al., Demystifying MMD GANs, ICLR 2018; Gretton et al., A Kernel Two-Sample Test, JMLR 2012.

    >>> real, fake = torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([[0.0], [2.0]])
    >>> result = kernel_distance(real, fake)
    >>> round(result.value, 4), round(result.standard_error, 4)
    (-41.3333, 55.4931)
    """
    x, y = checked_pair(real, fake)
    # All pairs use all that the samples know; the subsets of published values leave most pairs of large sets out.
    if subsets is None and len(x) * len(y) * x.shape[1] <= _ALL_SAMPLES:
        return _of_all_samples(x, y)
    count, generator = _SUBSETS if subsets is None else subsets, np.random.default_rng(seed)
    if count < 1:
        raise ValueError(f"subsets must be at least 1, got {count}; None uses all samples at once.")
    if not 2 <= subset_size <= min(len(x), len(y)):
        raise ValueError(
            f"subset_size must be between 2 and the smaller set's {min(len(x), len(y))} rows, got {subset_size}; "
            f"use all samples (subsets=None) or smaller subsets."
        )
    values = [
        _of_all_samples(_drawn(x, subset_size, generator), _drawn(y, subset_size, generator)).value
        for _ in range(count)
    ]
    return KernelDistance(float(np.mean(values)), None, count)


def _drawn(rows: Float64[Tensor, "n d"], size: int, generator: np.random.Generator) -> Float64[Tensor, "size d"]:
    # Without replacement: a row drawn twice would meet itself off the diagonal and bias the estimate.
    return rows[torch.from_numpy(generator.choice(len(rows), size, replace=False))]


def _of_all_samples(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> KernelDistance:
    """The estimate and its standard error.

    The estimate's first-order variance comes from each sample's mean kernel (a and b below); the variance of
    these counts the second-order part twice, which alone remains where the distributions are equal.
    """
    n, m = len(x), len(y)
    x_rows, x_spread = _within(x)
    y_rows, y_spread = _within(y)
    x_cross, y_cross, cross_spread = _between(x, y)
    # The diagonal k(x_i, x_i) is left out within a set, which makes the estimate unbiased and lets it be negative.
    value = float(x_rows.mean() + y_rows.mean() - 2 * x_cross.mean())
    # The first-order projections of the U-statistic, one for each sample. Where the distributions are equal they
    # vanish, and the variance is that of the second order.
    a, b = x_rows - x_cross, y_rows - y_cross  # [n], [m]
    first_order = 4 * float(a.var() / n + b.var() / m)
    second_order = 2 * x_spread / (n * (n - 1)) + 2 * y_spread / (m * (m - 1)) + 4 * cross_spread / (n * m)
    # Both parts are estimates, so their difference may be negative; the second order alone is a floor for the variance.
    variance = max(first_order - second_order, second_order, 0.0)
    if not isfinite(value + variance):
        raise ValueError("real and fake must be small enough for their kernel to be squared; rescale the features.")
    return KernelDistance(value, sqrt(variance))


def _kernel(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> Float64[Tensor, "n m"]:
    # In place: a tile of 1000 x 1000 takes 8 MB in float64.
    base = (x @ y.T).div_(x.shape[1]).add_(1)
    return base * base * base


def _within(x: Float64[Tensor, "n d"]) -> tuple[Float64[Tensor, " n"], float]:
    """Each sample's mean kernel with the others, and the mean square of the doubly centred kernel off the diagonal.

    With the grand mean g taken out, sums over i != j of (k_ij - r_i - r_j)^2 are those of k_ij^2 less 2 n r_i^2.
    All sums are of differences from a pilot mean, as a kernel far from 0 would lose digits.
    """
    n, pilot = len(x), _pilot(x, x)
    sums, squares = x.new_zeros(n), 0.0
    for i in range(0, n, _BLOCK):
        # Only tiles on and above the diagonal: the kernel is symmetric, and the column sums of a tile are the row sums
        # of its mirror image.
        for j in range(i, n, _BLOCK):
            tile = _kernel(x[i : i + _BLOCK], x[j : j + _BLOCK]).sub_(pilot)
            if i == j:
                tile.fill_diagonal_(0)  # left out, where the others have lost the pilot
            else:
                sums[j : j + _BLOCK] += tile.sum(dim=0)
            sums[i : i + _BLOCK] += tile.sum(dim=1)
            squares += float(tile.square_().sum()) * (1 if i == j else 2)
    rows = sums / (n - 1)
    # The doubly centred kernel k_ij - r_i - r_j + g is the second-order part; its mean square follows from sums that
    # are known already, without a second pass over the tiles.
    effects = float((rows - rows.mean()).square().sum())
    spread = squares / (n * (n - 1)) - float(rows.mean()) ** 2 - 2 * effects / (n - 1)
    return rows + pilot, spread  # the spread is of differences, which the pilot does not change


def _between(
    x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]
) -> tuple[Float64[Tensor, " n"], Float64[Tensor, " m"], float]:
    """Mean kernel of each x with all y, of each y with all x, and the mean square of the doubly centred kernel."""
    n, m, pilot = len(x), len(y), _pilot(x, y)
    x_sums, y_sums, squares = x.new_zeros(n), x.new_zeros(m), 0.0
    for i in range(0, n, _BLOCK):
        for j in range(0, m, _BLOCK):
            tile = _kernel(x[i : i + _BLOCK], y[j : j + _BLOCK]).sub_(pilot)
            x_sums[i : i + _BLOCK] += tile.sum(dim=1)
            y_sums[j : j + _BLOCK] += tile.sum(dim=0)
            squares += float(tile.square_().sum())
    x_rows, y_rows = x_sums / m, y_sums / n
    mean = float(x_rows.mean())
    effects = sum(float((rows - rows.mean()).square().mean()) for rows in (x_rows, y_rows))
    return x_rows + pilot, y_rows + pilot, squares / (n * m) - mean**2 - effects


def _pilot(x: Float64[Tensor, "n d"], y: Float64[Tensor, "m d"]) -> float:
    return float(_kernel(x[:_BLOCK], y[:_BLOCK]).mean())
