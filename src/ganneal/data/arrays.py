"""Samples that are already arrays: `.npz` archives and memory-mapped `.npy` files."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganneal.data.images import shown
from ganneal.data.listing import described
from ganneal.data.npy import read_header, read_member
from ganneal.data.protocol import Dataset, find_data, labels_from


@dataclass(frozen=True)
class Arrays:
    """uint8 images from ``.npz`` (key ``images``, labels under ``labels``) or a memory-mapped ``.npy``.

    Shapes ``[N, H, W]``, ``[N, H, W, C]`` and ``[N, C, H, W]`` are told apart by where 1 or 3 stands. float32 of shape
    ``[N, D]`` are points.
    """

    path: str = "mnist.npz"
    images: str = "x_train"
    labels: str | None = "y_train"

    def load(self) -> Dataset:
        path = find_data(self.path)
        images, labels = self._mapped(path) if path.suffix == ".npy" else self._archived(path)
        if images.dtype != np.float32 or images.ndim != 2:  # those are points
            images = _channels_first(images, f"images in {path}")
        description = described(path, len(images))
        if labels is None:
            return Dataset(images, description=description)
        return Dataset(images, *labels_from(labels, f"{self.labels} of {path}"), description)

    def _mapped(self, path: Path) -> tuple[np.ndarray, None]:
        with open(path, "rb") as file:
            try:
                shape, by_columns, dtype = header = read_header(file)
                if header.size > path.stat().st_size - file.tell():
                    raise ValueError(f"its header says {shape}, and it ends before")
                order = "F" if by_columns else "C"
                return np.memmap(file, dtype, "r", file.tell(), shape, order), None
            except (ValueError, OverflowError) as error:
                raise ValueError(
                    f"{path} is not an array file, or holds objects: {error}; save plain uint8."
                ) from error

    def _archived(self, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
        with open(path, "rb") as file:
            try:
                archive = zipfile.ZipFile(file)
            except Exception as error:  # a damaged archive makes zipfile raise almost any type
                raise ValueError(
                    f"{path} is not an .npz archive, or is damaged ({error}); make it again with numpy.savez."
                ) from error
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            for key in (self.images, self.labels):
                if key is not None and f"{key}.npy" not in archive.NameToInfo:
                    raise ValueError(f"{path} has no array {key!r}; it holds {', '.join(map(shown, held))}.")
            try:
                images = read_member(archive, self.images)
                return images, None if self.labels is None else read_member(archive, self.labels)
            except Exception as error:
                raise ValueError(
                    f"{path} has arrays that cannot be read, or objects ({error}); make it again with numpy.savez."
                ) from error


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
