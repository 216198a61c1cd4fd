"""Samples that are already arrays: `.npz` archives and memory-mapped `.npy` files."""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ganneal.data.decode.images import (
    Fit,
    Format,
    ImageSize,
    Levels,
    Reading,
    check_levels,
    eight_bits,
    image_size,
    refitted,
    shown,
)
from ganneal.data.decode.labels import ClassLabels, classed, read_labels
from ganneal.data.decode.listing import folder_description
from ganneal.data.decode.npy import read_header, read_member
from ganneal.data.finding import find_data
from ganneal.data.messages import remark, remark_on_black, way
from ganneal.data.protocol import Dataset, Source

SCALED_TOGETHER = 1_024
"""Images that are scaled at a time."""
USUAL = ((0, 1), (-1, 1), (0, 255), (0, 4_095), (0, 65_535))
"""Ranges in which programs save images."""
CLASS_NAMES_KEY = "class_names"
"""Name of the array that holds the names of the classes."""


@dataclass(frozen=True)
class Arrays:
    """uint8 images from ``.npz`` (key ``images``, labels under ``labels``) or a memory-mapped ``.npy``.

    An array ``class_names`` of words beside them names the classes 0, 1, ... of whole-number labels.

    Shapes ``[N, H, W]``, ``[N, H, W, C]`` and ``[N, C, H, W]`` are told apart by where 1 or 3 stands. float32 of shape
    ``[N, D]`` are points.
    """

    path: str = "mnist.npz"
    images: str = "x_train"
    labels: str | None = "y_train"
    levels: Levels | None = None
    """The values that become 0 and 255, where the array is not uint8 already."""

    def __post_init__(self) -> None:
        check_levels(self.levels)

    def load(self) -> Dataset:
        values, classes = self.unscaled()
        path = find_data(self.path)
        if values.ndim == 4:
            values = _in_bytes(values, self.levels, f"images in {shown(str(path))}")
        return classed(values, classes, folder_description(path, len(values)))

    def unscaled(self) -> tuple[np.ndarray, ClassLabels]:
        """Images ``[N, C, H, W]`` or points ``[N, D]`` with the values that they have in the file.

        Raises:
            ValueError: The file is damaged, or its array has another shape.
        """
        path = find_data(self.path)
        values, classes = (self._mapped(path), ClassLabels()) if path.suffix == ".npy" else self._archived(path)
        if values.dtype == np.float32 and values.ndim == 2:
            return values, classes
        return _channels_first(values, f"images in {path}"), classes

    def _mapped(self, path: Path) -> np.ndarray:
        with open(path, "rb") as file:
            try:
                shape, by_columns, dtype = header = read_header(file)
                if header.size > path.stat().st_size - file.tell():
                    raise ValueError(f"its header says {shape}, and it ends before")
                order = "F" if by_columns else "C"
                # Mapped, not read: rows are taken as training asks for them.
                return np.memmap(file, dtype, "r", file.tell(), shape, order)
            except (ValueError, OverflowError) as error:
                raise ValueError(
                    f"{path} is not an array file, or holds objects ({error}); save the images as plain uint8."
                ) from error

    def _archived(self, path: Path) -> tuple[np.ndarray, ClassLabels]:
        with open(path, "rb") as file:
            try:
                archive = zipfile.ZipFile(file)
            except Exception as error:  # a damaged archive makes zipfile raise almost any type
                raise ValueError(
                    f"{path} is not an .npz archive, or is damaged ({error}); make it again with numpy.savez."
                ) from error
            # numpy.savez keeps each array as a file of its name with this ending.
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            if self.images not in held:
                option = way("images", "NAME")
                name = "" if option is None else f"; name the one of the images ({option})"
                raise ValueError(f"{path} has no array {self.images!r}; it holds {', '.join(map(shown, held))}{name}.")
            try:
                images = read_member(archive, self.images)
            except Exception as error:
                raise ValueError(
                    f"{path} has arrays that cannot be read, or objects ({error}); make it again with numpy.savez."
                ) from error
            return images, self._labelled(archive, held, path, len(images) if images.ndim else 0)

    def _labelled(self, archive: zipfile.ZipFile, held: list[str], path: Path, count: int) -> ClassLabels:
        if self.labels is None:
            return ClassLabels()
        source = f"{self.labels} of {shown(str(path))}"
        if self.labels not in held:
            return ClassLabels(
                unusable=f"{shown(str(path))} has no array {self.labels!r}; it holds {', '.join(map(shown, held))}"
            )
        try:
            values = read_member(archive, self.labels)
            named = read_member(archive, CLASS_NAMES_KEY) if CLASS_NAMES_KEY in held else np.array([])
        except Exception as error:  # a damaged archive makes zipfile raise almost any type
            return ClassLabels(unusable=f"{source} cannot be read ({error}); save plain numbers or words")
        names = [str(name) for name in named.tolist()] if named.ndim == 1 and named.dtype.kind == "U" else []
        return read_labels(values, source, count, names)


