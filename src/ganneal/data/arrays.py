"""Images that are already arrays: `.npz` archives and memory-mapped `.npy` files of uint8."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganneal.data.listing import described
from ganneal.data.protocol import Dataset, find_data, labels_from


@dataclass(frozen=True)
class Arrays:
    """uint8 images from ``.npz`` (key ``images``, labels under ``labels``) or a memory-mapped ``.npy``.

    Shapes ``[N, H, W]``, ``[N, H, W, C]`` and ``[N, C, H, W]`` are told apart by where 1 or 3 stands.
    """

    path: str = "mnist.npz"
    images: str = "x_train"
    labels: str | None = "y_train"

    def load(self) -> Dataset:
        path = find_data(self.path)
        try:
            images, labels = self._mapped(path) if path.suffix == ".npy" else self._archived(path)
        except (EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path} is damaged ({error}); make it again.") from error
        images = _channels_first(images, f"images in {path}")
        description = described(path, len(images))
        if labels is None:
            return Dataset(images, description=description)
        return Dataset(images, *labels_from(labels, f"{self.labels} of {path}"), description)

    def _mapped(self, path: Path) -> tuple[np.ndarray, None]:
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False), None
        except ValueError as error:
            raise ValueError(f"{path} is not an array file, or holds objects: {error}; save plain uint8.") from error

    def _archived(self, path: Path) -> tuple[np.ndarray, np.ndarray | None]:
        with open(path, "rb") as file:  # numpy leaks a handle of its own when the archive is damaged
            if not zipfile.is_zipfile(file):
                raise ValueError(f"{path} is not an .npz archive, or is damaged; make it again with numpy.savez.")
            with np.load(file, allow_pickle=False) as archive:
                for key in (self.images, self.labels):
                    if key is not None and key not in archive:
                        raise ValueError(f"{path} has no array {key!r}; it holds {', '.join(archive.files)}.")
                try:
                    return archive[self.images], None if self.labels is None else archive[self.labels]
                except ValueError as error:
                    raise ValueError(f"{path} has arrays that cannot be read, or objects: {error}.") from error


def _channels_first(images: np.ndarray, name: str) -> np.ndarray:
    """``images`` as ``[N, C, H, W]``, without copying."""
    if images.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8 (0..255), got {images.dtype}; scale and convert it first.")
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    raise ValueError(f"{name} must be [N, H, W], [N, H, W, C] or [N, C, H, W] with C 1 or 3, got {images.shape}.")
