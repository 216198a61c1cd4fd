"""Copying: do generated samples lie closer to the training data than fresh data do, over all and region by region?

Needs held-out data of the same distribution that no part of training saw, all in one feature space. A number alone
convinces nobody: show the `nearest_pairs` with it.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ganneal.metrics.distances import checked_sets, nearest_distances
from ganneal.metrics.moments import Features


@dataclass(frozen=True)
class MemorisationResult:
    """Distances to the nearest training sample, of generated beside held-out samples.

    Attributes:
        ratio_median: Median distance of the generated over that of the held-out samples: 1 is fresh, near 0 copied.
        ratio_mean: The same of the means.
        share_below_first_percentile: Generated samples closer than all but the closest 1 % of the held-out ones.
        share_expected: The mean of that share for fresh samples: 0.01 beside many held-out ones, 0.026 beside 60.
        authenticity: See `authenticity`; to be read against ``authenticity_held_out`` only.
        train_duplicates: Training rows dropped because they were there before.
        held_out_copies: Held-out rows that are training rows; any is a flaw of the split.
    """

    ratio_median: float
    ratio_mean: float
    share_below_first_percentile: float
    share_expected: float
    authenticity: float
    authenticity_held_out: float
    train_duplicates: int
    held_out_copies: int

    @property
    def authenticity_gap(self) -> float:
        """Authenticity of the generated less that of the held-out samples: 0 is fresh, below 0 copied."""
        return self.authenticity - self.authenticity_held_out


@dataclass(frozen=True)
class Authenticity:
    """Share of authentic samples, and how many repeated training rows were dropped to find it."""

    share: float
    train_duplicates: int


@dataclass(frozen=True)
class NearestPair:
    """Rows of a generated sample and of the training sample nearest to it."""

    generated: int
    train: int
    distance: float


def memorisation(train: Features, held_out: Features, generated: Features) -> MemorisationResult:
    """Distances of generated samples to the training data, measured by those of held-out samples.

    Repeated training rows count once: a row beside its copy would call every sample near it authentic.

    >>> train, held_out = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([[0.5], [4.2]])
    >>> result = memorisation(train, held_out, torch.tensor([[0.0], [1.1], [4.9], [20.0]]))
    >>> round(result.ratio_median, 5), result.authenticity, result.authenticity_held_out
    (1.17647, 0.25, 0.0)
    """
    rows, real, fake = checked_sets({"train": train, "held_out": held_out, "generated": generated})
    distinct, dropped = distinct_rows(rows)
    spacing = _spacing(distinct)
    fake_nearest, fake_authentic = _nearest_and_authentic(fake, distinct, spacing)
    real_nearest, real_authentic = _nearest_and_authentic(real, distinct, spacing)
    copies, median = int((real_nearest == 0).sum()), float(np.median(real_nearest))
    # At least half of the held-out samples are training rows: then nothing is held out.
    if median == 0:
        raise ValueError(
            f"held_out must not be part of train, but {copies} of its {len(real)} rows are; split the data again."
        )
    return MemorisationResult(
        ratio_median=float(np.median(fake_nearest)) / median,
        ratio_mean=float(fake_nearest.mean() / real_nearest.mean()),
        # Medians do not move where one sample in a hundred is copied, this share does.
        share_below_first_percentile=float((fake_nearest < np.quantile(real_nearest, 0.01)).mean()),
        # A fresh sample lies below the 1 % quantile of n held-out ones a little more often than 1 in 100, as the
        # quantile is interpolated between n values.
        share_expected=(1 + 0.01 * (len(real_nearest) - 1)) / (len(real_nearest) + 1),
        authenticity=fake_authentic,
        authenticity_held_out=real_authentic,
        train_duplicates=dropped,
        held_out_copies=copies,
    )


def authenticity(train: Features, generated: Features) -> Authenticity:
    """Share of generated samples that lie farther from their nearest training sample than that one's nearest other.

    Means nothing by itself: beside 500 training samples fresh ones of a normal distribution reach a third in one
    dimension and 0.80 in 64. `memorisation` subtracts the share of held-out samples.

    References:
        Alaa et al., How Faithful is your Synthetic Data?, ICML 2022.
    """
    rows, fake = checked_sets({"train": train, "generated": generated})
    distinct, dropped = distinct_rows(rows)
    return Authenticity(_nearest_and_authentic(fake, distinct, _spacing(distinct))[1], dropped)


def nearest_pairs(train: Features, generated: Features, *, count: int = 8) -> tuple[NearestPair, ...]:
    """The ``count`` generated samples closest to a training sample, closest first, for the eye to compare."""
    rows, fake = checked_sets({"train": train, "generated": generated})
    if not 1 <= count <= len(fake):
        raise ValueError(f"count must be between 1 and the {len(fake)} generated rows, got {count}.")
    distances, nearest = nearest_distances(fake, rows)
    # Stable, so that equal distances keep the order of the samples.
    closest = distances[:, 0].argsort(stable=True)[:count].tolist()
    return tuple(NearestPair(i, int(nearest[i, 0]), float(distances[i, 0])) for i in closest)


def distinct_rows(rows: Float64[Tensor, "n d"]) -> tuple[Float64[Tensor, "kept d"], int]:
    """The rows in their order without those that came before, and the number of those left out."""
    # A training row that is there twice has a spacing of 0, and nothing near it could count as a copy.
    _, first = np.unique(rows.numpy(), axis=0, return_index=True)
    # np.unique sorts the rows themselves; the indices bring back the order of the set.
    return rows[torch.from_numpy(np.sort(first))], len(rows) - len(first)


def _spacing(train: Float64[Tensor, "n d"]) -> Float64[Tensor, " n"]:
    """Distance of each training row to its nearest other one."""
    if len(train) < 2:
        raise ValueError("train must have at least 2 different rows, got copies of one; check the features.")
    return nearest_distances(train, train, exclude_self=True)[0][:, 0]


def _nearest_and_authentic(
    rows: Float64[Tensor, "n d"], train: Float64[Tensor, "m d"], spacing: Float64[Tensor, " m"]
) -> tuple[Float64[np.ndarray, " n"], float]:
    """Distance of each row to its nearest training row, and the share beyond that row's spacing."""
    distances, nearest = (part[:, 0] for part in nearest_distances(rows, train))  # [n] each
    # Alaa et al., 2022: a sample is authentic where its nearest training row has a nearer neighbour in the training
    # set.
    return distances.numpy(), float((distances > spacing[nearest]).double().mean())


