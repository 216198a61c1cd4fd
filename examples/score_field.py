"""What a discriminator's gradient looks like beside the score difference: docs/score-field.png.

python examples/score_field.py             # writes it, and the cosines into docs/theory.md; about 20 s of a core
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from ganneal.data import Ring
from ganneal.metrics.mixture import GaussianMixture
from ganneal.theory.fields import FieldPicture, gradient_picture
from ganneal.theory.propositions import trained_discriminator

PAGE = Path(__file__).parents[1] / "docs" / "theory.md"
BEGIN, END = "<!-- score field, by examples/score_field.py -->", "<!-- end of score field -->"


def densities() -> tuple[GaussianMixture, GaussianMixture]:
    """Five wide Gaussians on a circle for the data, one in the middle for the model."""
    model = GaussianMixture.isotropic(torch.tensor([[0.3, 0.0]], dtype=torch.float64), 0.8)
    return GaussianMixture.of(Ring(modes=5, radius=1.2, std=0.25).mixture), model


def sentence(steps: int, picture: FieldPicture) -> str:
    samples, plane = picture.over_samples, picture.on_plane
    return (
        f"After {steps:,} steps of the logistic loss the gradient's mean cosine with the score difference is "
        f"{samples.cosine:.3f} over samples of both,\n{plane:.3f} over the plane shown; its relative L2 error "
        f"over samples is {samples.relative:.2f}."
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Draw a discriminator's gradient beside the score difference.")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--steps", type=int, default=6_000, help="of the discriminator's training (default: 6000)")
    options = parser.parse_args(arguments)
    p, q = densities()
    picture = gradient_picture(trained_discriminator(p, q, steps=options.steps), p, q)
    picture.figure.savefig(options.page.parent / "score-field.png", dpi=80, metadata={"Software": None})
    words = sentence(options.steps, picture)
    before, _, rest = options.page.read_text().partition(BEGIN)
    options.page.write_text(f"{before}{BEGIN}\n{words}\n{END}{rest.partition(END)[2]}")
    print(words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
