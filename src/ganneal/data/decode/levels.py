"""The levels of images of more than 8 bits, from the pixels of some: no header says which of them are used."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ganneal.data.decode.decoding import quiet
from ganneal.data.decode.images import MOST_LEVELS, Damaged, Levels, eight_bits, opened
from ganneal.data.decode.listing import Encoded, Listing
from ganneal.data.tools.survey import Survey
from ganneal.data.ways import way

SAMPLE = 32
"""Images whose pixels are looked at, evenly spread."""
FEWEST_GREYS = 128
"""Of 256 levels, as few are worth a remark."""


@dataclass(frozen=True)
class Range:
    """The levels of some images."""

    low: float
    high: float
    count: int
    """Images that were looked at."""
    floats: bool

    @property
    def fits(self) -> bool:
        """Whether 16 bits hold the levels."""
        return not self.floats and self.low >= 0 and self.high <= MOST_LEVELS

    def greys(self, levels: Levels | None) -> int:
        """How many of 256 levels are left where ``levels`` become 0 and 255, or the upper 8 of 16 bits are taken."""
        ends = np.array([self.low, self.high])
        low, high = eight_bits(ends.astype(int) if levels is None else ends, levels).astype(int).tolist()
        return high - low + 1


def found_range(listing: Listing, names: Sequence[str]) -> Range | None:
    """The range of the levels of an evenly spread sample of ``names``; None where not one can be read."""
    ranges = []
    with listing.container.open() as read, quiet():
        for name in names[:: max(1, -(-len(names) // SAMPLE))]:
            try:
                with opened(read, name) as image:
                    values = np.asarray(image)
                    finite = values[np.isfinite(values)]
                    ranges.append((finite.min(), finite.max(), values.dtype.kind == "f"))
            except (Damaged, ValueError):  # decoding all of them says what is wrong
                continue
    if not ranges:
        return None
    lows, highs, floats = zip(*ranges, strict=True)
    return Range(float(min(lows)), float(max(highs)), len(ranges), any(floats))


def suggested(found: Range) -> tuple[float, float]:
    """Levels to give: all that as many bits hold, where the images use most of them, else the range found.

    >>> suggested(Range(3, 3_800, 9, False)), suggested(Range(30_000, 34_000, 9, False))
    ((0, 4095), (30000, 34000))
    """
    if found.floats:
        return found.low, found.high
    low, high = int(found.low), int(found.high)
    most = 2 ** max(high, 1).bit_length() - 1
    return (0, most) if low >= 0 and high - low >= most // 2 else (low, high)


def level_remarks(found: Survey, source: Encoded, listing: Listing) -> list[str]:
    """What the images of more than 8 bits lose, a sentence each.

    Raises:
        ValueError: Their range has to be given, and damaged images are not to be passed over, or all would be.
    """
    said = []
    if found.deep and (levels := found_range(listing, found.deep)) is not None:
        said += _of_deep(levels, len(found.deep), found, source)
    elif source.levels is not None:
        said.append(f"levels are of images of more than 8 bits, and none of {found.looked_at:,} images has more.")
    if found.cut and (levels := found_range(listing, found.cut)) is not None:
        dark = f", at most {levels.high:g} of 255 in {levels.count:,} of them" if levels.high < FEWEST_GREYS else ""
        said.append(
            f"{len(found.cut):,} of {found.looked_at:,} images have colours of more than 8 bits, of which the upper 8 "
            f"are read{dark}; scale them to 8 bits with another program where that is too few."
        )
    return said


def _of_deep(levels: Range, count: int, found: Survey, source: Encoded) -> list[str]:
    images = f"{count:,} of {found.looked_at:,} images have more than 8 bits, with levels from {levels.low:g} to "
    images += f"{levels.high:g} in {levels.count:,} of them"
    option = way("levels", *suggested(levels))
    if source.levels is None and not levels.fits:
        if source.on_damaged == "fail" or count == found.looked_at:
            give = "the levels that become black and white" if option is None else option
            raise ValueError(f"{images}, which 16 bits do not hold; give {give}.")
        without = "" if option is None else f" without {option}"
        return [f"{images}, which 16 bits do not hold: they are passed over{without}."]
    low, high = source.levels or (0, MOST_LEVELS)
    if levels.low < low or levels.high > high:
        return [f"{images}: those beyond {low:g} to {high:g} are clipped."]
    if (greys := levels.greys(source.levels)) >= FEWEST_GREYS:
        return []
    spread = "" if option is None else f"; {option} spreads them over all 256"
    return [f"{images}, of {low:g} to {high:g}: {greys} of 256 grey levels are left{spread}."]
