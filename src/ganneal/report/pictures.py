"""Pictures small enough to travel inside a page: recompressed to WebP, as data URIs."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

QUALITY = 80
LOSSLESS_PIXELS = 500_000
"""Larger pictures are photographs or sheets of them, for which lossless is slow and seldom smaller."""
MOST_FRAMES = 24
BUDGET = 1_500_000
"""Bytes of WebP all frames of a page may take together; a page stays below 5 MB with room to spare."""
LADDER = ((1.0, 1024), (1.0, 640), (0.67, 512), (0.5, 448), (0.34, 384), (0.2, 320), (0.13, 256))
"""Share of the frames kept and the longest side in pixels, tried in order until the frames fit the budget."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Picture:
    """A picture as it stands in the page."""

    uri: str
    width: int
    height: int
    alt: str


def webp(image: Image.Image, side: int = 1024) -> bytes:
    """``image`` as WebP, its longer side at most ``side``; lossless where that is smaller, as for enlarged pixels."""
    image = image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")
    whole = max(image.size) <= side
    if not whole:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    encoded = []
    # Enlarged pixels are flat areas, for which lossless is both smaller and sharp.
    for lossless in (False, True) if whole and image.width * image.height <= LOSSLESS_PIXELS else (False,):
        buffer = io.BytesIO()
        image.save(buffer, format="WEBP", quality=QUALITY, lossless=lossless, method=4)
        encoded.append(buffer.getvalue())
    return min(encoded, key=len)


def page_picture(image: Image.Image | bytes, alt: str) -> Picture:
    """An image, or one that `webp` has encoded, for the page; ``alt`` says what is seen for who cannot see it."""
    data = image if isinstance(image, bytes) else webp(image)
    with Image.open(io.BytesIO(data)) as opened:
        width, height = opened.size
    return Picture(f"data:image/webp;base64,{base64.b64encode(data).decode()}", width, height, alt)


def evenly(items: Sequence[Item], count: int) -> list[Item]:
    """At most ``count`` of ``items``, evenly spread, the first and the last among them.

    >>> evenly(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= count:
        return list(items)
    if count == 1:
        # Of a single frame, the end of training says most.
        return [items[-1]]
    return [items[round(i * (len(items) - 1) / (count - 1))] for i in range(count)]


def _read(path: Path, side: int) -> bytes:
    with Image.open(path) as image:
        return webp(image, side)


def encode_frames(
    tracks: Mapping[str, Sequence[tuple[int, Path]]], most: int = MOST_FRAMES, budget: int = BUDGET
) -> dict[str, list[tuple[int, bytes]]]:
    """The frames of each track as WebP: evenly chosen, then fewer and smaller until all together fit ``budget``.

    Args:
        tracks: For each name, (real images seen, picture file) in order.
        most: Frames of one track at most.
    Returns:
        For each name, (real images seen, WebP bytes).
    """
    encoded: dict[str, list[tuple[int, bytes]]] = {}
    # Fewer frames and smaller ones in turn: a page should open at once and travel by mail.
    for share, side in LADDER:
        encoded, total = {}, 0
        for name, frames in tracks.items():
            # Two frames at least, the first and the last.
            encoded[name] = [(at, _read(path, side)) for at, path in evenly(frames, max(2, round(share * most)))]
            total += sum(len(data) for _, data in encoded[name])
            # Given up at the first frame too many; the last rung is taken whatever it weighs.
            if total > budget and side != LADDER[-1][1]:
                break
        else:
            break
    return encoded
