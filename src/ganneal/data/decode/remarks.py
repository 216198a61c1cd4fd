"""Remarks on a set of images: what is read otherwise than it lies there, each on one line with counts."""

from collections.abc import Callable

from ganneal.data.decode.headers import Header
from ganneal.data.decode.images import Format, shown
from ganneal.data.decode.kinds import by_ending
from ganneal.data.decode.listing import Listing
from ganneal.data.tools.survey import Survey
from ganneal.data.ways import way

MOST_LOST = 1 / 3
"""Share of an image's area that the crop may cut off without a word."""


def left_out_remarks(listing: Listing) -> list[str]:
    """How many files of ``listing``'s place are passed over, by ending; none where all are images."""
    count = sum(listing.left_out.values())
    if not count:
        return []
    files = "1 file is no image" if count == 1 else f"{count:,} files are no images"
    verb = "is" if count == 1 else "are"
    place = shown(str(listing.place))
    return [f"{files} that can be read and {verb} passed over in {place}: {by_ending(listing.left_out)}."]


def remarks(found: Survey, format: Format, *, open_size: bool) -> list[str]:
    """What reading the set ``found`` in ``format`` changes, a sentence each.

    Args:
        open_size: Whether the size was not given, so that resampling a whole set is a choice to be told.
    """
    every = [_colours(found, format), _sizes(found, format, open_size), _crop(found, format), *_kinds(found)]
    return [text for text in every if text is not None]


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
    made, other, kind = ("in colours", 1, "grey") if format.channels == 3 else ("as grey", 3, "coloured")
    have = "has" if coloured == 1 else "have"
    return (
        f"of {_of(found)} {grey:,} {_are(grey)} grey and {coloured:,} {have} colours: all are read {made}"
        f"{_hint(way('channels', other), f'makes all {kind}')}."
    )


def _sampled_grey(found: Survey, format: Format) -> str | None:
    if not found.partial or not found.grey or format.channels == 3:
        return None
    return f"all of {_of(found)} are grey: all are read as grey{_hint(way('channels', 3), 'reads them in colours')}."


def _sizes(found: Survey, format: Format, open_size: bool) -> str | None:
    sizes, size = found.sizes, format.size
    if len(sizes) == 1:
        ((width, height),) = sizes
        if not open_size or (width, height) == (size, size):
            return None
        return f"images of {width} x {height} px are made {size} x {size} px{_other_size()}."
    low, high = found.sides[0], found.sides[-1]
    sides = (
        f"a shorter side of {low} px" if low == high else f"shorter sides of {low} to {high} px, median {found.side}"
    )
    small = sum(side < size for side in found.sides)
    enlarged = f"; {small:,} {_are(small)} smaller and {_are(small)} enlarged" if small else ""
    return (
        f"{_of(found)} have {len(sizes):,} sizes and {sides}: all are made {size} x {size} px{enlarged}{_other_size()}."
    )


def _other_size() -> str:
    return _hint(way("size"), "takes another size")


def _crop(found: Survey, format: Format) -> str | None:
    count = _count(found, lambda header: header.lost > MOST_LOST)
    if format.fit != "crop" or not count:
        return None
    most = max(header.lost for header in found.headers)
    return (
        f"the crop to a square cuts off more than a third of {count:,} of {_of(found)}, {100 * most:.0f} % at most"
        f"{_hint(way('fit', 'pad'), 'keeps whole images')}."
    )


def _kinds(found: Survey) -> list[str | None]:
    """Remarks on what a file holds that an image of training has not."""
    return [
        _said(found, lambda header: header.transparent, "have transparency and are laid on white"),
        _said(found, lambda header: header.several, "hold several pictures, of which the first is read"),
    ]


def _said(found: Survey, holds: Callable[[Header], bool], what: str) -> str | None:
    count = _count(found, holds)
    return f"{count:,} of {_of(found)} {what}." if count else None


def _count(found: Survey, holds: Callable[[Header], bool]) -> int:
    return sum(n for header, n in found.headers.items() if holds(header))


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
