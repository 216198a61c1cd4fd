"""Sizes of images that are a small grid doubled several times: one rule for the convolutional families."""

from collections.abc import Sequence
from typing import NamedTuple

from ganneal.models.parts.checks import RESIZE
from ganneal.models.protocol import Shape

SMALLEST_BASE, LARGEST_BASE = 4, 16
BASE = range(SMALLEST_BASE, LARGEST_BASE + 1)
"""Shorter sides at the latents' end, pixels; beyond them the first layer would hold most of the network."""
SHALLOW, LARGEST_SHALLOW_BASE = 2, 7
"""Networks of so few doublings have a base of at most so many pixels: a larger one would leave them no depth."""


class DoublingGrid(NamedTuple):
    """Images of ``channels`` and of the size ``base`` times 2 to the power of ``doublings``."""

    channels: int
    base: tuple[int, int]
    """Height and width at the latents' end, pixels."""
    doublings: int

    def side(self, level: int) -> tuple[int, int]:
        """Height and width after ``level`` doublings."""
        return self.base[0] << level, self.base[1] << level


def doubling_widths(width: int, count: int) -> list[int]:
    """``count`` numbers of channels, doubling from the image's end, at most 8 times ``width``."""
    return [min(width * 2**i, 8 * width) for i in range(count)]


def grid_of(family: str, shape: Shape, doublings: Sequence[int], bases: range = BASE) -> DoublingGrid:
    """The grid of images of ``shape``, with the most ``doublings`` that leave a shorter side of ``bases``.

    So any image whose sides are multiples of 8, the shorter one 32 to 128, has one, and of 16 up to 256.

    Raises:
        ValueError: The sides cannot both be halved evenly so often; the message names the nearest sizes that can.
    """
    found = None if len(shape) != 3 else _grid(shape[1], shape[2], doublings, bases)
    if found is not None:
        return DoublingGrid(shape[0], *found)
    least, most = min(doublings), max(doublings)
    counts = f"n = {least}" if least == most else f"n from {least} to {most}"
    raise ValueError(
        f"shape must be (channels, height, width) for {family}, both sides multiples of 2^n, the shorter one "
        f"{bases[0]} to {bases[-1]} times 2^n, {counts}, got {shape}; {_nearest(shape, doublings, bases)}{RESIZE}, for "
        f"points use the model 'mlp'."
    )


def _grid(height: int, width: int, doublings: Sequence[int], bases: range) -> tuple[tuple[int, int], int] | None:
    # The most doublings first: the smallest grid, and so the cheapest first layer.
    for count in sorted(doublings, reverse=True):
        base = height >> count, width >> count
        # Down and up again gives the size back only where 2^count divides it.
        even = (base[0] << count, base[1] << count) == (height, width)
        if even and min(base) in bases:
            deep = count > SHALLOW or bases is not BASE or min(base) <= LARGEST_SHALLOW_BASE
            return (base, count) if deep else None
    return None


def _nearest(shape: Shape, doublings: Sequence[int], bases: range) -> str:
    """The sizes next to ``shape`` in words: both sides moved alike to multiples of the same power of two."""
    if len(shape) != 3 or min(shape[1:]) < 1:
        return ""
    sizes = set()
    for step in {2**count for count in doublings}:
        for rounded in (int.__floordiv__, lambda side, by: -(-side // by)):
            height, width = (max(rounded(side, step), 1) * step for side in shape[1:])
            if _grid(height, width, doublings, bases) is not None:
                sizes.add((abs(height - shape[1]) + abs(width - shape[2]), height, width))
    named = " or ".join(f"{width}x{height}" for _, height, width in sorted(sizes)[:2])
    return f"the nearest sizes, width x height, are {named}: " if named else ""
