"""Decoded images kept between processes: one file of uint8 rows and a description, found by what they were made from.

What is in a store can be deleted at any time; it is made again. A file that is not what was written is made again too:
its description, which is written last, holds a checksum of every block.
"""

import errno
import fcntl
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from ganneal.data.decode.decoding import decode_to_file
from ganneal.data.decode.images import Format
from ganneal.data.decode.listing import Listing, stamp
from ganneal.data.messages import report
from ganneal.machine import cores
from ganneal.storage.atomic import replaced_file, write_bytes
from ganneal.storage.cache import cache_folder
from ganneal.storage.encoding import encode

Writer = Callable[[Path], dict[str, Any]]
# Part of every key: raised where decoding changes, so that what was kept before is not found any more.
VERSION = 1
READ_BYTES = 2**24
LIMIT_GIGABYTES = 32.0


def store_limit() -> int:
    """The largest sum of all kept files in bytes, 32 GB or what GANNEAL_CACHE_GB says.

    Raises:
        ValueError: GANNEAL_CACHE_GB is no number of at least 0.
    """
    given = os.environ.get("GANNEAL_CACHE_GB", str(LIMIT_GIGABYTES))
    try:
        gigabytes = float(given)
    except ValueError:
        gigabytes = -1.0
    # Not `< 0`, which NaN would pass.
    if not gigabytes >= 0:
        raise ValueError(f"GANNEAL_CACHE_GB must be a number of gigabytes, 0 to keep nothing, got {given!r}.")
    return int(gigabytes * 1e9)


def kept_images(listing: Listing, format: Format) -> tuple[np.ndarray, dict[str, str]]:
    """The images that can be read as a read-only memory map, and why the others cannot; decoded if they are not kept.

    Raises:
        OSError: The store cannot be written, or lacks room.
    """
    # the names too: a part of what lies in one place, and all of it, are two sets
    # Pillow's version is in the key, as another one may decode or resample to other bits.
    key = stamp([listing.stamp, VERSION, PIL.__version__, json.dumps(encode(format))], listing.names)[:32]
    size = len(listing.names) * prod(format.shape)

    def write(path: Path) -> dict[str, str]:
        # The file has its full length from the start, so that several processes may each write their own rows.
        os.truncate(path, size)
        damaged = decode_to_file(listing, format, path)
        _compact(path, [name in damaged for name in listing.names], format)
        return damaged

    return kept_rows(key, format.shape, size, write)


def kept_rows(key: str, shape: tuple[int, ...], size: int, write: Writer) -> tuple[np.ndarray, dict[str, Any]]:
    """A read-only memory map uint8 ``[N, *shape]`` of what is kept under ``key``; ``write`` makes it if it is not.

    Beside it comes what ``write`` returned.

    Several processes may ask at once: one writes, the others wait for it.

    Args:
        size: Bytes that it takes at most.
        write: Fills an empty file with whole rows; returns what is to be known of them as JSON types, as why some are
            left out.
    Raises:
        OSError: The store cannot be written, or lacks room.
    """
    folder = cache_folder() / "images"
    if (found := _read(folder, key, shape)) is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    # Several runs often start at once on the same images: one decodes, the others wait and find the result.
    with _locked(folder / f"{key}.lock"):
        # Asked again under the lock, as the process that was waited for may have written it.
        if (found := _read(folder, key, shape)) is not None:
            return found
        _make_room(folder, size)
        _write(folder, key, shape, write)
    found = _read(folder, key, shape)
    if found is None:
        raise OSError(errno.EIO, f"what was just written to {folder} reads back differently; check that disk")
    return found


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            # The lock belongs to the open file: the system frees it when the process dies, however it dies.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that decodes the same images", 0, 1)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(folder: Path, key: str, shape: tuple[int, ...], write: Writer) -> None:
    with replaced_file(folder / f"{key}.bin") as temporary:
        temporary.touch()
        damaged = write(temporary)
        rows = temporary.stat().st_size // prod(shape)
        # A checksum for each block: a bad disk or a file that was written over is noticed before training sees its
        # pixels.
        body = json.dumps({"rows": rows, "damaged": damaged, "blocks": _checksums(temporary)})
        (folder / f"{key}.json").unlink(missing_ok=True)
    # Rows are on the disk before the description that vouches for them, so a power cut leaves no half set.
    write_bytes(folder / f"{key}.json", json.dumps({"sha256": _hash(body), "body": body}).encode())


def _compact(path: Path, damaged: list[bool], format: Format) -> None:
    """Move the rows of whole images together."""
    rows = len(damaged) - sum(damaged)
    if rows < len(damaged):
        samples = np.memmap(path, np.uint8, "r+", shape=(len(damaged), *format.shape))
        # Rows move towards the start only, so none is overwritten before it has moved.
        for target, source in enumerate(np.flatnonzero(~np.array(damaged))):
            if target != source:
                samples[target] = samples[source]
        samples.flush()
        # Unmapped before the file is cut: touching a map beyond the end of its file ends the process.
        del samples
        os.truncate(path, rows * prod(format.shape))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _checksums(path: Path) -> list[int]:
    """CRC-32 of every block of a file."""
    size = path.stat().st_size

    def checksum(start: int) -> int:
        with open(path, "rb") as file:
            file.seek(start)
            return zlib.crc32(file.read(READ_BYTES))

    sums = []
    # Threads do: zlib and file reads let go of the interpreter's lock.
    with ThreadPoolExecutor(cores()) as pool:
        for number, value in enumerate(pool.map(checksum, range(0, size, READ_BYTES)), 1):
            sums.append(value)
            report("checking bytes of decoded images", min(number * READ_BYTES, size), size)
    return sums


def _read(folder: Path, key: str, shape: tuple[int, ...]) -> tuple[np.ndarray, dict[str, Any]] | None:
    """Read the value kept under ``key``; None where it is missing or not what was written."""
    data, description = folder / f"{key}.bin", folder / f"{key}.json"
    try:
        outer = json.loads(description.read_bytes())
        if _hash(outer["body"]) != outer["sha256"]:
            return None
        content: dict[str, Any] = json.loads(outer["body"])
        if _checksums(data) != content["blocks"]:
            return None
        # A file without bytes cannot be mapped.
        if not content["rows"]:
            return np.empty((0, *shape), np.uint8), content["damaged"]
        # A map, not an array: processes on one machine share the same pages, a set may be larger than the memory, and a
        # row that is not asked for is never read.
        mapped = np.memmap(data, np.uint8, "r", shape=(content["rows"], *shape))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        os.utime(description)  # it was used: others go first when room is needed
    # A cache of somebody else's may allow reading alone.
    except OSError:
        pass
    # A plain array over the same map: slices of the subclass would be maps again, and slower to make.
    return np.asarray(mapped), content["damaged"]


def _make_room(folder: Path, size: int) -> None:
    """Delete what was used longest ago until ``size`` more bytes are within the limit.

    A process that has a deleted file mapped keeps it until it ends.
    """
    # Used longest ago first: reading a set sets its time.
    entries = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime)
    sizes = {path: data.stat().st_size for path in entries if (data := path.with_suffix(".bin")).exists()}
    total = sum(sizes.values())
    for path, freed in sizes.items():
        if total + size <= store_limit():
            break
        path.unlink(missing_ok=True)
        path.with_suffix(".bin").unlink(missing_ok=True)
        path.with_suffix(".lock").unlink(missing_ok=True)
        total -= freed
    if shutil.disk_usage(folder).free < size:
        raise OSError(errno.ENOSPC, f"{size / 1e9:.1f} GB are needed", str(folder))
