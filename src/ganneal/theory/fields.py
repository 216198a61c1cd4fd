"""The picture of a discriminator's gradient beside the score difference that it estimates."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ganneal.metrics.mixture import GaussianMixture
from ganneal.theory.scores import Agreement, Critic, agreement, input_gradients, score_difference

FIELD_ARROWS = 21
"""Arrows a side."""
LONGEST_QUANTILE = 0.85
"""Quantile of the exact lengths from which on all arrows are alike long, or those far out would hide the rest."""
FIELD_SAMPLES = 2_000
"""Samples of each density over which the two fields are compared."""


class FieldPicture(NamedTuple):
    """The drawing and its figures."""

    figure: Any
    """A matplotlib figure: the score difference, and the gradient with its arrows coloured by their cosine."""
    over_samples: Agreement
    """Mean cosine and relative L2 error over samples of both densities in equal parts."""
    on_plane: float
    """Mean cosine over the arrows, most of which stand where there are few samples."""


def gradient_picture(
    discriminator: Critic, p: GaussianMixture, q: GaussianMixture, title: str = "", *, seed: int = 0
) -> FieldPicture:
    """``discriminator``'s gradient in the plane against grad log p - grad log q of data p and model q.

    Args:
        discriminator: Points ``[n, 2]``, float32, to raw outputs ``[n]``. For a generator without a known density q may
            be a kernel estimate, ``GaussianMixture.isotropic(samples, std)``.
        seed: Of the samples that are compared over.
    """
    from matplotlib.figure import Figure

    random = torch.Generator().manual_seed(seed)
    real, fake = (density.sample(FIELD_SAMPLES, random) for density in (p, q))
    x = torch.cat([real, fake])
    # Networks compute in float32, densities in float64; the two are compared in the latter.
    over_samples = agreement(input_gradients(discriminator, x.float()).double(), score_difference(p, q, x))

    # Without the outermost samples, a few of which would set the scale of the picture.
    low, high = x.quantile(0.005, dim=0), x.quantile(0.995, dim=0)
    middle, half = (low + high) / 2, (high - low).max() * 0.6
    sides = [torch.linspace(float(m - half), float(m + half), FIELD_ARROWS, dtype=torch.float64) for m in middle]
    # [arrows², 2]
    plane = torch.cartesian_prod(*sides)
    exact = score_difference(p, q, plane)
    found = input_gradients(discriminator, plane.float()).double()
    cosines = cosine_similarity(found, exact, dim=1)

    figure = Figure(figsize=(9.6, 4.9), layout="constrained")
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    longest = float(exact.norm(dim=1).quantile(LONGEST_QUANTILE))
    spacing = float(sides[0][1] - sides[0][0])
    for axes in (left, right):
        axes.plot(*fake[:500].T.numpy(), ".", color="C1", markersize=2, alpha=0.35, label="model", zorder=0)
        axes.plot(*real[:500].T.numpy(), ".", color="C0", markersize=2, alpha=0.35, label="data", zorder=0)
        limits = [(float(side[0]) - spacing, float(side[-1]) + spacing) for side in sides]
        axes.set(xticks=[], yticks=[], aspect="equal", xlim=limits[0], ylim=limits[1])
    _arrows(left, plane, exact, longest, spacing, None)
    colours = _arrows(right, plane, found, longest, spacing, cosines)
    left.set_title("score difference, data less model", fontsize="medium")
    right.set_title(f"gradient of D, mean cosine {over_samples.cosine:.3f} over samples", fontsize="medium")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, markerscale=4, frameon=False)
    figure.colorbar(colours, ax=right, shrink=0.8, extend="min", label="cosine of the angle between them")
    if title:
        figure.suptitle(title)
    return FieldPicture(figure, over_samples, cosines.mean().item())


def _arrows(axes: Any, at: Tensor, along: Tensor, longest: float, spacing: float, colours: Tensor | None) -> Any:
    """Arrows as long as the root of ``along``'s length, those of ``longest`` and beyond a step of the grid."""
    lengths = along.norm(dim=1, keepdim=True).clamp(min=1e-300)
    # Scores grow with the distance from the modes: in proportion to them, arrows at the edge would hide those between
    # modes.
    drawn = (along / lengths * (lengths / longest).clamp(max=1).sqrt() * spacing).numpy()
    values = np.full(len(at), 1.0) if colours is None else colours.numpy()
    palette = {"cmap": "RdYlGn", "clim": (0, 1)} if colours is not None else {"cmap": "Greys", "clim": (0, 1)}
    settings = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.004}
    return axes.quiver(at[:, 0].numpy(), at[:, 1].numpy(), drawn[:, 0], drawn[:, 1], values, **palette, **settings)
