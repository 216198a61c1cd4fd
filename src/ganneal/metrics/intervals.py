"""What a few seeds can say: intervals over seeds, paired comparisons, and how far a run fell from its best.

Every function takes one finite value a seed. A run that diverged counts: give the last finite value it reached.
All intervals are two-sided at 95 %.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, floor, isfinite, log10, sqrt
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float64

Values = Sequence[float] | Float[np.ndarray, " seeds"]
Better = Literal["lower", "higher"]
"""Which values of a metric are the good ones."""

LEVEL = 0.05
"""Of the intervals, and what a p is held against in words."""
_EXACT_PAIRS = 16
_RANDOM_FLIPS = 65_535  # with the signs as they are 2^16, as many as the largest enumeration


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
class BootstrapInterval:
    """A statistic of ``n`` seeds and its percentile bootstrap interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class PairedComparison:
    """The differences of two configurations over the same seeds.

    Attributes:
        difference: Mean of first minus second, ``low`` and ``high`` its t interval (None at one pair).
        p_sign_flip: Two-sided p of the sign-flip test, enumerated unless ``random_flips`` says otherwise.
        smallest_p: The least p that this many pairs can reach whatever their values.
        decided: The t interval excludes 0.
        random_flips: Number of random sign vectors the p comes from; None where all were enumerated.
    """

    difference: float
    low: float | None
    high: float | None
    p_sign_flip: float
    smallest_p: float
    pairs: int
    decided: bool
    random_flips: int | None = None


def _checked(name: str, values: Values) -> Float64[np.ndarray, " seeds"]:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or len(given) == 0:
        raise ValueError(f"{name} must hold one number a seed, got shape {list(given.shape)}; give at least one seed.")
    bad = np.flatnonzero(~np.isfinite(given))
    if len(bad):
        raise ValueError(
            f"{name} must be finite, got {given[bad[0]]} at index {bad[0]}; a run that diverged counts with its "
            f"last finite evaluation, none is dropped."
        )
    return given


def _t_interval(values: Float64[np.ndarray, " seeds"]) -> tuple[float, float, float]:
    """The mean and the ends of its t interval, from at least two values."""
    from scipy.special import stdtrit

    mean, n = float(values.mean()), len(values)
    reach = float(stdtrit(n - 1, 0.975)) * float(values.std(ddof=1)) / sqrt(n)
    return mean, mean - reach, mean + reach


def seed_interval(values: Values) -> Interval:
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


def geometric_seed_interval(values: Values) -> Interval:
    """Geometric mean and its interval, the t interval of the logarithms: for positive scores that spread by ratios.

    >>> print(geometric_seed_interval([1, 2, 4]))
    2.0 [0.4, 11.2] over 3 seeds
    """
    given = _checked("values", values)
    if given.min() <= 0:
        raise ValueError(f"values must be above 0, got {given.min():g}; use seed_interval for scores of either sign.")
    inner = seed_interval(np.log(given))
    with np.errstate(over="ignore"):  # two seeds that differ by 1e25 have an end beyond the largest float
        low, high = (None if end is None else float(np.exp(end)) for end in (inner.low, inner.high))
    return Interval(exp(inner.mean), inner.sd, low, high, inner.n, geometric=True)


