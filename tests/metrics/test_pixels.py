import jaxtyping
import numpy as np
import pytest
import torch
from tests.for_each import for_each
from torch import Tensor
from torch.testing import assert_close

from ganneal.metrics import frechet_distance, pixel_features


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, shape)).float()


def test_each_feature_is_the_mean_of_its_cell():
    x = images(3, 2, 32, 64)
    cells = x.double().reshape(3, 2, 16, 2, 16, 4).mean(dim=(3, 5))
    assert_close(pixel_features(x), cells.flatten(start_dim=1))


@for_each("side", [1, 8, 16])
def test_images_up_to_the_size_are_only_flattened(side):
    x = images(4, 3, side, side)
    assert torch.equal(pixel_features(x), x.double().flatten(start_dim=1))


def test_only_the_longer_side_is_averaged():
    assert_close(pixel_features(images(2, 1, 8, 32)), images(2, 1, 8, 16, 2).double().mean(dim=-1).flatten(1))


@for_each("side", [17, 28, 33])
@for_each("size", [1, 5, 16])
def test_constant_images_stay_constant_at_any_side_and_size(side, size):
    features = pixel_features(torch.full((2, 3, side, side), 0.25), size=size)
    assert features.shape == (2, 3 * size * size)
    assert_close(features, torch.full_like(features, 0.25))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_toy_points_are_unchanged(dtype):
    points = images(7, 2).to(dtype) / 3
    assert torch.equal(pixel_features(points), points.double())


def test_no_images_give_no_rows():
    assert pixel_features(images(0, 1, 32, 32)).shape == (0, 256)


@for_each("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_averages_are_taken_in_float64_and_detached(dtype):
    x = images(2, 1, 64, 64).to(dtype).requires_grad_()
    features = pixel_features(x, size=1)
    assert features.dtype == torch.float64 and not features.requires_grad
    assert_close(features[:, 0], x.detach().double().mean(dim=(1, 2, 3)), rtol=1e-14, atol=1e-14)


def test_brightening_every_pixel_moves_the_distance_by_its_square_a_feature():
    x = images(100, 1, 8, 8) / 2
    brighter, size = x + 0.25, 4
    real, fake = pixel_features(x, size=size), pixel_features(brighter, size=size)
    assert frechet_distance(real, fake) == pytest.approx(size * size * 0.25**2, rel=1e-6)


@pytest.mark.usefixtures("no_shape_checks")
@for_each("shape", [(4,), (2, 16, 16), (1, 2, 3, 4, 5)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match=r"images must have shape \[n, c, h, w\], or \[n, d\]"):
        pixel_features(torch.zeros(shape))


@pytest.mark.usefixtures("no_shape_checks")
def test_bytes_are_refused():
    with pytest.raises(ValueError, match="images must be floating point.*got torch.uint8; use x / 127.5 - 1"):
        pixel_features(torch.zeros(1, 1, 16, 16, dtype=torch.uint8))


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        pixel_features(images(1, 1, 16, 16), size=0)
