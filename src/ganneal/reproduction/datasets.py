"""The data sets of the published tables."""

from dataclasses import dataclass

from ganneal.data import LSUN, CelebA, Cifar10, ImageNetBatches, Source, find_data, source_at
from ganneal.data.tools.download import DOWNLOADS
from ganneal.registry import lookup


@dataclass(frozen=True)
class PublishedData:
    """One data set."""

    title: str
    shape: tuple[int, ...]
    source: Source

    @property
    def size(self) -> int:
        """Pixels a side, or coordinates of a point."""
        return self.shape[-1]


PUBLISHED_DATA: dict[str, PublishedData] = {
    "cifar10": PublishedData("CIFAR-10", (3, 32, 32), Cifar10()),
    "celeba": PublishedData("CelebA", (3, 64, 64), CelebA(attribute=None, split="all", size=64)),
    "lsun-bedroom": PublishedData("LSUN Bedroom", (3, 64, 64), LSUN(path="bedroom_train_lmdb", size=64)),
    "lsun-tower": PublishedData("LSUN Tower", (3, 64, 64), LSUN(path="tower_train_lmdb", size=64)),
    "lsun-church": PublishedData("LSUN Church", (3, 64, 64), LSUN(path="church_outdoor_train_lmdb", size=64)),
    "imagenet64": PublishedData("ImageNet 64x64", (3, 64, 64), ImageNetBatches(path="imagenet64")),
}
"""By the name that ``--data NAME=PATH`` takes."""


def source(name: str, path: str | None = None) -> Source:
    """What is trained on: the data at ``path``, else the set ``name`` where it is found.

    Raises:
        FileNotFoundError: It is not there; the message says how to get it or to name another place.
        ValueError: ``name`` is no data set of a table.
    """
    data = lookup("data set", PUBLISHED_DATA, name)
    if path is not None:
        return source_at(path, data.size)
    if (place := getattr(data.source, "path", None)) is not None:
        try:
            find_data(place)
        except FileNotFoundError:
            raise FileNotFoundError(needed(name)) from None
    return data.source


def needed(name: str) -> str:
    """In words, what is missing and how to get it."""
    way = f"ganneal data fetch {name}" if name in DOWNLOADS else f"--data {name}=PATH"
    return f"needs {PUBLISHED_DATA[name].title}, `{way}`"
