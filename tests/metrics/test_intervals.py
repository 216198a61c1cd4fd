from itertools import product
from math import log, sqrt

import jaxtyping
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.metrics.intervals import (
    Interval,
    PairedComparison,
    geometric_seed_interval,
    last_over_best,
    last_over_best_interval,
    paired_comparison,
    seed_interval,
    verdict,
)
from ganneal.metrics.p_values import holm

VALUES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9)
SCORES = st.floats(1e-3, 1e3)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong argument reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def ends(interval: Interval) -> tuple[float, float]:
    assert interval.low is not None and interval.high is not None
    return interval.low, interval.high


def test_three_seeds_match_the_table():
    interval = seed_interval([1, 2, 4])
    assert interval.mean == pytest.approx(7 / 3, abs=1e-15)
    assert interval.sd == pytest.approx(1.5275252, abs=5e-8)
    assert ends(interval) == pytest.approx((-1.4612497, 6.1279164), abs=5e-8)
    assert interval.n == 3 and not interval.geometric


def test_three_seeds_in_logarithms_match_the_table():
    interval = geometric_seed_interval([1, 2, 4])
    assert interval.mean == pytest.approx(2, abs=1e-15)
    assert ends(interval) == pytest.approx((0.3574621, 11.1899967), abs=5e-8)
    assert interval.sd == pytest.approx(log(2), abs=1e-15) and interval.geometric


@for_each(("seeds", "t"), [(2, 12.7062), (3, 4.3027), (5, 2.7764), (8, 2.3646), (10, 2.2622)])
def test_half_width_is_the_published_t_quantile_in_standard_errors(seeds, t):
    interval = seed_interval(np.arange(seeds, dtype=np.float64))
    low, high = ends(interval)
    assert interval.sd is not None
    assert (high - low) / 2 / (interval.sd / sqrt(seeds)) == pytest.approx(t, abs=5e-5)


def test_two_seeds_have_the_cauchy_quantile_in_closed_form():
    # with one degree of freedom t is Cauchy: its 97.5 % quantile is tan(0.475 pi), and sd / sqrt(2) is half the range
    assert ends(seed_interval([0.0, 2.0]))[1] == pytest.approx(1 + np.tan(0.475 * np.pi), rel=1e-12)


def test_one_seed_has_a_mean_and_no_interval():
    assert seed_interval([3.5]) == Interval(3.5, None, None, None, 1)
    one = geometric_seed_interval([4.0])
    assert one == Interval(one.mean, None, None, None, 1, geometric=True) and one.mean == pytest.approx(4)
    assert str(seed_interval([3.5])) == "3.5 (1 seed)"


def test_the_t_interval_of_normal_seeds_covers_the_mean_95_times_in_100():
    # binomial standard error of 4,000 trials at 0.95: 0.0034
    rows = np.random.default_rng(0).standard_normal((4000, 3))
    intervals = [seed_interval(row) for row in rows]
    covered = sum(low <= 0 <= high for low, high in map(ends, intervals))
    assert covered / 4000 == pytest.approx(0.95, abs=4 * 0.0034)


@given(VALUES, st.floats(-100, 100), st.floats(0.1, 10))
def test_an_interval_moves_and_scales_with_its_values(values, shift, scale):
    before, after = seed_interval(values), seed_interval([scale * v + shift for v in values])
    expected = [scale * end + shift for end in (before.mean, *ends(before))]
    assert [after.mean, *ends(after)] == pytest.approx(expected, rel=1e-9, abs=1e-8)


@given(st.lists(SCORES, min_size=2, max_size=9))
def test_the_geometric_interval_of_reciprocals_is_the_reciprocal_interval(values):
    one, other = geometric_seed_interval(values), geometric_seed_interval([1 / v for v in values])
    assert other.mean == pytest.approx(1 / one.mean)
    (low, high), (other_low, other_high) = ends(one), ends(other)
    # the ends reach 1e60: compared as ratios
    assert (log(other_low), log(other_high)) == pytest.approx((-log(high), -log(low)), abs=1e-9)


def test_ratios_beyond_the_largest_float_leave_an_end_open():
    interval = geometric_seed_interval([1e-40, 1e40])
    assert ends(interval) == (0, np.inf) and interval.mean == pytest.approx(1)
    assert str(interval) == "1 [0, inf] over 2 seeds"


