"""The header of numpy's array files, read without believing it: what it claims is compared with what is there."""

import io
import zipfile
from collections.abc import Collection
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

LONGEST_HEADER = 10_000
"""Characters; numpy reads no more either, but reserves memory for what is claimed before it looks."""
MOST_DEFLATED = 1_032
"""Bytes that one byte of a deflated archive can become."""


class ArrayHeader(NamedTuple):
    """The header of an array file."""

    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes of the numbers after it."""
        return prod(self.shape) * self.dtype.itemsize


def read_header(file: io.BufferedIOBase) -> ArrayHeader:
    """The header at the place where ``file`` is read, which then is at the first number.

    Raises:
        ValueError: There is none, or it says what no array of numbers has.
    """
    # Version 3 differs in the encoding of field names alone, which arrays of plain numbers lack.
    width = {b"\x93NUMPY\x01\x00": 2, b"\x93NUMPY\x02\x00": 4}.get(file.read(8))
    if width is None:
        raise ValueError("it does not begin as an array of numbers does")
    length = file.read(width)
    if len(length) < width or int.from_bytes(length, "little") > LONGEST_HEADER:
        raise ValueError("its header is cut off, or longer than any")
    # A buffer with the header alone: numpy's reader cannot go on beyond it.
    text = io.BytesIO(length + file.read(int.from_bytes(length, "little")))
    read = {2: np.lib.format.read_array_header_1_0, 4: np.lib.format.read_array_header_2_0}[width]
    try:
        header = ArrayHeader(*read(text))
    except Exception as error:  # numpy evaluates the header as Python, which raises almost any type
        raise ValueError(f"its header cannot be read: {error}") from error
    if header.dtype.hasobject or min(header.shape, default=0) < 0:
        raise ValueError(f"it holds objects, or has no shape: {header.dtype} {header.shape}")
    return header


def array_headers(path: Path) -> dict[str, ArrayHeader | None]:
    """The headers of the arrays in an .npz archive by their names; None of what holds no numbers.

    A damaged archive has none: reading it says what is wrong.
    """
    headers: dict[str, ArrayHeader | None] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                headers[name := entry.filename.removesuffix(".npy")] = None
                with suppress(Exception), archive.open(entry) as member:
                    headers[name] = read_header(member)  # type: ignore[arg-type]
    except Exception:  # a damaged archive makes zipfile raise almost any type
        return {}
    return headers


def holds_statistics(held: Collection[str]) -> bool:
    """True if the arrays are the mean and the covariance of features, by the names of pytorch-fid and ADM."""
    return {"mu", "sigma"} <= set(held)


def check_not_swollen(entry: zipfile.ZipInfo, size: int) -> None:
    """Refuse an array of more bytes than its part of the archive can become.

    Raises:
        ValueError: ``size`` is above that.
    """
    if size > entry.compress_size * MOST_DEFLATED:
        raise ValueError(f"{entry.filename} claims {size:,} bytes, as a decompression bomb does")


def read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """The array ``name`` of an .npz archive; memory is taken only for what the archive can hold.

    Raises:
        ValueError: It is damaged, of objects, or claims more than is there.
        KeyError: There is none of that name.
    """
    entry = archive.getinfo(f"{name}.npy")
    with archive.open(entry) as member:
        header = read_header(member)  # type: ignore[arg-type]
        # Two claims, the array's and the archive's, must agree before anything is allocated for them.
        if header.size != entry.file_size - member.tell():
            raise ValueError(f"{name} must have {header.size:,} bytes for {header.shape}, its file says otherwise")
    # numpy allocates the whole array from the header before it reads: a bomb of 1 kB could claim gigabytes.
    check_not_swollen(entry, entry.file_size)
    # Opened again: a member can be read forwards only, or from its start.
    with archive.open(entry) as member:
        array = np.lib.format.read_array(member, allow_pickle=False)
        member.read(1)  # the end, where the checksum is compared
    return array
