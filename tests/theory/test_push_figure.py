"""The picture of a chain of pushes: what stands where."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ganneal.models import DCGANExt
from ganneal.theory.push_figure import PushFigure, push_figure


def shown(picture: PushFigure, rows: int) -> np.ndarray[Any, Any]:
    """The panels of the figure, ``[2 rows, columns]``."""
    axes = picture.figure.axes
    return np.array(axes, dtype=object).reshape(2 * rows, -1)


def pixels(axes: Any) -> np.ndarray[Any, Any]:
    return np.asarray(axes.images[0].get_array())


@pytest.mark.runs
@pytest.mark.parametrize("channels", [1, 3])
def test_images_and_the_gradients_that_led_to_them(channels: int) -> None:
    """D = sum of x² / 4: the gradient is x / 2, so that a step of 2 doubles every pixel."""
    start = torch.rand(5, channels, 4, 4) * 0.2 - 0.1
    critics = [lambda x: x.square().flatten(1).sum(1) / 4] * 3
    picture = push_figure(start, critics, [2.0, 2.0, 2.0], rows=2)
    panels = shown(picture, 2)
    assert panels.shape == (4, 4) and not panels[1, 0].images
    for column in range(4):
        expected = (start[0] * 2**column * 127.5 + 128).byte().numpy()
        np.testing.assert_array_equal(pixels(panels[0, column]), np.moveaxis(expected, 0, 2).squeeze())
    # a gradient in proportion to the image, divided by its largest value, at every push
    for column in range(1, 4):
        np.testing.assert_array_equal(pixels(panels[3, column]), pixels(panels[3, 1]))
        largest = np.abs(pixels(panels[3, column]).astype(float) - 127.5).max()
        assert largest == 127.5
        length = float(start[1].norm()) * 2 ** (column - 2)
        assert panels[3, column].get_title() == f"{length:.2g}"
        assert float(picture.trail[column - 1].norms[1]) == pytest.approx(length, rel=1e-5)


def test_a_discriminators_chain_without_changing_it() -> None:
    torch.manual_seed(0)
    pair = DCGANExt(width=2, latent_size=3).build((1, 16, 16))
    discriminator = pair.discriminator.eval()
    before = [tensor.clone() for tensor in discriminator.state_dict().values()]
    picture = push_figure(pair.generator(torch.randn(3, 3)), [discriminator] * 2, [1.0, 0.1], rows=8)
    assert len(picture.trail) == 2 and picture.trail[1].samples.shape == (3, 1, 16, 16)
    assert shown(picture, 3).shape == (6, 3)
    after = discriminator.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(parameter.grad is None for parameter in discriminator.parameters())


def test_a_gradient_of_zero_is_grey() -> None:
    def flat(x: Tensor) -> Tensor:
        return 0 * x.flatten(1).sum(1)

    panels = shown(push_figure(torch.zeros(1, 1, 4, 4), [flat], [1.0], rows=1), 1)
    assert (pixels(panels[1, 1]) == 128).all() and panels[1, 1].get_title() == "0"


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows must be at least 1, got 0"):
        push_figure(torch.zeros(1, 1, 4, 4), [], [], rows=0)
