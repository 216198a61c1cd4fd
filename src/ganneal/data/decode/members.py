"""Files of an original data set by their names, in a folder or in the tar archive it came in; nothing is unpacked."""

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ganneal.data.decode.images import shown

LARGEST_MEMBER = 2**31
"""Bytes of one file: above every original batch file, far below a decompression bomb's."""


PIECE = 2**20
COMPRESSED: dict[bytes, Callable[[Path], Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
"""First bytes of a compressed archive, and the function that opens it."""


def read_members(place: Path, names: Collection[str]) -> dict[str, bytes]:
    """The files called one of ``names`` in the folder or tar archive ``place``, at any depth; absent ones are left out.

    Raises:
        ValueError: ``place`` is neither, or damaged.
    """
    if place.is_dir():
        files = sorted(file for file in place.rglob("*") if file.name in names and file.is_file())
        return {file.name: file.read_bytes() for file in reversed(files)}  # the first of two of one name counts
    found: dict[str, bytes] = {}
    try:
        # "r:" is a plain tar: the compression is undone here, with a bound on what is read at once.
        with _opened(place) as file, tarfile.open(fileobj=_Pieces(file), mode="r:") as archive:  # type: ignore[call-overload]
            # One pass in the archive's order: a compressed tar has no list, and going back would unpack it again.
            for member in archive:
                name = member.name.rpartition("/")[2]
                # Regular files only: a link in an archive may lead anywhere.
                if name in names and name not in found and member.isfile():
                    found[name] = _read(archive, member)
            # gzip, bzip2 and xz compare their checksum at the end of the file, which the tar ends before.
            while file.read(PIECE):
                pass
    except (tarfile.TarError, EOFError, OSError, OverflowError, lzma.LZMAError, zlib.error) as error:
        raise ValueError(
            f"{shown(str(place))} is neither a folder nor a whole tar archive ({error}); download it again, or give "
            f"the folder it was unpacked into."
        ) from error
    return found


def _opened(place: Path) -> io.BufferedIOBase:
    """The archive without its layer of compression."""
    with open(place, "rb") as file:
        start = file.read(6)
    # By content, as archives are renamed, and browsers unpack gzip without changing the name.
    for beginning, opener in COMPRESSED.items():
        if start.startswith(beginning):
            return opener(place)
    return open(place, "rb")


class _Pieces:
    """A file of which no more memory is taken than there is to read, whatever size is asked for."""

    def __init__(self, file: io.BufferedIOBase):
        self.file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        # tarfile asks for as many bytes as a header claims, and a compressed file would allocate them at once.
        pieces = []
        while size > 0 and (piece := self.file.read(min(size, PIECE))):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    if member.size > LARGEST_MEMBER:
        raise ValueError(f"{shown(member.name)} claims {member.size:,} bytes, as a decompression bomb does.")
    content = archive.extractfile(member)
    assert content is not None  # a regular file
    return content.read()


def unzipped(name: str, content: bytes) -> bytes:
    """``content`` without its gzip layer, where it has one.

    Raises:
        ValueError: It is damaged, or larger than any original.
    """
    if not content.startswith(b"\x1f\x8b"):
        return content
    # 16 more asks zlib for gzip's header and checksum in place of its own.
    unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        # With a limit, unlike gzip.decompress, which a bomb of a few kilobytes would fill the memory with.
        plain = unpacker.decompress(content, LARGEST_MEMBER)
    except zlib.error as error:
        raise ValueError(f"{name} is damaged ({error}); download it again.") from error
    if not unpacker.eof:
        raise ValueError(f"{name} is cut off, or unpacks to more than {LARGEST_MEMBER:,} bytes; download it again.")
    return plain
