"""Pictures of samples: image grids, and scatter plots of points."""

import io
from math import ceil, isqrt, sqrt
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from ganneal.storage.atomic import write_bytes

LINE_STYLES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
"""Styles of matplotlib's lines in turn, so that no line is told by its colour alone."""
SMALLEST_TILE = 48
"""Smaller images are enlarged by a whole factor, pixel by pixel, so that a person can see them."""


def to_uint8(images: Float[Tensor, "batch channels height width"]) -> np.ndarray:
    """[-1, 1] to 0..255 as floor(127.5 x + 128) clamped, the exact inverse of x / 127.5 - 1."""
    # byte() cuts off, so adding 128 rather than 127.5 rounds to the nearest level.
    return (images * 127.5 + 128).clamp(0, 255).byte().cpu().numpy()


CHECKS = (255, 204)
"""Grey levels of the checkerboard under images with transparency, as paint programs show them."""
CHECK_SIDE = 8


def single_image(pixels: np.ndarray) -> Image.Image:
    """One image uint8 ``[C, H, W]`` at its own size: no frame, nothing enlarged, transparency kept."""
    # Pillow takes channels last, in one block of memory.
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 0)))


def shown_pixels(images: Float[Tensor, "batch channels height width"], smallest: int) -> np.ndarray:
    """Images as uint8 for the eye: transparency laid on a checkerboard, each pixel enlarged by a whole factor.

    Args:
        smallest: Longer side that images are enlarged to, or beyond it.
    """
    pixels = to_uint8(images)
    if pixels.shape[1] == 4:
        pixels = on_checkerboard(pixels)
    factor = max(1, ceil(smallest / max(pixels.shape[2:])))
    return pixels.repeat(factor, axis=2).repeat(factor, axis=3)


def image_grid(images: Float[Tensor, "batch channels height width"], columns: int | None = None) -> Image.Image:
    """Images side by side, row by row, two pixels apart; as square as can be where ``columns`` is None.

    Images with transparency are laid on a checkerboard.
    """
    tiles = shown_pixels(images, SMALLEST_TILE)
    count, channels, height, width = tiles.shape
    gap = 2
    if columns is not None and columns < 1:
        raise ValueError(f"columns must be at least 1, got {columns}; leave it out for a square grid.")
    columns = min(columns or ceil(sqrt(count)), count)
    rows = ceil(count / columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (gap + (n * (size + gap)) for n, size in zip(divmod(index, columns), (height, width), strict=True))
        sheet[top : top + height, left : left + width] = tile.transpose(1, 2, 0)
    return Image.fromarray(sheet.squeeze(2) if channels == 1 else sheet)


def on_checkerboard(images: np.ndarray) -> np.ndarray:
    """RGBA images uint8 ``[n, 4, H, W]`` laid on a grey checkerboard, as RGB."""
    rows, columns = (np.arange(length) // CHECK_SIDE for length in images.shape[2:])
    # [H, W], broadcast over images and colours.
    board = np.where((rows[:, None] + columns) % 2, CHECKS[1], CHECKS[0])
    colours, alpha = images[:, :3].astype(np.float32), images[:, 3:].astype(np.float32) / 255
    return (colours * alpha + board * (1 - alpha)).round().astype(np.uint8)


def picture(samples: Tensor, columns: int | None = None) -> Image.Image:
    """A single image as it is, several in a grid, points as a scatter plot."""
    if samples.dim() != 4:
        return scatter(None, samples)
    return single_image(to_uint8(samples)[0]) if len(samples) == 1 else image_grid(samples, columns)


def class_rows(num_classes: int, count: int) -> tuple[list[int], int]:
    """The classes of at most ``count`` images for a grid with a row for each class, and its columns.

    Where ``count`` gives no two images a class, it is a square of fewer classes, evenly spread.

    >>> class_rows(3, 7), class_rows(1000, 4)
    (([0, 0, 1, 1, 2, 2], 2), ([0, 0, 500, 500], 2))
    """
    rows = num_classes if count >= 2 * num_classes else min(num_classes, isqrt(count))
    columns = count // rows
    return [row * num_classes // rows for row in range(rows) for _ in range(columns)], columns


def scatter(real: Float[Tensor, "count 2"] | None, generated: Float[Tensor, "batch 2"] | None = None) -> Image.Image:
    """Real points in the plane, generated ones over them, axes to scale; either may be None."""
    # Not pyplot, which keeps every figure until it is told and chooses a backend for the whole process.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=100)
    # Margins wide enough for a number of nine characters; to measure the labels takes longer than to draw them.
    canvas, axes = FigureCanvasAgg(figure), figure.add_axes((0.14, 0.07, 0.8, 0.88), aspect="equal")
    for points, colour, label in ((real, "0.75", "real"), (generated, "tab:blue", "generated")):
        if points is not None:
            axes.scatter(*points.T.numpy(), s=4, color=colour, alpha=0.7, label=label)
    axes.legend(loc="upper right", markerscale=3)
    canvas.draw()
    # A copy, as the buffer is the canvas's own and goes with it.
    return Image.fromarray(np.asarray(canvas.buffer_rgba()).copy())


def png_bytes(picture: Image.Image) -> bytes:
    """``picture`` as the content of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def save_png(picture: Image.Image, path: Path) -> None:
    """Write ``picture`` as PNG, atomically."""
    write_bytes(path, png_bytes(picture))