@for_each(
    ("values", "text"),
    [
        ([1.0, 2.0, 4.0], "2.3 [-1.5, 6.1] over 3 seeds"),
        ([5.0, 5.0], "5 [5, 5] over 2 seeds"),
        ([1200.0, 1300.0, 1250.0], "1250 [1126, 1374] over 3 seeds"),
        ([0.0101, 0.0102, 0.0103], "0.01020 [0.00995, 0.01045] over 3 seeds"),
    ],
)
def test_intervals_print_two_digits_of_their_half_width(values, text):
    assert str(seed_interval(values)) == text


@for_each(("pairs", "smallest"), [(1, 1.0), (2, 0.5), (3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_differences_of_one_sign_reach_the_smallest_p(pairs, smallest):
    comparison = paired_comparison(np.arange(1.0, pairs + 1), np.zeros(pairs))
    assert comparison.p_sign_flip == comparison.smallest_p == smallest
    assert comparison.pairs == pairs and comparison.random_flips is None


def test_sign_flip_p_by_hand():
    # the eight sums of +-1 +-2 +-3 are 0 twice and +-2, +-4, +-6 twice each in size
    for signs, p in [((1, 1, -1), 1.0), ((1, -1, 1), 6 / 8), ((-1, 1, 1), 4 / 8), ((-1, -1, -1), 2 / 8)]:
        assert paired_comparison(np.multiply(signs, [1.0, 2.0, 3.0]), np.zeros(3)).p_sign_flip == p


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=1, max_size=8))
def test_sign_flip_p_counts_sign_vectors(pairs):
    a, b = (np.array(values, np.float64) for values in zip(*pairs, strict=True))
    seen = abs((a - b).sum())
    sums = [abs(np.dot(signs, a - b)) for signs in product((-1, 1), repeat=len(a))]
    assert paired_comparison(a, b).p_sign_flip == np.mean(np.array(sums) >= seen)


@pytest.mark.runs
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=8), st.sampled_from([10, 3, 7]))
def test_ties_of_the_sign_flip_sum_survive_rounding(integers, divisor):
    # in tenths 0.1 + 0.2 - 0.3 + 1 and 1 are two floats
    a, zeros = np.array(integers, np.float64), np.zeros(len(integers))
    assert paired_comparison(a / divisor, zeros).p_sign_flip == paired_comparison(a, zeros).p_sign_flip


@given(VALUES, SEEDS)
def test_comparing_the_other_way_round_flips_the_sign_only(values, seed):
    a, b = np.array(values), np.random.default_rng(seed).standard_normal(len(values))
    one, other = paired_comparison(a, b), paired_comparison(b, a)
    assert one.low is not None and one.high is not None
    assert (other.difference, other.low, other.high) == pytest.approx((-one.difference, -one.high, -one.low))
    assert (other.p_sign_flip, other.decided) == (one.p_sign_flip, one.decided)


@given(VALUES)
def test_the_paired_interval_is_the_seed_interval_of_the_differences(values):
    a, b = np.array(values), np.arange(len(values), dtype=np.float64)
    comparison, interval = paired_comparison(a, b), seed_interval(a - b)
    assert (comparison.difference, comparison.low, comparison.high) == (interval.mean, interval.low, interval.high)
    low, high = ends(interval)
    assert comparison.decided == (not low <= 0 <= high)


def test_noise_common_to_a_seed_cancels():
    noise = np.array([5.0, -3.0, 8.0, 0.0])
    comparison = paired_comparison(noise + [1.0, 1.1, 0.9, 1.0], noise)
    assert comparison.decided and comparison.difference == pytest.approx(1)


def test_equal_values_show_nothing():
    comparison = paired_comparison([1.0, 2.0], [1.0, 2.0])
    assert (comparison.difference, comparison.p_sign_flip, comparison.decided) == (0, 1, False)


def test_above_sixteen_pairs_random_flips_agree_with_the_normal_limit():
    # p of a sum of 40 signs of size 1 as far out as 12: 2 P(Bin(40, 1/2) >= 26) = 0.0807; standard error 0.0011
    from scipy.stats import binom

    a = np.array([1.0] * 26 + [-1.0] * 14)
    comparison = paired_comparison(a, np.zeros(40))
    assert comparison.random_flips == 65_535 and comparison.smallest_p == 2**-16
    assert comparison.p_sign_flip == pytest.approx(2 * binom.sf(25, 40, 0.5), abs=4 * 0.0011)
    assert paired_comparison(a, np.zeros(40)) == comparison
    assert paired_comparison(a, np.zeros(40), seed=1).p_sign_flip != comparison.p_sign_flip


def test_a_random_p_is_never_zero():
    assert paired_comparison(np.ones(60), np.zeros(60)).p_sign_flip == 2**-16
    assert paired_comparison(np.ones(16), np.zeros(16)).p_sign_flip == 2**-15


