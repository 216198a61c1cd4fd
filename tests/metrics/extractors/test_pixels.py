import torch
from torch.testing import assert_close

from ganneal.metrics import pixel_features
from ganneal.metrics.extractors import Pixels, Points


def test_pixels_are_the_pixel_features_of_the_images_in_minus_one_to_one():
    images = torch.arange(2 * 3 * 32 * 32).remainder(256).reshape(2, 3, 32, 32).byte()
    extractor = Pixels(8).build((3, 32, 32))
    assert (extractor.name, extractor.dimensions, extractor.sha256) == ("pixels8", 192, None)
    expected = pixel_features(images.double() / 127.5 - 1, size=8).float()
    assert_close(extractor(images).features, expected, atol=1e-6, rtol=0)
    assert extractor(images).logits is None


def test_points_are_their_own_features_detached():
    points = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    features = Points().build((2,))(points).features
    assert torch.equal(features, points.detach()) and not features.requires_grad
