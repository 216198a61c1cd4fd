"""Images from files: a folder, a zip in the StyleGAN tools' layout, numpy arrays."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from ganneal.data.images import EXTENSIONS, decode_all
from ganneal.data.protocol import Dataset, find_data, labels_from


def _describe(path: Path, count: int) -> dict[str, Any]:
    return {"name": path.name, "count": count, "licence": "that of the images; not known to ganneal"}


def _check_format(size: int | None, channels: int | None) -> None:
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}; leave it out to follow the first image.")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}.")


@dataclass(frozen=True)
class Folder:
    """Every image below a folder, in sorted order; labels are the first-level sub-folders, sorted."""

    path: str = "images"
    size: int | None = None
    """Side in pixels; None follows the first image."""
    channels: int | None = None
    """1 for grey, 3 for RGB; None follows the first image."""

    def __post_init__(self) -> None:
        _check_format(self.size, self.channels)

    def load(self) -> Dataset:
        root = find_data(self.path)
        names = sorted(
            file.relative_to(root).as_posix()
            for file in root.rglob("*")
            if file.suffix.lower() in EXTENSIONS and file.is_file()
        )

        def opener(name: str) -> BinaryIO:
            return open(root / name, "rb")

        if not names:
            raise ValueError(f"no images below {root}; known file types are {', '.join(sorted(EXTENSIONS))}.")
        images = decode_all(names, opener, self.size, self.channels)
        folders = [PurePosixPath(name).parts[0] for name in names if "/" in name]
        if len(folders) < len(names):  # an image outside every sub-folder: the sub-folders are no classes
            return Dataset(images, description=_describe(root, len(names)))
        classes = sorted(set(folders))
        labels = np.array([classes.index(folder) for folder in folders], dtype=np.int64)
        return Dataset(images, labels, len(classes), _describe(root, len(names)) | {"classes": classes})


@dataclass(frozen=True)
class Zip:
    """Images in a zip file; labels from its ``dataset.json``, ``{"labels": [[name, label], ...]}`` or null."""

    path: str = "images.zip"
    size: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        _check_format(self.size, self.channels)

    def load(self) -> Dataset:
        path = find_data(self.path)
        try:
            archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise ValueError(f"{path} is not a zip file ({error}); make it again or give another path.") from error
        with archive:
            names = sorted(name for name in archive.namelist() if Path(name).suffix.lower() in EXTENSIONS)
            if not names:
                raise ValueError(f"no images in {path}; known file types are {', '.join(sorted(EXTENSIONS))}.")
            images = decode_all(names, lambda name: archive.open(name), self.size, self.channels)  # type: ignore[arg-type]
            listed = (
                json.loads(archive.read("dataset.json"))["labels"] if "dataset.json" in archive.namelist() else None
            )
        if listed is None:
            return Dataset(images, description=_describe(path, len(names)))
        by_name = dict(listed)
        missing = [name for name in names if name not in by_name]
        if missing:
            raise ValueError(
                f"dataset.json in {path} has no label for {len(missing)} images, the first {missing[0]!r}."
            )
        labels, num_classes = labels_from(np.array([by_name[name] for name in names]))
        return Dataset(images, labels, num_classes, _describe(path, len(names)))


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
        if path.suffix == ".npy":
            return Dataset(_channels_first(np.load(path, mmap_mode="r"), path.name), description=_describe(path, 0))
        with np.load(path, allow_pickle=False) as archive:
            for key in (self.images, self.labels):
                if key is not None and key not in archive:
                    raise ValueError(f"{path} has no array {key!r}; it holds {', '.join(archive.files)}.")
            images = _channels_first(archive[self.images], self.images)
            if self.labels is None:
                return Dataset(images, description=_describe(path, len(images)))
            labels, num_classes = labels_from(archive[self.labels])
        return Dataset(images, labels, num_classes, _describe(path, len(images)))


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
