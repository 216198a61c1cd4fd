"""A stream of encoded images, read once and in order into the store of decoded ones, from where training takes them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ganneal.data.decode.decoding import DECODED_TOGETHER, decode_chunk, in_turn, quiet
from ganneal.data.decode.images import Format, shown
from ganneal.data.decode.listing import stamp, version
from ganneal.data.decode.store import kept_rows, store_limit
from ganneal.data.messages import report
from ganneal.data.tools.huggingface import (
    HubSplit,
    content,
    image_column,
    import_datasets,
    is_saved,
    label_column,
    load_split,
    streamed,
)
from ganneal.machine import cores
from ganneal.storage.cache import cache_folder


class Streamed(NamedTuple):
    """Contents of a stream."""

    samples: np.ndarray
    """Images that can be read, uint8 ``[N, C, size, size]``."""
    labels: list[Any] | None
    """Labels of every row, the damaged ones included."""
    classes: list[str]
    """Their names, where the stream says them."""
    damaged: dict[str, str]
    unusable: str
    """Why labels that were found are no classes."""


class StreamBroken(ConnectionError):
    """A stream ended before its end."""


def read_stream(part: HubSplit, images: str | None, labels: str | None, format: Format) -> Streamed:
    """Every image of ``part``: as it was kept when it was read before, else read now.

    Args:
        images: Column of images; None for the only one.
        labels: Column of labels; None for the only one of class labels.
    Raises:
        OSError: The stream broke, in which case nothing of it is kept; or the store cannot be written.
        ValueError: There are more images than the store may keep, or a column is not as it should be.
    """
    key = stamp(["stream 2", part.name, part.config, part.split, part.revision, images, labels], *_state(part))
    key = stamp([key, *format.shape, format.fit, format.levels])[:32]

    def write(path: Path) -> dict[str, Any]:
        return _write(path, part, images, labels, format)

    try:
        # 0 bytes, as nobody knows how many images will come; `_check_room` watches while they do.
        samples, notes = kept_rows(key, format.shape, 0, write)
    # It is an OSError too, and must not be taken for one of the store.
    except StreamBroken:
        raise
    except OSError as error:
        raise OSError(
            f"what a stream held must be kept, and {cache_folder() / 'images'} cannot take it "
            f"({error.strerror or error}); set GANNEAL_CACHE to a folder with room."
        ) from error
    return Streamed(samples, notes["labels"], notes["classes"], notes["damaged"], notes["unusable"])


def _state(part: HubSplit) -> Iterator[list[object]]:
    """Path and version of each file of a folder, which change with its content; nothing for a hub set."""
    if (folder := part.folder) is None:
        return
    files = [Path(file["filename"]) for file in load_split(part).cache_files] if is_saved(folder) else folder.rglob("*")
    for file in sorted(files):
        yield [file.resolve(), *version(file.stat())]


def _write(path: Path, part: HubSplit, images: str | None, labels: str | None, format: Format) -> dict[str, Any]:
    try:
        stream = streamed(part)
        features = stream.features or _first_features(stream)
    except OSError as error:
        raise StreamBroken(str(error)) from error
    images = image_column(features, images, part)
    labels, several = label_column(features, labels, part)
    stream = stream.select_columns([images] if labels is None else [images, labels])
    if isinstance(features[images], import_datasets().Image):
        # Encoded bytes: the library would decode in one thread, and stop at the first damaged image.
        stream = stream.cast_column(images, import_datasets().Image(decode=False))
    total = getattr((stream.info.splits or {}).get(part.split), "num_examples", None) or 0
    found: dict[str, Any] = {"damaged": {}, "labels": None if labels is None else [], "unusable": several}
    found["classes"] = [] if labels is None else list(getattr(features[labels], "names", ()))
    row, count = prod(format.shape), 0
    with open(path, "r+b") as file, quiet():
        for rows, classes, damaged in _decoded(_batches(stream, part), images, labels, format):
            # A stream cannot be read again, so damaged rows are left out as it goes, and their numbers kept for the
            # message.
            file.write(rows[[str(index) not in damaged for index in range(len(rows))]].data)
            found["damaged"] |= {f"row {count + int(index)}": reason for index, reason in damaged.items()}
            if labels is not None:
                found["labels"] += classes
            count += len(rows)
            _check_room(count * row, part)
            report("reading a stream", count, max(total, count))
    return found


def _first_features(stream: Any) -> Any:
    """The kinds of the columns as the first row has them, where a stream does not say."""
    import pyarrow

    return import_datasets().Features.from_arrow_schema(pyarrow.Table.from_pylist([next(iter(stream))]).schema)


def _batches(stream: Any, part: HubSplit) -> Iterator[dict[str, list[Any]]]:
    count, batches = 0, iter(stream.iter(batch_size=DECODED_TOGETHER))
    while True:
        try:
            # Only the fetching is guarded: errors of whoever takes the batches are none of the stream.
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:  # a network and damaged files make `datasets` raise almost any type
            raise StreamBroken(
                f"{part} broke off after {count:,} images ({type(error).__name__}: {error}); the same command reads it "
                f"again from its start."
            ) from error
        yield batch
        count += DECODED_TOGETHER


def _decoded(
    batches: Iterator[dict[str, list[Any]]], images: str, labels: str | None, format: Format
) -> Iterator[tuple[np.ndarray, list[Any], dict[str, str]]]:
    """Rows, labels and what is damaged by its place in the batch, in order, decoded while the next ones come."""

    def decode(batch: dict[str, list[Any]]) -> tuple[np.ndarray, list[Any], dict[str, str]]:
        values = batch[images]
        # The place in the batch is the name of a row here; the number in the stream is counted by the caller.
        places = list(map(str, range(len(values))))
        rows, damaged = decode_chunk(lambda place: content(values[int(place)]), places, format)
        return rows, [] if labels is None else batch[labels], damaged

    with ThreadPoolExecutor(cores()) as pool:
        yield from in_turn(pool, decode, batches)


def _check_room(size: int, part: HubSplit) -> None:
    if size > (limit := store_limit()):
        raise ValueError(
            f"{shown(str(part))} has more images than may be kept, {limit / 1e9:g} GB decoded, and a stream cannot be "
            f"read twice; set GANNEAL_CACHE_GB higher, or size lower."
        )
