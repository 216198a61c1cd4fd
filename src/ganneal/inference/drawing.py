"""Samples of a trained generator: their classes, and sheets that compare truncations."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from ganneal.inference.generator import TrainedGenerator, Truncation
from ganneal.inference.sample_files import check_finite
from ganneal.storage.pictures import image_grid, save_png


def labels_for(
    generator: TrainedGenerator,
    count: int,
    classes: Sequence[str] = (),
    per_class: int | None = None,
    *,
    drawn: Literal["data", "uniform"] = "data",
) -> list[int] | None:
    """The class of each of ``count`` samples; None leaves them to the generator.

    Args:
        classes: Names of classes, repeated in turn over the samples.
        per_class: So many samples of each of ``classes``, or of all, in place of ``count``.
        drawn: How often the generator draws each class, where none is chosen here.
    Raises:
        ValueError: The generator knows no such class or none at all, or the arguments do not go together.
    """
    if drawn == "uniform" and (classes or per_class is not None):
        raise ValueError("classes says how classes are drawn; leave it out where --class or --per-class chooses them.")
    chosen = [generator.class_of(given) for given in classes]
    if per_class is None:
        return [chosen[i % len(chosen)] for i in range(count)] if chosen else None
    if per_class < 1:
        raise ValueError(f"per_class must be at least 1, got {per_class}.")
    if not generator.num_classes:
        raise ValueError("per_class must be left out: this generator was trained without classes; use count.")
    return [c for c in chosen or range(generator.num_classes) for _ in range(per_class)]


def write_truncations(
    generator: TrainedGenerator,
    path: Path,
    cuts: Sequence[Truncation | None],
    count: int,
    seed: int,
    *,
    labels: Sequence[int] | None = None,
    classes: Literal["data", "uniform"] = "data",
) -> None:
    """Write a sheet as PNG: a row of ``count`` samples for each truncation, of the same latents and classes.

    Raises:
        ValueError: The generator draws points, or samples that are no numbers.
    """
    if len(generator.shape) != 3:
        raise ValueError("several values of --truncation need images; give one of them for points.")
    # The same seed gives the same latents and classes under every truncation.
    rows = [generator.sample(count, seed, labels=labels, classes=classes, truncation=cut) for cut in cuts]
    check_finite(samples := torch.cat(rows))
    save_png(image_grid(samples, count), path)
