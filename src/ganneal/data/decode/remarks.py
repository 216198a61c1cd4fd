"""Remarks on a set of images: what is read otherwise than it lies there, each on one line with counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ganneal.data.decode.decoding import quiet
from ganneal.data.decode.images import HIGHEST_LEVEL, Damaged, Format, Levels, Reading, eight_bits, open_image, shown
from ganneal.data.decode.kinds import by_ending
from ganneal.data.decode.listing import Listing
from ganneal.data.decode.survey import ImageHeader, Survey
from ganneal.data.messages import way

SAMPLE = 32
"""Images whose pixels are looked at for their levels, evenly spread: no header says which levels are used."""
FEWEST_GREYS = 128
"""Grey levels, out of 256, below which a remark is made."""
MOST_LOST = 1 / 3
"""Share of an image's area that the crop may cut off without a word."""


def left_out_remarks(listing: Listing) -> list[str]:
    """Remarks on the files that ``listing`` passes over, counted by ending; none where all are images."""
    count = sum(listing.left_out.values())
    if not count:
        return []
    files = "1 file is no image" if count == 1 else f"{count:,} files are no images"
    verb = "is" if count == 1 else "are"
    place = shown(str(listing.place))
    return [f"{files} that can be read and {verb} passed over in {place}: {by_ending(listing.left_out)}."]


def remarks(found: Survey, reading: Reading, listing: Listing) -> list[str]:
    """Remarks on what reading changes in the set ``found``, a sentence each.

    Raises:
        ValueError: The range of levels has to be given, and damaged images are not to be passed over, or all would be.
    """
    format = found.format(reading)
    every = [
        _colours(found, format),
        _sizes(found, format, reading.size is None),
        _crop(found, format),
        _said(found, lambda header: header.transparent, _laid_on_white(format)),
        _said(found, lambda header: header.several, "hold several pictures, of which the first is read"),
    ]
    return [*(text for text in every if text is not None), *_of_levels(found, reading, listing)]


def _hint(option: str | None, effect: str) -> str:
    return "" if option is None else f"; {option} {effect}"


def _of(found: Survey) -> str:
    """The images that the figures are of."""
    if found.partial:
        return f"{found.looked_at:,} images, an evenly spread sample of {found.count:,},"
    return f"{found.looked_at:,} images"


def _colours(found: Survey, format: Format) -> str | None:
    grey, coloured = found.num_grey, found.looked_at - found.num_grey
    if not grey or not coloured:
        return _sampled_grey(found, format)
    made, other, kind = ("in colours", 1, "grey") if format.channels > 1 else ("as grey", 3, "coloured")
    have = "has" if coloured == 1 else "have"
    return (
        f"of {_of(found)} {grey:,} {_are(grey)} grey and {coloured:,} {have} colours: all are read {made}"
        f"{_hint(way('channels', other), f'makes all {kind}')}."
    )


def _sampled_grey(found: Survey, format: Format) -> str | None:
    if not found.partial or not found.grey or format.channels > 1:
        return None
    return f"all of {_of(found)} are grey: all are read as grey{_hint(way('channels', 3), 'reads them in colours')}."


def _sizes(found: Survey, format: Format, open_size: bool) -> str | None:
    sizes, (_, to_height, to_width) = found.sizes, format.shape
    if len(sizes) == 1:
        ((width, height),) = sizes
        # A size that somebody has asked for takes no remark.
        if not open_size or (width, height) == (to_width, to_height):
            return None
        return f"images of {width} x {height} px are made {to_width} x {to_height} px{_other_size()}."
    low, high = found.sides[0], found.sides[-1]
    sides = (
        f"a shorter side of {low} px" if low == high else f"shorter sides of {low} to {high} px, median {found.side}"
    )
    small = _count(found, lambda header: header.width < to_width or header.height < to_height)
    enlarged = f"; {small:,} {_are(small)} smaller and {_are(small)} enlarged" if small else ""
    return (
        f"{_of(found)} have {len(sizes):,} sizes and {sides}: all are made {to_width} x {to_height} px{enlarged}"
        f"{_other_size()}."
    )


def _other_size() -> str:
    return _hint(way("size"), "takes another size")


