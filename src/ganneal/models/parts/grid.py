"""Sizes of images that are a small grid doubled several times: one rule for the convolutional families."""

from collections.abc import Sequence
from typing import NamedTuple

from ganneal.models.parts.checks import RESIZE
from ganneal.models.protocol import Shape

SMALLEST_BASE, LARGEST_BASE = 4, 16
"""Shorter side at the latents' end, pixels; beyond it the first layer would hold most of the network."""


class DoublingGrid(NamedTuple):
    """Images of ``channels`` and of the size ``base`` times 2 to the power of ``doublings``."""

    channels: int
    base: tuple[int, int]
    """Height and width at the latents' end, pixels."""
    doublings: int

    def side(self, level: int) -> tuple[int, int]:
        """Height and width after ``level`` doublings."""
        return self.base[0] << level, self.base[1] << level


def grid_of(family: str, shape: Shape, doublings: Sequence[int]) -> DoublingGrid:
    """The grid of images of ``shape``, with the most ``doublings`` that leave a base of at least 4 pixels.

    Raises:
        ValueError: Neither side, or only one, can be halved evenly to a base of 4 to 16 pixels so often.
    """
    if len(shape) == 3:
        channels, height, width = shape
        # The most doublings first: the smallest grid, and so the cheapest first layer.
        for count in sorted(doublings, reverse=True):
            base = height >> count, width >> count
            if (base[0] << count, base[1] << count) == (height, width) and min(base) >= SMALLEST_BASE:
                if min(base) > LARGEST_BASE:
                    break
                return DoublingGrid(channels, base, count)
    raise ValueError(
        f"shape must be (channels, height, width) for {family}, both sides multiples of 2^n and the shorter one "
        f"{SMALLEST_BASE} to {LARGEST_BASE} times 2^n, with n from {min(doublings)} to {max(doublings)}, got {shape}; "
        f"{RESIZE}, for points use the model 'mlp'."
    )
