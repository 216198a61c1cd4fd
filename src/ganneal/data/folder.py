"""Images in a folder, labelled by its sub-folders."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ganneal.data.dataset_json import LABELS, parse_labels
from ganneal.data.images import Fit, OnDamaged, Reader, check_options, shown
from ganneal.data.kinds import START, ending, hidden, is_image
from ganneal.data.listing import Listing, check_found, described, labelled, stamp
from ganneal.data.loading import load_images
from ganneal.data.protocol import Dataset, find_data


@dataclass(frozen=True)
class FolderImages:
    """The files below ``root``, named by their paths from there."""

    root: str

    @contextmanager
    def open(self) -> Iterator[Reader]:
        root = Path(self.root)
        yield lambda name: (root / name).read_bytes()


@dataclass(frozen=True)
class Folder:
    """Every image below a folder, in sorted order; labels are the first-level sub-folders, sorted.

    A ``dataset.json`` in the folder, as in a zip of the StyleGAN tools, goes before the sub-folders. Links are
    followed, loops of them are not. Hidden files are passed over.
    """

    path: str = "images"
    size: int | None = None
    """Side in pixels; None follows the first image."""
    channels: int | None = None
    """1 for grey, 3 for RGB; None follows the first image."""
    fit: Fit = "crop"
    """Other shapes are cropped in the middle, padded with black, or stretched; all are resampled (Lanczos)."""
    on_damaged: OnDamaged = "fail"
    """What to do about images that cannot be read: name them and stop, or name them and go on without."""

    def __post_init__(self) -> None:
        check_options(self.size, self.channels, self.fit, self.on_damaged)

    def load(self) -> Dataset:
        return load_images(self.listing(), self.size, self.channels, self.fit, self.on_damaged)

    def listing(self) -> Listing:
        """The images and labels, without decoding."""
        return list_folder(find_data(self.path), self.on_damaged)


def list_folder(root: Path, on_damaged: OnDamaged = "fail") -> Listing:
    """The images below ``root`` with what labels them.

    Raises:
        ValueError: ``root`` is no folder, holds no image, or a dataset.json that disagrees with them.
    """
    if not root.is_dir():
        raise ValueError(f"path must be a folder of images, got the file {shown(str(root))}; a .zip is data 'zip'.")
    found, damaged, left_out = _walk(root)
    names = sorted(found)
    check_found(names, damaged, root, left_out)
    place = os.path.realpath(root)
    listing = Listing(
        FolderImages(place),
        root,
        names,
        stamp([place], *((name, *found[name]) for name in names)),
        description=described(root, len(names)),
        damaged=damaged,
        left_out=left_out,
    )
    json = root / LABELS
    if json.is_file() and (listed := parse_labels(json.read_bytes, f"{LABELS} in {shown(str(root))}")) is not None:
        return labelled(listing, listed, f"{LABELS} in {shown(str(root))}", on_damaged)
    return _by_sub_folder(listing)


def _by_sub_folder(listing: Listing) -> Listing:
    if not all("/" in name for name in listing.names):  # an image outside every sub-folder: these are no classes
        return listing
    folders = [name.partition("/")[0] for name in listing.names]
    classes = sorted(set(folders))
    number = {name: index for index, name in enumerate(classes)}
    return replace(
        listing,
        labels=np.array([number[folder] for folder in folders], dtype=np.int64),
        num_classes=len(classes),
        description={**listing.description, "classes": [shown(name) for name in classes]},
    )


def _walk(root: Path) -> tuple[dict[str, tuple[int, int]], dict[str, str], Counter[str]]:
    """The images below ``root``, with size and time of change; those that cannot be opened, with the reason; others.

    Of the other files it is their number, by ending.
    """
    found: dict[str, tuple[int, int]] = {}
    damaged: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    queue: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(str(root), "", frozenset())]
    while queue:
        folder, prefix, above = queue.pop()
        try:
            status = os.stat(folder)
            inside = list(os.scandir(folder))
        except OSError as error:
            damaged[prefix] = f"the folder cannot be read ({error.strerror})"
            continue
        this = (status.st_dev, status.st_ino)
        if this in above:  # a link to a folder that this one is in
            continue
        for entry in inside:
            name = prefix + entry.name
            if hidden(entry.name):
                continue
            if _is_folder(entry):
                queue.append((entry.path, f"{name}/", above | {this}))
            elif is_image(name, lambda entry=entry: _start(entry)):
                _note(entry, name, found, damaged)
            elif name != LABELS:
                left_out[ending(name)] += 1
    return found, damaged, left_out


def _start(entry: os.DirEntry[str]) -> bytes:
    """The first bytes of a file; none of what is no file, or cannot be opened."""
    try:
        if not entry.is_file():  # a pipe would be waited for
            return b""
        with open(entry.path, "rb") as file:
            return file.read(START)
    except OSError:
        return b""


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _note(entry: os.DirEntry[str], name: str, found: dict[str, tuple[int, int]], damaged: dict[str, str]) -> None:
    try:
        status = entry.stat()
    except OSError as error:
        damaged[name] = f"it cannot be opened ({error.strerror})"
    else:
        if entry.is_file():
            found[name] = (status.st_size, status.st_mtime_ns)
