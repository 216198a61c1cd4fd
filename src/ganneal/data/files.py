"""Images from files: a folder, a zip in the StyleGAN tools' layout, numpy arrays."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ganneal.data.images import EXTENSIONS, decode_all, stored_size
from ganneal.data.protocol import Dataset, Source, find_data, labels_from


def _describe(path: Path, count: int) -> dict[str, Any]:
    return {"name": path.name, "count": count, "licence": "that of the images; not known to ganneal"}


def _check_format(size: int | None, channels: int | None) -> None:
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}; leave it out to follow the first image.")
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 (grey) or 3 (RGB), got {channels}.")


def _check_found(names: list[str], place: Path) -> None:
    if not names:
        raise ValueError(f"no images in {place}; known file types are {', '.join(sorted(EXTENSIONS))}.")


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
        _check_found(names, root)
        images = decode_all(names, lambda name: (root / name).read_bytes(), self.size, self.channels)
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
            _check_found(names, path)
            listed = _listed_labels(archive, path)
            images = decode_all(names, archive.read, self.size, self.channels)
        if listed is None:
            return Dataset(images, description=_describe(path, len(names)))
        missing = [name for name in names if name not in listed]
        if missing:
            raise ValueError(
                f"dataset.json in {path} has no label for {len(missing)} images, the first {missing[0]!r}; add them."
            )
        labels, num_classes = labels_from([listed[name] for name in names], f"dataset.json of {path}")
        return Dataset(images, labels, num_classes, _describe(path, len(names)))


def _listed_labels(archive: zipfile.ZipFile, path: Path) -> dict[str, Any] | None:
    """The labels of ``dataset.json`` by image name; None where there is no such file or it says null."""
    if "dataset.json" not in archive.namelist():
        return None
    try:
        listed = json.loads(archive.read("dataset.json"))["labels"]
        return None if listed is None else dict(listed)
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f'dataset.json in {path} must be {{"labels": [[name, label], ...]}} or {{"labels": null}} '
            f"({type(error).__name__}: {error}); mend or remove it."
        ) from error


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
        description = _describe(path, len(images))
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


def source_at(place: str | Path, size: int | None = None) -> Source:
    """The source for a folder of images, a .zip, an .npz (key ``images``) or an .npy; ``size`` is for image files.

    Raises:
        FileNotFoundError: There is nothing at ``place``.
        ValueError: It is a file of another kind.
    """
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"no data at {path}; give a folder, a .zip, an .npz or an .npy file.")
    if path.is_dir():
        return Folder(str(path), size=size)
    match path.suffix.lower():
        case ".zip":
            return Zip(str(path), size=size)
        case ".npz":
            return Arrays(str(path), images="images", labels=None)
        case ".npy":
            return Arrays(str(path))
        case suffix:
            raise ValueError(f"path must be a folder, a .zip, an .npz or an .npy file, got {str(path)!r} ({suffix}).")


def stored_sizes(source: Source) -> set[tuple[int, int]]:
    """The sizes (width, height) of a folder's or zip's images as they are stored; empty for arrays."""
    match source:
        case Folder():
            root = find_data(source.path)
            names = [str(file.relative_to(root)) for file in root.rglob("*") if file.suffix.lower() in EXTENSIONS]
            return {stored_size(lambda name: (root / name).read_bytes(), name) for name in names}
        case Zip():
            with zipfile.ZipFile(find_data(source.path)) as archive:
                names = [name for name in archive.namelist() if Path(name).suffix.lower() in EXTENSIONS]
                return {stored_size(archive.read, name) for name in names}
        case _:
            return set()
