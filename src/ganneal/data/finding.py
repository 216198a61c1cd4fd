"""Places of data: the path as given, below GANNEAL_DATA, or the folder of `ganneal data fetch`."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ganneal.data.messages import way
from ganneal.storage.atomic import check_named
from ganneal.storage.cache import cache_folder


class Form(NamedTuple):
    """A file or folder that a data set may lie in."""

    name: str
    held: tuple[str, ...] = ()
    """Patterns of files in the folder, one of which shows that it holds the set; empty where the name is enough."""

    def below(self, folder: Path) -> Path | None:
        """The place of the data in ``folder``; None where it is not there."""
        # A folder that is merely called mnist is not MNIST: one of the files has to be in it.
        place = folder / self.name
        there = any(any(place.glob(pattern)) for pattern in self.held) if self.held else place.exists()
        return place if there else None


@dataclass(frozen=True)
class NamedSet:
    """A data set that an experiment calls by name, wherever it lies."""

    title: str
    forms: tuple[Form, ...]
    own: str = ""
    """Files of one's own to name instead; empty where `ganneal data fetch` downloads the set."""


IDX = ("train-images*", "*/train-images*")
CIFAR_BATCHES = ("cifar-10-*", "data_batch_1*")
CIFAR100_BATCHES = ("cifar-100-*", "train", "train.bin")

NAMED_SETS: dict[str, NamedSet] = {
    "mnist": NamedSet("MNIST", (Form("mnist", IDX), Form("mnist.npz"))),
    "fashion-mnist": NamedSet("Fashion-MNIST", (Form("fashion-mnist", IDX),)),
    "cifar10": NamedSet(
        "CIFAR-10",
        (
            Form("cifar10", CIFAR_BATCHES),
            Form("cifar-10-python.tar.gz"),
            Form("cifar-10-binary.tar.gz"),
            Form("cifar-10-batches-py"),
            Form("cifar-10-batches-bin"),
            Form("cifar10-train.zip"),
        ),
    ),
    "cifar100": NamedSet(
        "CIFAR-100",
        (Form("cifar100", CIFAR100_BATCHES), Form("cifar-100-python.tar.gz"), Form("cifar-100-binary.tar.gz")),
    ),
    "celeba": NamedSet("CelebA", (Form("celeba"), Form("celeba.zip")), own="a folder or zip of faces of your own"),
}
"""By the name that stands for a path."""


def fetched_folder(name: str) -> Path:
    """The folder in which `ganneal data fetch` writes the set ``name``; it may not exist yet."""
    return cache_folder() / "data" / name


def find_data(path: str | Path) -> Path:
    """``path`` as given, else below the folder that the environment variable GANNEAL_DATA names.

    A name of `NAMED_SETS` is looked for in each form of the set, and last where `ganneal data fetch` writes.

    Raises:
        FileNotFoundError: It is in none of these; the message says how to get it.
        ValueError: ``path`` is empty.
    """
    check_named(path)
    name, root = str(path), os.environ.get("GANNEAL_DATA")
    # The present folder comes first: a path that leads somewhere as it stands is meant so.
    folders = [Path(), *([Path(root).expanduser()] if root else [])]
    if (known := NAMED_SETS.get(name)) is None:
        # Joined to an absolute path a folder drops out, so GANNEAL_DATA moves relative paths only.
        places = [folder / Path(path).expanduser() for folder in folders]
        found = [place for place in places if place.exists()]
    else:
        # Only names of known sets are looked for among the downloads: any other path would be found there by accident.
        folders.append(fetched_folder(""))
        places = [folder / name for folder in folders]
        # Folder by folder, so that what lies beside the user comes before what was downloaded once.
        found = [place for folder in folders for form in known.forms if (place := form.below(folder)) is not None]
    if not found:
        raise FileNotFoundError(_missing(name, list(dict.fromkeys(map(str, places))), known))
    return found[0]


def _missing(name: str, places: Sequence[str], known: NamedSet | None) -> str:
    """The error for missing data, with the remedy."""
    option = way("path", "PATH")
    if known is None:
        set_it = "set GANNEAL_DATA to the folder that has it"
        ways = set_it if option is None else f"name its place ({option}), or {set_it}"
        return f"no data at {' nor at '.join(places)}; {ways}."
    looked = f"no {known.title} at {', '.join(places)}"
    if not known.own:
        return f"{looked}; download it with `ganneal data fetch {name}`."
    return f"{looked}; " + (f"put {known.own} there." if option is None else f"give {known.own} ({option}).")
