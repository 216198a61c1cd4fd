"""One image file to pixels of a given format; whatever is wrong with a file becomes a `Damaged` that names it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from ganneal.data.decode.kinds import ending, formats
from ganneal.registry import check_choices
from ganneal.storage.pictures import single_image

DEEP_MODES = frozenset({"I;16", "I;16B", "I;16L", "I;16N", "I", "F"})
"""Pillow's modes of more than 8 bits."""
HIGHEST_LEVEL = 65_535
"""The highest level of 16 bits."""
ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
LONGEST_QUOTED_NAME = 120
UNQUESTIONED = 2**24
"""Pixels an image may claim whatever its file's length is."""
MOST_PER_BYTE = 2**14
"""Pixels that one byte of a larger image's file may stand for; PNG of black and white reaches half."""

Fit = Literal["crop", "pad", "stretch"]
OnDamaged = Literal["fail", "skip"]
Levels = tuple[float, float]
"""The lowest and the highest level, which become 0 and 255."""
Reader = Callable[[str], bytes]
"""The bytes of an image by its name in the folder or archive."""


class Damaged(ValueError):
    """An image that cannot be used; the message is the reason alone, without its name."""


ImageSize = int | str
"""A side in pixels, or WIDTHxHEIGHT as in "128x96"."""
CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's mode for each number of channels."""


def height_and_width(size: ImageSize) -> tuple[int, int]:
    """Height and width in pixels.

    Raises:
        ValueError: ``size`` is no number of pixels and no two of them.
    """
    # Six digits are more than any picture has on a side.
    written = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", str(size).lower())
    # A single number is both sides.
    width, height = (int(side or written[1]) for side in written.groups()) if written is not None else (0, 0)
    if not (width and height):
        raise ValueError(
            f"size must be a side of at least 1 pixel, or WIDTHxHEIGHT as 128x96, got {size}; leave it out to follow "
            f"the median image."
        )
    return height, width


def image_size(height: int, width: int) -> ImageSize:
    """The size of that height and width: of a square its side."""
    return height if height == width else f"{width}x{height}"


@dataclass(frozen=True)
class Format:
    """The common format of all images of a set."""

    size: ImageSize
    """Side in pixels, or WIDTHxHEIGHT."""
    channels: int
    """1 for grey, 3 for RGB, 4 for RGBA."""
    fit: Fit = "crop"
    """Other shapes are cropped in the middle, padded with black, or stretched; then resampled (Lanczos)."""
    levels: Levels | None = None
    """The levels of images of more than 8 bits that become 0 and 255; None takes the upper 8 of 16 bits."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image, channels first."""
        return self.channels, *height_and_width(self.size)


