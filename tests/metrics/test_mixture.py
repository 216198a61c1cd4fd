from math import log, pi

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor
from torch.testing import assert_close

from ganneal.data import Grid, Ring
from ganneal.metrics.mixture import GaussianMixture, mixture_quality

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong argument reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def tensor(values) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def correlated_pair() -> GaussianMixture:
    covariances = tensor([[[2.0, 1.2], [1.2, 1.0]], [[0.5, -0.3], [-0.3, 0.4]]])
    return GaussianMixture(tensor([0.3, 0.7]), tensor([[-1.0, 0.0], [2.0, 1.0]]), covariances)


def test_the_density_is_that_of_torchs_multivariate_normals():
    mixture, x = correlated_pair(), 3 * normal(50, 2)
    parts = torch.distributions.MultivariateNormal(mixture.means, mixture.covariances)
    expected = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(mixture.weights), parts)
    assert_close(mixture.log_prob(x), expected.log_prob(x))


@for_each("toy", [Ring(), Grid(), Ring(modes=3, std=0.4)], ids=["ring", "grid", "wide"])
def test_a_toys_mixture_keeps_its_density(toy):
    x = normal(40, 2)
    assert_close(GaussianMixture.of(toy.mixture).log_prob(x), toy.mixture.log_prob(x))


