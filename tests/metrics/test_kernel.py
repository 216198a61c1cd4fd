from math import sqrt

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganneal.metrics import kernel
from ganneal.metrics.kernel import KernelDistance, kernel_distance

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def standard_error(result: KernelDistance) -> float:
    assert result.standard_error is not None
    return result.standard_error


def from_whole_matrices(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """The value and both variances from their definitions."""
    n, m, d = *map(len, (x, y)), x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    rows, spreads = [], []
    for matrix in (xx, yy):
        size = len(matrix)
        off = ~np.eye(size, dtype=bool)
        r = (matrix.sum(axis=1) - matrix.diagonal()) / (size - 1)
        rows.append(r)
        centred = matrix - r[:, None] - r[None] + r.mean()
        spreads.append((centred[off] ** 2).mean())
    cross = ((xy - xy.mean(axis=1, keepdims=True) - xy.mean(axis=0) + xy.mean()) ** 2).mean()
    a, b = rows[0] - xy.mean(axis=1), rows[1] - xy.mean(axis=0)
    first = 4 * (a.var(ddof=1) / n + b.var(ddof=1) / m)
    second = 2 * spreads[0] / (n * (n - 1)) + 2 * spreads[1] / (m * (m - 1)) + 4 * cross / (n * m)
    return rows[0].mean() + rows[1].mean() - 2 * xy.mean(), first, second


@pytest.mark.parametrize(
    ("x", "y", "value", "variances"),
    [
        ([[0.0], [1.0], [2.0]], [[0.0], [2.0]], 58 / 6 + 1 - 52, (3567.1111111, 487.6296296)),
        ([[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [2.0, 0.0]], 1.125, (13.515625, 3.0625)),
    ],
)
def test_value_and_standard_error_by_hand(x, y, value, variances):
    result = kernel_distance(np.array(x), np.array(y))
    assert result.value == pytest.approx(value, abs=1e-12)
    assert result.standard_error == pytest.approx(sqrt(variances[0] - variances[1]), rel=1e-9)
    assert from_whole_matrices(np.array(x), np.array(y)) == pytest.approx((value, *variances), rel=1e-9)


@settings(max_examples=30)
@given(SEEDS, st.integers(2, 12), st.integers(2, 12), st.integers(1, 5), st.floats(0, 10))
def test_agrees_with_its_definition_on_whole_matrices(seed, n, m, d, offset):
    x, y = normal(n, d, seed=seed) + offset, 1.5 * normal(m, d, seed=seed + 1) + offset
    value, first, second = from_whole_matrices(x.numpy(), y.numpy())
    result, scale = kernel_distance(x, y), float(x.square().mean() + y.square().mean() + 1) ** 3
    assert result.value == pytest.approx(value, abs=1e-12 * scale)
    assert standard_error(result) ** 2 == pytest.approx(max(first - second, second, 0), rel=1e-8, abs=1e-13 * scale**2)


def test_more_rows_than_one_block_agree_with_whole_matrices():
    x, y = normal(2100, 3), normal(1001, 3, seed=1) + 0.3
    value, first, second = from_whole_matrices(x.numpy(), y.numpy())
    result = kernel_distance(x, y)
    assert result.value == pytest.approx(value, rel=1e-10)
    assert result.standard_error == pytest.approx(sqrt(first - second), rel=1e-10)


@settings(max_examples=20)
@given(SEEDS)
def test_unchanged_by_rotating_reordering_and_swapping(seed):
    x, y = normal(20, 4, seed=seed), normal(15, 4, seed=seed + 1) + 1
    rotation = torch.linalg.qr(normal(4, 4, seed=seed + 2)).Q
    expected = kernel_distance(x, y)
    for other in (
        kernel_distance(x @ rotation, y @ rotation),
        kernel_distance(x.flip(0), y.roll(3, 0)),
        kernel_distance(y, x),
    ):
        assert other.value == pytest.approx(expected.value, rel=1e-9)
        assert other.standard_error == pytest.approx(expected.standard_error, rel=1e-9)


def test_the_origin_matters():
    x, y = normal(50, 2), normal(50, 2, seed=1) + 1
    assert kernel_distance(x + 2, y + 2).value > 3 * kernel_distance(x, y).value


def test_unbiased_at_equal_distributions_and_its_error_is_that_of_the_values():
    # 400 values: their deviation is known to 4 %; at equal distributions and so few samples the larger of
    # two noisy variances is about 25 % above it
    results = [kernel_distance(normal(60, 2, seed=s), normal(80, 2, seed=s + 1000)) for s in range(400)]
    values = np.array([result.value for result in results])
    deviation = values.std(ddof=1)
    assert abs(values.mean()) < 3 * deviation / 20
    assert (values < 0).any()
    estimated = sqrt(np.mean([standard_error(result) ** 2 for result in results]))
    assert 1 < estimated / deviation < 1.45


def test_standard_error_is_the_deviation_of_values_at_different_distributions():
    # the deviation's own error: 3.5 % from 400 values, more from their tails
    results = [kernel_distance(normal(60, 2, seed=s), 1.2 * normal(80, 2, seed=s + 1000) + 0.7) for s in range(400)]
    values = np.array([result.value for result in results])
    estimated = sqrt(np.mean([standard_error(result) ** 2 for result in results]))
    assert estimated / values.std(ddof=1) == pytest.approx(1, abs=0.12)


def test_equal_points_have_no_error_beyond_rounding():
    assert kernel_distance(torch.ones(5, 2), torch.ones(4, 2)) == KernelDistance(0.0, 0.0)


def test_one_subset_of_everything_is_the_value_of_all_samples():
    x, y = normal(40, 3), normal(40, 3, seed=1) + 0.5
    subset = kernel_distance(x, y, subsets=1, subset_size=40, seed=3)
    assert subset.value == pytest.approx(kernel_distance(x, y).value, rel=1e-12)
    assert subset.standard_error is None and subset.subsets == 1


def test_subsets_are_drawn_real_first_from_the_seed_and_averaged():
    x, y = normal(40, 3), normal(50, 3, seed=1) + 0.5
    generator = np.random.default_rng(7)
    values = []
    for _ in range(6):
        first = x[generator.choice(40, 10, replace=False)]
        values.append(kernel_distance(first, y[generator.choice(50, 10, replace=False)]).value)
    result = kernel_distance(x, y, subsets=6, subset_size=10, seed=7)
    assert result.value == pytest.approx(np.mean(values), rel=1e-12)
    assert kernel_distance(x, y, subsets=6, subset_size=10, seed=7) == result
    assert kernel_distance(x, y, subsets=6, subset_size=10, seed=8) != result


def test_too_many_pairs_turn_to_a_hundred_subsets(monkeypatch):
    x, y = normal(40, 3), normal(50, 3, seed=1)
    monkeypatch.setattr(kernel, "_ALL_SAMPLES", 40 * 50 * 3)
    assert kernel_distance(x, y, subset_size=10).subsets is None
    monkeypatch.setattr(kernel, "_ALL_SAMPLES", 40 * 50 * 3 - 1)
    assert kernel_distance(x, y, subset_size=10) == kernel_distance(x, y, subsets=100, subset_size=10)


def test_features_in_low_precision_are_raised_to_float64():
    x, y = normal(30, 3).float(), normal(30, 3, seed=1).half()
    assert kernel_distance(x, y) == kernel_distance(x.double(), y.double().numpy())


@pytest.mark.parametrize("subset_size", [1, 11])
def test_subsets_larger_than_a_set_or_below_two_rows_are_refused(subset_size):
    with pytest.raises(ValueError, match=f"subset_size must be between 2 and the smaller set's 10.*got {subset_size}"):
        kernel_distance(normal(20, 2), normal(10, 2), subsets=3, subset_size=subset_size)


def test_no_subsets_are_refused():
    with pytest.raises(ValueError, match="subsets must be at least 1, got 0"):
        kernel_distance(normal(20, 2), normal(20, 2), subsets=0, subset_size=5)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_features_are_refused_by_name():
    good, bad = normal(30, 2), normal(30, 2)
    bad[4] = bad[7] = torch.inf
    with pytest.raises(ValueError, match="fake must be finite, got NaN or infinity in 2 of 30 rows"):
        kernel_distance(good, bad)
    with pytest.raises(ValueError, match="the same d, got real d=2, fake d=1"):
        kernel_distance(good, good[:, :1])
    with pytest.raises(ValueError, match="real must have at least 2 rows, got 1"):
        kernel_distance(good[:1], good)
    with pytest.raises(ValueError, match=r"real must have shape \[n, d\]"):
        kernel_distance(good[0], good)


def test_a_kernel_that_overflows_is_refused():
    with pytest.raises(ValueError, match="small enough for their kernel to be squared"):
        kernel_distance(1e60 * normal(5, 2), 1e60 * normal(5, 2, seed=1))