def check_levels(levels: Levels | None) -> None:
    """Refuse a range of levels that is none."""
    # One chain, which NaN fails as well as infinite or exchanged levels.
    if levels is not None and not -np.inf < levels[0] < levels[1] < np.inf:
        raise ValueError(f"levels must be two numbers, the lower one first, got {levels[0]:g} and {levels[1]:g}.")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Settings that turn encoded images into pixels, shared by all sources of image files."""

    size: ImageSize | None = None
    """Side in pixels, or WIDTHxHEIGHT as 128x96; None is a square that follows the median image."""
    channels: int | None = None
    """1 for grey, 3 for RGB, 4 for RGBA with the transparency; None is 1 where all images are grey, else 3."""
    fit: Fit = "crop"
    """Other shapes are cropped in the middle, padded with black, or stretched; all are resampled (Lanczos)."""
    on_damaged: OnDamaged = "fail"
    """Stop at images that cannot be read, or skip them. Both name them."""
    levels: Levels | None = None
    """Levels of images of more than 8 bits that become 0 and 255. None takes the upper 8 of 16 bits."""

    def __post_init__(self) -> None:
        if self.size is not None:
            height_and_width(self.size)
        if self.channels is not None and self.channels not in CHANNELS:
            raise ValueError(f"channels must be 1 (grey), 3 (RGB) or 4 (RGBA), got {self.channels}.")
        check_levels(self.levels)
        check_choices(self)


def shown(name: str) -> str:
    """A file name for a message, on one line: what is no UTF-8 or not printable as escapes, the middle left out.

    >>> shown("caf\\udce9.png")
    'caf\\\\xe9.png'
    """
    # File names are bytes on Linux; Python hides the bytes that are no UTF-8 in surrogates, which no terminal can
    # print.
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    readable = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    if len(readable) <= LONGEST_QUOTED_NAME:
        return readable
    half = LONGEST_QUOTED_NAME // 2
    return f"{readable[:half]}...{readable[-half:]}"


@contextmanager
def open_image(read: Reader, name: str) -> Iterator[Image.Image]:
    """The image ``name``; whatever goes wrong with it becomes a `Damaged`."""
    try:
        content = read(name)
        if not content:
            raise Damaged("the file is empty (0 bytes)")
        # Without a list of formats Pillow would try every one it knows, EPS among them, which starts Ghostscript.
        with Image.open(BytesIO(content), formats=formats(ending(name))) as image:
            width, height = image.size
            # Against decompression bombs: a few bytes may claim a picture that fills the memory when it is decoded. The
            # claim is in the header, so it is compared with the length of the file before any pixel is made.
            if width * height > max(UNQUESTIONED, MOST_PER_BYTE * len(content)):
                raise Damaged(f"it claims {width} x {height} pixels in {len(content):,} bytes")
            yield image
    except Damaged:
        raise
    except UnidentifiedImageError as error:
        # Pillow's own message names the buffer in memory by its address.
        raise Damaged("it is empty or no image") from error
    except Exception as error:  # damaged files make Pillow and zipfile raise almost any type
        # Pillow's OSErrors are sentences; the text of a KeyError is the bare key, which needs its type beside it.
        raise Damaged(f"{error}" if isinstance(error, OSError) else f"{type(error).__name__}: {error}") from error


def eight_bits(values: np.ndarray, levels: Levels | None) -> np.ndarray:
    """``values`` as uint8: ``levels`` become 0 and 255, values beyond them too; None takes the upper 8 of 16 bits.

    Raises:
        Damaged: No range is given and the values are not within 16 bits, or some are no numbers.
    """
    if levels is not None:
        low, high = levels
        # In float64: float32 has no room for all levels of 32-bit integers.
        share = (values.astype(np.float64) - low) / (high - low)
        if not np.isfinite(share).all():
            raise Damaged("some of its levels are NaN or infinite")
        return (255 * share.clip(0, 1)).round().astype(np.uint8)
    # Nothing says whether floats are in [0, 1], in [0, 255] or metres.
    if values.dtype.kind == "f":
        raise Damaged("its levels are floating-point numbers, and no range of levels is given")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > HIGHEST_LEVEL:
        raise Damaged(f"its levels are {low:,} to {high:,}, which 16 bits do not hold, and no range of levels is given")
    # A shift, not a division by 257: Pillow reads 16-bit colours by their upper byte, and grey is to agree with it.
    return (values.astype(np.int64) >> 8).astype(np.uint8)


def _flat(image: Image.Image, mode: str, levels: Levels | None) -> Image.Image:
    """``image`` in ``mode``: deep levels scaled, transparency on white but in RGBA, where it stays."""
    if image.mode in DEEP_MODES:  # Pillow's own conversion clips at 255
        image = Image.fromarray(eight_bits(np.asarray(image), levels))
    if mode == "RGBA":
        # By way of colours times alpha, as they are resampled: what lies under transparent pixels becomes black, for
        # nobody sees it and a generator would have to learn it.
        return image.convert("RGBA").convert("RGBa").convert("RGBA")
    # The colours under transparent pixels are arbitrary, often black, and on a white page they are not seen.
    if image.mode in ALPHA_MODES or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image if image.mode == mode else image.convert(mode)


def _fitted(image: Image.Image, size: tuple[int, int], fit: Fit) -> Image.Image:
    """``image`` with the width and height ``size``."""
    # Of the size already: nothing is resampled, and the pixels are those of the file.
    if image.size == size:
        return image
    # Pillow widens the filter where it makes images smaller, so nothing aliases, whatever the ratio.
    match fit:
        case "crop":
            # Crops and resizes in one pass, so the crop is exact to a fraction of a pixel.
            return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        case "pad":
            return ImageOps.pad(image, size, Image.Resampling.LANCZOS)
        case "stretch":
            return image.resize(size, Image.Resampling.LANCZOS)


def decode_image(read: Reader, name: str, format: Format) -> np.ndarray:
    """One image, upright, as uint8 ``[channels, height, width]``; of an animation, its first picture.

    Raises:
        Damaged: The file is damaged or no image.
    """
    with open_image(read, name) as image:
        # Cameras store the sensor's rows and note in EXIF how the camera was held; undone, people stand upright.
        ImageOps.exif_transpose(image, in_place=True)
        return _shaped(image, format)


def refitted(pixels: np.ndarray, format: Format) -> np.ndarray:
    """One image uint8 ``[C, H, W]`` in ``format``, as if it were read from a file."""
    return _shaped(single_image(pixels), format)


def _shaped(image: Image.Image, format: Format) -> np.ndarray:
    flat = _flat(image, CHANNELS[format.channels], format.levels)
    height, width = height_and_width(format.size)
    pixels = np.asarray(_fitted(flat, (width, height), format.fit))
    # Pillow has pixels by rows with channels last; torch's convolutions want channels first.
    return pixels.reshape(height, width, format.channels).transpose(2, 0, 1)
