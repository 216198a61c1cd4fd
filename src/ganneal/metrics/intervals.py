"""Statistics of a few seeds: intervals, paired comparisons, and the decay of a run from its best.

Intervals take one finite value a seed. A run that diverged has none: `paired_comparison` takes infinity for it, and no
mean is computed where it would be infinite. All intervals are two-sided at 95 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, floor, isfinite, log10, sqrt
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64

from ganneal.metrics.p_values import RANDOM_FLIPS, beyond, exact_sign_flip_p, random_sign_flip_p, t_test_p

SeedValues = Sequence[float] | Float[np.ndarray, " seeds"]
Better = Literal["lower", "higher"]
"""Which values of a metric are the good ones."""

SIGNIFICANCE_LEVEL = 0.05
"""Significance level of the intervals and of the verdicts."""
_EXACT_PAIRS = 16  # 2^16 sums take half a megabyte


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its t interval; one seed has none.

    With ``geometric``, ``mean`` is the geometric mean and ``sd`` the standard deviation of the logarithms.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    n: int
    geometric: bool = False

    def __str__(self) -> str:
        seeds = f"{self.n} seed" + ("s" if self.n > 1 else "")
        if self.low is None or self.high is None:
            return f"{self.mean:z.3g} ({seeds})"
        return f"{_span(self.mean, self.low, self.high)} over {seeds}"


@dataclass(frozen=True)
class PairedComparison:
    """The differences of two configurations over the same seeds.

    Attributes:
        difference: Mean of first minus second, ``low`` and ``high`` its t interval (None at one pair, and where runs
            diverged: the mean is infinite then, or not a number where runs of both did at different seeds).
        p_sign_flip: Two-sided p of the sign-flip test, enumerated unless ``random_flips`` says otherwise.
        smallest_p: The least p that this many pairs can reach whatever their values.
        decided: The t interval excludes 0; where runs diverged, see `paired_comparison`.
        random_flips: Number of random sign vectors the p comes from; None where all were enumerated.
        p_t: Two-sided p of the paired t test, at most 0.05 where ``decided``; 1 at one pair.
        diverged: Numbers of diverged runs of the first and of the second configuration.
    """

    difference: float
    low: float | None
    high: float | None
    p_sign_flip: float
    smallest_p: float
    pairs: int
    decided: bool
    random_flips: int | None = None
    p_t: float = 1.0
    diverged: tuple[int, int] = (0, 0)


def _one_a_seed(name: str, values: SeedValues) -> Float64[np.ndarray, " seeds"]:
    # Booleans and whole numbers become floats here; a list of lists keeps its second axis and is refused.
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or len(given) == 0:
        raise ValueError(f"{name} must hold one number a seed, got shape {list(given.shape)}; give at least one seed.")
    return given


def _checked(name: str, values: SeedValues) -> Float64[np.ndarray, " seeds"]:
    given = _one_a_seed(name, values)
    bad = np.flatnonzero(~np.isfinite(given))
    if len(bad):
        raise ValueError(
            f"{name} must be finite, got {given[bad[0]]} at index {bad[0]}. A diverged run is in no mean: give the "
            "values of the others, and state how many diverged."
        )
    return given


def _t_interval(values: Float64[np.ndarray, " seeds"]) -> tuple[float, float, float]:
    """The mean and the ends of its t interval, from at least two values."""
    from scipy.special import stdtrit

    mean, n = float(values.mean()), len(values)
    # Student's t with n - 1 degrees of freedom: at 3 seeds 4.3 standard errors, where a normal interval takes 2.
    reach = float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / sqrt(n)
    return mean, mean - reach, mean + reach


def seed_interval(values: SeedValues) -> Interval:
    """Mean, standard deviation (ddof 1) and t interval over seeds.

    >>> print(seed_interval([1, 2, 4]))
    2.3 [-1.5, 6.1] over 3 seeds
    >>> print(seed_interval([2.5]))
    2.5 (1 seed)
    """
    given = _checked("values", values)
    if len(given) == 1:
        return Interval(float(given[0]), None, None, None, 1)
    mean, low, high = _t_interval(given)
    return Interval(mean, float(given.std(ddof=1)), low, high, len(given))


def geometric_seed_interval(values: SeedValues) -> Interval:
    """Geometric mean and its interval, the t interval of the logarithms: for positive scores that spread by ratios.

    >>> print(geometric_seed_interval([1, 2, 4]))
    2.0 [0.4, 11.2] over 3 seeds
    """
    given = _checked("values", values)
    if given.min() <= 0:
        raise ValueError(f"values must be above 0, got {given.min():g}; use seed_interval for scores of either sign.")
    # The interval of the logarithms is symmetric, its image under exp is not: no end falls below 0.
    inner = seed_interval(np.log(given))
    with np.errstate(over="ignore"):  # two seeds that differ by 1e25 have an end beyond the largest float
        low, high = (None if end is None else float(np.exp(end)) for end in (inner.low, inner.high))
    return Interval(exp(inner.mean), inner.sd, low, high, inner.n, geometric=True)


def paired_comparison(a: SeedValues, b: SeedValues, *, seed: int = 0) -> PairedComparison:
    """Two configurations over the same seeds, in the same order: t interval and sign-flip test of ``a - b``.

    Under no difference every sign of a paired difference is as likely as its opposite; p is the share of all 2^s
    sign vectors whose sum is as far from 0 as the one seen, so never below 2^(1 - s). Above 16 pairs it comes from
    random vectors (drawn with ``seed``), the one seen counted among them.

    Infinity stands for a run that diverged (minus infinity where higher is better): worse than every finite value. Two
    that diverged at one seed are equal. Where runs of one side alone diverged, that side is the worse one if the t
    interval would exclude 0 for some finite differences against it at those seeds; it is never the better one. So a
    run that diverges in place of a finite value never helps its side.

    References:
        Fisher, The Design of Experiments, 1935, section 21; Phipson and Smyth, Permutation p-values should never
        be zero, 2010, for the random vectors.
    """
    first, second = _maybe_diverged("a", a), _maybe_diverged("b", b)
    if len(first) != len(second):
        raise ValueError(
            f"a and b must have one value for each common seed, got {len(first)} and {len(second)}; "
            f"leave out seeds that only one of them ran."
        )
    with np.errstate(invalid="ignore"):
        # Infinity less infinity is not a number, and stands for two runs that both diverged: no difference.
        differences, pairs = np.where(first == second, 0.0, first - second), len(first)
    finite = bool(np.isfinite(differences).all())
    # Sign flips need numbers to add up; infinite ones become numbers that decide every sum they are in.
    exact, flipped = pairs <= _EXACT_PAIRS, differences if finite else beyond(differences)
    p = exact_sign_flip_p(flipped) if exact else random_sign_flip_p(flipped, seed)
    # Two sign vectors of 2^n, all as seen and all turned, are as extreme as can be.
    smallest = 2.0 ** (1 - pairs) if exact else 1 / (RANDOM_FLIPS + 1)
    flips = None if exact else RANDOM_FLIPS
    diverged = int(np.isinf(first).sum()), int(np.isinf(second).sum())
    if pairs == 1:
        return PairedComparison(float(differences[0]), None, None, p, smallest, 1, decided=False, diverged=diverged)
    p_t = t_test_p(differences)
    if not finite:
        with np.errstate(invalid="ignore"):
            mean = float(differences.mean())
        return PairedComparison(mean, None, None, p, smallest, pairs, p_t <= SIGNIFICANCE_LEVEL, flips, p_t, diverged)
    mean, low, high = _t_interval(differences)
    # Decided by the t interval: the sign-flip test cannot reach 0.05 below six pairs, whatever their values.
    return PairedComparison(mean, low, high, p, smallest, pairs, low > 0 or high < 0, flips, p_t, diverged)


def _maybe_diverged(name: str, values: SeedValues) -> Float64[np.ndarray, " seeds"]:
    given = _one_a_seed(name, values)
    if np.isnan(given).any():
        raise ValueError(f"{name} must hold numbers, got nan; a run that diverged is infinity.")
    return given


def verdict(
    comparison: PairedComparison,
    ours: str,
    theirs: str,
    *,
    better: Better,
    adjusted: float | None = None,
    among: int = 1,
    barred: str | None = None,
) -> str:
    """The result of a comparison of ``ours`` (its first argument) with ``theirs``, in words.

    Args:
        adjusted: Its p after correction for all the ``among`` comparisons that are made together.
        barred: Why the better one may not be called so, None where it may.

    >>> nats, cts = [3.1, 2.9, 3.4], [4.1, 3.8, 4.5]
    >>> print(verdict(paired_comparison(nats, cts), "nats", "cts", better="lower"))
    nats better than cts by 1.00 [0.75, 1.25] over 3 seeds, by the t interval alone (sign-flip p = 0.25, the smallest \
3 seeds can reach: too few seeds for 0.05)
    """
    _check_better(better)
    sign = 1 if better == "higher" else -1
    counts = _diverged_words(comparison, ours, theirs)
    if comparison.pairs == 1:
        seen = counts or f"{ours} minus {theirs} is {comparison.difference:z.3g}"
        return f"no difference shown: {seen}, but 1 seed has no interval"
    spanned = comparison.low is not None  # else the counts stand in place of the interval
    words = [_t_words(comparison, adjusted, among), _sign_flip_words(comparison), counts if spanned else ""]
    tail = f"({'; '.join(filter(None, words))})"
    # Shown by itself, and no more among all comparisons that are made.
    corrected = comparison.decided and adjusted is not None and adjusted > SIGNIFICANCE_LEVEL
    if barred is not None or corrected or not comparison.decided:
        shown = "no difference shown" + (" after correction" if corrected else "")
        shown = f"no verdict, {barred}" if barred else shown
        return f"{shown}{_open_words(comparison, ours, theirs, counts)} {tail}"
    return f"{_decided_words(comparison, ours, theirs, sign, counts)} {tail}"


def _open_words(comparison: PairedComparison, ours: str, theirs: str, counts: str) -> str:
    """The observation where nothing is decided, in words."""
    if comparison.low is None or comparison.high is None:
        return f": {counts}"
    agree = comparison.decided == (comparison.p_sign_flip <= SIGNIFICANCE_LEVEL)
    span = _span(comparison.difference, comparison.low, comparison.high)
    alone = "" if agree or comparison.decided else " by the t interval"
    return f"{alone}: {ours} minus {theirs} is {span} over {comparison.pairs} seeds"


def _decided_words(comparison: PairedComparison, ours: str, theirs: str, sign: int, counts: str) -> str:
    """Who is better, by how much where that is a number."""
    gain = sign * comparison.difference
    way = "better" if gain > 0 else "worse"
    agree = comparison.p_sign_flip <= SIGNIFICANCE_LEVEL
    if comparison.low is None or comparison.high is None:
        return f"{ours} {way} than {theirs}: {counts}{'' if agree else ', by the t test alone'}"
    # The interval is told in the words of the sentence: turned so that a gain is positive.
    turn = sign if gain > 0 else -sign
    low, high = sorted((turn * comparison.low, turn * comparison.high))
    over = f"over {comparison.pairs} seeds{'' if agree else ', by the t interval alone'}"
    return f"{ours} {way} than {theirs} by {_span(abs(comparison.difference), low, high)} {over}"


def _diverged_words(comparison: PairedComparison, ours: str, theirs: str) -> str:
    first, second = comparison.diverged
    if not first and not second:
        return ""
    return f"{ours} diverged at {first} of {comparison.pairs} seeds, {theirs} at {second}"


def _t_words(comparison: PairedComparison, adjusted: float | None, among: int) -> str:
    if adjusted is None or among < 2:
        return ""
    return f"t test p = {comparison.p_t:.2g}, corrected for {among} comparisons {adjusted:.2g}"


def _sign_flip_words(comparison: PairedComparison) -> str:
    p, smallest = comparison.p_sign_flip, comparison.smallest_p
    if comparison.random_flips is not None:
        return f"sign-flip p = {p:.4g} from {comparison.random_flips:,} random flips"
    few = f": too few seeds for {SIGNIFICANCE_LEVEL}" if smallest > SIGNIFICANCE_LEVEL else ""
    if p <= smallest * (1 + 1e-9):  # equal up to rounding
        return f"sign-flip p = {p:.4g}, the smallest {comparison.pairs} seeds can reach{few}"
    if few:
        return f"sign-flip p = {p:.4g}; {comparison.pairs} seeds cannot go below {smallest:.4g}{few}"
    return f"sign-flip p = {p:.4g}"


def _span(value: float, low: float, high: float) -> str:
    """The value and its interval: two digits of the half width, and at least one of an end that is near 0."""
    half, nearest = (high - low) / 2, min(abs(low), abs(high))
    if half == 0 or not isfinite(half):
        return f"{value:z.3g} [{low:z.3g}, {high:z.3g}]"
    # an end that is zero up to rounding would ask for fifteen decimals
    decimals = max(0, 1 - floor(log10(half)), -floor(log10(nearest)) if nearest > half / 1000 else 0)
    return f"{value:z.{decimals}f} [{low:z.{decimals}f}, {high:z.{decimals}f}]"


def last_over_best(last: float, best: float, *, better: Better = "lower") -> float:
    """Ratio of a run's last value to its best evaluation, at least 1; 1 is no decay.

    ``best`` is the best of all evaluations, the last one included; a re-evaluation with fresh samples may be worse
    than the last and is no such best.
    """
    _check_better(better)
    for name, value in (("last", last), ("best", best)):
        if not (isfinite(value) and value > 0):
            raise ValueError(
                f"{name} must be above 0 and finite, got {value}; for scores that reach 0 or below use last - best."
            )
    ratio = last / best if better == "lower" else best / last
    if ratio < 1:
        raise ValueError(
            f"best must be as good as last for better={better!r}, got best={best} and last={last}; take the best "
            f"of all evaluations, the last one included."
        )
    return ratio


def last_over_best_interval(last: SeedValues, best: SeedValues, *, better: Better = "lower") -> Interval:
    """Geometric mean over seeds of `last_over_best`, with its interval."""
    ends, bests = _checked("last", last), _checked("best", best)
    if len(ends) != len(bests):
        raise ValueError(f"last and best must have one value a seed each, got {len(ends)} and {len(bests)}.")
    return geometric_seed_interval(
        [last_over_best(float(end), float(top), better=better) for end, top in zip(ends, bests, strict=True)]
    )


def _check_better(better: str) -> None:
    if better not in ("lower", "higher"):
        raise ValueError(f"better must be 'lower' or 'higher', got {better!r}; it says which values are good.")
