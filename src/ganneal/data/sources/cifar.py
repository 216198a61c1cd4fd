"""CIFAR-10 and CIFAR-100 as they are distributed: the binary or the Python version, in its archive or unpacked."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ganneal.data.decode.images import shown
from ganneal.data.decode.members import read_members
from ganneal.data.decode.pickles import load_batch
from ganneal.data.finding import find_data
from ganneal.data.protocol import Dataset
from ganneal.data.sources.archive import Zip
from ganneal.registry import check_choices

SHAPE = (3, 32, 32)
PIXELS = 3 * 32 * 32


def _from_binary(name: str, content: bytes, num_labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Images [N, 3, 32, 32] and labels [N, num_labels] of records of ``num_labels`` label bytes and 3,072 pixels."""
    if not content or len(content) % (num_labels + PIXELS):
        raise ValueError(
            f"{name} must hold whole records of {num_labels + PIXELS:,} bytes, got {len(content):,} bytes; download it "
            f"again."
        )
    # CIFAR-100 has the coarse label before the fine one; pixels are red, then green, then blue, each by rows.
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, num_labels + PIXELS)
    return records[:, num_labels:].reshape(-1, *SHAPE), records[:, :num_labels]


def _from_pickle(name: str, content: bytes, key: str) -> tuple[np.ndarray, np.ndarray]:
    batch = load_batch(name, content)
    images, labels = batch.get("data"), batch.get(key)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != PIXELS:
        raise ValueError(f"{name} must hold 'data', uint8 [N, {PIXELS}]; download it again.")
    if (
        not isinstance(labels, list)
        or len(labels) != len(images)
        or not all(isinstance(number, int) and 0 <= number < 2**31 for number in labels)
    ):
        raise ValueError(f"{name} must hold {key!r}, a number for each of its {len(images)} images.")
    # A row has 1,024 red, then green, then blue pixels, so channels come first without moving anything.
    return images.reshape(-1, *SHAPE), np.array(labels)


def _class_names(files: Mapping[str, bytes], text: str, pickled: str, key: str, count: int) -> list[str]:
    """Names in the file ``text`` or the pickle ``pickled`` beside the batches; none where there is neither."""
    found: Any = None
    if text in files:
        found = files[text].split()
    elif pickled in files:
        found = load_batch(pickled, files[pickled]).get(key)
    if not isinstance(found, list) or len(found) != count or not all(isinstance(name, str | bytes) for name in found):
        return []
    return [shown(name if isinstance(name, str) else name.decode("utf-8", "replace")) for name in found]


def _dataset(
    images: list[np.ndarray], labels: list[np.ndarray], num_classes: int, names: list[str], name: str, place: Path
) -> Dataset:
    samples = np.concatenate(images)
    numbers = np.concatenate(labels).astype(np.int64)
    # Beside their length binary batches have no mark of damage; shifted records show as labels out of range.
    if numbers.max(initial=0) >= num_classes:
        raise ValueError(
            f"labels of {name} in {shown(str(place))} must be below {num_classes}, got {numbers.max()}; download it "
            f"again."
        )
    description = {"name": name, "count": len(samples), "licence": "none stated; cite Krizhevsky, 2009"}
    return Dataset(samples, numbers, num_classes, description | ({"classes": names} if names else {}))


@contextmanager
def _within(place: Path) -> Iterator[None]:
    """Errors about what is in the archive or folder ``place`` begin with its name."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{shown(str(place))}: {error}") from error


def _archive(place: Path, name: str) -> Path:
    """The archive in the folder ``place`` whose name begins with ``name``; ``place`` where there is none."""
    return min(place.glob(f"{name}*.tar.gz"), default=place) if place.is_dir() else place


def _missing(binary: list[str], pickled: list[str]) -> ValueError:
    return ValueError(
        f"it must hold {', '.join(binary)} or {', '.join(pickled)}; give the archive as it was downloaded, or its "
        f"folder."
    )


@dataclass(frozen=True)
class Cifar10:
    """CIFAR-10 from ``cifar-10-binary.tar.gz``, ``cifar-10-python.tar.gz`` or the folder of either.

    Its training set is also read from a zip of its images, such as `ganneal data convert` writes.

    References:
        Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    path: str = "cifar10"
    """The archive or its folder; the name ``cifar10`` stands for the set wherever `find_data` finds it."""
    split: Literal["train", "test"] = "train"

    def __post_init__(self) -> None:
        check_choices(self)

    def load(self) -> Dataset:
        if (place := _archive(find_data(self.path), "cifar-10-")).suffix == ".zip":
            return self._in_zip(place)
        stems = [f"data_batch_{index}" for index in range(1, 6)] if self.split == "train" else ["test_batch"]
        binary = [f"{stem}.bin" for stem in stems]
        # Both versions in one pass through the archive, whichever it is.
        files = read_members(place, {*stems, *binary, "batches.meta.txt", "batches.meta"})
        with _within(place):
            if all(name in files for name in binary):
                parts = [_from_binary(name, files[name], 1) for name in binary]
            elif all(name in files for name in stems):
                parts = [_from_pickle(name, files[name], "labels") for name in stems]
            else:
                raise _missing(binary, stems)
            names = _class_names(files, "batches.meta.txt", "batches.meta", "label_names", 10)
        labels = [part[1].reshape(-1) for part in parts]
        return _dataset([part[0] for part in parts], labels, 10, names, f"CIFAR-10 ({self.split})", place)

    def _in_zip(self, place: Path) -> Dataset:
        if self.split != "train":
            raise ValueError(
                f"split must be 'train' of a zip, got {self.split!r} of {shown(str(place))}; the test set is in the "
                f"archive that `ganneal data fetch cifar10` downloads."
            )
        data = Zip(str(place)).load()
        if data.shape != SHAPE or data.num_classes != 10:
            raise ValueError(
                f"{shown(str(place))} must hold images of 32 x 32 px in ten classes, got shape {data.shape} and "
                f"{data.num_classes} classes; it is no CIFAR-10."
            )
        return data


@dataclass(frozen=True)
class Cifar100:
    """CIFAR-100 from ``cifar-100-binary.tar.gz``, ``cifar-100-python.tar.gz`` or the folder of either.

    References:
        Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
    """

    path: str = "cifar100"
    """The archive or its folder; the name ``cifar100`` stands for the set wherever `find_data` finds it."""
    split: Literal["train", "test"] = "train"
    labels: Literal["fine", "coarse"] = "fine"
    """The 100 classes or the 20 groups of five that they form."""

    def __post_init__(self) -> None:
        check_choices(self)

    def load(self) -> Dataset:
        place = _archive(find_data(self.path), "cifar-100-")
        binary = f"{self.split}.bin"
        key = f"{self.labels}_label_names"
        text = f"{key}.txt"
        files = read_members(place, {binary, self.split, text, "meta"})
        with _within(place):
            if binary in files:
                images, labels = _from_binary(binary, files[binary], 2)
                # The binary version has the coarse label in the first byte of a record and the fine one in the second.
                labels = labels[:, ["coarse", "fine"].index(self.labels)]
            elif self.split in files:
                images, labels = _from_pickle(self.split, files[self.split], f"{self.labels}_labels")
            else:
                raise _missing([binary], [self.split])
            classes = {"fine": 100, "coarse": 20}[self.labels]
            names = _class_names(files, text, "meta", key, classes)
        return _dataset([images], [labels], classes, names, f"CIFAR-100 ({self.split}, {self.labels})", place)