def test_a_verdict_says_who_is_better_by_how_much_and_what_the_seeds_can_show():
    decided = PairedComparison(-0.84, -1.47, -0.21, 0.0625, 0.0625, 5, decided=True)
    tail = (
        "by 0.84 [0.21, 1.47] over 5 seeds, by the t interval alone "
        "(sign-flip p = 0.0625, the smallest 5 seeds can reach: too few seeds for 0.05)"
    )
    assert verdict(decided, "nats", "cts", better="lower") == f"nats better than cts {tail}"
    assert verdict(decided, "nats", "cts", better="higher") == f"nats worse than cts {tail}"


def test_a_verdict_on_nothing_shown_gives_the_difference():
    comparison = PairedComparison(0.3, -0.5, 1.1, 0.375, 0.0625, 5, decided=False)
    assert verdict(comparison, "nats", "cts", better="lower") == (
        "no difference shown: nats minus cts is 0.30 [-0.50, 1.10] over 5 seeds "
        "(sign-flip p = 0.375; 5 seeds cannot go below 0.0625: too few seeds for 0.05)"
    )
    one = paired_comparison([1.5], [1.0])
    assert verdict(one, "nats", "cts", better="lower") == (
        "no difference shown: nats minus cts is 0.5, but 1 seed has no interval"
    )


def test_a_verdict_says_where_a_p_is_random_and_leaves_out_what_does_not_bind():
    many = paired_comparison(np.arange(17.0), np.zeros(17))
    assert "from 65,535 random flips)" in verdict(many, "a", "b", better="higher")
    eight = PairedComparison(1.0, 0.2, 1.8, 0.0234375, 2**-7, 8, decided=True)
    assert verdict(eight, "a", "b", better="higher") == (
        "a better than b by 1.00 [0.20, 1.80] over 8 seeds (sign-flip p = 0.02344)"
    )


def test_a_verdict_says_where_interval_and_sign_flips_disagree():
    alone = PairedComparison(1.0, 0.1, 1.9, 0.0625, 2**-5, 6, decided=True)
    assert verdict(alone, "a", "b", better="higher") == (
        "a better than b by 1.00 [0.10, 1.90] over 6 seeds, by the t interval alone (sign-flip p = 0.0625)"
    )
    flips = paired_comparison([0.1, 0.1, 0.1, 0.1, 0.1, 9.0], [0.0] * 6)  # all of one sign, one far from the others
    assert not flips.decided and flips.p_sign_flip == 2**-5
    words = verdict(flips, "a", "b", better="lower")
    assert words.startswith("no difference shown by the t interval: a minus b is ")
    assert words.endswith("over 6 seeds (sign-flip p = 0.03125, the smallest 6 seeds can reach)")


@pytest.mark.parametrize(("pairs", "few"), [(5, True), (6, False)])
def test_too_few_seeds_are_those_whose_smallest_p_is_above_005(pairs, few):
    words = verdict(paired_comparison(np.arange(pairs) + 1.0, np.zeros(pairs)), "a", "b", better="lower")
    assert ("too few seeds for 0.05" in words) == ("by the t interval alone" in words) == few


def test_zero_has_no_sign():
    nothing = verdict(paired_comparison([1.0, 2.0], [1.0, 2.0]), "a", "b", better="lower")
    assert " is 0 [0, 0] over 2 seeds" in nothing
    about = PairedComparison(-0.4, -21.0, 20.2, 1.0, 0.25, 3, decided=False)
    assert " is 0 [-21, 20] over" in verdict(about, "a", "b", better="lower")
    one = verdict(paired_comparison([-0.0], [0.0]), "a", "b", better="lower")
    assert "a minus b is 0, but" in one
    assert str(seed_interval([-0.0])) == "0 (1 seed)"


def test_an_end_near_zero_is_not_printed_as_zero():
    close = PairedComparison(0.62, 0.004, 1.236, 0.0625, 0.0625, 5, decided=True)
    assert "by 0.620 [0.004, 1.236] over" in verdict(close, "a", "b", better="higher")


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=6))
def test_verdicts_of_both_orders_and_directions_agree(pairs):
    a, b = (np.array(values) for values in zip(*pairs, strict=True))
    forward, back = paired_comparison(a, b), paired_comparison(b, a)
    words = [
        verdict(forward, "a", "b", better="lower").split(" by ")[0],
        verdict(back, "b", "a", better="lower").split(" by ")[0],
        verdict(forward, "a", "b", better="higher").split(" by ")[0],
    ]
    if not forward.decided:
        assert all(word.startswith("no difference shown") for word in words)
    elif a.mean() < b.mean():
        assert words == ["a better than b", "b worse than a", "a worse than b"]
    else:
        assert words == ["a worse than b", "b better than a", "a better than b"]


