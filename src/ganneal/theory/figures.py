"""Figures of the theory: a discriminator's gradient beside the score difference, and annealed Langevin sampling."""

import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ganneal.data import Ring
from ganneal.metrics.mixture import GaussianMixture, mixture_quality
from ganneal.storage.atomic import write_bytes
from ganneal.theory.fields import gradient_picture
from ganneal.theory.langevin import ScoreFunction, annealed_langevin, exact_score, fit_score, noise_levels
from ganneal.theory.propositions.optimal import trained_discriminator
from ganneal.wording import markdown_table

RING = Ring(std=0.1)
NOISE_LEVELS = noise_levels(1.0, RING.std, 8)
LANGEVIN_STEPS, FIGURE_SAMPLES = 50, 2_000
LEVELS_SHOWN = (0, 3, 5, 7)
"""Levels in the picture of Langevin sampling."""


class DrawnFigure(NamedTuple):
    """A figure of matplotlib, and its measured values in words or as a table."""

    figure: Any
    says: str


def score_field(steps: int = 6_000) -> DrawnFigure:
    """The gradient of a discriminator trained for ``steps``, beside the score difference of five Gaussians and one."""
    model = GaussianMixture.isotropic(torch.tensor([[0.3, 0.0]], dtype=torch.float64), 0.8)
    data = GaussianMixture.of(Ring(modes=5, radius=1.2, std=0.25).mixture)
    picture = gradient_picture(trained_discriminator(data, model, steps=steps), data, model)
    samples = picture.over_samples
    says = (
        f"After {steps:,} steps of the logistic loss the gradient's mean cosine with the score difference is "
        f"{samples.cosine:.3f} over samples of both,\n{picture.on_plane:.3f} over the plane shown; its relative L2 "
        f"error over samples is {samples.relative:.2f}."
    )
    return DrawnFigure(picture.figure, says)


def langevin(steps: int = 4_000) -> DrawnFigure:
    """Annealed Langevin sampling of eight Gaussians by exact scores, and by scores learned in ``steps``."""
    points = torch.from_numpy(RING.load().samples)
    paths = {
        "exact": langevin_path(exact_score(GaussianMixture.of(RING.mixture))),
        "learned": langevin_path(fit_score(points, NOISE_LEVELS, steps=steps)),
    }
    return DrawnFigure(_panels(paths), _quality(paths))


FIGURES: Mapping[str, Callable[..., DrawnFigure]] = {"score-field": score_field, "langevin": langevin}
"""Figures by the name of their file; each takes the steps that its network trains for."""


def langevin_path(score: ScoreFunction) -> list[Tensor]:
    """Samples after each of `NOISE_LEVELS`, from noise of the first level."""
    random = torch.Generator().manual_seed(1)
    # As wide as the first level, and nothing else is known of the data.
    start = NOISE_LEVELS[0] * torch.randn(FIGURE_SAMPLES, 2, generator=random)
    # alpha_i is then a tenth of sigma_i² at every level.
    eps = 0.1 * NOISE_LEVELS[-1] ** 2
    return annealed_langevin(score, start, NOISE_LEVELS, eps=eps, steps=LANGEVIN_STEPS, random=random)


def _quality(paths: dict[str, list[Tensor]]) -> str:
    """Fit of the last samples to the data smoothed by the last level, as a table."""
    # at the last level the chain samples the smoothed density: the data themselves would be the wrong target
    target = GaussianMixture.of(RING.mixture).smoothed(NOISE_LEVELS[-1])
    ends = {f"{name} scores": path[-1].double() for name, path in paths.items()}
    ends["none: the smoothed data themselves"] = target.sample(FIGURE_SAMPLES, torch.Generator().manual_seed(2))
    head = ["sampled by", "within 3 std of a mode", "modes of 8", "KL of the modes' shares", "mean log density"]
    rows = []
    for name, x in ends.items():
        found = mixture_quality(x, target)
        shares, density = f"{found.weights_kl:.4f}", f"{target.log_prob(x).mean():.2f}"
        rows.append([name, f"{found.high_quality:.3f}", str(found.modes_robust), shares, density])
    return markdown_table(head, rows)


def _panels(paths: dict[str, list[Tensor]]) -> Any:
    """A row for each score, a panel for each shown level."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 5.0), layout="constrained")
    panels = figure.subplots(len(paths), len(LEVELS_SHOWN), sharex=True, sharey=True)
    for row, (name, path) in zip(panels, paths.items(), strict=True):
        for axes, index in zip(row, LEVELS_SHOWN, strict=True):
            x = path[index].numpy()
            axes.plot(x[:, 0], x[:, 1], ".", markersize=1.5, alpha=0.5, color="C0")
            axes.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal", xticks=[], yticks=[])
        row[0].set_ylabel(f"{name} scores")
    for axes, index in zip(panels[0], LEVELS_SHOWN, strict=True):
        axes.set_title(f"after σ = {NOISE_LEVELS[index]:.2g}", fontsize="medium")
    return figure


def write_figures(folder: Path, steps: int | None = None) -> Iterator[str]:
    """Write every figure to ``folder`` as it is asked for; yield its measured values and its file, in words."""
    for name, figure_of in FIGURES.items():
        # One after the other, as each is asked for: both train a network.
        drawn = figure_of() if steps is None else figure_of(steps)
        picture = io.BytesIO()
        # Without the name and version of matplotlib, so that the same figure has the same bytes.
        drawn.figure.savefig(picture, format="png", dpi=80, metadata={"Software": None})
        path = folder.expanduser() / f"{name}.png"
        write_bytes(path, picture.getvalue())
        yield f"{drawn.says}\n\npicture: {path}"
