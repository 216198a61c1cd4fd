"""The picture of a gradient beside the score difference: its figures for fields that are known."""

import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ganneal.metrics.mixture import GaussianMixture
from ganneal.theory.fields import FIELD_ARROWS, FieldPicture, gradient_picture
from ganneal.theory.propositions import plane
from ganneal.theory.scores import log_ratio

P, Q = plane()


def exact(x: Tensor) -> Tensor:
    return log_ratio(P, Q)(x.double()).float()


def arrows(picture: FieldPicture) -> list[Any]:
    """The quivers of both panels."""
    panels = picture.figure.axes[:2]
    return [next(c for c in axes.collections if hasattr(c, "U")) for axes in panels]


def test_the_log_ratio_agrees_with_the_scores_everywhere() -> None:
    picture = gradient_picture(exact, P, Q, "a title")
    assert picture.over_samples.cosine == pytest.approx(1, abs=1e-6)
    assert picture.over_samples.relative < 1e-5 and picture.on_plane == pytest.approx(1, abs=1e-6)
    left, right = arrows(picture)
    assert len(left.U) == FIELD_ARROWS**2
    np.testing.assert_allclose(right.U, left.U, atol=1e-5)
    np.testing.assert_allclose(right.get_array(), 1, atol=1e-5)


@pytest.mark.parametrize(("factor", "cosine", "relative"), [(-1.0, -1.0, 2.0), (3.0, 1.0, 2.0)])
def test_direction_and_length_are_judged_apart(factor: float, cosine: float, relative: float) -> None:
    picture = gradient_picture(lambda x: factor * exact(x), P, Q)
    assert picture.over_samples == pytest.approx((cosine, relative), abs=1e-5)
    assert picture.on_plane == pytest.approx(cosine, abs=1e-5)


def test_arrows_point_along_the_field_and_end_in_the_picture() -> None:
    data = GaussianMixture.isotropic(torch.tensor([[2.0, 0.0]]), 1.0)
    model = GaussianMixture.isotropic(torch.tensor([[-2.0, 0.0]]), 1.0)
    picture = gradient_picture(lambda x: 4 * x[:, 0], data, model)  # log p/q of these two
    for quiver in arrows(picture):
        assert (quiver.U > 0).all() and np.abs(quiver.V).max() < 1e-5
        low, high = picture.figure.axes[0].get_xlim()
        assert (quiver.X >= low).all() and (quiver.X + quiver.U <= high + 1e-9).all()
    buffer = io.BytesIO()
    picture.figure.savefig(buffer, format="png")
    with Image.open(buffer) as image:
        assert len(image.convert("RGB").resize((200, 100)).getcolors(20_000) or ()) > 50


def test_the_discriminator_is_left_as_it_was() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Flatten(0))
    picture = gradient_picture(network, P, Q)
    assert all(parameter.grad is None for parameter in network.parameters())
    assert -1 <= picture.over_samples.cosine <= 1
