"""MNIST and the sets that took its files over: idx files, plain or gzipped; and triples of its digits."""

import struct
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np

from ganneal.data.decode.images import shown
from ganneal.data.decode.labels import ClassLabels, classed, is_number, read_labels
from ganneal.data.decode.members import read_members, unzipped
from ganneal.data.finding import find_data
from ganneal.data.protocol import Dataset, Source
from ganneal.data.sources.arrays import Arrays
from ganneal.registry import check_at_least_one, check_choices

PREFIXES = {"train": "train", "test": "t10k"}


def read_idx(name: str, content: bytes) -> np.ndarray:
    """The uint8 array of an idx file.

    Raises:
        ValueError: It is no idx file of bytes, or its length is not what its header says.
    References:
        Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits, "File formats".

    >>> read_idx("two", bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 7])).tolist()
    [5, 7]
    """
    # Two zero bytes, 8 for unsigned bytes, the number of dimensions; then each dimension as a big-endian 32-bit number.
    if len(content) < 4 or content[:3] != b"\0\0\x08" or not 1 <= content[3] <= 4:
        raise ValueError(f"{name} is no idx file of bytes; download it again.")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise ValueError(f"{name} is cut off within its header; download it again.")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != prod(shape):
        raise ValueError(
            f"{name} must have {prod(shape):,} bytes after its header, which says {shape}, got "
            f"{len(content) - header:,}; download it again."
        )
    # Shares the memory of the file's bytes, read-only.
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _find(files: dict[str, bytes], kind: str, prefix: str, place: Path) -> tuple[str, bytes]:
    for name in _names(kind, prefix):
        if name in files:
            return name, unzipped(name, files[name])
    raise ValueError(f"{shown(str(place))} has no {' nor '.join(_names(kind, prefix)[:2])}; it must hold both files.")


def _names(kind: str, prefix: str) -> list[str]:
    dimensions = {"images": 3, "labels": 1}[kind]
    return [
        f"{prefix}-{kind}{separator}idx{dimensions}-ubyte{suffix}" for separator, suffix in product("-.", ("", ".gz"))
    ]


@dataclass(frozen=True)
class Idx:
    """The files ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, or ``t10k-``, as they are or gzipped.

    MNIST, Fashion-MNIST, KMNIST and others come as these. An ``mnist.npz`` as Keras has it is read too.
    """

    path: str = "mnist"
    """The folder that holds them; ``mnist`` and ``fashion-mnist`` stand for these sets wherever `find_data` finds them.
    """
    split: Literal["train", "test"] = "train"

    def __post_init__(self) -> None:
        check_choices(self)

    def load(self) -> Dataset:
        place = find_data(self.path)
        if place.suffix == ".npz":
            return Arrays(str(place), images=f"x_{self.split}", labels=f"y_{self.split}").load()
        prefix = PREFIXES[self.split]
        files = read_members(place, [*_names("images", prefix), *_names("labels", prefix)])
        images = read_idx(*_find(files, "images", prefix, place))
        if images.ndim != 3:
            raise ValueError(f"images in {shown(str(place))} must be [N, H, W], got {images.shape}.")
        description = {"name": f"{shown(place.name)} ({self.split})", "count": len(images), "licence": "not known"}
        return classed(images[:, None], _labels(files, prefix, place, len(images)), description)


def _labels(files: dict[str, bytes], prefix: str, place: Path, count: int) -> ClassLabels:
    try:
        source, content = _find(files, "labels", prefix, place)
        return read_labels(read_idx(source, content), f"{source} of {shown(str(place))}", count)
    except ValueError as error:
        # Images whose labels are absent or do not fit are still images.
        return ClassLabels(unusable=str(error).rstrip("."))


@dataclass(frozen=True)
class StackedMNIST:
    """Three random digits as the red, green and blue of one image; its label is 100 a + 10 b + c, one of 1,000 modes.

    References:
        Metz et al., Unrolled Generative Adversarial Networks, ICLR 2017, section 3.3.1.
    """

    digits: Source = Idx("mnist")
    """The grey digits, with labels 0 to 9."""
    num_samples: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least_one(num_samples=self.num_samples)

    def load(self) -> Dataset:
        data = self.digits.load()
        digits = data.class_names
        if data.labels is None or not all(is_number(name) and int(name) < 10 for name in digits) or data.shape[0] != 1:
            raise ValueError(
                f"digits must be grey images with labels 0 to 9, got samples of shape {data.shape} and "
                f"{data.num_classes} classes; MNIST has them."
            )
        # With replacement and independent, so all 1,000 modes are as likely as their digits.
        triples = np.random.default_rng(self.seed).integers(len(data), size=(self.num_samples, 3))
        # By the digits that classes are named after: a folder without a 4 has class 4 for the digit 5.
        labels = np.array(digits, dtype=np.int64)[data.labels][triples] @ np.array([100, 10, 1])
        own = {"name": "Stacked MNIST", "count": self.num_samples}
        description = {key: value for key, value in data.description.items() if key != "classes"} | own
        return Dataset(np.asarray(data.samples)[:, 0][triples], labels, 1_000, description)
