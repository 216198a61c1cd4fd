"""Samples that are already arrays: `.npz` archives and memory-mapped `.npy` files."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganneal.data.images import shown
from ganneal.data.labels import ClassLabels, classed, read_labels
from ganneal.data.listing import described
from ganneal.data.npy import read_header, read_member
from ganneal.data.protocol import Dataset, find_data

NAMES = "class_names"
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

    def load(self) -> Dataset:
        path = find_data(self.path)
        images, classes = (self._mapped(path), ClassLabels()) if path.suffix == ".npy" else self._archived(path)
        if images.dtype != np.float32 or images.ndim != 2:  # those are points
            images = _channels_first(images, f"images in {path}")
        return classed(images, classes, described(path, len(images)))

    def _mapped(self, path: Path) -> np.ndarray:
        with open(path, "rb") as file:
            try:
                shape, by_columns, dtype = header = read_header(file)
                if header.size > path.stat().st_size - file.tell():
                    raise ValueError(f"its header says {shape}, and it ends before")
                order = "F" if by_columns else "C"
                return np.memmap(file, dtype, "r", file.tell(), shape, order)
            except (ValueError, OverflowError) as error:
                raise ValueError(
                    f"{path} is not an array file, or holds objects: {error}; save plain uint8."
                ) from error

    def _archived(self, path: Path) -> tuple[np.ndarray, ClassLabels]:
        with open(path, "rb") as file:
            try:
                archive = zipfile.ZipFile(file)
            except Exception as error:  # a damaged archive makes zipfile raise almost any type
                raise ValueError(
                    f"{path} is not an .npz archive, or is damaged ({error}); make it again with numpy.savez."
                ) from error
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            if self.images not in held:
                raise ValueError(f"{path} has no array {self.images!r}; it holds {', '.join(map(shown, held))}.")
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
            named = read_member(archive, NAMES) if NAMES in held else np.array([])
        except Exception as error:  # a damaged archive makes zipfile raise almost any type
            return ClassLabels(unusable=f"{source} cannot be read ({error}); save plain numbers or words")
        names = [str(name) for name in named.tolist()] if named.ndim == 1 and named.dtype.kind == "U" else []
        return read_labels(values, source, count, names)


def _channels_first(images: np.ndarray, name: str) -> np.ndarray:
    """``images`` as ``[N, C, H, W]``, without copying."""
    if images.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8 (0..255), got {images.dtype}; scale and convert it first.")
    if images.size == 0:
        raise ValueError(f"{name} must not be empty, got {images.shape}; check what was saved.")
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    raise ValueError(f"{name} must be [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3, got {images.shape}.")
