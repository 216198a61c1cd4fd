"""Fidelity and diversity by nearest neighbours: precision and recall, density and coverage.

All four depend on the sample counts and on k: compare at equal ones only, and name them. Time grows with the square
of the counts: 10,000 samples a side are customary.
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

from jaxtyping import Float64
from torch import Tensor

from ganneal.metrics.distances import ball_counts, checked_pair, nearest_distances
from ganneal.metrics.moments import Features

Ball = Literal["closed", "open"]
"""Closed balls hold their edge, open ones do not. It matters for ties only, such as copies of training samples."""


@dataclass(frozen=True)
class PrecisionRecallResult:
    """Shares in [0, 1]. One fake outlier's huge ball can lift recall to 1: read it beside coverage."""

    precision: float
    recall: float


@dataclass(frozen=True)
class DensityCoverageResult:
    """Density is 1 in expectation for equal distributions and may exceed it; coverage is a share in [0, 1]."""

    density: float
    coverage: float


def precision_recall(
    real: Features, fake: Features, *, k: int = 3, ball: Ball = "closed", block: int = 1000
) -> PrecisionRecallResult:
    """Share of fakes within the real set's balls, and of real samples within the fakes' balls.

    The ball of a sample reaches to the ``k``-th nearest other sample of its own set.

    Args:
        real: Features [n, d]. First, as everywhere here; some tools take the fakes first.
        fake: Features [m, d].
        ball: "closed" as published.
        block: Rows of either set in memory at a time; it changes no result.
    Raises:
        ValueError: ``k`` is not below n and m; a set has fewer than 2 rows; the features differ in d or are not
            finite.
    References:
        Kynkäänniemi et al., Improved Precision and Recall Metric for Assessing Generative Models, NeurIPS 2019.
    """
    x, y = checked_pair(real, fake)
    closed = _closed(ball)
    _check_neighbour(k, len(x), len(y))
    # For each fake the number of real balls that hold it, and below for each real sample that of the fakes' balls.
    of_fake, _ = ball_counts(y, x, _radii(x, k, block), closed=closed, block=block)
    of_real, _ = ball_counts(x, y, _radii(y, k, block), closed=closed, block=block)
    return PrecisionRecallResult(float((of_fake > 0).double().mean()), float((of_real > 0).double().mean()))


def density_coverage(
    real: Features, fake: Features, *, k: int = 5, ball: Ball = "open", block: int = 1000
) -> DensityCoverageResult:
    """Real balls per fake, over ``k``, and the share of real balls that hold a fake.

    Unlike recall, coverage takes no balls around fakes, so outliers among them cannot raise it. `expected_coverage`
    says what to expect of equal distributions.

    Args:
        real: Features [n, d].
        fake: Features [m, d].
        k: A ball reaches to the ``k``-th nearest other real sample.
        ball: "open" as published.
        block: Rows of either set in memory at a time; it changes no result.
    Raises:
        ValueError: ``k`` is not below n and m; a set has fewer than 2 rows; the features differ in d or are not
            finite.
    References:
        Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models, ICML 2020.
    """
    x, y = checked_pair(real, fake)
    closed = _closed(ball)
    _check_neighbour(k, len(x), len(y))
    of_fake, of_real = ball_counts(y, x, _radii(x, k, block), closed=closed, block=block)
    # Naeem et al., 2020: density sums over all balls that hold a fake and is not capped; coverage asks only whether
    # there is one.
    return DensityCoverageResult(int(of_fake.sum()) / (k * len(y)), float((of_real > 0).double().mean()))


def expected_coverage(n: int, m: int, k: int = 5) -> float:
    r"""Mean coverage of n real samples by m fakes of the same continuous distribution, whatever it is.

    :math:`1 - \prod_{i=1}^{k} (n - i) / (n + m - i)`: a real sample is missed if its k nearest others among all
    n + m - 1 are real.

    >>> round(expected_coverage(1000, 1000), 5)
    0.96898
    """
    if not 1 <= k < n or m < 1:
        raise ValueError(f"k must be at least 1 and below n, and m at least 1, got k={k}, n={n}, m={m}.")
    # Around a real sample, the k nearest of the other n - 1 reals and m fakes are all real with this probability, by
    # symmetry: all are draws of one distribution. Coverage misses the sample then.
    return 1 - prod((n - i) / (n + m - i) for i in range(1, k + 1))


def _radii(points: Float64[Tensor, "n d"], k: int, block: int) -> Float64[Tensor, " n"]:
    # Without itself: its own distance of 0 would be each sample's nearest, and k would mean k - 1.
    return nearest_distances(points, points, k=k, exclude_self=True, block=block)[0][:, -1]


def _closed(ball: Ball) -> bool:
    if ball not in ("closed", "open"):
        raise ValueError(f"ball must be 'closed' or 'open', got {ball!r}; each metric's default is the published one.")
    return ball == "closed"


def _check_neighbour(k: int, n: int, m: int) -> None:
    if not 1 <= k < min(n, m):
        raise ValueError(
            f"k must be at least 1 and below both sample counts, got k={k} for n={n} real and m={m} fake; use more "
            f"samples or a smaller k."
        )
