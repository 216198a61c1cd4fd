"""Pushes of samples by discriminators: images after each push, with the gradients along which they went."""

import io
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganneal.inference.generator import TrainedGenerator
from ganneal.inference.loading import load_pushed
from ganneal.report.drawn import SEED
from ganneal.report.pictures import Picture, page_picture
from ganneal.theory.push_figure import trail_figure
from ganneal.theory.pushes import PushedSamples

PUSHED_ROWS = 3
NUM_PUSHES = 15
"""Number of pushes by the last discriminator, in a run that stored none."""
FIRST_PUSH = 4 / 127.5
"""Root-mean-square move of the median sample by the first push: four grey levels of 255."""
DOTS = 150


@dataclass(frozen=True)
class Pushed:
    """Fig. 3 of the NATS paper, for one run."""

    picture: Picture
    count: int
    stored: bool
    """By the discriminators that the run stored, with their step sizes; else by its last one."""
    first: float
    """Mean Euclidean length of the first push's gradient."""
    last: float


def pushed(path: Path) -> Pushed | None:
    """The first samples of the run at ``path`` under every push; None for points.

    Raises:
        FileNotFoundError: There are no weights.
        ValueError: They are damaged, or a part is not registered here.
    """
    # ``count`` is for runs that stored no discriminator: one push first, to see how long its gradients are.
    generator = load_pushed(path, count=1)
    if len(generator.shape) != 3 or generator.pushes is None:
        return None
    stored = bool(generator.card.get("pushes"))
    if not stored:
        start, trail = follow_pushes(generator)
        # A discriminator's gradient may have any scale; a push of a few grey levels shows its direction on any.
        first = trail[0].norms.median().item() / sqrt(start[0].numel())
        generator = load_pushed(path, count=NUM_PUSHES, step_size=FIRST_PUSH / max(first, 1e-12))
    start, trail = follow_pushes(generator)
    return Pushed(
        _drawn(start, trail),
        len(trail),
        stored,
        first=trail[0].norms.mean().item(),
        last=trail[-1].norms.mean().item(),
    )


@torch.no_grad()
def follow_pushes(generator: TrainedGenerator) -> tuple[Tensor, list[PushedSamples]]:
    """Samples of ``generator`` before its pushes, as many as are pushed together, and every push of them."""
    assert generator.pushes is not None
    random = torch.Generator().manual_seed(SEED)
    # Under batch norm a sample's gradient depends on its batch, so there are as many as in training.
    count = generator.pushes.chunk
    latents = generator.latent.sample(count, random)
    condition = generator.condition(count, random)
    start = generator.task.sample(generator.generator, latents, condition, random).float()
    trail, before = [], start
    # [batch, C, H, W] after each push.
    for step_size, after in generator.pushes.trail(start, condition, random):
        # The direction as it was taken, with the factor of the loss in it, rather than computed a second time.
        along = (after - before) / step_size
        trail.append(PushedSamples(after, along, along.flatten(1).norm(dim=1)))
        before = after
    return start, trail


def _drawn(start: Tensor, trail: list[PushedSamples]) -> Picture:
    figure, _ = trail_figure(start, trail, rows=PUSHED_ROWS)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=DOTS, facecolor="white")
    with Image.open(buffer) as drawn:
        return page_picture(
            drawn,
            f"{PUSHED_ROWS} generated images after each of {len(trail)} pushes, and below each the gradient it "
            "followed",
        )
