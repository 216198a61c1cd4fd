from math import asin, log, pi

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor
from torch.testing import assert_close

from ganneal.data import Ring
from ganneal.metrics.binned import binned_divergence, cell_log_masses
from ganneal.metrics.mixture import GaussianMixture

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong argument reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def tensor(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def on_a_line(*components: tuple[float, float]) -> GaussianMixture:
    """Equal mixture in one dimension of (mean, standard deviation)."""
    means, deviations = zip(*components, strict=True)
    return GaussianMixture.isotropic(tensor(means)[:, None], tensor(deviations))


def grid(low: float, high: float, width: float) -> Tensor:
    return torch.linspace(low, high, round((high - low) / width) + 1, dtype=torch.float64)


def exact_kl(first: GaussianMixture, second: GaussianMixture, edges: list) -> float:
    """The divergence between the binned distributions themselves, without samples."""
    log_q, log_p = cell_log_masses(first, edges), cell_log_masses(second, edges)
    return float((log_q.exp() * (log_q - log_p)).sum())


def quantiles(mean: float, std: float, n: int) -> Tensor:
    """Midpoint quantiles: a sample of a Gaussian with next to no sampling error."""
    return mean + std * torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]


def correlated(rho: float, deviations=(1.0, 1.0), mean=(0.0, 0.0)) -> GaussianMixture:
    a, b = deviations
    covariance = tensor([[[a * a, rho * a * b], [rho * a * b, b * b]]])
    return GaussianMixture(tensor([1.0]), tensor([mean]), covariance)


@pytest.mark.parametrize(("width", "value"), [(0.5, 0.1224502), (2.0, 0.0940911)])
def test_binning_a_shift_matches_the_table(width, value):
    shifted, standard = on_a_line((0.5, 1.0)), on_a_line((0.0, 1.0))
    edges = grid(-6, 6, width)
    assert exact_kl(shifted, standard, [edges]) == pytest.approx(value, abs=5e-8)
    from_samples = binned_divergence(quantiles(0.5, 1.0, 200_000), standard, [edges])
    # each of some 20 cells is off by at most one sample in 200,000; ln q - ln p is below 4 there
    assert from_samples.kl_model_to_target == pytest.approx(value, abs=2e-5)


def test_fine_cells_reach_the_divergences_of_a_mixture_to_the_last_digit_given():
    # the loss by binning is width^2 / 24 times the mean squared derivative of ln q - ln p, here below 60
    edges = [grid(-14, 14, 0.001)]
    two, one, wide = on_a_line((-2.0, 0.5), (2.0, 0.5)), on_a_line((2.0, 0.5)), on_a_line((0.0, 2.0))
    assert exact_kl(one, two, edges) == pytest.approx(0.6930536, abs=3e-6)
    assert exact_kl(two, wide, edges) == pytest.approx(0.7244907, abs=3e-6)
    assert exact_kl(wide, two, edges) == pytest.approx(2.0202152, abs=3e-6)


@given(SEEDS, st.integers(1, 6))
def test_wider_cells_only_lower_the_divergence(seed, kept):
    draw = np.random.default_rng(seed)
    first, second = (on_a_line(*zip(draw.normal(size=3), draw.uniform(0.2, 2, 3), strict=True)) for _ in range(2))
    edges = torch.from_numpy(np.sort(draw.normal(size=12)))
    coarse = edges[torch.from_numpy(np.sort(draw.choice(12, kept, replace=False)))]
    x = torch.from_numpy(draw.normal(size=(50, 1)))
    assert 0 <= exact_kl(first, second, [coarse]) + 1e-12 <= exact_kl(first, second, [edges]) + 2e-12
    fine_result, coarse_result = (binned_divergence(x, second, [e]) for e in (edges, coarse))
    assert 0 <= coarse_result.kl_model_to_target + 1e-12 <= fine_result.kl_model_to_target + 2e-12
    assert 0 <= coarse_result.js + 1e-12 <= fine_result.js + 2e-12 <= log(2) + 3e-12


@for_each(("k", "kl", "js"), [(1, 2.079442, 0.496929), (4, 0.693147, 0.215762), (6, 0.287682, 0.095603)])
def test_k_of_eight_separated_modes_match_the_table(k, kl, js):
    modes = on_a_line(*((20.0 * i, 1.0) for i in range(8)))
    x = tensor([20.0 * i for i in range(k)] * 2)[:, None]
    result = binned_divergence(x, modes, [20 * torch.arange(7).double() + 10])
    assert result.kl_model_to_target == pytest.approx(kl, abs=5e-7)
    assert result.js == pytest.approx(js, abs=5e-7)
    f = k / 8
    closed = 0.5 * (log(16 / (8 + k)) + f * log(2 * k / (8 + k)) + (1 - f) * log(2))
    assert (result.kl_model_to_target, result.js) == pytest.approx((log(8 / k), closed), abs=1e-12)


