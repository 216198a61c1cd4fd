import warnings
from math import gamma, sqrt

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor
from torch.testing import assert_close

from ganneal.metrics import Moments, frechet_distance

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def gaussian(mean, covariance, n: int = 1000) -> Moments:
    covariance = torch.as_tensor(covariance, dtype=torch.float64)
    return Moments(n, torch.as_tensor(mean, dtype=torch.float64), covariance * (n - 1))


def correlated(n: int, d: int, rank: int, seed: int) -> Tensor:
    """Rows in a random subspace of dimension ``rank``, off the origin."""
    return normal(n, rank, seed=seed) @ normal(rank, d, seed=seed + 1) + normal(d, seed=seed + 2)


def scale(real: Tensor, fake: Tensor) -> float:
    return float(1 + real.var(dim=0).sum() + fake.var(dim=0).sum())


def distance_by_singular_values(real: Tensor, fake: Tensor) -> float:
    """By other algebra: S = R'R from centred QR; the cross term is the nuclear norm of R_1 R_2'."""
    factors = []
    for x in (real, fake):
        centred = x - x.mean(dim=0)
        factors.append(torch.linalg.qr(centred, mode="r").R / sqrt(len(x) - 1))
    first, second = factors
    cross = torch.linalg.svdvals(first @ second.T).sum()
    shift = (real.mean(dim=0) - fake.mean(dim=0)).square().sum()
    return float(shift + first.square().sum() + second.square().sum() - 2 * cross)


@for_each(("means", "deviations"), [((0, 0), (1, 1)), ((0, 3), (1, 2)), ((-1, 2), (0.1, 5)), ((1, 1), (0, 2))])
def test_one_dimension_is_the_difference_of_means_and_of_deviations_squared(means, deviations):
    real, fake = (gaussian([m], [[s * s]]) for m, s in zip(means, deviations, strict=True))
    expected = (means[0] - means[1]) ** 2 + (deviations[0] - deviations[1]) ** 2
    assert frechet_distance(real, fake) == pytest.approx(expected, abs=1e-12)


def test_diagonal_gaussians_add_up_over_axes():
    real_values, fake_values = torch.tensor([1.0, 4.0, 0.25, 9.0]), torch.tensor([2.0, 1.0, 0.0, 9.0])
    real = gaussian([0, 1, 2, 3], real_values.diag())
    fake = gaussian([1, 1, 0, 3], fake_values.diag())
    expected = 5 + (real_values.double().sqrt() - fake_values.double().sqrt()).square().sum()
    assert frechet_distance(real, fake) == pytest.approx(float(expected), abs=1e-12)


def test_covariances_that_do_not_commute_match_the_closed_form():
    real, fake = gaussian([0, 0], [[2, 1], [1, 2]]), gaussian([0, 0], [[1, 0], [0, 4]])
    assert frechet_distance(real, fake) == pytest.approx(9 - 2 * sqrt(10 + 2 * sqrt(12)), abs=1e-12)


def test_orthogonal_supports_share_no_cross_term():
    real, fake = gaussian([0, 0], [[1, 0], [0, 0]]), gaussian([0, 0], [[0, 0], [0, 1]])
    assert frechet_distance(real, fake) == pytest.approx(2, abs=1e-14)


def test_distance_to_a_point_is_the_shift_plus_the_variance():
    point, spread = gaussian([0, 0], [[0, 0], [0, 0]]), gaussian([3, 4], [[2, 1], [1, 2]])
    assert frechet_distance(point, spread) == frechet_distance(spread, point) == pytest.approx(29)
    assert frechet_distance(point, point) == 0


def test_four_corners_scaled_and_shifted_by_hand():
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    with pytest.warns(UserWarning, match="n=4 rows"):
        assert frechet_distance(x, 2 * x + 1) == pytest.approx(8 + 8 / 3, abs=1e-12)


def test_scaling_about_the_mean_and_shifting_match_the_closed_form():
    x, shift = normal(60, 4), torch.tensor([1.0, -2.0, 0.0, 0.5]).double()
    fake = x.mean(dim=0) + 0.3 * (x - x.mean(dim=0)) + shift
    expected = (0.3 - 1) ** 2 * x.var(dim=0).sum() + shift.square().sum()
    assert frechet_distance(x, fake) == pytest.approx(float(expected), rel=1e-12)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(1, 6))
