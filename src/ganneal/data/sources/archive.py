"""Images in a zip file, in the layout of the StyleGAN tools."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ganneal.data.decode.class_folders import classified
from ganneal.data.decode.dataset_json import LABELS, LARGEST_JSON
from ganneal.data.decode.images import OnDamaged, shown
from ganneal.data.decode.kinds import START, ending, hidden, is_image
from ganneal.data.decode.listing import Listing, PartReader, check_found, folder_description, stamp
from ganneal.data.decode.loading import Encoded
from ganneal.data.finding import find_data
from ganneal.data.identity import Known

LARGEST_FILE = 2**28
"""Bytes that one image of an archive may claim: far above photographs, far below a decompression bomb's."""
ENCRYPTED = 1
"""The bit of a zip entry's flags."""


@dataclass(frozen=True)
class ZipImages:
    """The entries of the zip file ``path``."""

    path: str
    single: ClassVar[bool] = True

    @contextmanager
    def open(self) -> Iterator[PartReader]:
        # ZipFile locks each seek and read of the file that its members share, so threads may read at once.
        with zipfile.ZipFile(self.path) as archive:

            def read(name: str, most: int = -1) -> bytes:
                if most < 0:
                    return archive.read(name)
                with archive.open(name) as file:
                    return file.read(most)

            yield read


@dataclass(frozen=True)
class Zip(Encoded):
    """Images in a zip file; labels from its ``dataset.json``, ``{"labels": [[name, label], ...]}`` or null.

    Without one the classes are those of its folders, as `Folder` has them. Nothing is unpacked.
    """

    path: str = "images.zip"

    def listing(self) -> Listing:
        return list_zip(find_data(self.path), self.on_damaged)


def list_zip(path: Path, on_damaged: OnDamaged = "fail") -> Listing:
    """The images of a zip file with their labels.

    Raises:
        ValueError: ``path`` is no zip file, holds no image, or a dataset.json that disagrees with them.
    """
    try:
        archive = zipfile.ZipFile(path)
    except Exception as error:  # a damaged archive makes zipfile raise almost any type
        if isinstance(error, PermissionError):
            raise
        raise ValueError(
            f"{shown(str(path))} is not a zip file ({error}); make it again or give another path."
        ) from error
    with archive:
        size = path.stat().st_size
        entries, left_out = _sorted_out(archive, size)
        names, damaged = [], {}
        # The order in the archive is that in which somebody's tool packed it.
        for name in sorted(entries):
            if reason := _refused(entries[name], LARGEST_FILE, size):
                damaged[name] = reason
            else:
                names.append(name)
        check_found(names, damaged, path, left_out)
        # The archive's list holds a CRC-32 of every image, so the whole set is told from another without reading it.
        checksums = stamp(*((name, entries[name].CRC, entries[name].file_size) for name in names))
        listing = Listing(
            ZipImages(str(path.resolve())),
            path,
            names,
            checksums,
            description=folder_description(path, len(names)),
            damaged=damaged,
            left_out=left_out,
            origin=Known("names, sizes and checksums of the images in the zip", checksums),
        )
        # With the slash before it, so that my-dataset.json is none.
        lists = [name for name in archive.NameToInfo if f"/{name}".endswith(f"/{LABELS}") and not hidden(name)]
        folders = {name[: name.rfind("/") + 1] for name in archive.NameToInfo if not hidden(name)}
        return classified(listing, folders, lists, lambda name: _label_file(archive, name, size), on_damaged == "skip")


def _sorted_out(archive: zipfile.ZipFile, size: int) -> tuple[dict[str, zipfile.ZipInfo], Counter[str]]:
    """The entries that are images by name, and how many are others, by ending."""
    entries: dict[str, zipfile.ZipInfo] = {}
    left_out: Counter[str] = Counter()
    for entry in archive.infolist():
        name = entry.filename
        if name.endswith("/") or hidden(name):  # is_dir fails for an empty name
            continue
        if is_image(name, lambda entry=entry: _start(archive, entry, size)):
            # Of two entries of one name the later one counts, which is the one that zipfile reads by that name.
            entries[name] = entry
        elif name.rpartition("/")[2] != LABELS:
            left_out[ending(name)] += 1
    return entries, left_out


def _start(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, size: int) -> bytes:
    """The first bytes of an entry; none of one that is refused or cannot be read."""
    if _refused(entry, LARGEST_FILE, size):
        return b""
    try:
        with archive.open(entry) as file:
            return file.read(START)
    except Exception:  # a damaged archive makes zipfile raise almost any type
        return b""


def _label_file(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    if reason := _refused(archive.getinfo(name), LARGEST_JSON, size):
        raise ValueError(reason)
    return archive.read(name)


def _refused(entry: zipfile.ZipInfo, largest: int, size: int) -> str | None:
    """Why an entry of an archive of ``size`` bytes is not even read: memory is reserved for what it claims."""
    if entry.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if ".." in entry.filename.split("/") or entry.filename.startswith("/"):
        return "its name leads out of the archive"
    if entry.file_size > largest:
        return f"it claims {entry.file_size:,} bytes, as a decompression bomb does"
    # No entry is longer than its archive; zipfile reserves memory for what a forged or damaged one claims.
    if entry.compress_size > size:
        return f"it claims {entry.compress_size:,} bytes of an archive of {size:,}"
    return None
