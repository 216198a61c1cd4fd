"""Identity of a data set at any place: count, shape, classes and hashes."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ganneal.data.classes import class_counts, populated
from ganneal.data.protocol import Dataset, Origin

MOST_FILES, MOST_BYTES_READ = 4_096, 2**28
"""Files, and bytes together, that are read whole; of more only parts are read."""
MOST_PARTS, PART_BYTES = 1_024, 2**16
"""Number of parts read of a large set of files, and the bytes of each part."""
MOST_OF_ARRAYS, SAMPLED = 2**30, 2**26
"""Bytes of arrays that are hashed whole; of larger ones, the bytes of samples that are taken."""
CLASSES_NAMED = 5
"""Classes that a message names; the rest are counted."""


@dataclass(frozen=True)
class Identity:
    """Figures of a set of data that another set, or the same set after a change, does not share.

    Where the files lie and when they were changed are not part of it: a copy is the same data.
    """

    count: int
    shape: tuple[int, ...]
    classes: tuple[str, ...] = ()
    """Names of the classes, or their numbers where they have no names."""
    class_counts: tuple[int, ...] = ()
    """Samples of each class."""
    hashes: Mapping[str, str] = field(default_factory=dict)
    """Hashes by what they are of."""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of(cls, stored: Any) -> "Identity":
        """The inverse of `as_dict`.

        Raises:
            ValueError: ``stored`` describes no data.
        """
        try:
            tuples = {key: tuple(stored[key]) for key in ("shape", "classes", "class_counts")}
            return cls(count=stored["count"], hashes=dict(stored["hashes"]), **tuples)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"it does not describe the data ({type(error).__name__}: {error})") from error


def identify(dataset: Dataset) -> Identity:
    """The identity of ``dataset``, by what its samples were read from, else by their bytes.

    Classes without a sample are not trained, and no part of it.
    """
    dataset = populated(dataset)
    # The files before the pixels, which another version of Pillow may decode to other bits.
    hashes = sample_hashes(dataset) if dataset.origin is None else dataset.origin.hashes()
    if dataset.labels is None:
        return Identity(len(dataset), tuple(dataset.shape), hashes=hashes)
    counts = class_counts(dataset.labels, dataset.num_classes)
    # Little-endian int64 on every machine: the hash must not depend on where it is taken.
    labels = hashlib.sha256(np.ascontiguousarray(dataset.labels, dtype="<i8").data).hexdigest()
    return Identity(
        len(dataset), tuple(dataset.shape), tuple(dataset.class_names), tuple(counts), {**hashes, "labels": labels}
    )


def content_hash(dataset: Dataset) -> str:
    """SHA-256 of the samples' bytes with their type and shape; labels are not part of it."""
    # In blocks: a memory map is hashed without ever being in memory as a whole.
    return _hash_of_rows(dataset, (slice(start, start + 4_096) for start in range(0, len(dataset), 4_096)))


def _hash_of_rows(dataset: Dataset, parts: Iterator[Any]) -> str:
    # Type and shape go in first: the same bytes may be two images or eight.
    digest = hashlib.sha256(f"{dataset.samples.dtype} {dataset.samples.shape}".encode())
    for part in parts:
        digest.update(np.ascontiguousarray(dataset.samples[part]).data)
    return digest.hexdigest()


