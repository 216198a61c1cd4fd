"""Decoding image files to one size: centre crop to a square, antialiased resize."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
GREY_MODES = frozenset({"1", "L", "LA", "I;16", "I"})


def default_format(file: BinaryIO, name: str) -> tuple[int, int]:
    """The size and channels to use for images like this one.

    The size is the shorter side if that is a power of two or 28, else the largest power of two below it.
    """
    with _open(file, name) as image:
        side = min(image.size)
        size = side if side == 28 else 2 ** (side.bit_length() - 1)
        return size, 1 if image.mode in GREY_MODES else 3


def _open(file: BinaryIO, name: str) -> Image.Image:
    try:
        return Image.open(file)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"cannot read the image {name}: {error}; remove or replace the file.") from error


def decode(file: BinaryIO, name: str, size: int, channels: int) -> np.ndarray:
    """One image as uint8 ``[channels, size, size]``; a square of another size is resampled with Lanczos.

    Raises:
        ValueError: The file is damaged or not an image; the message names it.
    """
    with _open(file, name) as image:
        try:
            image = image.convert("L" if channels == 1 else "RGB")
        except OSError as error:
            raise ValueError(f"cannot decode the image {name}: {error}; remove or replace the file.") from error
        if image.size != (size, size):
            image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
        return np.asarray(image).reshape(size, size, channels).transpose(2, 0, 1)


def decode_all(
    names: Sequence[str], opener: Callable[[str], BinaryIO], size: int | None, channels: int | None
) -> np.ndarray:
    """Every image, uint8 ``[N, C, size, size]``; the size and channels left open follow the first image."""
    if not names:
        raise ValueError(f"no images found; known file types are {', '.join(sorted(EXTENSIONS))}.")
    with opener(names[0]) as file:
        own_size, own_channels = default_format(file, names[0])
    size, channels = size or own_size, channels or own_channels
    images = np.empty((len(names), channels, size, size), dtype=np.uint8)

    def fill(index: int) -> None:
        with opener(names[index]) as file:
            images[index] = decode(file, names[index], size, channels)

    with ThreadPoolExecutor() as pool:
        for _ in pool.map(fill, range(len(names)), chunksize=64):
            pass
    return images