def test_all_divergences_of_two_cells_by_hand():
    result = binned_divergence(tensor([[-1.0], [1.0], [2.0], [3.0]]), on_a_line((0.0, 1.0)), [[0.0]])
    # shares 1/4, 3/4 against 1/2, 1/2; with half a sample added 1.5 / 5 and 3.5 / 5
    assert result.kl_model_to_target == pytest.approx(0.25 * log(0.5) + 0.75 * log(1.5))
    assert result.kl_target_to_model == pytest.approx(0.5 * log(0.5 / 0.3) + 0.5 * log(0.5 / 0.7))
    js = 0.5 * (0.25 * log(0.25 / 0.375) + 0.75 * log(0.75 / 0.625) + 0.5 * log(0.5 / 0.375) + 0.5 * log(0.5 / 0.625))
    assert result.js == pytest.approx(js)
    assert (result.cells, result.samples) == (2, 4)


def test_a_sample_on_an_edge_lies_in_the_cell_above():
    result = binned_divergence(tensor([[0.0], [0.0]]), on_a_line((-1.0, 0.5)), [[0.0]])
    below = cell_log_masses(on_a_line((-1.0, 0.5)), [[0.0]])
    assert result.kl_model_to_target == pytest.approx(-float(below[1]), rel=1e-12)


def test_samples_far_outside_fall_into_the_outer_cells_with_a_finite_price():
    # ln of the upper tail at 90 standard deviations is -90^2 / 2 - ln(90 sqrt(2 pi)) up to 1 / 90^2
    result = binned_divergence(tensor([[100.0], [1e6]]), on_a_line((0.0, 1.0)), [[0.0, 90.0]])
    expected = 90**2 / 2 + log(90 * (2 * pi) ** 0.5)
    assert result.kl_model_to_target == pytest.approx(expected, abs=2 / 90**2)
    assert result.js == pytest.approx(log(2), abs=1e-12)


@for_each("position", [-40.0, -12.0, 0.0, 12.0, 40.0])
def test_tail_cells_keep_their_digits_on_both_sides(position):
    from scipy.special import log_ndtr

    masses = cell_log_masses(on_a_line((0.0, 1.0)), [[position, position + 0.5]])
    mirrored = cell_log_masses(on_a_line((0.0, 1.0)), [[-position - 0.5, -position]])
    assert_close(masses, mirrored.flip(0), rtol=1e-12, atol=1e-15)
    assert float(masses[0]) == pytest.approx(log_ndtr(position), rel=1e-12)
    assert float(masses[2]) == pytest.approx(log_ndtr(-position - 0.5), rel=1e-12)
    assert float(masses.exp().sum()) == pytest.approx(1, abs=1e-14)


def test_cells_of_a_diagonal_mixture_are_products_over_axes():
    mixture = GaussianMixture(
        tensor([0.25, 0.75]),
        tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5]]),
        tensor([[1.0, 4.0, 0.25], [0.5, 1.0, 2.0]]).diag_embed(),
    )
    edges = [grid(-1, 2, 1), grid(-2, 2, 2), grid(0, 0.5, 0.5)]
    total = torch.zeros(5, 4, 3).double()
    for weight, mean, covariance in zip(mixture.weights, mixture.means, mixture.covariances, strict=True):
        axes = []
        for edge, m, variance in zip(edges, mean, covariance.diagonal(), strict=True):
            below = torch.distributions.Normal(m, variance.sqrt()).cdf(edge)
            axes.append(torch.cat([tensor([0.0]), below, tensor([1.0])]).diff())
        total += weight * torch.einsum("i,j,k->ijk", *axes)
    assert_close(cell_log_masses(mixture, edges).exp(), total, rtol=1e-12, atol=1e-14)


def test_cells_of_the_plane_are_counted_on_the_right_axis():
    # one mode in each quadrant with its own weight; samples in those shares
    means = tensor([[-9.0, -9.0], [-9.0, 9.0], [9.0, -9.0], [9.0, 9.0]])
    mixture = GaussianMixture.isotropic(means, 1.0, tensor([0.1, 0.2, 0.3, 0.4]))
    x = means.repeat_interleave(torch.tensor([1, 2, 3, 4]), dim=0)
    result = binned_divergence(x, mixture, [[-1.0, 0.0], [0.0]])
    assert result.cells == 6
    assert result.kl_model_to_target == pytest.approx(0, abs=1e-12) and result.js == pytest.approx(0, abs=1e-12)
    assert binned_divergence(x.flip(1), mixture, [[0.0], [0.0]]).kl_model_to_target > 0.01


def test_samples_of_the_ring_diverge_by_the_bias_of_their_count():
    # 2 N KL is chi-square to first order with as many degrees of freedom as cells hold the target, less one; about
    # 4.6 samples a cell leave 20 % for the next order
    mixture = Ring(std=0.2).mixture
    edges = [grid(-1.5, 1.5, 0.1)] * 2
    occupied = int((cell_log_masses(mixture, edges).exp() > 1e-5).sum())
    x = mixture.sample(4_000, seed=0)[0]
    result = binned_divergence(x, mixture, edges)
    assert result.kl_model_to_target == pytest.approx((occupied - 1) / 8_000, rel=0.2)
    halved = binned_divergence(np.concatenate([x, mixture.sample(4_000, seed=1)[0]]), mixture, edges)
    assert halved.kl_model_to_target < 0.7 * result.kl_model_to_target


