from math import gamma, pi, sqrt

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.metrics.wasserstein import (
    expected_shift_slice,
    sliced_wasserstein,
    wasserstein_1d,
)

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(2, 30)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong argument reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def quantiles(std: float, n: int) -> Tensor:
    """Midpoint quantiles of a centred Gaussian: a sample without sampling error."""
    return std * torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)


def test_unequal_sizes_by_hand():
    # |F - G| is 1/6 on [0, 1) and 1/3 on [1, 3)
    x, y = torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.0, 3.0])
    assert wasserstein_1d(x, y) == pytest.approx(5 / 6, abs=1e-15)
    assert wasserstein_1d(y, x) == pytest.approx(5 / 6, abs=1e-15)


@given(SEEDS, SIZES, SIZES)
def test_the_line_agrees_with_scipy_and_is_symmetric(seed, n, m):
    from scipy.stats import wasserstein_distance

    x, y = normal(n, seed=seed), 2 * normal(m, seed=seed + 1) + 0.5
    assert wasserstein_1d(x, y) == pytest.approx(wasserstein_distance(x.numpy(), y.numpy()), rel=1e-12)
    assert wasserstein_1d(y.numpy(), x.numpy()) == pytest.approx(wasserstein_1d(x, y), rel=1e-12)


@given(SEEDS, SIZES)
def test_equal_sizes_are_the_mean_difference_of_sorted_values(seed, n):
    x, y = normal(n, seed=seed), normal(n, seed=seed + 1)
    assert wasserstein_1d(x, y) == pytest.approx(float((x.sort().values - y.sort().values).abs().mean()), rel=1e-13)


@given(SEEDS, SIZES, st.integers(1, 4), st.integers(1, 4))
def test_repeating_all_values_changes_nothing(seed, n, times, other_times):
    x, y = normal(n, seed=seed), normal(n + 1, seed=seed + 1)
    repeated = wasserstein_1d(x.repeat(times), y.repeat_interleave(other_times))
    assert repeated == pytest.approx(wasserstein_1d(x, y), rel=1e-12)


@given(SEEDS, st.floats(-10, 10), st.floats(-5, 5))
def test_a_shift_and_a_scale_count_in_full(seed, shift, scale):
    x, y = normal(9, seed=seed), normal(7, seed=seed + 1)
    assert wasserstein_1d(x, x + shift) == pytest.approx(abs(shift), abs=1e-12)
    assert wasserstein_1d(scale * x, scale * y) == pytest.approx(abs(scale) * wasserstein_1d(x, y), abs=1e-12)


@for_each(("a", "b"), [(1.0, 3.0), (0.5, 0.1), (2.0, 2.0), (0.0, 1.0)])
def test_centred_gaussians_match_the_closed_form(a, b):
    # midpoint quantiles miss the tails: about 2e-5 of a standard deviation at 100,000, 4e-5 at 60,000
    expected = abs(a - b) * sqrt(2 / pi)
    assert wasserstein_1d(quantiles(a, 100_000), quantiles(b, 100_000)) == pytest.approx(expected, abs=4e-5 * max(a, b))
    assert wasserstein_1d(quantiles(a, 100_000), quantiles(b, 60_000)) == pytest.approx(expected, abs=1e-4 * max(a, b))


@given(SEEDS, st.integers(1, 3))
def test_slices_are_a_distance(seed, d):
    x, y, z = (normal(8, d, seed=seed + i) for i in range(3))
    xy, yz, xz = (sliced_wasserstein(*pair, directions=9) for pair in ((x, y), (y, z), (x, z)))
    assert xz <= xy + yz + 1e-12
    assert sliced_wasserstein(y, x, directions=9) == pytest.approx(xy, rel=1e-12)
    assert sliced_wasserstein(x, x.flip(0), directions=9) == 0


def test_one_dimension_has_one_slice():
    x, y = normal(40, 1), 2 * normal(30, 1, seed=1)
    assert sliced_wasserstein(x, y) == pytest.approx(wasserstein_1d(x[:, 0], y[:, 0]), rel=1e-12)


@for_each(("d", "constant"), [(2, 0.636620), (3, 0.5), (64, 0.100126)])
def test_the_slice_of_a_shift_matches_the_table(d, constant):
    assert expected_shift_slice(d) == pytest.approx(constant, abs=5e-7)
    assert expected_shift_slice(d) == pytest.approx(gamma(d / 2) / (sqrt(pi) * gamma((d + 1) / 2)), rel=1e-12)


@for_each("d", [1, 2, 3, 64])
def test_a_shift_counts_by_its_length_times_the_slice(d):
    x, shift = normal(3, d), normal(d, seed=1)
    shift = 5 * shift / shift.norm()
    # |<u, e>| has mean square 1 / d, hence this standard error over 5,000 directions
    error = 5 * sqrt(max(1 / d - expected_shift_slice(d) ** 2, 0) / 5_000)
    value = sliced_wasserstein(x, x + shift, directions=5_000)
    assert value == pytest.approx(5 * expected_shift_slice(d), abs=4 * error + 1e-12)


def test_directions_are_decided_by_the_seed_and_not_by_their_batches():
    x, y = normal(20, 3), normal(20, 3, seed=1) + 1
    assert sliced_wasserstein(x, y, seed=4) == sliced_wasserstein(x, y, seed=4)
    assert sliced_wasserstein(x, y, seed=4) != sliced_wasserstein(x, y, seed=5)
    units = np.random.default_rng(0).standard_normal((37, 3))
    units = torch.from_numpy(units / np.linalg.norm(units, axis=1, keepdims=True))
    expected = np.mean([wasserstein_1d(x @ unit, y @ unit) for unit in units])
    assert sliced_wasserstein(x, y, directions=37) == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_samples_are_refused():
    with pytest.raises(ValueError, match="directions must be at least 1, got 0"):
        sliced_wasserstein(normal(4, 2), normal(4, 2), directions=0)
    with pytest.raises(ValueError, match="d must be at least 1, got 0"):
        expected_shift_slice(0)
    with pytest.raises(ValueError, match="must have the same d, got real d=2, fake d=3"):
        sliced_wasserstein(normal(4, 2), normal(4, 3))
    with pytest.raises(ValueError, match="must be finite, got NaN"):
        sliced_wasserstein(normal(4, 2), normal(4, 2) * torch.nan)
    with pytest.raises(ValueError, match="at least 2 rows, got 1"):
        wasserstein_1d(normal(4), normal(1))
