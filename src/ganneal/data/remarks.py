"""Remarks on a set of images: what is read otherwise than it lies there, each on one line with counts."""

import warnings

from ganneal.data.images import shown
from ganneal.data.kinds import by_ending
from ganneal.data.listing import Listing


class Remark(UserWarning):
    """Something about a set of images that a person should know, and that is no error."""


def remark(text: str, *, stacklevel: int = 1) -> None:
    """Say ``text`` as a warning; the command line prints it."""
    warnings.warn(text, Remark, stacklevel=stacklevel + 1)


def left_out_remark(listing: Listing) -> str:
    """How many files of ``listing``'s place are passed over, by ending."""
    count = sum(listing.left_out.values())
    files = (
        "1 file is no image that can be read and is"
        if count == 1
        else f"{count:,} files are no images that can be read and are"
    )
    return f"{files} passed over in {shown(str(listing.place))}: {by_ending(listing.left_out)}."