def _crop(found: Survey, format: Format) -> str | None:
    _, height, width = format.shape
    # A camera's 3 to 2 loses exactly a third to a square, the limit: the usual photograph takes no remark.
    count = _count(found, lambda header: header.lost_to(width, height) > MOST_LOST)
    if format.fit != "crop" or not count:
        return None
    most = max(header.lost_to(width, height) for header in found.headers)
    shape = "a square" if height == width else f"{width} x {height} px"
    return (
        f"the crop to {shape} cuts off more than a third of {count:,} of {_of(found)}, {100 * most:.0f} % at most"
        f"{_hint(way('fit', 'pad'), 'keeps whole images')}."
    )


def _laid_on_white(format: Format) -> str:
    if format.channels == 4:
        return "have transparency, which is kept"
    return f"have transparency and are laid on white{_hint(way('channels', 4), 'keeps it')}"


def _said(found: Survey, holds: Callable[[ImageHeader], bool], what: str) -> str | None:
    count = _count(found, holds)
    return f"{count:,} of {_of(found)} {what}." if count else None


def _count(found: Survey, holds: Callable[[ImageHeader], bool]) -> int:
    return sum(n for header, n in found.headers.items() if holds(header))


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


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
        """True if 16 bits hold the levels."""
        return not self.floats and self.low >= 0 and self.high <= HIGHEST_LEVEL

    def greys(self, levels: Levels | None) -> int:
        """Number of 8-bit levels left when ``levels`` become 0 and 255, or the upper 8 of 16 bits are taken."""
        ends = np.array([self.low, self.high])
        low, high = eight_bits(ends.astype(int) if levels is None else ends, levels).astype(int).tolist()
        # Levels in between may be missing; the count is the most that can be left.
        return high - low + 1


def found_range(listing: Listing, names: Sequence[str]) -> Range | None:
    """The range of the levels of an evenly spread sample of ``names``; None where not one can be read."""
    ranges = []
    with listing.container.open() as read, quiet():
        for name in names[:: max(1, -(-len(names) // SAMPLE))]:
            try:
                with open_image(read, name) as image:
                    values = np.asarray(image)
                    # Scientific images often mark missing pixels by NaN or infinity.
                    finite = values[np.isfinite(values)]
                    ranges.append((finite.min(), finite.max(), values.dtype.kind == "f"))
            # The smallest of no finite levels at all is a ValueError too.
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
    # The highest level of as many bits: cameras of 10, 12 or 14 bits write into 16.
    most = 2 ** max(high, 1).bit_length() - 1
    # A narrow band, such as one range of temperatures, would become a few greys of all that the bits hold.
    return (0, most) if low >= 0 and high - low >= most // 2 else (low, high)


def _of_levels(found: Survey, reading: Reading, listing: Listing) -> list[str]:
    """Remarks on the levels that images of more than 8 bits lose."""
    said = []
    if found.deep and (levels := found_range(listing, found.deep)) is not None:
        said += _of_deep(levels, len(found.deep), found, reading)
    elif reading.levels is not None:
        said.append(f"levels are of images of more than 8 bits, and none of {found.looked_at:,} images has more.")
    if found.cut and (levels := found_range(listing, found.cut)) is not None:
        dark = f", at most {levels.high:g} of 255 in {levels.count:,} of them" if levels.high < FEWEST_GREYS else ""
        said.append(
            f"{len(found.cut):,} of {found.looked_at:,} images have colours of more than 8 bits, of which the upper 8 "
            f"are read{dark}; scale them to 8 bits with another program where that is too few."
        )
    return said


def _of_deep(levels: Range, count: int, found: Survey, reading: Reading) -> list[str]:
    images = f"{count:,} of {found.looked_at:,} images have more than 8 bits, with levels from {levels.low:g} to "
    images += f"{levels.high:g} in {levels.count:,} of them"
    option = way("levels", *suggested(levels))
    if reading.levels is None and not levels.fits:
        # Where all images are deep, passing over them would leave none.
        if reading.on_damaged == "fail" or count == found.looked_at:
            give = "the levels that become black and white" if option is None else option
            raise ValueError(f"{images}, which 16 bits do not hold; give {give}.")
        without = "" if option is None else f" without {option}"
        return [f"{images}, which 16 bits do not hold: they are passed over{without}."]
    low, high = reading.levels or (0, HIGHEST_LEVEL)
    if levels.low < low or levels.high > high:
        return [f"{images}: those beyond {low:g} to {high:g} are clipped."]
    if (greys := levels.greys(reading.levels)) >= FEWEST_GREYS:
        return []
    spread = "" if option is None else f"; {option} spreads them over all 256"
    return [f"{images}, of {low:g} to {high:g}: {greys} of 256 grey levels are left{spread}."]
