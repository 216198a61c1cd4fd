"""Denoising score matching and annealed Langevin sampling against closed forms and exact scores."""

from math import exp, pi, sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.data import Ring
from ganneal.metrics.mixture import GaussianMixture, mixture_quality
from ganneal.theory.langevin import (
    ScoreFunction,
    annealed_langevin,
    denoising_loss,
    exact_score,
    fit_score,
    noise_levels,
    noise_ratio,
    overlap,
    step_sizes,
)
from ganneal.theory.normals import Normal1D
from ganneal.theory.scores import mixture_of


def line(*components: tuple[float, float]) -> GaussianMixture:
    """An equal mixture on the line of (mean, std)."""
    means, stds = (torch.tensor(values, dtype=torch.float64) for values in zip(*components, strict=True))
    return GaussianMixture.isotropic(means[:, None], stds)


@for_each(("dim", "ratio"), [(3_072, 1.040), (12_288, 1.0195), (196_608, 1.0048)])
def test_ratios_of_noise_levels_for_images(dim: int, ratio: float) -> None:
    assert noise_ratio(dim) == pytest.approx(ratio, abs=5e-4 if dim == 3_072 else 5e-5)


@given(st.integers(5, 10**6), st.floats(0.01, 0.99))
def test_the_ratio_solves_its_equation(dim: int, probability: float) -> None:
    ratio = noise_ratio(dim, probability)
    assert ratio > 1 and overlap(dim, ratio) == pytest.approx(probability, abs=1e-9)


def test_ratios_without_a_solution_are_refused() -> None:
    for dim in (1, 4):
        with pytest.raises(ValueError, match=f"dim must be at least 5, got {dim}"):
            noise_ratio(dim)
    for probability in (0.0, 0.999):
        with pytest.raises(ValueError, match="probability must be above 0 and below 0.9973, got"):
            noise_ratio(3_072, probability)


@given(st.floats(0.5, 5), st.floats(0.01, 0.4), st.integers(2, 12), st.floats(1e-6, 1))
def test_steps_are_as_long_beside_the_noise_at_every_level(first: float, last: float, count: int, eps: float) -> None:
    levels = noise_levels(first, last, count)
    sizes = step_sizes(levels, eps)
    assert sizes[-1] == eps and (levels[0], levels[-1]) == (first, last)
    for level, size in zip(levels, sizes, strict=True):
        assert size / level**2 == pytest.approx(eps / last**2)


def test_the_exact_score_is_that_of_the_density_smoothed_by_each_points_noise() -> None:
    mixture = line((-1, 0.5), (2, 0.3))
    x, stds = torch.tensor([[0.0], [1.0], [0.0]]).double(), torch.tensor([[0.1], [1.0], [1.0]]).double()
    expected = [mixture.smoothed(std).score(at[None])[0] for at, std in zip(x, (0.1, 1.0, 1.0), strict=True)]
    torch.testing.assert_close(exact_score(mixture)(x, stds), torch.stack(expected))


def expected_loss(score: ScoreFunction, p: Normal1D, std: float) -> float:
    """The denoising loss by quadrature over data and noise."""
    nodes = torch.linspace(-8, 8, 161, dtype=torch.float64)
    x, noise = (p.mean + p.std * nodes).repeat_interleave(161)[:, None], nodes.repeat(161)[:, None]
    weight = torch.exp(-0.5 * nodes**2) / sqrt(2 * pi) * (nodes[1] - nodes[0])
    losses = denoising_loss(score, x, torch.full_like(x, std), noise).reshape(161, 161)
    return (weight @ losses @ weight).item()