@dataclass(frozen=True)
class CopyingTest:
    """The statistic C_T: far below 0 (alarm at -3) copies, far above 0 underfits.

    Attributes:
        value: Mean of the cells' z scores, weighted by their held-out samples.
        cell_scores: The z score of each cell that was used, None of one that was left out.
        generated_left_out: Share of generated samples in cells left out, about which the value says nothing.
        held_out_left_out: The same of the held-out samples.
        train_duplicates: Training rows dropped because they were there before.
    """

    value: float
    cell_scores: tuple[float | None, ...]
    generated_left_out: float
    held_out_left_out: float
    train_duplicates: int


def copying_test(
    train: Features, held_out: Features, generated: Features, *, cells: int = 10, min_count: int = 20, seed: int = 0
) -> CopyingTest:
    """Mann-Whitney scores of the distances to the training data, over the cells of a k-means of these.

    Args:
        cells: Number of k-means cells. One cell may miss copying in a part of the data, many leave samples out.
        min_count: A cell is used if it holds at least so many generated and as many held-out samples.
        seed: Of k-means.
    Raises:
        ValueError: No cell holds enough samples of both sets.
    References:
        Meehan et al., A Non-Parametric Test to Detect Data-Copying in Generative Models, AISTATS 2020.
    """
    rows, real, fake = checked_sets({"train": train, "held_out": held_out, "generated": generated})
    distinct, dropped = distinct_rows(rows)
    if not 1 <= cells <= len(distinct):
        raise ValueError(f"cells must be between 1 and the {len(distinct)} different train rows, got {cells}.")
    if min_count < 1:
        raise ValueError(f"min_count must be at least 1 sample a cell, got {min_count}; 20 is the default.")
    real_cells, fake_cells = _cells([distinct.numpy(), real.numpy(), fake.numpy()], cells, seed)
    real_nearest, fake_nearest = (nearest_distances(part, distinct)[0][:, 0].numpy() for part in (real, fake))
    scores: list[float | None] = []
    for cell in range(cells):
        in_real, in_fake = real_cells == cell, fake_cells == cell
        used = min(in_real.sum(), in_fake.sum()) >= min_count
        # Below 0 where generated samples lie nearer to the training data than held-out ones do.
        scores.append(mann_whitney_z(fake_nearest[in_fake], real_nearest[in_real]) if used else None)
    kept = np.array([score is not None for score in scores])
    if not kept.any():
        raise ValueError(
            f"held_out and generated must share a cell with at least {min_count} samples of each, got none of "
            f"{cells}; give more samples or take fewer cells."
        )
    real_counts, fake_counts = (np.bincount(part, minlength=cells) for part in (real_cells, fake_cells))
    # In the order of the cells, as `kept` is.
    values = np.array([score for score in scores if score is not None])
    return CopyingTest(
        # Weighted by the held-out samples, as C_T of Meehan et al. is: cells count as often as the data falls in them.
        value=float(np.average(values, weights=real_counts[kept])),
        cell_scores=tuple(scores),
        generated_left_out=float(fake_counts[~kept].sum() / len(fake)),
        held_out_left_out=float(real_counts[~kept].sum() / len(real)),
        train_duplicates=dropped,
    )


def _cells(sets: list[np.ndarray], cells: int, seed: int) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " m"]]:
    """The cell of each row of the second and third set, by k-means of the first."""
    from scipy.cluster.vq import kmeans2, vq

    train, real, fake = sets
    # Cells of the training data: copying may be confined to a region, and an average over all would hide it.
    centres, _ = kmeans2(train, cells, minit="++", rng=seed)
    return vq(real, centres)[0].astype(np.int64), vq(fake, centres)[0].astype(np.int64)


def mann_whitney_z(x: Float64[np.ndarray, " a"], y: Float64[np.ndarray, " b"]) -> float:
    """Excess of the values of ``x`` over those of ``y``, in standard deviations under one common distribution.

    U counts the pairs in which x is larger, ties by half; the variance is corrected for ties. 0 if all are equal.

    References:
        Mann and Whitney, On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other,
        Annals of Mathematical Statistics 18(1), 1947; Lehmann, Nonparametrics, 1975, section 1.4, for ties.

    >>> round(mann_whitney_z(np.array([0.0, 0.0, 0.1, 0.2]), np.array([0.5, 1.2])), 7)
    -1.8786729
    """
    a, b = len(x), len(y)
    ordered, n = np.sort(y), a + b
    # Half of both sides: a tie counts one half.
    u = (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")).sum() / 2
    # Ties make the statistic vary less; without their correction many exact copies would look less certain than they
    # are.
    ties = np.unique(np.concatenate([x, y]), return_counts=True)[1].astype(np.float64)
    variance = a * b / 12 * (n + 1 - float((ties**3 - ties).sum()) / (n * (n - 1)))
    return float(u - a * b / 2) / sqrt(variance) if len(ties) > 1 else 0.0