@pytest.mark.parametrize(("last", "best", "better", "ratio"), [(6, 4, "lower", 1.5), (4, 6, "higher", 1.5)])
def test_last_over_best_is_the_ratio_of_decay(last, best, better, ratio):
    assert last_over_best(last, best, better=better) == ratio
    assert last_over_best(best, best, better=better) == 1


@given(st.lists(SCORES, min_size=1, max_size=20))
def test_last_over_best_is_at_least_one(evaluations):
    assert last_over_best(evaluations[-1], min(evaluations)) >= 1
    assert last_over_best(evaluations[-1], max(evaluations), better="higher") >= 1


def test_decay_over_seeds_is_a_geometric_mean():
    interval = last_over_best_interval([2.0, 8.0], [1.0, 1.0])
    assert interval.mean == pytest.approx(4) and interval.geometric
    assert last_over_best_interval([1.0, 1.0], [2.0, 8.0], better="higher").mean == pytest.approx(4)
    low, high = ends(interval)
    assert low * high == pytest.approx(16)  # symmetric about ln 4
    assert last_over_best_interval([3.0], [2.0]).low is None


@for_each("last", [0.0, -1.0, float("nan"), float("inf")])
def test_ratios_of_scores_that_reach_zero_are_refused(last):
    with pytest.raises(ValueError, match=r"last must be above 0 and finite.*use last - best"):
        last_over_best(last, 1.0)


def test_a_best_worse_than_the_last_is_refused():
    with pytest.raises(ValueError, match="best must be as good as last for better='lower', got best=3.0 and last=2.0"):
        last_over_best(2.0, 3.0)
    with pytest.raises(ValueError, match="for better='higher'"):
        last_over_best(3.0, 2.0, better="higher")


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_values_are_named_by_argument():
    with pytest.raises(ValueError, match=r"values must be finite, got nan at index 1. A diverged run"):
        seed_interval([1.0, float("nan")])
    with pytest.raises(ValueError, match="b must hold numbers, got nan; a run that diverged is infinity"):
        paired_comparison([1.0], [float("nan")])
    with pytest.raises(ValueError, match=r"values must hold one number a seed, got shape \[0\]"):
        seed_interval([])
    with pytest.raises(ValueError, match=r"got shape \[2, 1\]"):
        seed_interval(np.zeros((2, 1)))
    with pytest.raises(ValueError, match="values must be above 0, got 0; use seed_interval"):
        geometric_seed_interval([1.0, 0.0])
    with pytest.raises(ValueError, match="a and b must have one value for each common seed, got 2 and 3"):
        paired_comparison([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="last and best must have one value a seed each, got 2 and 1"):
        last_over_best_interval([1.0, 2.0], [1.0])


@pytest.mark.usefixtures("no_shape_checks")
def test_an_unknown_direction_is_refused():
    wrong = "bigger"
    with pytest.raises(ValueError, match="better must be 'lower' or 'higher', got 'bigger'"):
        last_over_best(1.0, 1.0, better=wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="better must be"):
        verdict(paired_comparison([1.0], [2.0]), "a", "b", better=wrong)  # pyright: ignore[reportArgumentType]


# Runs that diverged

INF = float("inf")
VALUE = st.floats(-100, 100).map(lambda value: round(value, 2))
RUNS = st.lists(st.tuples(VALUE, VALUE), min_size=1, max_size=7)


def better_one(pairs):
    """Which configuration is decided to be better where lower is, if any."""
    a, b = zip(*pairs, strict=True)
    comparison = paired_comparison(a, b)
    if not comparison.decided:
        return None
    return "a" if comparison.difference < 0 else "b"


@given(RUNS, st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6)), st.integers(0, 6))
def test_a_run_that_diverges_in_place_of_a_finite_value_never_helps_its_side(pairs, of_a, of_b, seed):
    pairs = [(INF if i in of_a else a, INF if i in of_b else b) for i, (a, b) in enumerate(pairs)]
    seed %= len(pairs)
    diverged = [(INF, b) if i == seed else (a, b) for i, (a, b) in enumerate(pairs)]
    order = {"b": 0, None: 1, "a": 2}
    assert order[better_one(diverged)] <= order[better_one(pairs)]


@given(RUNS, st.sets(st.integers(0, 6), min_size=1))
def test_a_side_that_alone_diverged_is_never_the_better_one(pairs, seeds):
    pairs = [(INF if i in seeds else a, b) for i, (a, b) in enumerate(pairs)]
    assert any(a == INF for a, _ in pairs) <= (better_one(pairs) != "a")


