from itertools import pairwise

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.for_each import for_each
from torch import Tensor
from torch.testing import assert_close

from ganneal.metrics import Moments


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def merged(parts) -> Moments:
    whole, *rest = (Moments.of(part) for part in parts)
    for part in rest:
        whole = whole.merge(part)
    return whole


def assert_same_moments(first: Moments, second: Moments) -> None:
    """Equal to 1e-10 of the scatter's scale, the mean to 1e-10 of its own."""
    scale = float(second.scatter.abs().max()) + 1
    assert first.n == second.n
    assert_close(first.mean, second.mean, rtol=1e-10, atol=1e-10)
    assert_close(first.scatter, second.scatter, rtol=0, atol=1e-10 * scale)


features = st.tuples(st.integers(0, 12), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-100, 100))
)


def test_of_equals_numpys_mean_and_unbiased_covariance():
    x = normal(50, 4)
    moments = Moments.of(x)
    assert moments.n == 50
    assert_close(moments.mean, torch.from_numpy(x.numpy().mean(axis=0)))
    assert_close(moments.covariance, torch.from_numpy(np.cov(x.numpy(), rowvar=False)))


def test_scatter_is_the_sum_of_centred_squares_by_hand():
    moments = Moments.of(torch.tensor([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]]))
    assert moments.mean.tolist() == [2, 2]
    assert moments.scatter.tolist() == [[8, 6], [6, 6]]
    assert moments.covariance.tolist() == [[4, 3], [3, 3]]


def test_arrays_and_tensors_give_the_same_bits():
    x = normal(20, 3)
    for other in (x.numpy(), x.numpy().copy(order="F"), np.flip(np.flip(x.numpy(), 0).copy(), 0)):
        other.flags.writeable = False
        assert torch.equal(Moments.of(other).scatter, Moments.of(x).scatter)


@for_each("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_raised_to_float64_before_any_sum(dtype):
    x = (normal(4000, 2) + 30).to(dtype)
    assert_close(Moments.of(x).mean, x.double().mean(dim=0), rtol=1e-14, atol=0)
    assert_close(Moments.of(x).covariance, torch.cov(x.double().T), rtol=1e-12, atol=0)


def test_moments_carry_no_gradient():
    moments = Moments.of(normal(5, 2).requires_grad_())
    assert not moments.mean.requires_grad and not moments.scatter.requires_grad


def test_an_empty_part_changes_nothing():
    moments, empty = Moments.of(normal(5, 2)), Moments.of(torch.empty(0, 2))
    assert empty.n == 0
    assert moments.merge(empty) is moments
    assert empty.merge(moments) is moments
    assert empty.merge(empty).n == 0


def test_one_row_has_zero_scatter():
    moments = Moments.of(torch.tensor([[3.0, -1.0]]))
    assert moments.mean.tolist() == [3, -1]
    assert not moments.scatter.any()


@settings(max_examples=100, deadline=None)
@given(features, st.data())
def test_merging_any_split_in_any_order_equals_the_whole(x, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(x)), max_size=6)))
    parts = [x[start:stop] for start, stop in pairwise([0, *cuts, len(x)])]
    order = data.draw(st.permutations(range(len(parts))))
    assert_same_moments(merged([parts[i] for i in order]), Moments.of(x))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-1e6, 1e6))
