"""Which sizes of images a network family can make."""

from collections.abc import Iterable

import torch

from ganneal.models.protocol import Model

LARGEST_SIDE = 512
"""Side in pixels above which no network is looked for."""


def can_make(model: Model, channels: int, side: int) -> bool:
    """Whether ``model`` has players for square images of that ``side``; nothing is drawn and no memory is taken."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        try:
            model.build((channels, side, side))
        except ValueError:
            return False
    return True


def largest_size(models: Iterable[Model], channels: int, most: int) -> int | None:
    """The largest side of at most ``most`` pixels that all ``models`` make; the smallest above where there is none.

    None where no square image is made by all of them.
    """
    every = tuple(models)
    below, above = range(min(most, LARGEST_SIDE), 0, -1), range(most + 1, LARGEST_SIDE + 1)
    sides = (side for side in (*below, *above) if all(can_make(model, channels, side) for model in every))
    return next(sides, None)
