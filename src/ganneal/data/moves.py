"""Label-preserving changes of real images: mirrored left and right, top and bottom, shifted by whole pixels.

The players never see the images otherwise, so the generator learns the changed ones: whatever is done here shows in its
samples. `ganneal.augment` changes what enters the discriminator, reals and fakes alike, and does not.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Int16, UInt8
from torch import Tensor

UPSIDE_DOWN, SHIFTED = 1, 2
"""Each change has a stream of random numbers of its own, so that none moves another, nor the order of the images."""


class DrawnMoves(NamedTuple):
    """The random changes of each of ``n`` images."""

    mirrored: Bool[Tensor, " n"]
    upside_down: Bool[Tensor, " n"]
    shift: Int16[Tensor, "n 2"]
    """Pixels down and to the right."""

    def at(self, part: slice) -> "DrawnMoves":
        """The changes of the images ``part`` of these."""
        return DrawnMoves(*(values[part] for values in self))


@dataclass(frozen=True)
class Moves:
    """Which changes are made, each with its own chance for every image in every pass."""

    flip: bool = False
    """Mirror left and right with probability 1/2."""
    flip_vertical: bool = False
    """Mirror top and bottom with probability 1/2."""
    translate: int = 0
    """Shift by up to so many pixels each way, uniformly; what comes in is the image's reflection."""

    def __post_init__(self) -> None:
        if self.translate < 0:
            raise ValueError(f"translate must be at least 0 pixels, got {self.translate}; 0 shifts nothing.")

    def check(self, shape: tuple[int, ...], is_images: bool) -> None:
        """Refuse samples of ``shape`` that cannot be changed so."""
        if self != Moves() and not is_images:
            raise ValueError(
                f"flip must be False for points, flip_vertical too, and translate 0, got {self}; only images are moved."
            )
        if self.translate and self.translate >= min(shape[1:]):
            raise ValueError(
                f"translate must be below the side of the images, {min(shape[1:])} pixels, got {self.translate}; a "
                f"reflection holds no more."
            )

    def draw(self, count: int, seed: int, epoch: int, after: np.random.Generator) -> DrawnMoves:
        """Draw the changes of the images of pass ``epoch``, by position; ``after`` has drawn their order."""
        # Both names share one array of False, which nothing writes into.
        mirrored = upside_down = np.zeros(count, dtype=bool)
        shift, most = np.zeros((count, 2), dtype=np.int16), self.translate
        if self.flip:
            # From the stream that drew the order; the other moves have streams of their own, so that switching one on
            # leaves order and flips as they are.
            mirrored = after.random(count) < 0.5
        if self.flip_vertical:
            upside_down = _stream(seed, epoch, UPSIDE_DOWN).random(count) < 0.5
        if most:
            # Both ends included: 2 translate + 1 places each way. int16 keeps the moves of a pass at four bytes an
            # image.
            shift = _stream(seed, epoch, SHIFTED).integers(-most, most, (count, 2), dtype=np.int16, endpoint=True)
        return DrawnMoves(*map(torch.from_numpy, (mirrored, upside_down, shift)))

    def apply(self, rows: Tensor, drawn: DrawnMoves) -> Tensor:
        """The images uint8 ``[n, C, H, W]`` changed, as bytes, which is the quickest; points as they are."""
        # Flips before the shift, so that down and right are those of the image that is shown.
        if self.flip:
            rows = _exchanged(rows, rows.flip(-1), drawn.mirrored)
        if self.flip_vertical:
            rows = _exchanged(rows, rows.flip(-2), drawn.upside_down)
        return _shifted(rows, drawn.shift) if self.translate else rows


def _stream(seed: int, epoch: int, change: int) -> np.random.Generator:
    # A child of the seed for each pass and change: independent of the others, and of the order in which they are asked
    # for.
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, change)))


def _exchanged(
    rows: UInt8[Tensor, "n C H W"], others: UInt8[Tensor, "n C H W"], chosen: Bool[Tensor, " n"]
) -> UInt8[Tensor, "n C H W"]:
    """``others`` where ``chosen``: `torch.where` by bits, which takes a CPU a quarter of its time with bytes."""
    # 255 or 0 for each image, [n, 1, 1, 1]: all bits of its bytes, or none.
    bits = chosen.to(torch.uint8).mul_(255)[:, None, None, None]
    # rows ^ ((others ^ rows) & bits), written into ``others``, the copy that flip() has just made.
    return others.bitwise_xor_(rows).bitwise_and_(bits).bitwise_xor_(rows)


def _shifted(rows: UInt8[Tensor, "n C H W"], shift: Int16[Tensor, "n 2"]) -> UInt8[Tensor, "n C H W"]:
    """Pixel (y, x) comes from (y - down, x - right), reflected at the edges."""
    down, right = shift.long().unbind(1)
    y, x = (_from(size, by) for size, by in ((rows.shape[2], down), (rows.shape[3], right)))
    n, channels = (torch.arange(size, device=rows.device) for size in rows.shape[:2])
    # One gather for all images, each with its own shift.
    # [n, 1, 1, 1], [C, 1, 1], [n, 1, H, 1] and [n, 1, 1, W] are broadcast to [n, C, H, W].
    return rows[n[:, None, None, None], channels[:, None, None], y[:, None, :, None], x[:, None, None, :]]


def _from(size: int, by: Tensor) -> Tensor:
    """Source position of each of ``size`` pixels after a move ``by`` pixels: ``[n, size]``."""
    places = (torch.arange(size, device=by.device) - by[:, None]).abs()
    # Reflected twice: a place below 0 becomes its absolute value, one beyond the edge is folded back, edge pixels not
    # repeated.
    return size - 1 - (size - 1 - places).abs()
