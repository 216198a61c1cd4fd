from math import sqrt

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.metrics.measures import METRICS
from ganneal.metrics.neighbours import (
    DensityCoverageResult,
    PrecisionRecallResult,
    density_coverage,
    expected_coverage,
    precision_recall,
)
from ganneal.metrics.protocol import Evidence

SEEDS = st.integers(0, 2**32 - 1)
REAL = torch.tensor([[0.0], [1.0], [3.0], [6.0], [10.0]])
FAKE = torch.tensor([[0.5], [3.0], [7.0], [20.0]])


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def test_the_measured_coverage_comes_with_what_a_perfect_generator_has():
    sides = [Evidence(torch.randn(n, 2, dtype=torch.float64)) for n in (60, 1000)]
    _, coverage = METRICS["density-coverage"](*sides)
    assert coverage.part == "coverage" and coverage.extra["expected"] == expected_coverage(60, 1000, 5)


def by_definition(real: Tensor, fake: Tensor, k: int, closed: bool) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage from the whole matrices."""
    matrices = [torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") for a, b in ((real, real), (fake, fake))]
    real_radii, fake_radii = (m.fill_diagonal_(torch.inf).sort(dim=1).values[:, k - 1] for m in matrices)
    cross = torch.cdist(fake, real, compute_mode="donot_use_mm_for_euclid_dist")
    in_real = cross <= real_radii if closed else cross < real_radii
    in_fake = cross <= fake_radii[:, None] if closed else cross < fake_radii[:, None]
    precision, recall = in_real.any(dim=1).double().mean(), in_fake.any(dim=0).double().mean()
    density, coverage = int(in_real.sum()) / (k * len(fake)), in_real.any(dim=0).double().mean()
    return float(precision), float(recall), density, float(coverage)


@for_each("block", [1, 7, 1000])
@for_each(
    ("k", "ball", "expected"),
    [
        (1, "closed", (0.75, 1, 1.5, 1)),
        (1, "open", (0.75, 1, 1.25, 1)),
        (2, "closed", (0.75, 1, 1.25, 1)),
        (2, "open", (0.75, 1, 0.875, 1)),
    ],
)
def test_a_line_by_hand(k, ball, expected, block):
    precision, recall, density, coverage = expected
    assert precision_recall(REAL, FAKE, k=k, ball=ball, block=block) == PrecisionRecallResult(precision, recall)
    assert density_coverage(REAL, FAKE, k=k, ball=ball, block=block) == DensityCoverageResult(density, coverage)


def test_published_balls_and_neighbours_are_the_defaults():
    x, y = normal(30, 2), normal(30, 2, seed=1)
    assert precision_recall(x, y) == precision_recall(x, y, k=3, ball="closed")
    assert density_coverage(x, y) == density_coverage(x, y, k=5, ball="open")
    assert precision_recall(REAL, REAL) == PrecisionRecallResult(1, 1)


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 20), st.integers(1, 3), st.booleans(), st.sampled_from([6, 1000]))
def test_agrees_with_the_definition_whatever_the_block(seed, d, k, closed, block):
    x, y = normal(25, d, seed=seed), 1.2 * normal(18, d, seed=seed + 1) + 0.3
    y[:4] = x[:4]
    ball = "closed" if closed else "open"
    precision, recall, density, coverage = by_definition(x, y, k, closed)
    assert precision_recall(x, y, k=k, ball=ball, block=block) == PrecisionRecallResult(precision, recall)
    assert density_coverage(x, y, k=k, ball=ball, block=block) == DensityCoverageResult(density, coverage)


@settings(max_examples=15)
@given(SEEDS, st.floats(-100, 100))
def test_unchanged_by_moving_rotating_scaling_and_reordering_both(seed, offset):
    x, y = normal(30, 3, seed=seed), normal(20, 3, seed=seed + 1) + 0.5
    rotation = 2 * torch.linalg.qr(normal(3, 3, seed=seed + 2)).Q
    for a, b in ((x @ rotation + offset, y @ rotation + offset), (x.flip(0), y.roll(3, 0))):
        assert precision_recall(a, b) == precision_recall(x, y)
        assert density_coverage(a, b) == density_coverage(x, y)


def test_swapping_the_sets_swaps_precision_and_recall():
    x, y = normal(40, 2), 0.2 * normal(30, 2, seed=1)
    forward, back = precision_recall(x, y), precision_recall(y, x)
    assert (forward.precision, forward.recall) == (back.recall, back.precision)
    assert forward.precision == 1 and forward.recall < 0.7  # fakes huddled in the middle are precise


@for_each("d", [1, 8, 64])
@for_each("k", [1, 5])
def test_exact_copies_of_the_real_set_lie_on_the_edges(d, k):
    # the copies are in another order, so a tile of the matrix product meets them elsewhere
    x = 3 * normal(150, d) + 10
    copies = x.flip(0)
    assert density_coverage(x, copies, k=k) == DensityCoverageResult(1, 1)
    assert density_coverage(x, copies, k=k, ball="closed") == DensityCoverageResult((k + 1) / k, 1)
    for ball in ("open", "closed"):
        assert precision_recall(x, copies, k=k, ball=ball) == PrecisionRecallResult(1, 1)


def test_one_outlier_lifts_recall_but_not_coverage():
    fake = torch.tensor([[0.5], [20.0]])
    assert precision_recall(REAL, fake, k=1) == PrecisionRecallResult(0.5, 1)
    assert density_coverage(REAL, fake, k=1).coverage == 0.4  # 0 and 1 alone have a fake within their ball


def test_sets_far_apart_share_nothing():
    x = normal(20, 2)
    assert precision_recall(x, x + 1e3) == PrecisionRecallResult(0, 0)
    assert density_coverage(x, x + 1e3) == DensityCoverageResult(0, 0)


def test_collapse_onto_one_real_sample_is_precise_and_covers_little():
    x = normal(100, 2)
    fake = x[:1].repeat(50, 1)
    assert precision_recall(x, fake) == PrecisionRecallResult(1, 0.01)
    assert density_coverage(x, fake).coverage < 0.15


def test_density_is_one_in_the_mean_and_coverage_is_as_expected_at_equal_distributions():
    n, m, k, repeats = 100, 50, 5, 200
    results = [density_coverage(normal(n, 2, seed=s), normal(m, 2, seed=s + 10**6)) for s in range(repeats)]
    for values, expected in (
        ([result.density for result in results], 1),
        ([result.coverage for result in results], expected_coverage(n, m, k)),
    ):
        error = float(np.std(values, ddof=1)) / sqrt(repeats)
        assert error < 0.01
        assert np.mean(values) == pytest.approx(expected, abs=3.5 * error)


def test_expected_coverage_by_hand_and_in_the_limit():
    assert expected_coverage(1000, 1000, 5) == pytest.approx(0.96898, abs=5e-6)
    assert expected_coverage(100, 50, 5) == pytest.approx(0.87493, abs=5e-6)
    assert expected_coverage(2, 1, 1) == 0.5
    assert expected_coverage(10**9, 10**9, 5) == pytest.approx(1 - 2**-5, abs=1e-8)


@for_each(("n", "m", "k"), [(5, 5, 5), (5, 5, 0), (5, 0, 2)])
def test_expected_coverage_of_impossible_counts_is_refused(n, m, k):
    with pytest.raises(ValueError, match=f"got k={k}, n={n}, m={m}"):
        expected_coverage(n, m, k)


@for_each("metric", [precision_recall, density_coverage])
@for_each(("n", "m", "k"), [(4, 9, 4), (9, 4, 4), (9, 9, 0)])
def test_neighbours_beyond_the_smaller_set_are_refused(metric, n, m, k):
    with pytest.raises(ValueError, match=f"k must be at least 1 and below both.*k={k} for n={n} real and m={m} fake"):
        metric(normal(n, 2), normal(m, 2), k=k)


@pytest.mark.usefixtures("no_shape_checks")
@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_bad_arguments_are_refused_by_name(metric):
    good, bad = normal(30, 2), normal(30, 2)
    bad[4] = bad[9] = torch.nan
    with pytest.raises(ValueError, match="real must be finite, got NaN or infinity in 2 of 30 rows"):
        metric(bad, good)
    with pytest.raises(ValueError, match="the same d, got real d=2, fake d=1"):
        metric(good, good[:, :1])
    with pytest.raises(ValueError, match=r"fake must have shape \[n, d\]"):
        metric(good, good[0])
    with pytest.raises(ValueError, match="fake must have at least 2 rows, got 1"):
        metric(good, good[:1])
    with pytest.raises(ValueError, match="ball must be 'closed' or 'open', got 'half'"):
        metric(good, good, ball="half")
    with pytest.raises(ValueError, match="block must be at least 1 row, got 0"):
        metric(good, good, block=0)
