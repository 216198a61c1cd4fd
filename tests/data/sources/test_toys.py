"""Gaussian mixtures: a density that integrates to one, its score, and samples that follow it."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.data import Gaussian, Grid, Mixture, Ring

TOYS = [Ring(), Ring(modes=1), Ring(modes=5, radius=2.0, std=0.3), Grid(), Grid(side=2, spacing=1.0, std=0.2)]
TOYS_AND_GAUSSIAN = [*TOYS, Gaussian(), Gaussian(mean=(1.0, -2.0), std=0.4)]

every_toy = for_each("toy", TOYS_AND_GAUSSIAN, ids=repr)


def integral(mixture: Mixture, values: Any) -> Tensor:
    """Trapezoid rule for ``values(x) * density`` on a square beyond all modes.

    Steps of half a standard deviation and margins of nine leave errors below 1e-15.
    """
    reach = mixture.means.abs().max().item() + 9 * mixture.std
    ticks = torch.arange(-reach, reach, mixture.std / 2, dtype=torch.float64)
    total = torch.zeros((), dtype=torch.float64)
    for row in ticks.split(32):
        x = torch.cartesian_prod(row, ticks)
        total = total + (mixture.log_prob(x).exp() * values(x)).sum()
    return total * (mixture.std / 2) ** 2


@every_toy
def test_density_integrates_to_one(toy: Any) -> None:
    assert integral(toy.mixture, lambda x: 1.0).item() == pytest.approx(1, abs=1e-12)


@for_each("toy", [Ring(), Grid(), Gaussian(mean=(1.0, -2.0), std=0.4)], ids=repr)
def test_density_has_the_mixtures_moments(toy: Any) -> None:
    means, std = toy.mixture.means, toy.std
    for axis in (0, 1):
        first = integral(toy.mixture, lambda x, i=axis: x[:, i])
        second = integral(toy.mixture, lambda x, i=axis: x[:, i].square())
        torch.testing.assert_close(first, means[:, axis].mean(), rtol=0, atol=1e-12)
        torch.testing.assert_close(second, means[:, axis].square().mean() + std**2, rtol=0, atol=1e-12)


def test_one_gaussian_has_the_normal_density() -> None:
    toy = Gaussian(mean=(1.0, -2.0), std=0.5)
    x = torch.tensor([[1.0, -2.0], [1.5, -1.0]], dtype=torch.float64)
    expected = [-math.log(2 * math.pi * 0.25), -math.log(2 * math.pi * 0.25) - (0.25 + 1) / (2 * 0.25)]
    assert toy.mixture.log_prob(x).tolist() == pytest.approx(expected, rel=1e-14)


@every_toy
def test_score_is_the_gradient_of_the_log_density(toy: Any) -> None:
    random = torch.Generator().manual_seed(0)
    near = 1.5 * torch.randn(200, 2, generator=random, dtype=torch.float64)
    x = torch.cat([near, 100 * near[:20], toy.mixture.means]).requires_grad_()
    (gradient,) = torch.autograd.grad(toy.mixture.log_prob(x).sum(), x)
    torch.testing.assert_close(toy.mixture.score(x.detach()), gradient, rtol=1e-9, atol=1e-9)


def test_far_away_the_log_density_is_still_finite_and_the_score_points_back() -> None:
    x = torch.tensor([[1e3, 0.0], [-1e3, 1e3]])
    mixture = Ring().mixture
    assert mixture.log_prob(x).isfinite().all()
    assert ((mixture.score(x) * x).sum(1) < 0).all()


@given(modes=st.integers(1, 12), radius=st.floats(0.5, 3))
def test_ring_modes_are_evenly_spaced_from_the_right(modes: int, radius: float) -> None:
    means = Ring(modes=modes, radius=radius).mixture.means
    angles = 2 * math.pi * torch.arange(modes, dtype=torch.float64) / modes
    torch.testing.assert_close(means, radius * torch.stack([angles.cos(), angles.sin()], 1))


@pytest.mark.runs
@given(side=st.integers(1, 6), spacing=st.floats(0.1, 3))
def test_grid_is_centred_and_square(side: int, spacing: float) -> None:
    means = Grid(side=side, spacing=spacing).mixture.means
    assert means.shape == (side**2, 2)
    torch.testing.assert_close(means.mean(0), torch.zeros(2, dtype=torch.float64))
    for axis in (0, 1):
        ticks = means[:, axis].unique()
        torch.testing.assert_close(ticks.diff(), torch.full((side - 1,), spacing, dtype=torch.float64))
    assert means.unique(dim=0).shape == means.shape


@every_toy
def test_dataset_is_points_with_the_modes_as_labels(toy: Any) -> None:
    data = toy.load()
    modes = len(toy.mixture.means)
    assert data.samples.shape == (toy.num_samples, 2) and data.samples.dtype == "float32"
    assert data.labels.shape == (toy.num_samples,) and data.labels.dtype == "int64"
    assert data.num_classes == modes and set(data.labels.tolist()) == set(range(modes))
    assert data.shape == (2,) and not data.is_images
    assert data.description["count"] == toy.num_samples


@every_toy
def test_samples_have_the_moments_of_their_mode(toy: Any) -> None:
    data, mixture = toy.load(), toy.mixture
    samples, labels = torch.from_numpy(data.samples).double(), torch.from_numpy(data.labels)
    counts = torch.bincount(labels, minlength=len(mixture.means))
    expected = toy.num_samples / len(counts)
    assert ((counts - expected).abs() <= 5 * expected**0.5).all()  # five standard deviations of a count
    for mode, mean in enumerate(mixture.means):
        rest = samples[labels == mode] - mean
        error = toy.std / len(rest) ** 0.5
        assert (rest.mean(0).abs() < 5 * error).all()
        assert ((rest.std(0) - toy.std).abs() < 5 * error / 2**0.5).all()
        assert abs((rest[:, 0] * rest[:, 1]).mean().item()) < 5 * error * toy.std


@pytest.mark.parametrize("toy", [Ring(), Grid()], ids=repr)
def test_labels_name_the_nearest_mode(toy: Any) -> None:
    data = toy.load()
    distance = torch.cdist(torch.from_numpy(data.samples).double(), toy.mixture.means)
    # half the distance between neighbours is 7.6 (ring) and 10 (grid) standard deviations
    assert torch.equal(distance.argmin(1), torch.from_numpy(data.labels))


@every_toy
def test_mean_log_density_of_samples_is_minus_the_entropy(toy: Any) -> None:
    x = torch.from_numpy(toy.load().samples).double()
    values = toy.mixture.log_prob(x)
    negentropy = integral(toy.mixture, lambda x: toy.mixture.log_prob(x)).item()
    assert values.mean().item() == pytest.approx(negentropy, abs=5 * values.std().item() / len(x) ** 0.5)


@for_each("toy", [Ring, Grid, Gaussian])
def test_the_seed_decides_the_samples(toy: Any) -> None:
    one, again, other = (toy(num_samples=100, seed=seed).load() for seed in (0, 0, 1))
    assert (one.samples == again.samples).all() and (one.labels == again.labels).all()
    assert (one.samples != other.samples).all()


def test_single_precision_points_are_accepted() -> None:
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    mixture = Gaussian().mixture
    assert mixture.log_prob(x).dtype == mixture.score(x).dtype == torch.float32
    torch.testing.assert_close(mixture.log_prob(x).double(), mixture.log_prob(x.double()), rtol=1e-5, atol=1e-5)


@for_each(
    ("toy", "field"),
    [
        (Ring, "modes"),
        (Ring, "num_samples"),
        (Grid, "side"),
        (Grid, "num_samples"),
        (Gaussian, "num_samples"),
    ],
)
@for_each("value", [0, -1])
def test_empty_toys_are_refused(toy: Any, field: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got {value}"):
        toy(**{field: value})


@for_each("toy", [Ring, Grid, Gaussian])
@for_each("std", [0.0, -1.0, float("nan")])
def test_a_density_needs_a_width(toy: Any, std: float) -> None:
    with pytest.raises(ValueError, match=f"std must be above 0, got {std}"):
        toy(std=std)
