"""A test for copying: are generated samples nearer to the training data than held-out ones, region by region?"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from jaxtyping import Float64, Int64

from ganneal.metrics.distances import nearest_distances
from ganneal.metrics.memorisation import checked_sets, distinct_rows
from ganneal.metrics.moments import Features


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
        scores.append(mann_whitney_z(fake_nearest[in_fake], real_nearest[in_real]) if used else None)
    kept = np.array([score is not None for score in scores])
    if not kept.any():
        raise ValueError(
            f"held_out and generated must share a cell with at least {min_count} samples of each, got none of "
            f"{cells}; give more samples or take fewer cells."
        )
    real_counts, fake_counts = (np.bincount(part, minlength=cells) for part in (real_cells, fake_cells))
    values = np.array([score for score in scores if score is not None])
    return CopyingTest(
        value=float(np.average(values, weights=real_counts[kept])),
        cell_scores=tuple(scores),
        generated_left_out=float(fake_counts[~kept].sum() / len(fake)),
        held_out_left_out=float(real_counts[~kept].sum() / len(real)),
        train_duplicates=dropped,
    )


def _cells(sets: list[np.ndarray], cells: int, seed: int) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " m"]]:
    """The cell of each row of the second and third set, by k-means of the first."""
    from sklearn.cluster import KMeans

    train, real, fake = sets
    fitted = KMeans(n_clusters=cells, random_state=seed).fit(train)
    return np.asarray(fitted.predict(real), dtype=np.int64), np.asarray(fitted.predict(fake), dtype=np.int64)


def mann_whitney_z(x: Float64[np.ndarray, " a"], y: Float64[np.ndarray, " b"]) -> float:
    """How far the values of ``x`` lie above those of ``y``, in standard deviations were both of one distribution.

    U counts the pairs in which x is larger, ties by half; the variance is corrected for ties. 0 if all are equal.

    References:
        Mann and Whitney, On a Test of Whether one of Two Random Variables is Stochastically Larger than the Other,
        Annals of Mathematical Statistics 18(1), 1947; Lehmann, Nonparametrics, 1975, section 1.4, for ties.

    >>> round(mann_whitney_z(np.array([0.0, 0.0, 0.1, 0.2]), np.array([0.5, 1.2])), 7)
    -1.8786729
    """
    a, b = len(x), len(y)
    ordered, n = np.sort(y), a + b
    u = (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")).sum() / 2
    ties = np.unique(np.concatenate([x, y]), return_counts=True)[1].astype(np.float64)
    variance = a * b / 12 * (n + 1 - float((ties**3 - ties).sum()) / (n * (n - 1)))
    return float(u - a * b / 2) / sqrt(variance) if len(ties) > 1 else 0.0
