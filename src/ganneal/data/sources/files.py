"""The source that fits what lies at a path."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np

from ganneal.data.decode.images import ImageSize, Reading, image_size, shown
from ganneal.data.decode.loading import Encoded
from ganneal.data.decode.npy import ArrayHeader, array_headers, holds_statistics
from ganneal.data.finding import NAMED_SETS
from ganneal.data.messages import remark, spelled_for_held_out, way
from ganneal.data.protocol import Dataset, Source
from ganneal.data.sources.archive import Zip
from ganneal.data.sources.arrays import Arrays, Refitted
from ganneal.data.sources.celeba import CelebA, is_celeba
from ganneal.data.sources.cifar import Cifar10, Cifar100
from ganneal.data.sources.folder import Folder
from ganneal.data.sources.hub import Hub
from ganneal.data.sources.imagenet import ImageNetBatches, is_imagenet
from ganneal.data.sources.lsun import LMDB_FILE, LSUN
from ganneal.data.sources.mnist import Idx
from ganneal.data.sources.parquet import Parquet
from ganneal.data.tools.huggingface import is_saved
from ganneal.storage.atomic import check_named

READABLE = (
    "a folder of images, a .zip, .npz, .npy or .parquet file, a folder that save_to_disk wrote, or the files of MNIST, "
    "CIFAR, CelebA, ImageNet-64 or LSUN"
)
KEYS = (("images", "labels"), ("x_train", "y_train"), ("points", "labels"))
"""Names under which an .npz holds samples and their labels."""
UNNAMED = ("arr_0", "arr_1")
"""Names that numpy gives to two arrays saved without any: images and labels, in either order."""


def source_at(place: str | Path, size: ImageSize | None = None) -> Source:
    """The source for a folder of images, a .zip, an .npz, an .npy, MNIST's files or CIFAR's; ``size`` is for images.

    Raises:
        FileNotFoundError: There is nothing at ``place``.
        ValueError: It is a file of another kind, or ``place`` is empty.
    """
    check_named(place)
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"no data at {shown(str(path))}; give {READABLE}.")
    if str(path) in NAMED_SETS:  # a bare name would stand for the known set, wherever it lies
        path = path.absolute()
    if path.is_dir():
        return _in_folder(path, size) or Folder(str(path), size=size)
    match path.suffix.lower():
        case ".zip":
            return Zip(str(path), size=size)
        case ".parquet":
            return Parquet(str(path), size=size)
        case ".npz":
            return _in_npz(path)
        case ".npy":
            return Arrays(str(path))
        # Before the next case, which its name would suit as well.
        case ".gz" | ".tgz" | ".tar" if "cifar-100" in path.name:
            return Cifar100(str(path))
        case ".gz" | ".tgz" | ".tar" if "cifar" in path.name:
            return Cifar10(str(path))
        case suffix:
            raise ValueError(f"path must be {READABLE}, got {str(path)!r} ({suffix}).")


def _in_folder(path: Path, size: ImageSize | None) -> Source | None:
    """The source for an original data set's folder; None for a folder of images."""
    # The particular before the general: to `Folder` these files would be no images.
    if any(path.glob("train-images*idx3-ubyte*")):
        return Idx(str(path))
    unpacked = any((path / f"data_batch_1{kind}").is_file() for kind in ("", ".bin"))
    if unpacked or any(path.glob("cifar-10-*.tar.gz")):
        return Cifar10(str(path))
    if (path / "train").is_file() or (path / "train.bin").is_file() or any(path.glob("cifar-100-*.tar.gz")):
        return Cifar100(str(path))
    if (path / LMDB_FILE).is_file():
        return LSUN(str(path), size=size)
    if is_saved(path):
        return Hub(str(path), size=size)
    if is_imagenet(path):
        return ImageNetBatches(str(path))
    if is_celeba(path):
        return CelebA(str(path), size=size)
    return Parquet(str(path), size=size) if any((*path.glob("*.parquet"), *path.glob("*/*.parquet"))) else None