def bootstrap_interval(
    values: Values, *, statistic: Callable[..., Any] = np.mean, resamples: int = 10_000, seed: int = 0
) -> BootstrapInterval:
    """Percentile bootstrap over seeds, which needs at least 8 of them, or 2 for the median.

    Over 3 seeds the interval of a mean is all but the range of 27 means. For the median even the full range of
    s seeds covers with probability 1 - 2^(1 - s) only, which is below 95 % at 5 seeds.

    Args:
        statistic: Called as ``statistic(samples, axis=-1)``, as ``numpy.mean`` and ``numpy.median`` are.
    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    given = _checked("values", values)
    least = 2 if statistic is np.median else 8
    if len(given) < least:
        raise ValueError(
            f"values must hold at least {least} seeds for this bootstrap, got {len(given)}; use seed_interval, or "
            f"statistic=numpy.median from 2 seeds on."
        )
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1, got {resamples}; 10,000 is the default.")
    rows = np.random.default_rng(seed).integers(len(given), size=(resamples, len(given)))
    low, high = np.quantile(statistic(given[rows], axis=-1), [0.025, 0.975])
    return BootstrapInterval(float(statistic(given, axis=-1)), float(low), float(high), len(given))


def paired_comparison(a: Values, b: Values, *, seed: int = 0) -> PairedComparison:
    """Two configurations over the same seeds, in the same order: t interval and sign-flip test of ``a - b``.

    Under no difference every sign of a paired difference is as likely as its opposite; p is the share of all 2^s
    sign vectors whose sum is as far from 0 as the one seen, so never below 2^(1 - s). Above 16 pairs it comes from
    random vectors (drawn with ``seed``), the one seen counted among them.

    References:
        Fisher, The Design of Experiments, 1935, section 21; Phipson and Smyth, Permutation p-values should never
        be zero, 2010, for the random vectors.
    """
    first, second = _checked("a", a), _checked("b", b)
    if len(first) != len(second):
        raise ValueError(
            f"a and b must have one value for each common seed, got {len(first)} and {len(second)}; "
            f"leave out seeds that only one of them ran."
        )
    differences, pairs = first - second, len(first)
    exact = pairs <= _EXACT_PAIRS
    p = _exact_sign_flip_p(differences) if exact else _random_sign_flip_p(differences, seed)
    smallest = 2.0 ** (1 - pairs) if exact else 1 / (_RANDOM_FLIPS + 1)
    flips = None if exact else _RANDOM_FLIPS
    if pairs == 1:
        return PairedComparison(float(differences[0]), None, None, p, smallest, 1, decided=False)
    mean, low, high = _t_interval(differences)
    return PairedComparison(mean, low, high, p, smallest, pairs, low > 0 or high < 0, flips)


def _exact_sign_flip_p(differences: Float64[np.ndarray, " pairs"]) -> float:
    sums = np.zeros(1)
    for difference in differences:
        sums = np.concatenate([sums + difference, sums - difference])
    return float(_as_extreme(sums, differences).mean())


def _random_sign_flip_p(differences: Float64[np.ndarray, " pairs"], seed: int) -> float:
    signs = np.random.default_rng(seed).integers(2, size=(_RANDOM_FLIPS, len(differences))) * 2 - 1
    return float(1 + _as_extreme(signs @ differences, differences).sum()) / (_RANDOM_FLIPS + 1)


def _as_extreme(sums: Float64[np.ndarray, " flips"], differences: Float64[np.ndarray, " pairs"]) -> np.ndarray:
    """Which sums lie as far from 0 as the one seen; equal up to rounding counts, or ties would be lost."""
    return np.abs(sums) >= abs(differences.sum()) - 1e-12 * np.abs(differences).sum()


def verdict(comparison: PairedComparison, ours: str, theirs: str, *, better: Better) -> str:
    """What a comparison of ``ours`` (its first argument) with ``theirs`` shows, in words.

    >>> nats, cts = [3.1, 2.9, 3.4], [4.1, 3.8, 4.5]
    >>> print(verdict(paired_comparison(nats, cts), "nats", "cts", better="lower"))
    nats better than cts by 1.00 [0.75, 1.25] over 3 seeds, by the t interval alone (sign-flip p = 0.25, the smallest \
3 seeds can reach: too few seeds for 0.05)
    """
    _check_better(better)
    sign = 1 if better == "higher" else -1
    if comparison.low is None or comparison.high is None:
        return f"no difference shown: {ours} minus {theirs} is {comparison.difference:z.3g}, but 1 seed has no interval"
    flips_agree = comparison.decided == (comparison.p_sign_flip <= LEVEL)
    if not comparison.decided:
        span = _span(comparison.difference, comparison.low, comparison.high)
        shown = "no difference shown" + ("" if flips_agree else " by the t interval")
        return (
            f"{shown}: {ours} minus {theirs} is {span} over {comparison.pairs} seeds ({_sign_flip_words(comparison)})"
        )
    alone = "" if flips_agree else ", by the t interval alone"
    over = f"over {comparison.pairs} seeds{alone} ({_sign_flip_words(comparison)})"
    low, high = sorted((sign * comparison.low, sign * comparison.high))
    if low > 0:
        return f"{ours} better than {theirs} by {_span(sign * comparison.difference, low, high)} {over}"
    return f"{ours} worse than {theirs} by {_span(-sign * comparison.difference, -high, -low)} {over}"


def _sign_flip_words(comparison: PairedComparison) -> str:
    p, smallest = comparison.p_sign_flip, comparison.smallest_p
    if comparison.random_flips is not None:
        return f"sign-flip p = {p:.4g} from {comparison.random_flips:,} random flips"
    few = f": too few seeds for {LEVEL}" if smallest > LEVEL else ""
    if p <= smallest * (1 + 1e-9):
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
    """How far a run ended from its best evaluation, as a ratio of at least 1; 1 is no decay.

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


def last_over_best_interval(last: Values, best: Values, *, better: Better = "lower") -> Interval:
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
