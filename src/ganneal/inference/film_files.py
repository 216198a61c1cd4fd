"""The frames of a walk in a file: a film that repeats for ever, or one sheet of all frames.

walk.mp4     by the program ffmpeg
walk.gif     by Pillow, 256 colours a frame
walk.webp    by Pillow, animated
walk.png     a row for each stretch of the walk
"""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ganneal.inference.sample_files import check_finite
from ganneal.storage.atomic import check_free, replaced_file, write_bytes
from ganneal.storage.pictures import image_grid, save_png, shown_pixels

SMALLEST_FRAME = 256
"""Smaller frames of a film are enlarged by a whole factor, as players show a film at its own size."""
MOST_FPS = {".gif": 50, ".mp4": 120, ".webp": 120}
"""Browsers show a GIF faster than that slowly."""
TICKS = {".gif": 100, ".webp": 1_000}
"""In a second, in which the format counts how long a frame is shown."""
SHEET_ENDING = ".png"
Stretches = Iterable[Tensor]
"""The frames of each stretch of a walk, ``[steps, C, H, W]`` in [-1, 1]."""


def check_film(path: Path, fps: int, *, overwrite: bool) -> None:
    """Refuse a place or a format in which a film cannot be written, before it is drawn.

    Raises:
        ValueError: The ending is of no such format, ffmpeg is missing, or something is there that may not be replaced.
    """
    suffix = path.suffix.lower()
    if suffix not in (*MOST_FPS, SHEET_ENDING):
        raise ValueError(
            f"out must end in .mp4, .gif, .webp or .png (a sheet of all frames) with interpolate, got {str(path)!r}."
        )
    if suffix == ".mp4" and shutil.which("ffmpeg") is None:
        raise ValueError(
            "an .mp4 needs the program ffmpeg, which is not on the PATH. Install it, or end out in .webp or .gif, "
            f"which need no program: {path.with_suffix('.webp')}."
        )
    if not 1 <= fps <= (most := MOST_FPS.get(suffix, 120)):
        raise ValueError(f"fps must be in 1..{most} for {suffix}, got {fps}.")
    check_free(path, overwrite)


def write_film(stretches: Stretches, path: Path, *, fps: int, overwrite: bool = False) -> int:
    """Write the frames of a walk to ``path`` in the format that its ending names.

    Transparency is laid on a checkerboard.

    Args:
        fps: Frames a second; a sheet has none.
    Returns:
        The number of frames.
    Raises:
        ValueError: A frame is no number, ffmpeg fails, or as `check_film` says.
        OSError: It cannot be written.
    """
    check_film(path, fps, overwrite=overwrite)
    suffix = path.suffix.lower()
    if suffix == SHEET_ENDING:
        rows = [_checked(stretch) for stretch in stretches]
        save_png(image_grid(torch.cat(rows), len(rows[0])), path)
        return sum(map(len, rows))
    pixels = [frame for stretch in stretches for frame in shown_pixels(_checked(stretch), SMALLEST_FRAME)]
    match suffix:
        case ".mp4":
            with replaced_file(path) as file:
                _run_ffmpeg(pixels, file, fps)
        case _:
            write_bytes(path, _animated(pixels, suffix, fps))
    return len(pixels)


def _checked(frames: Tensor) -> Tensor:
    check_finite(frames)
    return frames


def durations(count: int, fps: int, ticks: int) -> list[int]:
    """Ticks, of which a second has ``ticks``, that each of ``count`` frames is shown; their sums never drift.

    >>> durations(6, 30, 100)
    [3, 4, 3, 3, 4, 3]
    """
    # The ends are rounded and not the durations: 30 frames a second in hundredths would otherwise play at 33.
    ends = [round(index * ticks / fps) for index in range(count + 1)]
    return [after - before for before, after in zip(ends, ends[1:], strict=False)]


def _animated(pixels: list[np.ndarray], suffix: str, fps: int) -> bytes:
    """An animated GIF or WebP that repeats for ever."""
    first, *others = (
        Image.fromarray(frame[0] if len(frame) == 1 else np.ascontiguousarray(frame.transpose(1, 2, 0)))
        for frame in pixels
    )
    ticks = TICKS[suffix]
    shown = [duration * 1_000 // ticks for duration in durations(len(pixels), fps, ticks)]
    # Enlarged pixels are flat areas, for which lossless WebP is both smaller and sharp.
    webp = {"lossless": max(first.size) < 2 * SMALLEST_FRAME, "quality": 90}
    how = webp if suffix == ".webp" else {"optimize": False}
    buffer = io.BytesIO()
    kind = suffix[1:].upper()
    # loop=0 repeats for ever; left out, most programs play a GIF once.
    first.save(buffer, format=kind, save_all=True, append_images=others, duration=shown, loop=0, **how)
    return buffer.getvalue()


def _run_ffmpeg(pixels: list[np.ndarray], file: Path, fps: int) -> None:
    """An mp4 that every player takes: even sides, colours at half the resolution."""
    channels, height, width = pixels[0].shape
    layout = "gray" if channels == 1 else "rgb24"
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", layout, "-s", f"{width}x{height}"]
    # yuv420p is what every player decodes; its colours stand for 2 x 2 pixels, so that sides must be even.
    command += ["-r", str(fps), "-i", "-", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"]
    # The index at the front: a browser begins to play before it has the whole file.
    command += ["-movflags", "+faststart", "-f", "mp4", str(file)]
    # Errors into a file: a pipe of them that nobody reads would fill up and stop both programs.
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said) as program:
            assert program.stdin is not None
            try:
                for frame in pixels:
                    program.stdin.write(np.ascontiguousarray(frame.transpose(1, 2, 0)).tobytes())
                program.stdin.close()
            except BrokenPipeError:
                pass  # it has ended early, and says why
        if program.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines() or [f"status {program.returncode}"]
            raise ValueError(f"ffmpeg could not write the film: {lines[-1]}; end out in .webp or .gif instead.")