def sample_hashes(dataset: Dataset) -> dict[str, str]:
    """The hash of all samples, or of evenly spread ones where all together are above 1 GiB."""
    row = prod(dataset.shape) * dataset.samples.dtype.itemsize
    if row * len(dataset) <= MOST_OF_ARRAYS:
        return {"bytes of the samples": content_hash(dataset)}
    # Evenly spread rather than the first ones: sets are often sorted by class, and a change may be anywhere.
    rows = np.unique(np.linspace(0, len(dataset) - 1, max(2, SAMPLED // row)).astype(np.int64))
    sampled = _hash_of_rows(dataset, (rows[start : start + 256] for start in range(0, len(rows), 256)))
    return {f"bytes of {len(rows):,} samples, evenly spread": sampled}


@dataclass(frozen=True)
class Known:
    """An origin whose hash is known when its list is read, such as the checksums in a zip."""

    what: str
    """Subject of the hash, in words."""
    sha256: str

    def hashes(self) -> dict[str, str]:
        return {self.what: self.sha256}


@dataclass(frozen=True)
class Files:
    """The files ``names`` below ``root``, told from others by their sizes and by some or all of their bytes.

    Up to 4,096 files of 256 MB together are read whole; of more, 1,024 parts of 64 kB, evenly spread, are read.
    """

    root: str
    names: Sequence[str]
    sizes: Sequence[int] | np.ndarray
    """Bytes of each file."""
    named: bool = True
    """True if the names below ``root`` count; False if only the order does."""

    def hashes(self) -> dict[str, str]:
        listed = hashlib.sha256()
        for name, size in zip(self.names, self.sizes, strict=True):
            # A zero byte parts name and size: no file name can hold one.
            listed.update(f"{name if self.named else ''}\0{size}\n".encode("utf-8", "surrogateescape"))
        what = "names and sizes of the files" if self.named else "sizes of the files"
        return {what: listed.hexdigest(), **self._bytes()}

    def _bytes(self) -> dict[str, str]:
        # In Python's integers, which no sum overflows, whatever numpy type the sizes have.
        ends = list(accumulate(map(int, self.sizes)))
        total = ends[-1] if ends else 0
        if len(ends) <= MOST_FILES and total <= MOST_BYTES_READ:
            return {"bytes of the files": self._hash((file, 0, int(size)) for file, size in enumerate(self.sizes))}
        return {f"bytes at {MOST_PARTS:,} places in the files": self._hash(self._places(ends, total))}

    def _places(self, ends: list[int], total: int) -> Iterator[tuple[int, int, int]]:
        """File, start and length of each part that is read, evenly spread over all bytes."""
        # Even spacing over bytes, not over files: large files hold most of the data and get most of the looks.
        wanted = np.arange(MOST_PARTS) * (total / MOST_PARTS)
        # The first file that ends behind the position; an empty file never is, as it ends where the one before it does.
        for position, file in zip(wanted, np.searchsorted(ends, wanted, side="right").tolist(), strict=True):
            size = int(self.sizes[file])
            start = int(position) - (ends[file] - size)
            # Moved back where the file ends sooner, so that every part has its full length where the file has.
            yield file, max(0, min(start, size - PART_BYTES)), PART_BYTES

    def _hash(self, parts: Iterator[tuple[int, int, int]]) -> str:
        digest = hashlib.sha256()
        for file, start, length in parts:
            # The place goes in too, so that bytes moved from one file to the next give another hash.
            digest.update(f"\0{file} {start}\0".encode())
            try:
                with open(Path(self.root, self.names[file]), "rb") as opened:
                    opened.seek(start)
                    digest.update(opened.read(length))
            except OSError:  # one that cannot be read is named where the images are decoded
                digest.update(b"\0unreadable")
        return digest.hexdigest()


@dataclass(frozen=True)
class SampleSubset:
    """The samples ``names`` among those of ``whole``, as a list beside the files chooses them."""

    whole: Origin | None
    names: Sequence[str]

    def hashes(self) -> dict[str, str]:
        chosen = hashlib.sha256("\n".join(self.names).encode("utf-8", "surrogateescape")).hexdigest()
        return {**({} if self.whole is None else self.whole.hashes()), "names of the part": chosen}


def files_at(paths: Sequence[Path]) -> Files:
    """Whole files of many samples each, whose names do not count."""
    return Files("", [str(path) for path in paths], [path.stat().st_size for path in paths], named=False)


def data_changes(before: Identity, now: Identity, then: str = "when the run began", today: str = "now") -> list[str]:
    """In words, how the data ``now`` differ from those of ``before``; empty where they are the same.

    Args:
        then, today: Where or when each of them was met, for the words.

    >>> data_changes(Identity(60, (3, 8, 8)), Identity(49, (3, 8, 8)))
    ['60 images when the run began, 49 now']
    """
    what = "images" if len(before.shape) == len(now.shape) == 3 else "samples"
    found = []
    if before.count != now.count:
        found.append(f"{before.count:,} {what} {then}, {now.count:,} {today}")
    if before.shape != now.shape:
        found.append(f"shape {_by(before.shape)} {then}, {_by(now.shape)} {today}")
    found += _classes(before, now)
    # Other counts or classes make other hashes too, which would tell nothing new.
    if found:
        return found
    # A dict as an ordered set: a hash that only one side has is a difference too.
    named = dict.fromkeys((*before.hashes, *now.hashes))
    hashes = [(name, before.hashes.get(name, ""), now.hashes.get(name, "")) for name in named]
    return [
        f"as many {what}, but other {name}: SHA-256 {old[:12] or 'none'} {then}, {new[:12] or 'none'} {today}"
        for name, old, new in hashes
        if old != new
    ]


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def _classes(before: Identity, now: Identity) -> list[str]:
    """The classes that were renamed, removed or added, or that have another number of samples."""
    old, new = (dict(zip(one.classes, one.class_counts, strict=True)) for one in (before, now))
    # In the order of the classes, so that the message reads as the folders are sorted.
    removed, added = [name for name in old if name not in new], [name for name in new if name not in old]
    renamed = []
    for name in list(removed):
        # A class that went and one that came with as many samples is taken for one class renamed.
        if (heir := next((other for other in added if new[other] == old[name]), None)) is not None:
            renamed.append(f"{name} is {heir} now ({old[name]:,})")
            removed.remove(name)
            added.remove(heir)
    counts = [f"{name} {old[name]:,}, now {new[name]:,}" for name in old if name in new and old[name] != new[name]]
    kinds = {
        "classes renamed": renamed,
        "classes removed": [f"{name} ({old[name]:,})" for name in removed],
        "classes added": [f"{name} ({new[name]:,})" for name in added],
        "samples of a class": counts,
    }
    found = [f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names]
    return found or ([] if before.classes == now.classes else ["the same classes in another order"])


def _listed(names: Sequence[str]) -> str:
    more = f"; and {len(names) - CLASSES_NAMED:,} more" if len(names) > CLASSES_NAMED else ""
    return "; ".join(names[:CLASSES_NAMED]) + more
