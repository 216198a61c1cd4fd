"""Decoding image files to one size: centre crop to a square, antialiased resize."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
GREY_MODES = frozenset({"1", "L", "LA", "I;16", "I;16B", "I"})
SIXTEEN_BIT_MODES = frozenset({"I;16", "I;16B", "I"})
DAMAGE = (Image.DecompressionBombError, OSError, SyntaxError, zipfile.BadZipFile)
"""What Pillow and zipfile raise for a file that is damaged, or claims an enormous size."""

Reader = Callable[[str], bytes]
"""The bytes of an image by its name in the folder or archive."""


@contextmanager
def _opened(read: Reader, name: str) -> Iterator[Image.Image]:
    """The image ``name``; whatever is wrong with it becomes a ValueError that names it."""
    try:
        with Image.open(BytesIO(read(name))) as image:
            yield image
    except UnidentifiedImageError as error:
        raise ValueError(
            f"cannot read the image {name}: it is empty or no image; remove or replace the file."
        ) from error
    except DAMAGE as error:
        raise ValueError(f"cannot read the image {name}: {error}; remove or replace the file.") from error


def default_format(read: Reader, name: str) -> tuple[int, int]:
    """The size and channels to use for images like this one.

    The size is the shorter side if that is a power of two or 28, else the largest power of two below it.
    """
    with _opened(read, name) as image:
        side = min(image.size)
        size = side if side == 28 else 2 ** (side.bit_length() - 1)
        return size, 1 if image.mode in GREY_MODES else 3


def stored_size(read: Reader, name: str) -> tuple[int, int]:
    """Width and height of the image ``name`` as it is stored."""
    with _opened(read, name) as image:
        return image.size


def decode(read: Reader, name: str, size: int, channels: int) -> np.ndarray:
    """One image, upright, as uint8 ``[channels, size, size]``; one of another size is cropped and resampled (Lanczos).

    Raises:
        ValueError: The file is damaged or not an image; the message names it.
    """
    with _opened(read, name) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode in SIXTEEN_BIT_MODES:  # Pillow's own conversion clips at 255
            image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
        image = image.convert("L" if channels == 1 else "RGB")
        if image.size != (size, size):
            image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
        return np.asarray(image).reshape(size, size, channels).transpose(2, 0, 1)


def decode_all(names: Sequence[str], read: Reader, size: int | None, channels: int | None) -> np.ndarray:
    """Every image, uint8 ``[N, C, size, size]``; the size and channels left open follow the first image."""
    own_size, own_channels = default_format(read, names[0])
    size, channels = size or own_size, channels or own_channels
    images = np.empty((len(names), channels, size, size), dtype=np.uint8)

    def fill(index: int) -> None:
        images[index] = decode(read, names[index], size, channels)

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(fill, range(len(names))):
            pass
    return images
