"""The data sets of the published tables: what each is trained on as published, and what stands in at small scales."""

from dataclasses import dataclass

from ganneal.data import LSUN, CelebA, ImageNetBatches, Source, Zip, find_data, source_at
from ganneal.registry import lookup


@dataclass(frozen=True)
class PublishedData:
    """One data set."""

    title: str
    shape: tuple[int, ...]
    published: Source
    small: Source | None
    """What small scales train on; None where the published files are needed at every scale."""
    small_title: str = ""

    @property
    def size(self) -> int:
        """Pixels a side, or coordinates of a point."""
        return self.shape[-1]


PUBLISHED_DATA: dict[str, PublishedData] = {
    "cifar10": PublishedData(
        "CIFAR-10", (3, 32, 32), Zip(path="cifar10-train.zip"), Zip(path="cifar10-train.zip"), "the training set"
    ),
    "celeba": PublishedData(
        "CelebA",
        (3, 64, 64),
        CelebA(path="celeba", attribute=None, split="all", size=64),
        Zip(path="celeba10k-64.zip"),
        "the first 10,000 faces",
    ),
    "lsun-bedroom": PublishedData("LSUN Bedroom", (3, 64, 64), LSUN(path="bedroom_train_lmdb", size=64), None),
    "lsun-tower": PublishedData("LSUN Tower", (3, 64, 64), LSUN(path="tower_train_lmdb", size=64), None),
    "lsun-church": PublishedData("LSUN Church", (3, 64, 64), LSUN(path="church_outdoor_train_lmdb", size=64), None),
    "imagenet64": PublishedData("ImageNet 64x64", (3, 64, 64), ImageNetBatches(path="imagenet64"), None),
}
"""By the name that ``--data NAME=PATH`` takes."""


def source(name: str, *, small: bool, path: str | None = None) -> Source:
    """What is trained on: the data at ``path``, or those of the scale.

    Raises:
        FileNotFoundError: They are not where they should be; the message says how to name another place.
        ValueError: ``name`` is no data set of a table.
    """
    data = lookup("data set", PUBLISHED_DATA, name)
    if path is not None:
        return source_at(path, data.size)
    chosen = data.small if small and data.small is not None else data.published
    if (place := getattr(chosen, "path", None)) is not None:
        try:
            find_data(place)
        except FileNotFoundError:
            raise FileNotFoundError(needed(name)) from None
    return chosen


def needed(name: str) -> str:
    """In words, what is missing and how to give it."""
    return f"needs {PUBLISHED_DATA[name].title}, `--data {name}=PATH`"