def test_zero_on_itself(seed, d, rank):
    x = correlated(5 * d, d, rank, seed)
    assert 0 <= frechet_distance(x, x) <= 1e-7 * scale(x, x)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_symmetric_and_at_least_the_shift_of_the_means(seed, d, rank, other_rank):
    x, y = correlated(30, d, rank, seed), correlated(40, d, other_rank, seed + 3)
    tolerance = 1e-7 * scale(x, y)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), abs=tolerance)
    assert frechet_distance(x, y) >= (x.mean(dim=0) - y.mean(dim=0)).square().sum() - tolerance


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_its_root_obeys_the_triangle_inequality(seed):
    x, y, z = (normal(20, 3, seed=seed + i) @ normal(3, 3, seed=seed + 3 + i) for i in range(3))
    root_xz, root_xy, root_yz = (sqrt(frechet_distance(*pair)) for pair in ((x, z), (x, y), (y, z)))
    assert root_xz <= root_xy + root_yz + 1e-9


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(-1e6, 1e6))
def test_unchanged_by_moving_rotating_and_reordering_both(seed, offset):
    x, y = normal(25, 4, seed=seed), 2 * normal(30, 4, seed=seed + 1) + 1
    rotation = torch.linalg.qr(normal(4, 4, seed=seed + 2)).Q
    before = frechet_distance(x, y)
    assert frechet_distance(x + offset, y + offset) == pytest.approx(before, abs=1e-8)
    assert frechet_distance(x @ rotation, y @ rotation) == pytest.approx(before, abs=1e-10)
    assert frechet_distance(x.flip(0), y.flip(0)) == pytest.approx(before, abs=1e-10)


def test_a_constant_column_adds_nothing():
    x, y = normal(30, 3), 2 * normal(30, 3, seed=1)
    wider = [torch.cat([part, torch.full((30, 1), 7.0)], dim=1) for part in (x, y)]
    assert frechet_distance(*wider) == pytest.approx(frechet_distance(x, y), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.integers(1, 12), st.integers(1, 12))
def test_rank_deficient_features_agree_with_the_nuclear_norm(seed, rank, other_rank):
    x, y = correlated(70, 12, rank, seed), correlated(90, 12, other_rank, seed + 3)
    assert frechet_distance(x, y) == pytest.approx(distance_by_singular_values(x, y), abs=1e-7 * scale(x, y))


@for_each(("rank", "other_rank"), [(4, 6), (32, 4), (4, 32)])
def test_rounding_errors_of_rank_deficient_features_are_cut_before_the_root(rank, other_rank):
    # the square root turns each of 1e-16 into 1e-8; cut, they leave 1e-15
    for seed in range(20):
        x, y = correlated(200, 32, rank, seed), correlated(200, 32, other_rank, seed + 100)
        error = frechet_distance(x, y) - distance_by_singular_values(x, y)
        assert abs(error) <= 1e-12 * scale(x, y)


@pytest.mark.parametrize(("small", "counted"), [(4e-16, 0), (1e-14, 1e-14)])
def test_eigenvalues_within_rounding_of_the_largest_count_as_zero(small, counted):
    almost_flat, other = gaussian([0, 0], [[1, 0], [0, small]]), gaussian([0, 0], [[0, 0], [0, 1]])
    assert frechet_distance(almost_flat, other) == pytest.approx(2 - 2 * sqrt(counted), abs=1e-12)
    round_, expected = gaussian([0, 0], [[1, 0], [0, 1]]), 1 - 2 * sqrt(counted)
    assert frechet_distance(round_, almost_flat) == pytest.approx(expected, abs=1e-12)


def test_rotated_orthogonal_supports_share_no_cross_term_to_the_stated_accuracy():
    for seed in range(10):
        basis = torch.linalg.qr(normal(32, 32, seed=seed)).Q
        real, fake = (gaussian([0] * 32, half @ half.T) for half in (basis[:, :16], basis[:, 16:]))
        assert frechet_distance(real, fake) == pytest.approx(32, abs=1e-7 * (1 + 32))


@settings(max_examples=20, deadline=None)
@given(SEEDS)
def test_fewer_rows_than_features_agree_with_the_nuclear_norm(seed):
    x, y = normal(7, 12, seed=seed), normal(60, 12, seed=seed + 1)
    with pytest.warns(UserWarning, match="strongly biased"):
        value = frechet_distance(x, y, allow_singular=True)
    assert value == pytest.approx(distance_by_singular_values(x, y), abs=1e-7 * scale(x, y))


