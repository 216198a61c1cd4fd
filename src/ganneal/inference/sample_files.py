"""Samples in files: as data, each image at its own size and bit for bit, or as a picture for the eye.

samples.png                one image as it is, several in a grid, points as a scatter plot
samples.npz                "images" uint8 [N, C, H, W] or "points" float32 [N, D], with "labels" and "class_names"
samples.zip                PNG files and dataset.json, the layout of the StyleGAN tools
samples/                   PNG files; of labelled samples a sub-folder for each class, and dataset.json
"""

import io
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ganneal.data import Dataset
from ganneal.data.decode.dataset_json import LABELS, label_file
from ganneal.data.decode.kinds import START, hidden, is_image
from ganneal.data.places import candidates
from ganneal.data.tools.convert import png, write_zip
from ganneal.storage.atomic import check_free, sync, write_bytes
from ganneal.storage.json_files import read_description
from ganneal.storage.pictures import picture, save_png, to_uint8
from ganneal.storage.run_directory import RunDirectory

ENDINGS = (".png", ".npz", ".zip", "")
MANIFEST = ".ganneal-samples"
"""A file in a folder of samples: the CRC-32 and the name of each file that was written there, one a line."""
LONGEST_FOLDER_NAME = 200
"""Bytes of a folder's name; most file systems take 255."""
# What Windows refuses in a name; and what no system shows, or cannot write as UTF-8.
ILLEGAL = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
# Devices of Windows, which it finds under these names with any ending.
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class DrawnSamples:
    """Samples ``[N, C, H, W]`` in [-1, 1] or points ``[N, D]``, with their classes where they have any."""

    samples: Tensor
    labels: Tensor | None = None
    class_names: Sequence[str] = ()
    """The names of all classes, by number; empty where they have none."""
    num_classes: int = 0

    @property
    def are_images(self) -> bool:
        """True if the samples are images rather than points."""
        return self.samples.dim() == 4


def check_out(path: Path, *, overwrite: bool) -> None:
    """Refuse a place where samples cannot be written, or where something would be lost, before they are drawn.

    Raises:
        ValueError: The ending is none of `ENDINGS`, or something is there that may not be replaced.
    """
    suffix = path.suffix.lower()
    if suffix not in ENDINGS:
        lossy = " A lossy format would change the pixels." if suffix in (".jpg", ".jpeg", ".webp", ".gif") else ""
        film = " A film needs --interpolate N." if suffix in (".mp4", ".webp", ".gif") else ""
        raise ValueError(
            f"out must end in .png, .npz or .zip, or be a folder without an ending, got {str(path)!r}.{lossy}{film}"
        )
    # Before anything is drawn: minutes of sampling must not end in a refusal.
    if suffix == "":
        _check_folder(path, overwrite)
    else:
        check_free(path, overwrite)


def check_outside(path: Path, run: Path) -> None:
    """Refuse to write images among the data of the run in the directory ``run``, where they would be read as data.

    Raises:
        ValueError: ``path`` is a folder of the run's data, or a folder or a PNG file in one.
    """
    description = RunDirectory(run).description
    # An archive beside the images of a folder is no image, and is not read as one.
    if path.suffix.lower() in (".npz", ".zip") or not description.exists():
        return
    for name, place in read_description(description).get("places", {}).items():
        for folder in candidates(place, run):
            # The run's data would grow by its own samples, and the next run would train on them.
            if name != "init_from" and folder.is_dir() and path.resolve().is_relative_to(folder):
                raise ValueError(
                    f"out must lie outside the run's data, got {str(path)!r} in {str(folder)!r}, where samples would "
                    f"be read as data; name another place."
                )


def check_finite(samples: Tensor) -> None:
    """Refuse samples that are no numbers.

    Raises:
        ValueError: One is NaN or infinite.
    """
    if not samples.isfinite().all():
        raise ValueError("the generator's samples are NaN or infinite; use an earlier checkpoint, or train again.")


def write_samples(drawn: DrawnSamples, path: Path, *, columns: int | None = None, overwrite: bool = False) -> None:
    """Write ``drawn`` to ``path`` in the form that its ending names.

    Args:
        columns: Of a grid; None makes it square.
        overwrite: Whether a file, or the samples that were written to a folder before, may be replaced.
    Raises:
        ValueError: A sample is no number, points cannot be written so, or as `check_out` says.
        OSError: It cannot be written.
    """
    check_out(path, overwrite=overwrite)
    check_finite(drawn.samples)
    suffix = path.suffix.lower()
    if not drawn.are_images and suffix not in (".png", ".npz"):
        raise ValueError(f"out must end in .png or .npz for points, got {str(path)!r}.")
    match suffix:
        case ".png":
            save_png(picture(drawn.samples, columns), path)
        case ".npz":
            write_bytes(path, _archive(drawn))
        case ".zip":
            write_zip(_dataset(drawn), path)
        case _:
            _write_folder(drawn, path)


def _archive(drawn: DrawnSamples) -> bytes:
    key, samples = ("images", to_uint8(drawn.samples)) if drawn.are_images else ("points", drawn.samples.numpy())
    arrays: dict[str, Any] = {key: samples}
    if drawn.labels is not None:
        arrays["labels"] = drawn.labels.numpy()
        if drawn.class_names:
            arrays["class_names"] = np.array(drawn.class_names, dtype=str)
    buffer = io.BytesIO()
    # In memory first: the file appears whole or not at all.
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _dataset(drawn: DrawnSamples) -> Dataset:
    labels = None if drawn.labels is None else drawn.labels.numpy()
    names = {"classes": list(drawn.class_names)} if drawn.class_names else {}
    return Dataset(to_uint8(drawn.samples), labels, drawn.num_classes, names)


