"""The picture of a chain of pushes: a few images after each, and the gradients that moved them with their lengths."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.data.protocol import Images
from ganneal.storage.pictures import to_uint8
from ganneal.theory.pushes import PushedSamples, pushes
from ganneal.theory.scores import Critic

INCHES = 0.75
"""Side of an image."""


class PushFigure(NamedTuple):
    """The drawing and what it shows, in more digits."""

    figure: Any
    """A matplotlib figure: for each image a row of x_0 … x_M, and one of the gradients between them."""
    trail: list[PushedSamples]
    """The pushes of all samples, drawn or not."""


def push_figure(
    samples: Images, critics: Sequence[Critic], step_sizes: Sequence[float], *, rows: int = 4
) -> PushFigure:
    """The first ``rows`` of ``samples`` pushed by each of ``critics`` in turn.

    A gradient is drawn under the image it led to, divided by its own largest value, grey where it is 0; its Euclidean
    length is written above it. Images are clamped to [-1, 1] for the eye only.

    Args:
        samples: The generator's, [batch, 1 or 3, height, width].
        critics: Discriminators in the order of the pushes, in the mode that they are to be used in.
    References:
        Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Fig. 3.
    """
    return trail_figure(samples, pushes(samples, critics, step_sizes), rows=rows)


def trail_figure(samples: Images, trail: Sequence[PushedSamples], *, rows: int = 4) -> PushFigure:
    """`push_figure` of pushes that have been made: ``trail`` is where each took ``samples``, and along what."""
    if rows < 1:
        raise ValueError(f"rows must be at least 1, got {rows}.")
    from matplotlib.figure import Figure

    rows, columns = min(rows, len(samples)), len(trail) + 1
    figure = Figure(figsize=(INCHES * columns, 2.4 * INCHES * rows))
    # not a layout engine: the panels are all of one size, and it takes longer than drawing them
    room = {
        "left": 0.005,
        "right": 0.995,
        "bottom": 0.005,
        "top": 1 - 0.2 / (2.4 * rows),
        "wspace": 0.06,
        "hspace": 0.2,
    }
    panels = figure.subplots(2 * rows, columns, squeeze=False, gridspec_kw=room)
    for axes in panels.flat:
        axes.set_axis_off()
    for row in range(rows):
        for column, images in enumerate([samples, *(push.samples for push in trail)]):
            _show(panels[2 * row, column], images[row], f"$x_{{{column}}}$" if row == 0 else "")
        for column, push in enumerate(trail, start=1):
            gradient = push.gradients[row]
            # Gradients of one chain may differ by powers of ten, so each is shown on its own scale and its length is
            # written above.
            scaled = gradient / gradient.abs().max().clamp(min=torch.finfo(gradient.dtype).tiny)
            _show(panels[2 * row + 1, column], scaled, f"{push.norms[row]:.2g}")
    return PushFigure(figure, list(trail))


def _show(axes: Any, image: Float[Tensor, "channels height width"], title: str) -> None:
    pixels = np.moveaxis(to_uint8(image[None].detach())[0], 0, 2)
    axes.imshow(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels, cmap="gray", vmin=0, vmax=255)
    axes.set_title(title, fontsize=7, pad=2)