def test_arrays_and_merged_moments_give_the_distance_of_the_features():
    x, y = normal(40, 3), normal(50, 3, seed=1) + 1
    whole = frechet_distance(x, y)
    merged = Moments.of(x[:13]).merge(Moments.of(x[13:]))
    assert frechet_distance(x.numpy(), y.numpy()) == whole
    assert frechet_distance(merged, y.numpy()) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("repeats", [1000, pytest.param(4000, marks=pytest.mark.slow)])
def test_mean_over_samples_of_equal_gaussians_is_the_known_bias(repeats):
    # E = 1/n + 1/m + 2 - 2 c4(n) c4(m), with c4 the bias of a sample's standard deviation. The squared shift
    # of the means, of expectation 1/n + 1/m, is the control variate: standard error 0.0018 at 4,000 repeats
    n, m = 10, 20
    c4_n, c4_m = (sqrt(2 / (k - 1)) * gamma(k / 2) / gamma((k - 1) / 2) for k in (n, m))
    expected = 1 / n + 1 / m + 2 - 2 * c4_n * c4_m
    assert expected == pytest.approx(0.2300985, abs=1e-7)
    reals, fakes = normal(repeats, n, 1, seed=5), normal(repeats, m, 1, seed=6)
    values = torch.tensor([frechet_distance(x, y) for x, y in zip(reals, fakes, strict=True)])
    shifts = (reals.mean(dim=1) - fakes.mean(dim=1)).square()[:, 0]
    controlled = values - (shifts - 1 / n - 1 / m)
    standard_error = float(controlled.std()) / sqrt(repeats)
    assert standard_error < 0.002 * sqrt(4000 / repeats)
    assert float(controlled.mean()) == pytest.approx(expected, abs=4 * standard_error)


def test_features_carry_no_gradient_and_are_left_alone():
    x = normal(20, 2).requires_grad_()
    before = x.detach().clone()
    assert isinstance(frechet_distance(x, normal(20, 2, seed=1)), float)
    assert x.grad is None
    assert_close(x.detach(), before, rtol=0, atol=0)


@for_each(("rows", "other_rows", "name"), [(4, 40, "real"), (40, 3, "fake"), (2, 2, "real")])
@for_each("form", [lambda x: x, Moments.of])
def test_as_many_features_as_rows_are_refused(form, rows, other_rows, name):
    with pytest.raises(ValueError, match=rf"{name} must have more rows than features.*d=4.*allow_singular=True"):
        frechet_distance(form(normal(rows, 4)), form(normal(other_rows, 4)))


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_are_refused_always(rows):
    with pytest.raises(ValueError, match=f"fake must have at least 2 rows, got {rows}"):
        frechet_distance(normal(9, 1), normal(rows, 1), allow_singular=True)


def test_warns_below_five_rows_a_feature_and_not_from_there_on():
    with pytest.warns(UserWarning, match=r"n=9 rows, below 5 d = 10") as caught:
        frechet_distance(normal(50, 2), normal(9, 2, seed=1))
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frechet_distance(normal(10, 2), normal(10, 2, seed=1))


@pytest.mark.usefixtures("no_shape_checks")
def test_features_of_different_width_are_refused():
    with pytest.raises(ValueError, match="real and fake must have the same d, got d=2 and d=3"):
        frechet_distance(normal(30, 2), normal(30, 3))


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_features_are_named_by_argument():
    good, bad = normal(30, 2), normal(30, 2)
    bad[4, 1] = torch.nan
    with pytest.raises(ValueError, match="real must be finite, got NaN or infinity in 1 of 30 rows"):
        frechet_distance(bad, good)
    with pytest.raises(ValueError, match="fake must be finite"):
        frechet_distance(good, bad)
    with pytest.raises(ValueError, match=r"fake must have shape \[n, d\].*got \[30\]"):
        frechet_distance(good, good[:, 0])
    with pytest.raises(ValueError, match=r"real must be floating point, got torch.int64"):
        frechet_distance(good.long(), good)


def test_rounding_below_zero_is_zero_and_more_is_refused():
    slightly, far = (gaussian([0, 0], [[1.0, 0.0], [0.0, -size]]) for size in (1e-7, 0.5))
    assert frechet_distance(slightly, slightly) == 0
    with pytest.raises(ValueError, match="positive semi-definite covariances, got a distance of -1.0"):
        frechet_distance(far, far)