@for_each("rho", [-0.99, -0.5, 0.1, 0.9, 0.999])
def test_the_quadrants_of_a_correlated_gaussian_hold_the_arcsine(rho):
    mixture = correlated(rho, deviations=(0.3, 5.0), mean=(2.0, -1.0))
    masses = cell_log_masses(mixture, [[2.0], [-1.0]]).exp()
    same = 0.25 + asin(rho) / (2 * pi)
    assert_close(masses, tensor([[same, 0.5 - same], [0.5 - same, same]]), rtol=1e-11, atol=1e-14)


@for_each("rho", [0.3, -0.95])
@for_each("edge", [-1.3, 0.7, 2.5])
def test_correlated_cells_add_up_to_their_margins_at_any_width(rho, edge):
    mixture = correlated(rho, deviations=(2.0, 0.5))
    coarse = cell_log_masses(mixture, [[edge], [edge / 3]]).exp()
    fine = cell_log_masses(mixture, [grid(edge - 6, edge + 6, 0.25), grid(edge / 3 - 1, edge / 3 + 1, 0.1)]).exp()
    blocks = [[fine[:25, :11], fine[:25, 11:]], [fine[25:, :11], fine[25:, 11:]]]
    assert_close(tensor([[float(block.sum()) for block in row] for row in blocks]), coarse, rtol=1e-11, atol=1e-15)
    margins = (coarse.sum(dim=1), cell_log_masses(on_a_line((0.0, 2.0)), [[edge]]).exp())
    assert_close(*margins, rtol=1e-12, atol=1e-15)
    assert_close(coarse.sum(dim=0), cell_log_masses(on_a_line((0.0, 0.5)), [[edge / 3]]).exp(), rtol=1e-12, atol=1e-15)


def test_correlated_cells_agree_with_a_plain_sum_over_fine_points():
    mixture, edges = correlated(0.8, mean=(0.3, -0.2)), grid(-1, 1, 0.5)
    ticks = 0.5 + (torch.arange(200, dtype=torch.float64) + 0.5) / 400  # midpoints of the cell [0.5, 1)^2
    values = mixture.log_prob(torch.cartesian_prod(ticks, ticks)).exp()
    inner = float(cell_log_masses(mixture, [edges, edges])[4, 4].exp())
    assert float(values.mean()) * 0.25 == pytest.approx(inner, rel=1e-5)  # the midpoint rule errs by 200^-2 / 24


@settings(max_examples=25)
@given(st.floats(-0.98, 0.98), SEEDS)
def test_swapping_the_axes_transposes_the_cells(rho, seed):
    draw = np.random.default_rng(seed)
    first, second = (torch.from_numpy(np.sort(draw.normal(size=size))) for size in (4, 6))
    a, b = (float(value) for value in draw.uniform(0.2, 3, 2))
    masses = cell_log_masses(correlated(rho, (a, b)), [first, second])
    swapped = cell_log_masses(correlated(rho, (b, a)), [second, first])
    # cells so thin that they hold 1e-16 lose relative digits by the rounding of their edges
    assert_close(masses.exp(), swapped.T.exp(), rtol=1e-9, atol=1e-15)


def test_a_far_correlated_cell_is_not_infinitely_unlikely():
    result = binned_divergence(tensor([[30.0, -30.0], [30.0, -30.0]]), correlated(0.5), [[0.0, 20.0], [-20.0, 0.0]])
    assert np.isfinite([result.kl_model_to_target, result.kl_target_to_model, result.js]).all()
    # at the corner (20, -20) the exponent is 20^2 (1 + 1) / (1 - rho) / 2 = 800 for rho = 0.5 with opposite signs
    assert result.kl_model_to_target == pytest.approx(20**2 / (1 - 0.5), rel=0.02)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_grids_are_refused():
    x, mixture = torch.zeros(4, 2), Ring().mixture
    with pytest.raises(ValueError, match="edges must hold one sequence for each of the 2 axes, got 1"):
        binned_divergence(x, mixture, [[0.0]])
    for bad in ([1.0, 0.0], [0.0, 0.0], [0.0, float("inf")], []):
        with pytest.raises(ValueError, match="edges must be finite and increasing.*axis 1 are not"):
            binned_divergence(x, mixture, [[0.0], bad])
    with pytest.raises(ValueError, match="at most 10,000,000 cells, got 16,008,001"):
        binned_divergence(x, mixture, [grid(0, 4, 0.001)[:-1]] * 2)
    with pytest.raises(ValueError, match="x must have the mixture's d=2"):
        binned_divergence(torch.zeros(4, 3), mixture, [[0.0]] * 2)


def test_correlated_components_beyond_the_plane_are_refused():
    covariance = torch.eye(3).double()
    covariance[0, 1] = covariance[1, 0] = 0.5
    mixture = GaussianMixture(tensor([1.0]), torch.zeros(1, 3).double(), covariance[None])
    with pytest.raises(ValueError, match="mixture must have diagonal covariances or two dimensions, got d=3"):
        cell_log_masses(mixture, [[0.0]] * 3)
