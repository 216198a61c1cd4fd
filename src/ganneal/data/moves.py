"""Label-preserving changes of real images: mirrored left and right, top and bottom, shifted by whole pixels.

The players never see the images otherwise, so the generator learns the changed ones: whatever is done here shows in its
samples. `ganneal.augment` changes what enters the discriminator, reals and fakes alike, and does not.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

UPSIDE_DOWN, SHIFTED = 1, 2
"""Each change has a stream of random numbers of its own, so that none moves another, nor the order of the images."""


class Drawn(NamedTuple):
    """What is done to each of ``n`` images."""

    mirrored: np.ndarray
    """bool ``[n]``."""
    upside_down: np.ndarray
    """bool ``[n]``."""
    shift: np.ndarray
    """int16 ``[n, 2]``, pixels down and to the right."""

    def at(self, part: slice) -> "Drawn":
        """Of the images ``part`` of these."""
        return Drawn(*(values[part] for values in self))


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

    def draw(self, count: int, seed: int, epoch: int, after: np.random.Generator) -> Drawn:
        """What is done to the images of pass ``epoch``, place by place; ``after`` has drawn their order."""

        def stream(change: int) -> np.random.Generator:
            return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch, change)))

        never, most = np.zeros(count, dtype=bool), self.translate
        shift = np.zeros((count, 2), dtype=np.int16)
        if most:
            shift = stream(SHIFTED).integers(-most, most, (count, 2), dtype=np.int16, endpoint=True)
        return Drawn(
            after.random(count) < 0.5 if self.flip else never,
            stream(UPSIDE_DOWN).random(count) < 0.5 if self.flip_vertical else never,
            shift,
        )

    def apply(self, rows: np.ndarray, drawn: Drawn) -> np.ndarray:
        """The images uint8 ``[n, C, H, W]`` changed, in place where they can be; as bytes, which is the quickest."""
        if self.flip:
            rows[drawn.mirrored] = rows[drawn.mirrored][..., ::-1]
        if self.flip_vertical:
            rows[drawn.upside_down] = rows[drawn.upside_down][..., ::-1, :]
        return _shifted(rows, drawn.shift, self.translate) if self.translate else rows


def _shifted(rows: np.ndarray, shift: np.ndarray, most: int) -> np.ndarray:
    height, width = rows.shape[2:]
    wide = np.pad(rows, ((0, 0), (0, 0), (most, most), (most, most)), "reflect")
    moved = np.empty_like(rows)
    for target, image, (down, right) in zip(moved, wide, shift.tolist(), strict=True):
        top, left = most - down, most - right
        target[...] = image[:, top : top + height, left : left + width]
    return moved