def holds_images(path: Path) -> bool:
    """True if the .npz file ``path`` has an array that may be images."""
    return bool(_may_be_images({name: header for name, header in array_headers(path).items() if header is not None}))


def _in_npz(path: Path) -> Source:
    names, labels = array_headers(path), dict(KEYS)
    held = {name: header for name, header in names.items() if header is not None}
    found = _may_be_images(held)
    if len(found) > 1:
        raise ValueError(
            f"{shown(str(path))} holds several arrays that may be the images: {', '.join(map(shown, found))}; save the "
            f"one that you mean alone, under the name {KEYS[0][0]!r}."
        )
    if held and not found and not {*labels, "images"} & set(names):  # one of objects is told when it is read
        raise ValueError(_without_images(path, held))
    images = found[0] if found else "images"  # of a damaged file: reading it says what is wrong
    own = labels.get(images, "labels")
    if images in UNNAMED and own not in names:
        own = next(name for name in UNNAMED if name != images)
    if own in names:  # labels that cannot be read are told, not left out
        return Arrays(str(path), images=images, labels=own)
    if images in held and (others := _perhaps_labels(held, images)):
        listed = ", ".join(map(shown, others))
        remark(
            f"{shown(str(path))} has no labels under the name {own!r}. These arrays have as many entries and are not "
            f"read: {listed}."
        )
    return Arrays(str(path), images=images, labels=None)


def _may_be_images(held: Mapping[str, ArrayHeader]) -> list[str]:
    """The arrays with a name for images, else those that may be by their shape.

    Of several, one of bytes is enough where the others hold no whole numbers.
    """
    if named := [name for name, _ in KEYS if name in held]:
        return named
    found = [name for name, header in held.items() if len(header.shape) in (3, 4)]
    whole = [name for name in found if held[name].dtype.kind in "biu"]
    return whole if len(whole) == 1 and held[whole[0]].dtype == np.uint8 else found


def _without_images(path: Path, held: Mapping[str, ArrayHeader]) -> str:
    if holds_statistics(held):
        return (
            f"{shown(str(path))} holds no images but the statistics of features, mu and sigma; "
            f"`ganneal evaluate --real` measures against them, everything else needs the images."
        )
    arrays = ", ".join(f"{shown(name)} {list(header.shape)}" for name, header in held.items())
    return (
        f"{shown(str(path))} holds no array that may be images, only {arrays}; images are [N, H, W], [N, H, W, C] or "
        f"[N, C, H, W]."
    )


def _perhaps_labels(held: Mapping[str, ArrayHeader], images: str) -> list[str]:
    """Other arrays with a number, or a row of numbers, for each image."""
    count = held[images].shape[0]
    shapes = {name: header.shape for name, header in held.items() if name != images}
    return [name for name, shape in shapes.items() if len(shape) in (1, 2) and shape[0] == count]


def read_as(source: Source, reading: Reading) -> Source:
    """``source`` with its images read as ``reading`` says; arrays are resampled where it asks for another shape.

    Raises:
        ValueError: ``source`` holds 8-bit arrays, and levels are given.
    """
    # The source takes what it has fields for; the rest is done to its arrays afterwards.
    own = {field.name for field in fields(source)} if is_dataclass(source) else set()
    given = {field.name: getattr(reading, field.name) for field in fields(reading) if field.name in own}
    if reading.levels is not None and "levels" not in own:
        raise ValueError(f"{way('levels', *reading.levels)} is not for data of 8 bits; leave it out.")
    read = replace(source, **given)  # type: ignore[type-var]
    if isinstance(source, Encoded) or (reading.size, reading.channels, reading.fit) == (None, None, "crop"):
        return read
    return Refitted(read, reading.size, reading.channels, reading.fit)


def load_like(source: Source, data: Dataset) -> Dataset:
    """The held-out samples of ``source``, in the size and channels of ``data`` where theirs are open."""
    if isinstance(source, Encoded) and data.is_images:
        channels, height, width = data.shape
        size = source.size or image_size(height, width)
        source = replace(source, size=size, channels=source.channels or channels)
    with spelled_for_held_out():
        return source.load()
