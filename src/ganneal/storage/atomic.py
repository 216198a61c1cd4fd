"""Writing files so that a crash, a kill or a full disk leaves the old file or the new one, never a part."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_named(path: str | Path) -> None:
    """Refuse an empty path, which would be the present folder.

    Raises:
        ValueError: It is empty.
    """
    if not str(path).strip():
        raise ValueError(f"path must name a file or a folder, got the empty {path!r}; the present folder is '.'.")


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse to write a file where a folder is, or where something would be lost.

    Raises:
        ValueError: ``path`` is a folder, or is there and may not be overwritten.
    """
    if path.is_dir():
        raise ValueError(f"out must be a file, got the folder {str(path)!r}; name a file in it.")
    if path.exists() and not overwrite:
        raise ValueError(
            f"out must be a new file, got {str(path)!r}, which is there; name another, or use --overwrite."
        )


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or which files a folder holds."""
    # For reading, as a folder can be opened in no other way; fsync asks for no more.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes, *, shared: bool = False) -> None:
    """Write ``data`` to ``path``, as `replaced_file` has it.

    Raises:
        OSError: The disk is full or read-only; ``path`` is as it was and the temporary file is gone.
    """
    with replaced_file(path, shared=shared) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replaced_file(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """A new file beside ``path`` to fill, which is synced and takes its name when the block ends without an error.

    Args:
        shared: Several processes may write this path at once; each then has a temporary file of its own.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Where several processes may write one file, each has a temporary file of its own and the last rename wins.
    own = f".{os.getpid()}" if shared else ""
    temporary = path.with_name(f".{path.name}{own}.tmp")
    try:
        yield temporary
        # Before the rename: a system may write the new name first and, without power, keep it without its bytes.
        sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # The folder holds the new name: without this a power cut may bring back the old one.
    sync(path.parent)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """A fresh folder to fill, which takes the place of ``path`` when the block ends without an error."""
    # A rename cannot replace a folder that holds files, so the old one steps aside first; both renames can be told
    # apart after a crash.
    temporary, old = path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}.old")
    # Both there means that the second rename was reached: then ``path`` is new and whole, and the old one goes.
    if old.exists() and not path.exists():  # an earlier process died between the two renames
        os.replace(old, path)
    for leftover in (temporary, old):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if path.exists():
        os.replace(path, old)
    try:
        os.replace(temporary, path)
    except OSError:
        if old.exists():
            os.replace(old, path)
        raise
    sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)
