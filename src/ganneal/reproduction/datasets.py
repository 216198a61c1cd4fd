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
    # All faces, as the paper compares with all real images of a set.
    "celeba": PublishedData("CelebA", (3, 64, 64), CelebA(attribute=None, split="all", size=64)),
    "lsun-bedroom": PublishedData("LSUN Bedroom", (3, 64, 64), LSUN(path="bedroom_train_lmdb", size=64)),
    "lsun-tower": PublishedData("LSUN Tower", (3, 64, 64), LSUN(path="tower_train_lmdb", size=64)),
    "lsun-church": PublishedData("LSUN Church", (3, 64, 64), LSUN(path="church_outdoor_train_lmdb", size=64)),
    "imagenet64": PublishedData("ImageNet 64x64", (3, 64, 64), ImageNetBatches(path="imagenet64")),
}
"""By the name that ``--data NAME=PATH`` takes."""


def source(name: str, path: str | None = None) -> Source:
    """Source of a row: the data at ``path``, else the set ``name`` where it is found.

    Raises:
        FileNotFoundError: It is not there; the message says how to get it or to name another place.
        ValueError: ``name`` is no data set of a table.
    """
    data = lookup("data set", PUBLISHED_DATA, name)
    if path is not None:
        # Whatever kind of file lies there, it is read at the size of the table.
        return source_at(path, data.size)
    if (place := getattr(data.source, "path", None)) is not None:
        try:
            find_data(place)
        except FileNotFoundError:
            # In place of the reader's message, which knows neither the row nor the command that gets its data.
            raise FileNotFoundError(needed(name)) from None
    return data.source


def needed(name: str) -> str:
    """In words, what is missing and how to get it."""
    way = f"ganneal data fetch {name}" if name in DOWNLOADS else f"--data {name}=PATH"
    return f"needs {PUBLISHED_DATA[name].title}, `{way}`"