@settings(max_examples=25)
@given(st.floats(-1, 1), st.floats(0.3, 1.5), st.floats(0.05, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_denoising_is_score_matching_up_to_a_constant(mean: float, std: float, noise: float, a: float, b: float):
    """Of s = s_exact + a + b x the loss is the exact score's plus ½ σ² E[(a + b x)²] over the smoothed density."""
    p = Normal1D(mean, std)
    exact = exact_score(mixture_of(p))

    def other(x: Tensor, stds: Tensor) -> Tensor:
        return exact(x, stds) + a + b * x

    second = (a + b * mean) ** 2 + b**2 * (std**2 + noise**2)
    gap = expected_loss(other, p, noise) - expected_loss(exact, p, noise)
    assert gap == pytest.approx(0.5 * noise**2 * second, rel=1e-8, abs=1e-10)


def test_langevin_steps_on_a_normal_have_the_variance_of_their_recurrence() -> None:
    """x <- (1 - α/2v) x + √α z from 0: the variance after n steps is a geometric sum."""
    p, level, eps, steps, count = Normal1D(0.0, 0.8), 0.5, 0.3, 7, 40_000
    random = torch.Generator().manual_seed(0)
    start = torch.zeros(count, 1, dtype=torch.float64)
    (x,) = annealed_langevin(exact_score(mixture_of(p)), start, [level], eps=eps, steps=steps, random=random)
    factor = (1 - eps / (2 * (p.std**2 + level**2))) ** 2
    variance = eps * (1 - factor**steps) / (1 - factor)
    assert x.var().item() == pytest.approx(variance, rel=5 * sqrt(2 / count))  # five standard errors
    assert x.mean().item() == pytest.approx(0, abs=5 * sqrt(variance / count))


def test_twice_the_eps_gives_the_step_of_the_second_paper() -> None:
    """x + α s + √(2α) z, α = ε σ²/σ_L², is the walk with 2ε, up to rounding."""
    score, levels, eps, steps = exact_score(line((0.5, 0.8))), (1.0, 0.5), 0.1, 3
    x = start = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
    random = torch.Generator().manual_seed(0)
    for level in levels:
        alpha, stds = eps * (level / levels[-1]) ** 2, torch.full_like(x, level)
        for _ in range(steps):
            x = x + alpha * score(x, stds) + sqrt(2 * alpha) * torch.randn(x.shape, generator=random, dtype=x.dtype)
    same = torch.Generator().manual_seed(0)
    *_, ours = annealed_langevin(score, start, levels, eps=2 * eps, steps=steps, random=same)
    torch.testing.assert_close(ours, x, rtol=1e-12, atol=1e-12)


def test_annealed_sampling_with_exact_scores_finds_all_modes_in_their_shares() -> None:
    shares = torch.tensor([0.7, 0.3], dtype=torch.float64)
    means = torch.tensor([[-2.0, 0.0], [2.0, 1.0]], dtype=torch.float64)
    covariances = torch.tensor([[[0.04, 0.02], [0.02, 0.04]], [[0.02, 0.0], [0.0, 0.06]]], dtype=torch.float64)
    mixture = GaussianMixture(shares, means, covariances)
    levels, random = noise_levels(4.0, 0.1, 10), torch.Generator().manual_seed(0)
    start = 4 * torch.randn(1_000, 2, generator=random, dtype=torch.float64)
    eps = 0.1 * levels[-1] ** 2
    *_, x = annealed_langevin(exact_score(mixture), start, levels, eps=eps, steps=40, random=random)
    quality = mixture_quality(x, mixture.smoothed(0.1))
    assert quality.counts[0] / sum(quality.counts) == pytest.approx(0.7, abs=5 * sqrt(0.21 / 1_000))
    assert quality.high_quality > quality.perfect_high_quality - 5 * sqrt(exp(-4.5) / 1_000)


def relative_error(score: ScoreFunction, mixture: GaussianMixture, level: float) -> float:
    random = torch.Generator().manual_seed(5)
    x, stds = mixture.smoothed(level).sample(1_000, random), torch.full((1_000, 1), level, dtype=torch.float64)
    exact = exact_score(mixture)(x, stds)
    with torch.no_grad():
        learned = score(x.float(), stds.float()).double()
    return ((learned - exact).norm() / exact.norm()).item()


def test_a_network_learns_the_scores_of_a_normal_at_every_level() -> None:
    normal, levels = line((0.5, 1.0)), noise_levels(1.0, 0.3, 3)
    points = normal.sample(2_000, torch.Generator().manual_seed(0)).float()
    short, long = (fit_score(points, levels, steps=steps, width=32) for steps in (1, 600))
    for level in levels:
        assert relative_error(long, normal, level) < 0.15 < 0.5 < relative_error(short, normal, level)


def test_learning_depends_on_its_seed_and_on_nothing_else() -> None:
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    before = torch.get_rng_state()
    one, same, other = (fit_score(points, (1.0, 0.1), steps=2, width=4, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    weights = [list(network.parameters()) for network in (one, same, other)]
    assert all(torch.equal(a, b) for a, b in zip(weights[0], weights[1], strict=True))
    assert not torch.equal(weights[0][0], weights[2][0])


@pytest.mark.slow
def test_learned_scores_sample_a_ring_of_eight() -> None:
    ring = Ring(std=0.1)
    levels, random = noise_levels(1.0, 0.1, 8), torch.Generator().manual_seed(1)
    score = fit_score(torch.from_numpy(ring.load().samples), levels)
    start = torch.randn(2_000, 2, generator=random)
    eps = 0.1 * levels[-1] ** 2
    *_, x = annealed_langevin(score, start, levels, eps=eps, steps=50, random=random)
    quality = mixture_quality(x.double(), GaussianMixture.of(ring.mixture).smoothed(0.1))
    assert quality.modes_robust == 8 and quality.high_quality > 0.9
