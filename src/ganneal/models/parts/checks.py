"""Refusals of players: sizes below one, labels that are missing or out of range, images of another size."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ganneal.models.protocol import Model, Shape

RESIZE = "resize the images (data.size; of an array, `ganneal data convert FILE OUT.zip --size N`)"
"""The way out where no network is made for images of that size."""


def checked_labels(labels: Tensor | None, num_classes: int, samples: Tensor) -> Tensor:
    """``labels``, one class for each of ``samples``.

    Values are looked at on the CPU only, where an accelerator would have to be waited for.
    """
    if labels is None:
        raise ValueError(f"labels must be given: these players have {num_classes} classes.")
    if labels.shape != samples.shape[:1] or labels.is_floating_point():  # len(samples) would fix the size of an export
        raise ValueError(
            f"labels must be whole numbers, one for each of {len(samples)} samples, got {str(labels.dtype)[6:]} of "
            f"shape {tuple(labels.shape)}."
        )
    # Reading a value from a GPU waits for it, and cannot be part of a compiled graph; a GPU's own index check speaks up
    # instead.
    if labels.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = (int(bound) for bound in labels.aminmax())
        if low < 0 or high >= num_classes:
            wrong = low if low < 0 else high
            raise ValueError(f"labels must be in 0..{num_classes - 1}, got {wrong}: these players have no such class.")
    return labels


def check_images(images: Tensor, shape: Shape) -> None:
    """Refuse images of another shape than the discriminator was built for, which a sum over pixels would accept."""
    if images.shape[1:] != shape:
        raise ValueError(
            f"images must be [batch, {', '.join(map(str, shape))}], as this discriminator was built for, got "
            f"{list(images.shape)}; {RESIZE}."
        )


def check_unconditional(family: str, num_classes: int) -> None:
    """Refuse classes."""
    if num_classes:
        raise ValueError(
            f"num_classes must be 0 for {family}, got {num_classes}; train without labels (task 'unconditional')."
        )


LARGEST_SIDE = 512
"""Side in pixels above which no network is looked for."""


def can_make(model: Model, shape: Shape, num_classes: int = 0) -> bool:
    """True if ``model`` has players for samples of ``shape``; nothing is drawn and no memory is taken."""
    # Trying a size must not move the generator that draws the players' weights.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            model.build(shape, num_classes)
        except ValueError:
            return False
    return True


def largest_size(models: Iterable[Model], channels: int, most: int) -> int | None:
    """The largest side of at most ``most`` pixels that all ``models`` make; the smallest above where there is none.

    Sides that halve evenly down to 4 to 7 pixels are taken before others: on 60 px a network would keep a map of 15.
    None where no square image is made by all of them.
    """
    every = tuple(models)
    below, above = range(min(most, LARGEST_SIDE), 0, -1), range(most + 1, LARGEST_SIDE + 1)
    for candidates in (filter(_halves_far, below), below, filter(_halves_far, above), above):
        sides = (side for side in candidates if all(can_make(model, (channels, side, side)) for model in every))
        if (side := next(sides, None)) is not None:
            return side
    return None


def _halves_far(side: int) -> bool:
    """True if ``side`` is 4 to 7 times a power of two: its binary digits after the first three are zeros."""
    beyond = max(side.bit_length() - 3, 0)
    return side >> beyond << beyond == side