def folder_names(class_names: Sequence[str]) -> list[str]:
    """A folder's name for each class, all different: the class's own where every file system takes it.

    >>> folder_names(["cat", "a/b", "..", "CON", "Cat", "été"])
    ['cat', 'class-1', 'class-2', 'class-3', 'class-4', 'été']
    """
    found: list[str] = []
    # A class may itself be called class-3, which would collide with the stand-in of class 3.
    taken = {LABELS, *(_folded(f"class-{index}") for index in range(len(class_names)))}
    for index, name in enumerate(class_names):
        own = _is_safe(name) and _folded(name) not in taken
        found.append(name if own else f"class-{index}")
        taken.add(_folded(found[-1]))
    return found


def _folded(name: str) -> str:
    """Names of one folder on file systems that do not tell apart capitals, or forms of Unicode."""
    return unicodedata.normalize("NFC", name).casefold()


def _is_safe(name: str) -> bool:
    # Windows drops dots and spaces at the end of a name, and two classes would share a folder.
    if not name or hidden(name) or name.startswith(".") or name.endswith(".") or name != name.strip():
        return False
    unfit = ILLEGAL.search(name) or RESERVED.fullmatch(name) or not name.isprintable()
    return not unfit and len(name.encode()) <= LONGEST_FOLDER_NAME


def _write_folder(drawn: DrawnSamples, root: Path) -> None:
    """One PNG for each sample; with labels below a folder of its class, and `dataset.json` with classes by number."""
    # Only files that are as they were written: what somebody put or changed there stays.
    for name in _earlier(root):
        (root / name).unlink(missing_ok=True)
        with suppress(OSError):  # the folder of another class, or somebody's own, is not empty
            (root / name).parent.rmdir()
    root.mkdir(parents=True, exist_ok=True)
    files = _file_names(drawn)
    with open(root / MANIFEST, "w", encoding="utf-8") as manifest:
        for name, pixels in zip(files, to_uint8(drawn.samples), strict=True):
            _write_listed(root, name, png(pixels), manifest)
        if drawn.labels is not None:
            content = label_file(files, drawn.labels.tolist(), drawn.class_names)
            _write_listed(root, LABELS, content, manifest)
    sync(root)


def _file_names(drawn: DrawnSamples) -> list[str]:
    if drawn.labels is None:
        return [f"{index:06d}.png" for index in range(len(drawn.samples))]
    # Leading zeros keep folders in the order of the classes when they are read again as sorted text.
    width = len(str(max(drawn.num_classes - 1, 0)))
    numbers = [f"{index:0{width}d}" for index in range(drawn.num_classes)]
    folders = folder_names(drawn.class_names or numbers)
    return [f"{folders[label]}/{index:06d}.png" for index, label in enumerate(drawn.labels.tolist())]


def _write_listed(root: Path, name: str, content: bytes, manifest: io.TextIOBase) -> None:
    """Write a file that the manifest names before it is there, so that it is known after an interruption too."""
    manifest.write(f"{zlib.crc32(content):08x} {name}\n")
    manifest.flush()  # to the system, so that it survives this process; a power cut may lose both lines and files
    path = root / name
    path.parent.mkdir(exist_ok=True)
    # Without a sync for each file, which would take minutes for thousands of them.
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(content)
    replace(temporary, path)


def _earlier(root: Path) -> list[str]:
    """The files in ``root`` that are samples of before, unchanged since they were written."""
    manifest = root / MANIFEST
    if not manifest.is_file():
        return []
    lines = manifest.read_text("utf-8", errors="replace").splitlines()
    listed = {name: crc for crc, _, name in (line.partition(" ") for line in lines) if name}
    # A manifest is a file that anybody may edit: a name that leads out of the folder is never deleted.
    inside = [n for n in listed if ".." not in Path(n).parts and not Path(n).is_absolute()]
    return [name for name in inside if _crc(root / name) == listed[name]]


def _crc(file: Path) -> str | None:
    return f"{zlib.crc32(file.read_bytes()):08x}" if file.is_file() else None


def _check_folder(root: Path, overwrite: bool) -> None:
    if not root.exists():
        return
    if not root.is_dir():
        raise ValueError(f"out must be a folder, got the file {str(root)!r}; give it an ending, or name another.")
    earlier = _earlier(root)
    others = set(_data_in(root)) - set(earlier)
    # With other images among them the folder would be read as one set: scores and trainings would mix the two.
    if others:
        raise ValueError(
            f"out must be a folder without other images, got {str(root)!r} with {len(others):,} that `ganneal sample` "
            f"did not write there, as {min(others)!r}; name another folder."
        )
    if earlier and not overwrite:
        raise ValueError(
            f"out must be a new folder, got {str(root)!r} with {len(earlier):,} files of earlier samples; name "
            f"another, or replace them with --overwrite."
        )


def _data_in(root: Path) -> Iterator[str]:
    """The files below ``root`` that a reader of the folder would take for data."""
    for file in root.rglob("*"):
        name = file.relative_to(root).as_posix()
        if file.is_file() and not hidden(name) and (name == LABELS or is_image(name, lambda file=file: _start(file))):
            yield name


def _start(file: Path) -> bytes:
    with open(file, "rb") as opened:
        return opened.read(START)
