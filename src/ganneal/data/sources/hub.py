"""Images of Hugging Face's `datasets`: of the hub, a folder that ``save_to_disk`` wrote, or a stream."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ganneal.data.decode.images import Format, shown
from ganneal.data.decode.labels import ClassLabels, read_labels
from ganneal.data.decode.listing import Listing, PartReader, check_found, folder_description, stamp, version
from ganneal.data.decode.loading import Encoded, finished
from ganneal.data.decode.streaming import read_stream
from ganneal.data.identity import files_at
from ganneal.data.messages import way
from ganneal.data.protocol import Dataset
from ganneal.data.tools.huggingface import HubSplit, content, image_column, label_column, load_split


@dataclass(frozen=True)
class HubImages:
    """The images in ``column`` of the rows of ``part``, named by their numbers."""

    part: HubSplit
    column: str
    single: ClassVar[bool] = True

    @contextmanager
    def open(self) -> Iterator[PartReader]:
        # Arrow, not Python: the encoded bytes come out untouched, where the library would decode the image itself.
        rows = load_split(self.part).select_columns([self.column]).with_format("arrow")
        yield lambda name, most=-1: content(rows[int(name.rpartition(" ")[2])].column(0)[0].as_py())


@dataclass(frozen=True)
class Hub(Encoded):
    """Images of a set of Hugging Face's `datasets`; needs the extra ``ganneal[hub]``.

    What is not streamed is read from this machine alone, by row: a folder that ``save_to_disk`` or ``ganneal data
    fetch`` wrote, or Hugging Face's own cache.
    """

    place_field: ClassVar[str] = "name"

    name: str = "ylecun/mnist"
    """A folder, or a name on the hub."""
    config: str | None = None
    """Configuration, where the set has several."""
    split: str = "train"
    """Split of a set that has several."""
    revision: str | None = None
    """Commit on the hub; None takes the newest there is."""
    image_column: str | None = None
    """Column of images or of their encoded bytes; None for the only one."""
    label_column: str | None = None
    """Column of class labels or whole numbers; None for the only one of class labels, or ``label``."""
    streaming: bool = False
    """Read every row once and in order, over the network for a hub set, and keep the decoded images. Later readings
    take the kept images."""

    @property
    def part(self) -> HubSplit:
        """Which split of which data set."""
        return HubSplit(self.name, self.config, self.split, self.revision)

    def load(self) -> Dataset:
        return self._stream() if self.streaming else super().load()

    def listing(self) -> Listing:
        """The images and labels, without decoding; rows by number, so not of a stream."""
        if self.streaming:
            raise ValueError("streaming must be False where images are looked at one by one; only training streams.")
        rows, place = load_split(self.part), Path(self.name)
        column = image_column(rows.features, self.image_column, self.part)
        # Rows have no names of their own; the reader takes the number off again.
        names = [f"row {number}" for number in range(len(rows))]
        check_found(names, {}, place)
        # The library memory-maps these files, so their versions tell whether the rows have changed.
        files = [Path(file["filename"]) for file in rows.cache_files]
        marks = ([file.resolve(), *version(file.stat())] for file in files)
        listing = Listing(
            HubImages(self.part, column),
            place,
            names,
            stamp([column, self.config, self.split], *marks),
            description=folder_description(place, len(names)),
            origin=files_at(files),
        )
        labels, several = label_column(rows.features, self.label_column, self.part)
        if labels is None:
            return listing.classed(ClassLabels(unusable=several))
        # The one column as Arrow: the images beside it stay unread.
        values = rows.select_columns([labels]).with_format("arrow")[:].column(0).to_pylist()
        return _labelled(listing, values, list(getattr(rows.features[labels], "names", ())), labels)

    def _stream(self) -> Dataset:
        if self.size is None or self.channels is None:
            raise ValueError(
                f"size and channels must be given with streaming=True, before the first image has come, got "
                f"{self.size} and {self.channels}; for example {way('size', 32)} and {way('channels', 3)}."
            )
        format = Format(self.size, self.channels, self.fit, self.levels)
        found = read_stream(self.part, self.image_column, self.label_column, format)
        place = Path(self.name)
        # A stream says how many rows it has at its end only.
        names = [f"row {number}" for number in range(len(found.samples) + len(found.damaged))]
        check_found(names, {}, place)
        listing = Listing(
            HubImages(self.part, self.image_column or ""),
            place,
            names,
            "",
            description=folder_description(place, len(names)),
        )
        if found.labels is None:
            listing = listing.classed(ClassLabels(unusable=found.unusable))
        else:
            listing = _labelled(listing, found.labels, found.classes, self.label_column or "label")
        return finished(listing, found.samples, found.damaged, self.on_damaged)


def _labelled(listing: Listing, values: Sequence[Any], classes: Sequence[str], column: str) -> Listing:
    source = f"column {column!r} of {shown(str(listing.place))}"
    return listing.classed(read_labels(values, source, len(listing.names), classes))
