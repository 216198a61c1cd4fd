"""p of paired differences over seeds, infinite ones among them, and the correction for several comparisons."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from jaxtyping import Float64

Differences = Float64[np.ndarray, " pairs"]
RANDOM_FLIPS = 65_535  # with the signs as they are 2^16, as many as the largest enumeration


def beyond(differences: Differences) -> Differences:
    """Infinite differences as numbers that no sum of the finite ones reaches."""
    # A sign-flip sum with one such number differs from every sum without it, whatever the signs of the others.
    size = 1 + 4 * np.abs(differences[np.isfinite(differences)]).sum()
    return np.where(np.isinf(differences), np.copysign(size, differences), differences)


def t_test_p(differences: Differences) -> float:
    """Two-sided p of the t test on at least two differences, infinite ones as `paired_comparison` says.

    t depends on the cosine c between the differences d and (1, ..., 1) alone: t^2 = (n - 1) c^2 / (1 - c^2). With k of
    the differences free on one side c^2 is (s^2/q + k) / n at most, s and q being sum and sum of squares of the others;
    k / n where their sum is on the other side.
    """
    from scipy.special import stdtr

    n, infinite = len(differences), np.isinf(differences)
    sides = np.unique(np.sign(differences[infinite]))
    if len(sides) == 2:  # runs of both diverged, at different seeds
        return 1.0
    side = float(sides[0]) if len(sides) else float(np.sign(differences.sum()))
    others = side * differences[~infinite]
    scale = float(np.abs(others).max(initial=0.0))
    # k of the docstring; what the finite ones add is s^2 / q, which no common factor changes.
    share = float(infinite.sum())
    if scale and others.sum() > 0:
        # Divided by the largest first: squares of differences above 1e154 overflow.
        share += float((others / scale).sum() ** 2 / np.square(others / scale).sum())
    cosine = share / n
    # All differences equal: t is infinite.
    if cosine >= 1 - 1e-15:
        return 0.0
    # The lower tail, as 1 less the upper one would round a small p to 0.
    return float(2 * stdtr(n - 1, -sqrt((n - 1) * cosine / (1 - cosine))))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p for each of several tests: together they claim a difference wrongly in at most 5 % of studies.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    References:
        Holm, A simple sequentially rejective multiple test procedure, 1979.
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        # The smallest p times n, the next times n - 1, and so on; the running maximum keeps the order of the p.
        largest = min(1.0, max(largest, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def exact_sign_flip_p(differences: Differences) -> float:
    """Share of all sign vectors whose sum lies as far from 0 as the one seen."""
    # Ours, since scipy.stats.permutation_test loses ties where the sum is 0 but for rounding: it gives 0.875 for the
    # differences -0.2, -0.4, 0.2, 0.4 (SciPy 1.17), where every sum is as far.
    sums = np.zeros(1)
    for difference in differences:
        # 2^n sums after n differences, at most 2^16 of them.
        sums = np.concatenate([sums + difference, sums - difference])
    return float(_as_extreme(sums, differences).mean())


def random_sign_flip_p(differences: Differences, seed: int) -> float:
    """The same share among random sign vectors and the one seen."""
    signs = np.random.default_rng(seed).integers(2, size=(RANDOM_FLIPS, len(differences))) * 2 - 1  # -1 or 1
    # The signs as they are count as one of the draws: p is never 0 (Phipson and Smyth, 2010).
    return float(1 + _as_extreme(signs @ differences, differences).sum()) / (RANDOM_FLIPS + 1)


def _as_extreme(sums: Float64[np.ndarray, " flips"], differences: Differences) -> np.ndarray:
    """Which sums lie as far from 0 as the one seen; equal up to rounding counts, or ties would be lost."""
    return np.abs(sums) >= abs(differences.sum()) - 1e-12 * np.abs(differences).sum()
