"""One process's part of decoding: ``python -m ganneal.data.decode.worker`` with its order on standard input."""

import json
import sys
from math import prod
from pathlib import Path
from typing import Any

from ganneal.data.decode.decoding import chunks, decode_chunk, quiet
from ganneal.data.decode.images import Format
from ganneal.data.sources.archive import ZipImages
from ganneal.data.sources.folder import FolderImages
from ganneal.data.sources.hub import HubImages
from ganneal.data.sources.lsun import LmdbImages
from ganneal.data.sources.parquet import ParquetImages
from ganneal.data.tools.huggingface import HubSplit
from ganneal.storage.encoding import decode

# The only types that an order may name: nothing else is built from what comes on standard input.
CONTAINERS = (FolderImages, ZipImages, LmdbImages, ParquetImages, HubImages, HubSplit)


def work(order: dict[str, Any]) -> None:
    """Decode the images of ``order`` into their rows of a file, saying each chunk on standard output."""
    format: Format = decode(order["format"], [Format])
    container = decode(order["container"], CONTAINERS)
    names = order["names"]
    row = prod(format.shape)
    with container.open() as read, open(Path(order["path"]), "r+b") as file, quiet():
        # Rows have one size, so each process knows its place before any image is decoded.
        file.seek(order["start"] * row)
        for part in chunks(len(names)):
            rows, damaged = decode_chunk(read, names[part], format)
            file.write(rows.data)
            # Flushed, as a pipe is buffered in blocks and progress would come in leaps.
            print(json.dumps({"done": len(rows), "damaged": damaged}), flush=True)


if __name__ == "__main__":
    work(json.load(sys.stdin))
