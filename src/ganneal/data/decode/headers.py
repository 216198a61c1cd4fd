"""What an image file says of itself before its pixels are decoded."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganneal.data.decode.decoding import quiet
from ganneal.data.decode.images import ALPHA_MODES, DEEP_MODES, Damaged, opened
from ganneal.data.decode.listing import Listing, PartReader

BEGINNING = 2**16
"""Bytes of a file that are read first: nearly every header is within them."""
GREY_MODES = frozenset({"1", "L", "LA", "La", *DEEP_MODES})
SEVERAL = ("GIF", "TIFF")
"""Formats in which only a whole file shows how many pictures it holds."""
STILL = "MPO"
"""Photographs with a preview, a depth or a brightness map behind them: these are no further pictures."""


class Header(NamedTuple):
    """An image file's own account of itself."""

    width: int
    """Pixels, upright."""
    height: int
    mode: str
    """Pillow's name of the kind of pixels."""
    grey: bool
    """Whether the mode, or every entry of the palette, is grey."""
    transparent: bool = False
    """Whether it has an alpha channel or a transparent colour."""
    deep: bool = False
    """Whether its levels are more than 8 bits, all of which are read."""
    cut: bool = False
    """Whether it has more than 8 bits for each colour, of which Pillow reads the upper 8."""
    several: bool = False
    """Whether other pictures come after the first."""

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return min(self.width, self.height)

    @property
    def lost(self) -> float:
        """Share of the area that the crop to the square in the middle cuts off."""
        longer = max(self.width, self.height)
        return (longer - self.side) / longer  # one rounding, so that 2 to 3 lose a third and not more


def read_headers(listing: Listing, names: Iterable[str]) -> Iterator[tuple[str, Header | Damaged]]:
    """The header of each image of ``names``, or why it cannot be read."""
    with listing.container.open() as read, quiet():
        for name in names:
            yield name, _header(read, name)


def _header(read: PartReader, name: str) -> Header | Damaged:
    try:
        with opened(lambda name: read(name, BEGINNING), name) as image:
            if image.format not in SEVERAL:
                return _of(image)
    except Damaged:  # its header may be longer
        pass
    try:
        with opened(read, name) as image:
            return _of(image)
    except Damaged as error:
        return error


def _of(image: Image.Image) -> Header:
    width, height = image.size
    exif = Image.Image.getexif(image)  # PNG's own decodes the image first, for a remark behind the pixels
    on_its_side = exif.get(0x0112, 1) in (5, 6, 7, 8)
    mode = image.mode
    return Header(
        *((height, width) if on_its_side else (width, height)),
        mode,
        grey=mode in GREY_MODES or (mode in ("P", "PA") and _grey_palette(image)),
        transparent=mode in ALPHA_MODES or "transparency" in image.info,
        deep=mode in DEEP_MODES,
        cut=mode not in DEEP_MODES and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ())),
        several=image.format != STILL and _several(image),
    )


def _several(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow looks for the next picture, whose damage does not concern the first
        return False


def _grey_palette(image: Image.Image) -> bool:
    palette = image.palette
    if palette is None:
        return False
    raw, levels = palette.rawmode or palette.mode, np.frombuffer(bytes(palette.palette), np.uint8)
    bands, _, order = raw.partition(";")
    if len(bands) < 3 or len(levels) % len(bands):
        return False
    table = levels.reshape(len(bands), -1).T if order == "L" else levels.reshape(-1, len(bands))
    return bool((table[:, :3] == table[:, :1]).all())
