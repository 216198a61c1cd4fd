"""Images in a folder, labelled by its sub-folders."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np

from ganneal.data.decode.class_folders import classified
from ganneal.data.decode.dataset_json import LABELS
from ganneal.data.decode.images import OnDamaged, shown
from ganneal.data.decode.kinds import START, ending, hidden, is_image
from ganneal.data.decode.listing import Listing, PartReader, check_found, folder_description, stamp, version
from ganneal.data.decode.loading import Encoded
from ganneal.data.finding import find_data
from ganneal.data.identity import Files
from ganneal.data.messages import remark

RUN = "experiment.json"
MARKS = frozenset((RUN, ".lock"))
"""Files that make a folder the directory of a run, whose pictures are never data; the second is there at once."""


@dataclass(frozen=True)
class FolderImages:
    """The files below ``root``, named by their paths from there."""

    root: str
    single: ClassVar[bool] = True

    @contextmanager
    def open(self) -> Iterator[PartReader]:
        root = Path(self.root)

        def read(name: str, most: int = -1) -> bytes:
            with open(root / name, "rb") as file:
                return file.read(most)

        yield read


@dataclass(frozen=True)
class Folder(Encoded):
    """Every image below a folder, in sorted order; the classes are its sub-folders in the order of sorted text.

    Folders that hold all images are looked through, so that ``set/images/cat`` is the class ``cat``. A ``dataset.json``
    there or above, as in a zip of the StyleGAN tools, goes before the sub-folders. Links are followed, loops of them
    are not. Hidden files are passed over.
    """

    path: str = "images"

    def listing(self) -> Listing:
        return list_folder(find_data(self.path), self.on_damaged)


def list_folder(root: Path, on_damaged: OnDamaged = "fail") -> Listing:
    """The images below ``root`` with what labels them.

    Raises:
        ValueError: ``root`` is no folder, holds no image, or a dataset.json that disagrees with them.
    """
    if not root.is_dir():
        raise ValueError(f"path must be a folder of images, got the file {shown(str(root))}; a .zip is data 'zip'.")
    if (root / RUN).exists() or _are_pictures(root.resolve()):
        raise ValueError(
            f"path must be a folder of images, got the directory of a run, {shown(str(root))}: its pictures are no "
            f"data. Give the folder of the images; `ganneal sample` writes samples as single images."
        )
    found = _walk(root)
    if found.runs:
        more = f" and {len(found.runs) - 1:,} more of runs" if len(found.runs) > 1 else ""
        own = f"the folder {shown(min(found.runs))} of a run{more}"
        remark(f"passed over in {shown(str(root))}: {own}; their pictures are no data.")
    # The system lists a folder in any order; samples must have the same numbers on every machine.
    names = sorted(found.images)
    check_found(names, found.damaged, root, found.left_out)
    # The real path, so that a link that is moved to other images gives another stamp.
    place = os.path.realpath(root)
    listing = Listing(
        FolderImages(place),
        root,
        names,
        stamp([place], *((name, *found.images[name]) for name in names)),
        description=folder_description(root, len(names)),
        damaged=found.damaged,
        left_out=found.left_out,
        origin=Files(place, names, np.array([found.images[name][0] for name in names], np.int64)),
    )
    skip = on_damaged == "skip"
    folders = [folder for folder in found.folders if not found.is_above_a_run(folder)]
    return classified(listing, folders, found.lists, lambda name: (root / name).read_bytes(), skip)


def _are_pictures(place: Path) -> bool:
    """True if a run keeps its pictures in the folder ``place``: sheets of many samples each."""
    return place.name == "samples" and (place.parent / RUN).exists()


@dataclass(frozen=True)
class _FolderContent:
    """The content of a folder, by paths from there."""

    images: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """With size and times of change."""
    damaged: dict[str, str] = field(default_factory=dict)
    """Images and folders that cannot be opened, with the reason."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Number of other files, by ending."""
    folders: list[str] = field(default_factory=list)
    """All of them, each ending in ``/``."""
    lists: list[str] = field(default_factory=list)
    """Files called ``dataset.json``."""
    runs: list[str] = field(default_factory=list)
    """Folders of runs, which are passed over."""

    def is_above_a_run(self, folder: str) -> bool:
        """True if a folder without an image is there for runs and is no class."""
        holds = any(run.startswith(folder) for run in self.runs)
        return holds and not any(name.startswith(folder) for name in self.images)


def _walk(root: Path) -> _FolderContent:
    found = _FolderContent()
    # A queue rather than recursion, whose depth somebody's folders would decide.
    queue: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(str(root), "", frozenset())]
    while queue:
        folder, prefix, above = queue.pop()
        try:
            status = os.stat(folder)
            inside = list(os.scandir(folder))
        except OSError as error:
            found.damaged[prefix] = f"the folder cannot be read ({error.strerror})"
            continue
        # Device and inode, not the path: a link to a folder above has ever new paths and would be walked for ever.
        this = (status.st_dev, status.st_ino)
        if this in above:  # a link to a folder that this one is in
            continue
        # Not at the top: a path right to a run is refused before, with the reason.
        if prefix and any(entry.name in MARKS for entry in inside):
            found.runs.append(prefix)
            continue
        found.folders.append(prefix)
        for entry in inside:
            name = prefix + entry.name
            if hidden(entry.name):
                continue
            if _is_folder(entry):
                # Each way down knows the folders above it alone: one folder by two links is read twice, and only a loop
                # is cut.
                queue.append((entry.path, f"{name}/", above | {this}))
            elif is_image(name, lambda entry=entry: _start(entry)):
                _note(entry, name, found)
            elif entry.name == LABELS:
                found.lists.append(name)
            else:
                found.left_out[ending(name)] += 1
    return found


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


def _note(entry: os.DirEntry[str], name: str, found: _FolderContent) -> None:
    try:
        status = entry.stat()
    except OSError as error:
        found.damaged[name] = f"it cannot be opened ({error.strerror})"
    else:
        if entry.is_file():
            found.images[name] = version(status)
