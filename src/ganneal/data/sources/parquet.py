"""Images in parquet files, as Hugging Face keeps data sets: a column of encoded images, perhaps one of labels."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar

from ganneal.data.decode.images import Damaged, shown
from ganneal.data.decode.labels import ClassLabels, read_labels
from ganneal.data.decode.listing import Listing, PartReader, check_found, folder_description, stamp, version
from ganneal.data.decode.loading import Encoded
from ganneal.data.finding import find_data
from ganneal.data.identity import files_at
from ganneal.registry import lookup, optional_module

HELD = 4
"""Groups of rows that are in memory at a time: threads read neighbouring ones."""


MOST_ROWS = 8
"""To a byte of a file: one of few different images takes a bit, its place in their dictionary."""


class _Groups:
    """The encoded images of parquet files, a group of rows at a time."""

    def __init__(self, paths: Sequence[str], column: str):
        self.paths, self.column = paths, column
        # The group used longest ago goes; threads that read neighbouring rows keep theirs.
        self._group = lru_cache(HELD)(self._load)
        self._lock = Lock()

    def read(self, name: str, most: int = -1) -> bytes:
        """The image of a name that ends in file/group/row."""
        file, group, row = map(int, name.rpartition(" ")[2].split("/"))
        # Parquet compresses a group of rows as one, so one image costs the whole group. Without the lock every thread
        # that misses the same group would decompress it.
        with self._lock:
            content = self._group(file, group)[row]
        if content is None:
            raise Damaged("there are no bytes in that row")
        return content

    def _load(self, file: int, group: int) -> list[bytes | None]:
        with _opened(Path(self.paths[file])) as opened:
            values = opened.read_row_group(group, columns=[self.column]).column(0).to_pylist()
        return [value.get("bytes") if isinstance(value, dict) else value for value in values]


@dataclass(frozen=True)
class ParquetImages:
    """The images in ``column`` of parquet files."""

    paths: tuple[str, ...]
    column: str
    single: ClassVar[bool] = False

    @contextmanager
    def open(self) -> Iterator[PartReader]:
        yield _Groups(self.paths, self.column).read


@dataclass(frozen=True)
class Parquet(Encoded):
    """Images in a parquet file, or in all below a folder in sorted order; needs the extra ``ganneal[parquet]``."""

    path: str = "train.parquet"
    images: str = "image"
    """Column of encoded images: bytes, or a struct with ``bytes`` as Hugging Face writes them."""
    labels: str | None = "label"
    """Column of whole numbers or words; None for no labels."""
    split: str | None = "train"
    """Split of a folder: the files whose name begins with it, where there are any; None for all."""

    def listing(self) -> Listing:
        place = find_data(self.path)
        listing, labels, classes, columns = _listed(place, parquet_files(place, self.split), self.images, self.labels)
        if self.labels is None:
            return listing
        column = f"column {self.labels!r} of {shown(str(place))}"
        if not labels:
            return listing.classed(
                ClassLabels(unusable=f"there is no {column}; it has {', '.join(map(shown, columns))}")
            )
        if len(labels) != len(listing.names):
            return listing.classed(ClassLabels(unusable=f"{column} is in some of the files only"))
        return listing.classed(read_labels(labels, column, len(listing.names), classes))


def parquet_files(place: Path, split: str | None) -> list[Path]:
    """The parquet files at ``place`` in sorted order: of a split, where names begin with one."""
    if place.is_file():
        return [place]
    files = sorted(file for file in place.rglob("*.parquet") if not file.name.startswith("."))
    of_split = [file for file in files if split is not None and file.name.startswith(split)]
    # A folder without names of splits is one set.
    return of_split or files


def _listed(
    place: Path, files: Sequence[Path], images: str, labels: str | None
) -> tuple[Listing, list[Any], list[str], list[str]]:
    """The images of ``files`` in order, their labels, the names of the classes where files say them; the columns."""
    columns: list[str] = []
    names: list[str] = []
    values: list[Any] = []
    classes: list[str] = []
    for number, file in enumerate(files):
        with _opened(file) as opened:
            columns = opened.schema_arrow.names
            lookup(f"column of {shown(file.name)}", dict.fromkeys(columns), images)
            rows = _rows(opened, file)
            # The end of the name is the address that `_Groups.read` takes off again.
            names += [f"{shown(file.name)} {number}/{group}/{row}" for group, n in enumerate(rows) for row in range(n)]
            if labels in columns:
                values += opened.read(columns=[labels]).column(0).to_pylist()
                named = _class_names(opened.schema_arrow.metadata, labels)
                if number and named != classes:
                    raise ValueError(
                        f"{shown(file.name)} and {shown(files[0].name)} name the classes of {labels!r} differently, "
                        "so one number means two classes. Read the files one by one, or write them again together."
                    )
                classes = named
    check_found(names, {}, place)
    paths = [file.resolve() for file in files]
    listing = Listing(
        ParquetImages(tuple(map(str, paths)), images),
        place,
        names,
        stamp([images], *([path, *version(path.stat())] for path in paths)),
        description=folder_description(place, len(names)),
        origin=files_at(paths),
    )
    return listing, values, classes, columns


def _rows(opened: Any, file: Path) -> list[int]:
    """Number of rows of each group that ``file`` can hold."""
    # From the file's footer, without reading a row.
    rows = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
    size = file.stat().st_size
    if sum(rows) > MOST_ROWS * size:
        raise ValueError(
            f"{shown(str(file))} claims {sum(rows):,} rows, more images than its {size:,} bytes can hold. It is "
            "damaged, or nearly all of its rows are empty; write it again."
        )
    return rows


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    parquet = optional_module("pyarrow.parquet", "a parquet file", "parquet")
    from pyarrow import ArrowException

    try:
        with parquet.ParquetFile(file) as opened:
            yield opened
    # Pages are read, and found to be damaged, later than the file is opened.
    except (OSError, ArrowException, UnicodeDecodeError) as error:
        raise ValueError(f"{shown(str(file))} is no whole parquet file ({error}); make it again.") from error


def _class_names(metadata: dict[bytes, bytes] | None, labels: str | None) -> list[str]:
    """The names that Hugging Face's description of the columns gives the classes."""
    try:
        # Hugging Face keeps its description as JSON in the file's own metadata.
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[labels]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