def test_one_row_at_a_time_equals_the_whole_at_any_offset(seed, offset):
    x = normal(20, 3, seed=seed) + offset
    assert_same_moments(merged(x.split(1)), Moments.of(x))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_merging_is_associative_and_commutative_to_rounding(seed):
    a, b, c = (Moments.of(normal(n, 3, seed=seed + n)) for n in (1, 5, 9))
    assert_same_moments(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert_same_moments(a.merge(b), b.merge(a))


def test_covariance_survives_an_offset_of_a_million():
    # raw second moments err by 6e-4 here; the reference subtracts the offset first, which is exact
    x = normal(50_000, 3) + 1e6
    streamed = merged(x.chunk(50)).covariance
    assert_close(streamed, torch.cov((x - 1e6).T), rtol=0, atol=1e-10)


def test_duplicating_every_row_scales_the_covariance_exactly():
    x = normal(30, 3)
    n = len(x)
    doubled = Moments.of(torch.cat([x, x])).covariance
    assert_close(doubled, Moments.of(x).covariance * (2 * (n - 1) / (2 * n - 1)), rtol=1e-13, atol=1e-15)


def test_order_of_rows_is_irrelevant():
    x = normal(40, 3)
    assert_same_moments(Moments.of(x.flip(0)), Moments.of(x))


def test_covariance_is_exactly_symmetric():
    scatter = torch.tensor([[2.0, 1.0], [1.0 + 1e-12, 2.0]], dtype=torch.float64)
    covariance = Moments(10, torch.zeros(2, dtype=torch.float64), scatter).covariance
    assert torch.equal(covariance, covariance.T)


@pytest.mark.parametrize("rows", [0, 1])
def test_covariance_of_fewer_than_two_rows_is_refused(rows):
    with pytest.raises(ValueError, match=f"covariance needs n of at least 2, got {rows}"):
        _ = Moments.of(normal(rows, 2)).covariance


@for_each("bad", [float("nan"), float("inf"), float("-inf")])
def test_rows_that_are_not_finite_are_counted_not_dropped(bad):
    x = normal(10, 3)
    x[2, 0] = x[2, 1] = x[7, 2] = bad
    with pytest.raises(ValueError, match="features must be finite, got NaN or infinity in 2 of 10 rows"):
        Moments.of(x)


@pytest.mark.usefixtures("no_shape_checks")
@for_each("shape", [(), (3,), (3, 0), (2, 3, 4)])
def test_features_that_are_no_matrix_are_refused(shape):
    with pytest.raises(ValueError, match=r"features must have shape \[n, d\].*flatten"):
        Moments.of(torch.zeros(shape))


@pytest.mark.usefixtures("no_shape_checks")
@for_each(
    "x",
    [
        torch.zeros(3, 2, dtype=torch.uint8),
        torch.zeros(3, 2, dtype=torch.complex64),
        np.zeros((3, 2), dtype=int),
        np.zeros((3, 2), dtype=complex),
    ],
)
def test_numbers_that_are_not_floating_point_are_refused(x):
    with pytest.raises(ValueError, match="features must be floating point, got .*(int|complex)"):
        Moments.of(x)


def test_parts_of_different_width_are_refused_even_when_empty():
    with pytest.raises(ValueError, match="other must have d=2 features, got d=3"):
        Moments.of(normal(4, 2)).merge(Moments.of(torch.empty(0, 3)))


@pytest.mark.usefixtures("no_shape_checks")
@for_each(
    ("n", "mean", "scatter", "message"),
    [
        (-1, torch.zeros(2).double(), torch.zeros(2, 2).double(), "n must be at least 0, got -1"),
        (5, torch.zeros(2, 1).double(), torch.zeros(2, 2).double(), r"shapes \[d\] and \[d, d\]"),
        (5, torch.zeros(2).double(), torch.zeros(2, 3).double(), r"got \[2\] and \[2, 3\]"),
        (5, torch.zeros(2), torch.zeros(2, 2).double(), "mean must be float64, got torch.float32"),
        (5, torch.zeros(2).double(), torch.zeros(2, 2), "scatter must be float64, got torch.float32"),
        (5, torch.tensor([0, torch.nan]).double(), torch.zeros(2, 2).double(), "mean must be finite"),
        (5, torch.zeros(1).double(), torch.tensor([[torch.inf]]).double(), "scatter must be finite"),
    ],
)
def test_moments_by_hand_are_checked(n, mean, scatter, message):
    with pytest.raises(ValueError, match=message):
        Moments(n, mean, scatter)


def test_features_too_large_to_square_are_refused():
    with pytest.raises(ValueError, match="scatter must be finite"):
        Moments.of(1e200 * normal(4, 2))