def test_the_score_is_the_gradient_of_the_log_density():
    mixture, x = correlated_pair(), (3 * normal(50, 2)).requires_grad_()
    (gradient,) = torch.autograd.grad(mixture.log_prob(x).sum(), x)
    assert_close(mixture.score(x.detach()), gradient, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("toy", [Ring(), Grid()], ids=["ring", "grid"])
def test_a_toys_mixture_keeps_its_score(toy):
    x = normal(40, 2)
    assert_close(GaussianMixture.of(toy.mixture).score(x), toy.mixture.score(x))


def test_a_normal_on_the_line_has_a_linear_score():
    line = GaussianMixture(tensor([1.0]), tensor([[1.0]]), tensor([[[0.64]]]))
    assert_close(line.score(tensor([[1.0], [2.0], [-3.0]])), tensor([[0.0], [-1 / 0.64], [4 / 0.64]]))


def test_samples_have_the_moments_of_the_mixture_also_when_smoothed():
    for mixture in (correlated_pair(), correlated_pair().smoothed(0.7)):
        points = mixture.sample(100_000, torch.Generator().manual_seed(0))
        mean = mixture.weights @ mixture.means
        spread = mixture.means - mean
        outer = mixture.covariances + spread[:, :, None] * spread[:, None]
        covariance = (mixture.weights[:, None, None] * outer).sum(0)
        # five standard errors of a mean; of a second moment, whose standard deviation is at most about 2 trace
        assert_close(points.mean(0), mean, rtol=0, atol=5 * float(covariance.max() / 100_000) ** 0.5)
        assert_close(points.T.cov(), covariance, rtol=0, atol=10 * float(covariance.trace()) / 100_000**0.5)


def test_smoothing_adds_variance_in_all_directions():
    smoothed = correlated_pair().smoothed(0.5)
    assert_close(smoothed.covariances, correlated_pair().covariances + 0.25 * torch.eye(2).double())


def test_isotropic_components_take_one_width_or_one_each():
    means = tensor([[0.0, 0.0], [3.0, 1.0]])
    one, each = GaussianMixture.isotropic(means, 0.5), GaussianMixture.isotropic(means, tensor([0.5, 2.0]))
    assert one.weights.tolist() == [0.5, 0.5]
    assert_close(one.covariances, 0.25 * torch.eye(2).double().expand(2, 2, 2))
    assert_close(each.covariances[1], 4 * torch.eye(2).double())


def test_mahalanobis_distance_is_counted_in_standard_deviations_along_each_axis():
    stretched = GaussianMixture(tensor([1.0]), tensor([[1.0, 1.0]]), tensor([[[4.0, 0.0], [0.0, 0.25]]]))
    assert_close(stretched.mahalanobis(tensor([[3.0, 1.0], [1.0, 3.0], [3.0, 2.0]])), tensor([[1.0], [4.0], [5**0.5]]))


@given(SEEDS)
def test_mahalanobis_distances_survive_an_invertible_linear_map(seed):
    mixture, x = correlated_pair(), 2 * normal(20, 2, seed=seed)
    matrix = normal(2, 2, seed=seed + 1) + 4 * torch.eye(2)
    covariances = matrix @ mixture.covariances @ matrix.T
    moved = GaussianMixture(mixture.weights, mixture.means @ matrix.T, (covariances + covariances.mT) / 2)
    assert_close(moved.mahalanobis(x @ matrix.T), mixture.mahalanobis(x), rtol=1e-9, atol=1e-9)


@for_each(("d", "share"), [(1, 0.997300), (2, 0.988891), (3, 0.970709)])
def test_the_perfect_share_is_chi_square_at_nine(d, share):
    one = GaussianMixture.isotropic(torch.zeros(1, d), 1.0)
    assert mixture_quality(normal(2, d), one).perfect_high_quality == pytest.approx(share, abs=5e-7)


def test_in_the_plane_the_perfect_share_is_one_minus_the_rayleigh_tail():
    assert mixture_quality(normal(2, 2), Ring().mixture).perfect_high_quality == pytest.approx(
        1 - np.exp(-4.5), rel=1e-12
    )


@for_each("d", [1, 2, 3])
def test_samples_of_the_mixture_reach_the_perfect_share(d):
    # four standard errors of a share at 20,000 samples
    means = 30.0 * torch.arange(4)[:, None].expand(4, d)
    x = means[torch.arange(20_000) % 4] + 0.5 * normal(20_000, d)
    quality = mixture_quality(x, GaussianMixture.isotropic(means, 0.5))
    perfect = quality.perfect_high_quality
    assert quality.high_quality == pytest.approx(perfect, abs=4 * (perfect * (1 - perfect) / 20_000) ** 0.5)
    assert quality.modes_captured == quality.modes_robust == 4


def test_quality_by_hand():
    line = GaussianMixture.isotropic(tensor([[0.0], [10.0], [20.0]]), 1.0, tensor([0.5, 0.25, 0.25]))
    x = tensor([[0.0], [3.0], [-2.9], [3.1], [10.0], [14.0], [16.9], [50.0]])
    quality = mixture_quality(x, line)
    assert quality.counts == (3, 1, 0)
    assert quality.high_quality == 0.5
    assert quality.modes_captured == quality.modes_robust == 2
    assert quality.weights_kl == pytest.approx(0.75 * log(0.75 / 0.5) + 0.25 * log(0.25 / 0.25))
    assert quality.weights_kl_bias == 2 / 8


def test_a_sample_belongs_to_the_nearest_component_in_its_own_widths():
    pair = GaussianMixture.isotropic(tensor([[0.0], [10.0]]), tensor([0.5, 4.0]))
    # 3 is nearer to 0, but 6 narrow widths away from it and 1.75 wide ones from 10
    assert mixture_quality(tensor([[3.0], [3.0]]), pair).counts == (0, 2)


def test_one_stray_sample_captures_a_mode_but_not_robustly():
    pair = GaussianMixture.isotropic(tensor([[0.0], [100.0]]), 1.0)
    stray = torch.cat([torch.zeros(99, 1), torch.full((1, 1), 100.0)])
    for count, captured in ((1, 2), (2, 1), (99, 1), (100, 0)):
        assert mixture_quality(stray, pair, min_count=count).modes_captured == captured
    assert mixture_quality(stray, pair).modes_robust == 1
    robust = torch.cat([torch.zeros(95, 1), torch.full((5, 1), 100.0)])  # 0.1 * 0.5 * 100
    assert mixture_quality(robust, pair).modes_robust == 2


@pytest.mark.parametrize(("rare", "robust"), [(1, 1), (2, 2)])
def test_a_rare_mode_is_held_to_its_own_share(rare, robust):
    pair = GaussianMixture.isotropic(tensor([[0.0], [100.0]]), 1.0, tensor([0.9, 0.1]))
    x = torch.cat([torch.zeros(200 - rare, 1), torch.full((rare, 1), 100.0)])  # 0.1 * 0.1 * 200 is 2
    assert mixture_quality(x, pair).modes_robust == robust


@given(st.integers(1, 8))
def test_k_of_eight_modes_diverge_by_the_log_of_what_is_missing(k):
    mixture = Ring().mixture
    quality = mixture_quality(mixture.means[:k].repeat(10, 1), mixture)
    assert quality.modes_captured == quality.modes_robust == k
    assert quality.weights_kl == pytest.approx(log(8 / k), abs=1e-12)
    assert quality.high_quality == 1


def test_the_bias_of_the_weights_divergence_is_that_of_a_perfect_generator():
    # 2 N KL is chi-square with K - 1 = 7 degrees of freedom to first order: four standard errors over 200 draws
    mixture = Ring(std=0.01).mixture
    results = [mixture_quality(mixture.sample(2_000, seed)[0], mixture) for seed in range(200)]
    mean = np.mean([result.weights_kl or 0.0 for result in results])
    assert results[0].weights_kl_bias == pytest.approx(7 / 4_000, rel=0.02)
    assert mean == pytest.approx(7 / 4_000, abs=4 * (14 / 200) ** 0.5 / 4_000)


def test_without_a_good_sample_there_are_no_shares():
    quality = mixture_quality(torch.full((5, 2), 40.0), Ring().mixture)
    assert (quality.high_quality, quality.modes_captured, quality.modes_robust) == (0, 0, 0)
    assert quality.weights_kl is None and quality.weights_kl_bias is None


@given(SEEDS)
def test_order_and_float_width_do_not_matter(seed):
    mixture, x = Ring(std=0.3).mixture, normal(30, 2, seed=seed)
    assert mixture_quality(x.flip(0), mixture) == mixture_quality(x, mixture)
    assert mixture_quality(x.numpy(), mixture) == mixture_quality(x, mixture)


def test_the_density_integrates_to_one():
    ticks = torch.linspace(-12, 12, 601, dtype=torch.float64)
    values = correlated_pair().log_prob(torch.cartesian_prod(ticks, ticks)).exp()
    assert float(values.sum()) * (24 / 600) ** 2 == pytest.approx(1, abs=1e-9)
    assert float(correlated_pair().log_prob(torch.tensor([[-1.0, 0.0]]).double())) > log(0.3 / (2 * pi))


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_mixtures_are_refused():
    means, eye = torch.zeros(2, 2).double(), torch.eye(2).double().expand(2, 2, 2)
    with pytest.raises(ValueError, match="weights must be above 0 and sum to 1"):
        GaussianMixture(tensor([0.5, 0.6]), means, eye)
    with pytest.raises(ValueError, match="weights must be above 0 and sum to 1"):
        GaussianMixture(tensor([1.0, 0.0]), means, eye)
    with pytest.raises(ValueError, match="covariances must be symmetric and positive definite"):
        GaussianMixture(tensor([0.5, 0.5]), means, -eye)
    with pytest.raises(ValueError, match="covariances must be symmetric"):
        GaussianMixture(tensor([0.5, 0.5]), means, eye + tensor([[0.0, 0.1], [0.0, 0.0]]))
    with pytest.raises(ValueError, match="means must be finite"):
        GaussianMixture(tensor([0.5, 0.5]), means * torch.nan, eye)
    with pytest.raises(ValueError, match=r"must have shapes \[modes\], \[modes, d\]"):
        GaussianMixture(tensor([1.0]), means, eye)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_samples_are_refused():
    mixture = Ring().mixture
    with pytest.raises(ValueError, match="x must have the mixture's d=2, got d=3"):
        mixture_quality(normal(9, 3), mixture)
    with pytest.raises(ValueError, match="x must have at least 2 rows, got 1"):
        mixture_quality(normal(1, 2), mixture)
    with pytest.raises(ValueError, match="x must be finite"):
        mixture_quality(normal(9, 2) * torch.nan, mixture)
    with pytest.raises(ValueError, match="min_count must be at least 1 sample, got 0"):
        mixture_quality(normal(9, 2), mixture, min_count=0)
