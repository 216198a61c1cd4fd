"""What a set of images looks like, from a sample of its files' headers."""

from dataclasses import dataclass

from ganneal.data.decoding import quiet
from ganneal.data.images import GREY_MODES, Damaged, stored_format
from ganneal.data.listing import Encoded, Listing, settle
from ganneal.data.protocol import Source

MOST = 500
"""Headers that are read, evenly spread."""


@dataclass(frozen=True)
class Survey:
    """Figures about a set of images."""

    count: int
    sides: tuple[int, ...]
    """The shorter sides of the images that were looked at, sorted."""
    grey: bool
    """Whether all of them are grey."""
    num_classes: int

    @property
    def side(self) -> int:
        """The median shorter side."""
        return self.sides[len(self.sides) // 2]


def survey(source: Source) -> Survey:
    """Look at the images of ``source``, which are not decoded where they are files.

    Raises:
        ValueError: They are no images, or not one can be read.
    """
    if isinstance(source, Encoded):
        return _of_files(source.listing())
    data = source.load()
    if not data.is_images:
        raise ValueError(f"data must be images, got points of shape {data.shape}; name an experiment for points.")
    return Survey(len(data), (min(data.shape[1:]),), data.shape[0] == 1, data.num_classes)


def _of_files(listing: Listing) -> Survey:
    sides, modes, damaged = [], set(), dict(listing.damaged)
    with listing.container.open() as read, quiet():
        for name in listing.names[:: max(1, -(-len(listing.names) // MOST))]:
            try:
                width, height, mode = stored_format(read, name)
            except Damaged as error:
                damaged[name] = str(error)
                continue
            sides.append(min(width, height))
            modes.add(mode)
    if not sides:
        settle(damaged, len(damaged), listing.place, "fail")
    return Survey(len(listing.names), tuple(sorted(sides)), modes <= GREY_MODES, listing.num_classes)
