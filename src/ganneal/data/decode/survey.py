"""Survey of a set of images by the headers of its files. No order and no single image decides.

Headers come first because a size and a number of channels for the whole set must be known before the first image is
decoded, and reading all pixels twice would take as long as an epoch.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from ganneal.data.decode.decoding import quiet
from ganneal.data.decode.images import ALPHA_MODES, DEEP_MODES, Damaged, Format, Reading, open_image
from ganneal.data.decode.listing import Listing, PartReader

BEGINNING = 2**16
"""Bytes of a file that are read first: nearly every header is within them."""
GREY_MODES = frozenset({"1", "L", "LA", "La", *DEEP_MODES})
SEVERAL = ("GIF", "TIFF")
"""Formats in which only a whole file shows how many pictures it holds."""
STILL = "MPO"
"""Photographs with a preview, a depth or a brightness map behind them: these are no further pictures."""


class ImageHeader(NamedTuple):
    """An image file's own account of itself."""

    width: int
    """Pixels, upright."""
    height: int
    mode: str
    """Pillow's name of the kind of pixels."""
    grey: bool
    """True if the mode, or every entry of the palette, is grey."""
    transparent: bool = False
    """True if it has an alpha channel or a transparent colour."""
    deep: bool = False
    """True if it has levels of more than 8 bits, all of which are read."""
    cut: bool = False
    """True if it has more than 8 bits for each colour, of which Pillow reads the upper 8."""
    several: bool = False
    """True if other pictures come after the first."""

    @property
    def side(self) -> int:
        """The shorter side in pixels."""
        return min(self.width, self.height)

    def lost_to(self, width: int, height: int) -> float:
        """Share of the area that the crop in the middle to the shape of ``width`` x ``height`` cuts off."""
        less, more = sorted((self.width * height, self.height * width))
        return (more - less) / more  # one rounding, so that 2 to 3 lose a third of a square and not more


def _header(read: PartReader, name: str) -> ImageHeader | Damaged:
    damaged = Damaged()
    # The beginning first: a million whole files would be read from the disk for a few hundred bytes of each.
    for most in (BEGINNING, -1):
        try:
            with open_image(lambda name, most=most: read(name, most), name) as image:
                if most < 0 or image.format not in SEVERAL:
                    return _of(image)
        except Damaged as error:  # of the beginning: the header may be longer
            damaged = error
    return damaged


def _of(image: Image.Image) -> ImageHeader:
    width, height = image.size
    exif = Image.Image.getexif(image)  # PNG's own decodes the image first, for a remark behind the pixels
    # 0x0112 is EXIF's orientation; 5 to 8 are the quarter turns, with which width and height change places.
    on_its_side = exif.get(0x0112, 1) in (5, 6, 7, 8)
    mode = image.mode
    return ImageHeader(
        *((height, width) if on_its_side else (width, height)),
        mode,
        grey=mode in GREY_MODES or (mode in ("P", "PA") and _grey_palette(image)),
        transparent=mode in ALPHA_MODES or "transparency" in image.info,
        deep=mode in DEEP_MODES,
        # The arguments of Pillow's decoder: RGB;16B and its like are 16 bits, of which it reads the upper byte.
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
    # A palette image is grey where each entry of its palette is. Entries are stored one after another, as RGB or RGBX,
    # or band after band where the raw mode ends in ";L".
    raw, levels = palette.rawmode or palette.mode, np.frombuffer(bytes(palette.palette), np.uint8)
    bands, _, order = raw.partition(";")
    if len(bands) < 3 or len(levels) % len(bands):
        return False
    table = levels.reshape(len(bands), -1).T if order == "L" else levels.reshape(-1, len(bands))
    return bool((table[:, :3] == table[:, :1]).all())


MOST_HEADERS, FEWER_HEADERS = 10_000, 1_000
"""Headers that are read, evenly spread, where not all are asked for; fewer where each is read with its neighbours."""


def usual_size(side: int) -> int:
    """The largest side that networks are built for and images of that ``side`` fill: 2^n, or 14, 28, 56, 112, 224.

    >>> [usual_size(side) for side in (1, 27, 28, 30, 63, 100, 230, 1_000)]
    [1, 16, 28, 28, 56, 64, 224, 512]
    """
    sevens = [7 * 2**n for n in range(1, 6)]
    # The size that networks are built for and that enlarges no median image.
    return max(2 ** (side.bit_length() - 1), *(size for size in (0, *sevens) if size <= side))


@dataclass(frozen=True)
class Survey:
    """Figures about a set of images."""

    count: int
    """Images in the set."""
    headers: Mapping[ImageHeader, int]
    """Number of surveyed images with each header."""
    num_classes: int = 0
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Why images that were looked at cannot be read, by their names."""
    deep: tuple[str, ...] = ()
    """Names of the images of more than 8 bits that were looked at."""
    cut: tuple[str, ...] = ()
    """Names of those of them of which the upper 8 bits alone can be read."""

    @property
    def looked_at(self) -> int:
        """Images whose headers were read."""
        return sum(self.headers.values())

    @property
    def partial(self) -> bool:
        """True if the figures are those of a sample of the set."""
        return self.looked_at + len(self.damaged) < self.count

    @property
    def sides(self) -> tuple[int, ...]:
        """The shorter sides of the images that were looked at, sorted."""
        return tuple(sorted(side for header, n in self.headers.items() for side in [header.side] * n))

    @property
    def side(self) -> int:
        """The median shorter side."""
        # The upper of the two in the middle where their number is even.
        return self.sides[self.looked_at // 2]

    @property
    def num_grey(self) -> int:
        """Images that were looked at and are grey."""
        return sum(n for header, n in self.headers.items() if header.grey)

    @property
    def grey(self) -> bool:
        """True if all images are grey. A single image in colour makes the set coloured."""
        return self.num_grey == self.looked_at

    @property
    def channels(self) -> int:
        """Channels to read the set in: 1 where all are grey, else 3."""
        return 1 if self.grey else 3

    @property
    def size(self) -> int:
        """Side to read the set in where no network says another: the `usual_size` for the median image."""
        return usual_size(self.side)

    def format(self, reading: Reading) -> Format:
        """The format for the set: by ``reading``, and by the whole set where ``reading`` leaves it open."""
        return Format(reading.size or self.size, reading.channels or self.channels, reading.fit, reading.levels)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """Number of images of each width and height."""
        found: Counter[tuple[int, int]] = Counter()
        for header, n in self.headers.items():
            found[header.width, header.height] += n
        return found


def survey_files(listing: Listing, most: int | None = None) -> Survey:
    """The survey of the files of ``listing``, of which not one may be readable."""
    headers: Counter[ImageHeader] = Counter()
    damaged: dict[str, str] = {}
    deep, cut = [], []
    # Where neighbours come along, as a group of parquet rows does, each header may cost a hundred images.
    most = most or (MOST_HEADERS if listing.container.single else FEWER_HEADERS)
    # Evenly spread: names are sorted, often by class, so the first ones would be of one class.
    names = listing.names[:: max(1, -(-len(listing.names) // most))]
    with listing.container.open() as read, quiet():
        for name in names:
            if isinstance(found := _header(read, name), Damaged):
                damaged[name] = str(found)
                continue
            headers[found] += 1
            if found.deep:
                deep.append(name)
            if found.cut:
                cut.append(name)
    return Survey(len(listing.names), headers, listing.classes.num_classes, damaged, tuple(deep), tuple(cut))
