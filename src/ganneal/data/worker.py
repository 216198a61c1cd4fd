"""One process's part of decoding: ``python -m ganneal.data.worker`` with its order on standard input."""

import json
import sys
from pathlib import Path
from typing import Any

from ganneal.config import decode
from ganneal.data.archive import ZipImages
from ganneal.data.decoding import chunks, decode_chunk, quiet
from ganneal.data.folder import FolderImages
from ganneal.data.hub import HubImages
from ganneal.data.huggingface import Part
from ganneal.data.images import Format
from ganneal.data.lsun import LmdbImages
from ganneal.data.parquet import ParquetImages

CONTAINERS = (FolderImages, ZipImages, LmdbImages, ParquetImages, HubImages, Part)


def work(order: dict[str, Any]) -> None:
    """Decode the images of ``order`` into their rows of a file, saying each chunk on standard output."""
    format: Format = decode(order["format"], [Format])
    container = decode(order["container"], CONTAINERS)
    names = order["names"]
    row = format.channels * format.size**2
    with container.open() as read, open(Path(order["path"]), "r+b") as file, quiet():
        file.seek(order["start"] * row)
        for part in chunks(len(names)):
            rows, damaged = decode_chunk(read, names[part.start : part.stop], format)
            file.write(rows.data)
            print(json.dumps({"done": len(rows), "damaged": damaged}), flush=True)


if __name__ == "__main__":
    work(json.load(sys.stdin))