def _in_bytes(images: np.ndarray, levels: Levels | None, name: str) -> np.ndarray:
    """``images`` as uint8, with ``levels`` as 0 and 255; the range of the whole array is told where they are needed."""
    if images.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be uint8 (0..255), got {images.dtype}; convert it first.")
    if images.dtype == np.uint8 and levels is None:
        remark_on_black(images, name)
        return images
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        # One image at a time: a mask over the whole array would take a byte for every number.
        wrong = sum(not np.isfinite(image).all() for image in images)
        raise ValueError(
            f"{name} must be finite, got NaN or infinite values in {wrong:,} of {len(images):,}; remove these "
            f"images or fill in the values."
        )
    if levels is None:
        option = way("levels", *_usual_levels(low, high)) or "a range of levels"
        raise ValueError(
            f"{name} must be uint8 (0..255), got {images.dtype}; its values are {low:g} to {high:g}: give {option}, or "
            f"scale and convert it first."
        )
    if low < levels[0] or high > levels[1]:
        remark(f"{name} have values from {low:g} to {high:g}: those beyond {levels[0]:g} to {levels[1]:g} are clipped.")
    scaled = np.empty(images.shape, np.uint8)
    for start in range(0, len(images), SCALED_TOGETHER):
        scaled[start : start + SCALED_TOGETHER] = eight_bits(images[start : start + SCALED_TOGETHER], levels)
    return scaled


def _usual_levels(low: float, high: float) -> tuple[float, float]:
    """The narrowest of the usual ranges that holds ``low`` and ``high``, else these."""
    holding = (levels for levels in USUAL if levels[0] <= low and high <= levels[1])
    return next(holding, (low, high))


def _channels_first(images: np.ndarray, name: str) -> np.ndarray:
    """``images`` as ``[N, C, H, W]``, without copying."""
    if images.size == 0:
        raise ValueError(f"{name} must not be empty, got {images.shape}; check what was saved.")
    last, second = (images.ndim == 4 and images.shape[axis] in (1, 3) for axis in (3, 1))
    # Three axes with a last one of 1 or 3 are one colour image, not N grey ones.
    if images.ndim == 3 and images.shape[2] not in (1, 3):
        return images[:, None]
    # Where both axes may be the channels, as in [N, 3, 1, 1] or [N, 3, 3, 3], equal sides speak for the second one.
    if last and not (second and images.shape[2] == images.shape[3]):
        return images.transpose(0, 3, 1, 2)
    if second:
        return images
    if images.ndim == 3:
        raise ValueError(
            f"{name} must be [N, H, W], [N, H, W, C] or [N, C, H, W], got {images.shape}, the shape of a single "
            "image. Add the axis of the images: array[None]."
        )
    raise ValueError(f"{name} must be [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3, got {images.shape}.")


@dataclass(frozen=True)
class Refitted:
    """The images of ``source``, resampled as image files are."""

    source: Source
    size: ImageSize | None = None
    """Side in pixels, or WIDTHxHEIGHT; None keeps theirs."""
    channels: int | None = None
    """1 for grey, 3 for RGB, 4 for RGBA; None keeps theirs."""
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        Reading(size=self.size, channels=self.channels, fit=self.fit)  # refuses what no image can have

    def load(self) -> Dataset:
        """Read the source and resample its images."""
        return self.refit(self.source.load())

    def refit(self, data: Dataset) -> Dataset:
        """The images of ``data`` resampled; the same object where nothing changes.

        Raises:
            ValueError: They are points.
        """
        if not data.is_images:
            raise ValueError(f"data must be images, got points of shape {data.shape}.")
        channels, height, width = data.shape
        format = Format(self.size or image_size(height, width), self.channels or channels, self.fit)
        if format.shape == data.shape:
            return data
        if (height, width) != format.shape[1:]:
            made_height, made_width = format.shape[1:]
            remark(f"images of {width} x {height} px are made {made_width} x {made_height} px ({self.fit}).")
        made = np.empty((len(data), *format.shape), np.uint8)
        for index in range(len(data)):
            # Row by row, as the samples may be a memory map larger than the memory.
            made[index] = refitted(np.asarray(data.samples[index]), format)
        # Hashes of the files would not show the crop or size: the new bytes tell these samples from others.
        return replace(data, samples=made, origin=None)
