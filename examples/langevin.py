"""Annealed Langevin sampling of eight Gaussians, with exact and learned scores: docs/langevin.png and a table.

python examples/langevin.py                # writes both beside docs/theory.md; about 15 s of a core
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ganneal.data import Ring
from ganneal.metrics.mixture import GaussianMixture, mixture_quality
from ganneal.theory.langevin import Score, annealed_langevin, exact_score, fit_score, noise_levels

PAGE = Path(__file__).parents[1] / "docs" / "theory.md"
BEGIN, END = "<!-- sampling, by examples/langevin.py -->", "<!-- end of sampling -->"
RING = Ring(std=0.1)
LEVELS = noise_levels(1.0, RING.std, 8)
STEPS, COUNT = 50, 2_000
SHOWN = (0, 3, 5, 7)
"""Levels in the picture."""


def sampled(score: Score) -> list[Tensor]:
    """Samples after each level, from noise of the first level."""
    random = torch.Generator().manual_seed(1)
    start = LEVELS[0] * torch.randn(COUNT, 2, generator=random)
    eps = 0.1 * LEVELS[-1] ** 2
    return annealed_langevin(score, start, LEVELS, eps=eps, steps=STEPS, random=random)


def table(paths: dict[str, list[Tensor]]) -> str:
    """How well the last samples fit the data smoothed by the last level."""
    target = GaussianMixture.of(RING.mixture).smoothed(LEVELS[-1])
    rows = [
        "| sampled by | within 3 std of a mode | modes of 8 | KL of the modes' shares | mean log density |",
        "| --- | --- | --- | --- | --- |",
    ]
    ends = {f"{name} scores": path[-1].double() for name, path in paths.items()}
    ends["none: the smoothed data themselves"] = target.sample(COUNT, torch.Generator().manual_seed(2))
    for name, x in ends.items():
        quality = mixture_quality(x, target)
        rows.append(
            f"| {name} | {quality.high_quality:.3f} | {quality.modes_robust} | {quality.weights_kl:.4f} | "
            f"{target.log_prob(x).mean():.2f} |"
        )
    return "\n".join(rows)


def draw(paths: dict[str, list[Tensor]], file: Path) -> None:
    """A row for each score, a panel for each shown level."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        len(paths), len(SHOWN), figsize=(9.6, 5.0), sharex=True, sharey=True, layout="constrained"
    )
    for row, (name, path) in zip(panels, paths.items(), strict=True):
        for axes, index in zip(row, SHOWN, strict=True):
            x = path[index].numpy()
            axes.plot(x[:, 0], x[:, 1], ".", markersize=1.5, alpha=0.5, color="C0")
            axes.set(xlim=(-2.6, 2.6), ylim=(-2.6, 2.6), aspect="equal", xticks=[], yticks=[])
        row[0].set_ylabel(f"{name} scores")
    for axes, index in zip(panels[0], SHOWN, strict=True):
        axes.set_title(f"after σ = {LEVELS[index]:.2g}", fontsize="medium")
    figure.savefig(file, dpi=80, metadata={"Software": None})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Sample a ring by annealed Langevin dynamics.")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--steps", type=int, default=4_000, help="of the score network's training (default: 4000)")
    options = parser.parse_args(arguments)
    points = torch.from_numpy(RING.load().samples)
    paths = {
        "exact": sampled(exact_score(GaussianMixture.of(RING.mixture))),
        "learned": sampled(fit_score(points, LEVELS, steps=options.steps)),
    }
    before, _, rest = options.page.read_text().partition(BEGIN)
    options.page.write_text(f"{before}{BEGIN}\n{table(paths)}\n{END}{rest.partition(END)[2]}")
    draw(paths, options.page.parent / "langevin.png")
    print(table(paths))
    return 0


if __name__ == "__main__":
    sys.exit(main())