@for_each("pairs", [2, 3, 5, 20])
def test_a_side_whose_every_run_diverged_is_worse_from_two_seeds_on(pairs):
    comparison = paired_comparison([INF] * pairs, [1.0] * pairs)
    assert comparison.decided and comparison.p_t == 0 and comparison.diverged == (pairs, 0)
    assert verdict(comparison, "a", "b", better="lower").startswith(f"a worse than b: a diverged at {pairs} of {pairs}")
    upside = paired_comparison([-INF] * pairs, [1.0] * pairs)
    assert verdict(upside, "a", "b", better="higher").startswith("a worse than b: a diverged at")
    assert not paired_comparison([INF], [1.0]).decided


def test_runs_of_both_that_diverged_at_one_seed_are_equal():
    both = paired_comparison([INF, 1.0, 2.0], [INF, 5.0, 7.0])
    assert (both.difference, both.pairs, both.diverged) == (pytest.approx(-3.0), 3, (1, 1))
    assert both.low == pytest.approx(paired_comparison([0.0, 1.0, 2.0], [0.0, 5.0, 7.0]).low)
    assert "a diverged at 1 of 3 seeds, b at 1" in verdict(both, "a", "b", better="lower")
    nothing = paired_comparison([INF] * 4, [INF] * 4)
    assert not nothing.decided and nothing.difference == 0 and nothing.p_t == 1


def test_runs_of_both_that_diverged_at_different_seeds_decide_nothing():
    comparison = paired_comparison([INF, 1.0, 1.0, 1.0], [5.0, INF, INF, INF])
    assert not comparison.decided and comparison.p_t == 1 and comparison.low is None
    words = verdict(comparison, "a", "b", better="lower")
    assert words.startswith("no difference shown: a diverged at 1 of 4 seeds, b at 3 (")


@given(
    st.lists(VALUE, min_size=1, max_size=5), st.integers(1, 3), st.lists(st.floats(0.01, 1e3), min_size=3, max_size=3)
)
def test_p_with_diverged_runs_is_the_least_of_all_finite_differences_against_them(others, diverged, stands_for):
    zeros = np.zeros(len(others) + diverged)
    least = paired_comparison([*others, *[INF] * diverged], zeros).p_t
    finite = paired_comparison([*others, *stands_for[:diverged]], zeros)
    if finite.difference > 0:
        assert finite.p_t >= least - 1e-9
    total, squares = sum(others), sum(np.square(others))
    if total > 1:  # at the difference sum of squares over sum it is reached
        reached = paired_comparison([*others, *[squares / total] * diverged], zeros)
        assert reached.p_t == pytest.approx(least, rel=1e-6, abs=1e-9)


@given(st.lists(st.tuples(VALUE, VALUE), min_size=2, max_size=8))
def test_the_t_tests_p_is_at_most_five_percent_where_the_interval_excludes_0(pairs):
    comparison = paired_comparison(*zip(*pairs, strict=True))
    if abs(comparison.p_t - 0.05) > 1e-9:
        assert comparison.decided == (comparison.p_t < 0.05)


# Several comparisons


def test_holms_p_are_those_of_the_procedure():
    assert holm([]) == [] and holm([0.2]) == [0.2]
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holms_p_keep_the_order_and_lie_between_none_and_bonferronis(p_values):
    adjusted = holm(p_values)
    assert all(p <= q <= min(1, len(p_values) * p) + 1e-12 for p, q in zip(p_values, adjusted, strict=True))
    ranked = [q for _, q in sorted(zip(p_values, adjusted, strict=True))]
    assert ranked == sorted(ranked)


def test_a_verdict_gives_both_p_and_stands_by_the_corrected_one():
    comparison = paired_comparison([1.0, 2.0, 3.0, 4.5], [1.9, 3.2, 3.9, 5.4])
    assert comparison.decided and comparison.p_t == pytest.approx(0.000983, rel=1e-3)  # t = -13 at 3 degrees of freedom
    kept = verdict(comparison, "a", "b", better="lower", adjusted=0.002, among=3)
    assert kept.startswith("a better than b by") and "corrected for 3 comparisons 0.002;" in kept
    lost = verdict(comparison, "a", "b", better="lower", adjusted=0.06, among=3)
    assert lost.startswith("no difference shown after correction: a minus b is -") and "comparisons 0.06;" in lost
    assert "corrected" not in verdict(comparison, "a", "b", better="lower", adjusted=comparison.p_t, among=1)
