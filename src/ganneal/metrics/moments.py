"""Count, mean and scatter of features, batch by batch or process by process, in float64 on the CPU."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

Features = Float[Tensor, "_ d"] | Float[np.ndarray, "_ d"]
"""One row per sample. Two sets may differ in rows, not in columns."""


def checked_features(name: str, features: Features) -> Float64[Tensor, "_ d"]:
    """``features`` detached, in float64 on the CPU; ``name`` is what errors call them.

    Raises:
        ValueError: ``features`` is not a two-dimensional array of finite floating-point numbers.
    """
    given = features if isinstance(features, Tensor) else np.asarray(features)
    if not (given.is_floating_point() if isinstance(given, Tensor) else given.dtype.kind == "f"):
        raise ValueError(f"{name} must be floating point, got {given.dtype}; convert other numbers first.")
    if given.ndim != 2 or given.shape[1] == 0:
        raise ValueError(
            f"{name} must have shape [n, d] with d at least 1, got {list(given.shape)}; flatten each sample to one row."
        )
    # the copy makes read-only and reversed NumPy arrays fit for torch; .cpu() first, as MPS has no float64
    tensor = given if isinstance(given, Tensor) else torch.from_numpy(np.array(given, np.float64, order="C"))
    rows = tensor.detach().cpu().double()
    bad = int((~rows.isfinite()).any(dim=1).sum())
    if bad:
        raise ValueError(
            f"{name} must be finite, got NaN or infinity in {bad} of {len(rows)} rows; no row is ever "
            f"dropped: find what produced them."
        )
    return rows


@dataclass(frozen=True, eq=False)
class Moments:
    r"""Sufficient statistics of a sample for its mean and covariance, exact under any split into parts.

    The scatter matrix is :math:`M = \sum_i (x_i - \mu)(x_i - \mu)^\top`, always kept centred: raw second
    moments lose the digits of the covariance when the features lie far from the origin. For published
    statistics give ``scatter=(n - 1) * covariance``.

    References:
        Chan et al., Algorithms for Computing the Sample Variance: Analysis and Recommendations, The American
        Statistician 37(3), 1983.

    >>> first, second = Moments.of(torch.tensor([[0.0], [2.0]])), Moments.of(torch.tensor([[4.0]]))
    >>> both = first.merge(second)
    >>> both.n, both.mean.item(), both.covariance.item()
    (3, 2.0, 4.0)
    """

    n: int
    mean: Float64[Tensor, " d"]
    scatter: Float64[Tensor, "d d"]

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError(f"n must be at least 0, got {self.n}; it is the number of samples.")
        if self.mean.ndim != 1 or self.scatter.shape != (len(self.mean), len(self.mean)):
            raise ValueError(
                f"mean and scatter must have shapes [d] and [d, d], got {list(self.mean.shape)} and "
                f"{list(self.scatter.shape)}; use Moments.of for features."
            )
        for name, value in (("mean", self.mean), ("scatter", self.scatter)):
            if value.dtype != torch.float64:
                raise ValueError(f"{name} must be float64, got {value.dtype}; use .double().")
            if not value.isfinite().all():
                raise ValueError(f"{name} must be finite, got NaN or infinity; check where it came from.")

    @staticmethod
    def of(features: Features) -> "Moments":
        """The moments of one batch; a batch of 0 rows is an empty part, one of 1 row has scatter 0."""
        rows = checked_features("features", features)
        # The mean of no rows would be NaN. Two passes, mean first: the products below are of small numbers.
        mean = rows.mean(dim=0) if len(rows) else rows.new_zeros(rows.shape[1])
        centred = rows - mean
        return Moments(len(rows), mean, centred.T @ centred)

    def merge(self, other: "Moments") -> "Moments":
        """The moments of both samples together.

        Another order of merging changes the result by rounding only; merge processes in rank order.
        """
        if self.mean.shape != other.mean.shape:
            raise ValueError(
                f"other must have d={len(self.mean)} features, got d={len(other.mean)}; use one extractor "
                f"for all parts."
            )
        if self.n == 0 or other.n == 0:
            return other if self.n == 0 else self
        n = self.n + other.n
        # Chan et al.: scatters add, and the distance of the means adds its outer product times n m / (n + m). No sum of
        # raw squares is ever formed.
        shift = other.mean - self.mean
        scatter = self.scatter + other.scatter + torch.outer(shift, shift) * (self.n * other.n / n)
        return Moments(n, self.mean + shift * (other.n / n), scatter)

    @property
    def covariance(self) -> Float64[Tensor, "d d"]:
        """The unbiased covariance, scatter / (n - 1), exactly symmetric."""
        if self.n < 2:
            raise ValueError(f"covariance needs n of at least 2, got {self.n}; merge more samples first.")
        # X'X is symmetric up to the order of its sums only; eigensolvers downstream want it exact.
        return (self.scatter + self.scatter.T) / (2 * (self.n - 1))
