"""The readers that are fed damaged files, each with small valid ones to begin from and the name an error must give."""

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganneal.data import Arrays, Cifar10, Cifar100, ImageNetBatches, Parquet, Zip
from ganneal.data.decode.dataset_json import parse_labels
from ganneal.data.decode.images import Damaged, Format, decode_image
from ganneal.data.decode.labels import read_labels
from ganneal.data.decode.members import unzipped
from ganneal.data.sources.mnist import read_idx

CANARY = "canary"
"""The folder that a pickle makes where it is run."""
RANDOM = np.random.default_rng(0)


@dataclass(frozen=True)
class Reader:
    """One way into the library for a file from outside."""

    seeds: Callable[[Path], list[bytes]]
    """Valid files, and hostile ones that name ``CANARY`` below the folder given."""
    read: Callable[[bytes, Path], object]
    """Read it, where need be as a file in the folder given."""
    name: str
    """What a refusal has to contain; empty where the caller adds the name."""


class Canary:
    """Makes the folder that shows it was run."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder / CANARY),)


def _saved(write: Callable[..., object], *arguments: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    write(file, *arguments, **options)
    return file.getvalue()


def _pixels(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def _picture(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    pixels = Image.fromarray(_pixels(8, 8, 3)).convert(mode)
    return _saved(pixels.save, format=kind, **options)


def _in_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def from_file(data: bytes, folder: Path) -> object:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return read(path)

    return from_file


# Images and archives of them


def _images(folder: Path) -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *(_picture("PNG"), _picture("PNG", "P"), _picture("PNG", "LA"), _picture("JPEG", exif=exif), _picture("GIF")),
        *(_picture("JPEG", "CMYK"), _picture("WEBP", lossless=True), _picture("WEBP"), _picture("BMP")),
        *(_picture("TIFF"), _picture("TIFF", compression="tiff_lzw"), _picture("PPM"), _picture("PPM", "L")),
        *(_picture("AVIF"), _picture("JPEG2000"), _picture("QOI"), b"P3 2 1 255 1 2 3 4 5 6", b"P1 2 2 1 0 0 1"),
    ]


def _read_image(data: bytes, folder: Path) -> object:
    return decode_image(lambda name: data, "a", Format(4, 3))


def _images_by_ending(folder: Path) -> list[bytes]:
    rows = struct.pack(">8I", 0x59A66A95, 8, 8, 24, 192, 1, 0, 0) + bytes(192)  # a Sun raster, which Pillow only reads
    run_lengths = _picture("TGA", compression="tga_rle")
    return [_picture("TGA"), run_lengths, _picture("PCX"), _picture("SGI"), _picture("DIB"), rows]


def _read_by_ending(data: bytes, folder: Path) -> object:
    """``data`` under each ending that says what a file is when its content does not."""
    for suffix in ("tga", "pcx", "sgi", "ras"):
        try:
            return decode_image(lambda name: data, f"a.{suffix}", Format(4, 3))
        except Damaged:
            continue
    return decode_image(lambda name: data, "a.dib", Format(4, 3))


LABELS = json.dumps({"labels": [["a.png", 0], ["b.png", 1], ["\u00fc.jpg", 3]]}).encode()


def _zips(folder: Path) -> list[bytes]:
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("a.png", _picture("PNG"))
            archive.writestr("b.png", _picture("PNG", "L"))
            archive.writestr("\u00fc.jpg", _picture("JPEG"))
            archive.writestr("dataset.json", LABELS)
        found.append(file.getvalue())
    return found


def _read_labels(data: bytes, folder: Path) -> object:
    listed = parse_labels(lambda: data, "dataset.json")
    values = list((listed.labels or {}).values())
    return read_labels(values, "dataset.json", len(values), listed.names)


# Arrays


def _arrays(folder: Path) -> list[bytes]:
    values = {"x_train": _pixels(3, 4, 4), "y_train": np.arange(3)}
    return [_saved(np.savez, **values), _saved(np.savez_compressed, **values)]


def _npy(folder: Path) -> list[bytes]:
    hostile = np.empty(1, dtype=object)
    hostile[0] = Canary(folder)
    return [_saved(np.save, _pixels(3, 4, 4, 3)), _saved(np.save, _pixels(3, 4, 4)), _saved(np.save, hostile)]


def _read_member(data: bytes, folder: Path) -> object:
    """``data`` as an array in a whole archive, past its checksums."""
    path = folder / "set.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", data)
    return Arrays(str(path), labels=None).load()


def _idx(folder: Path) -> list[bytes]:
    return [struct.pack(">4B3I", 0, 0, 8, 3, 3, 4, 4) + bytes(48), struct.pack(">4BI", 0, 0, 8, 1, 3) + bytes(3)]


def _read_idx(data: bytes, folder: Path) -> object:
    return read_idx("train-images", unzipped("train-images", data))


# CIFAR and ImageNet


def _pickled(keys: tuple[str, ...], width: int, lowest: int = 0) -> Callable[[Path], list[bytes]]:
    def made(folder: Path) -> list[bytes]:
        labels = [list(range(lowest, lowest + 2)) for _ in keys]
        values = {"data": _pixels(2, width)} | dict(zip(keys, labels, strict=True))
        old = {key.encode(): value for key, value in values.items()}
        whole = [pickle.dumps(old, 2), pickle.dumps(values, 4)]
        return [*whole, pickle.dumps(values | {"data": Canary(folder)}, 2), pickle.dumps(Canary(folder))]

    return made


def _tars(folder: Path) -> list[bytes]:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("cifar-100-binary/test.bin")
        entry.size = 2 * 3074
        archive.addfile(entry, io.BytesIO(bytes(entry.size)))
    return [file.getvalue()[:8192], gzip.compress(file.getvalue())]


def _cifar_binary(folder: Path) -> list[bytes]:
    return [bytes([3]) + bytes(3072), bytes([9]) + bytes(3072) + bytes(3073)]


def _read_cifar10(data: bytes, folder: Path) -> object:
    root = folder / "of-test_batch"
    root.mkdir(exist_ok=True)
    (root / "test_batch.bin").write_bytes(data)
    return Cifar10(str(root), split="test").load()


_read_cifar_pickle = _in_file("cifar/test", lambda path: Cifar100(str(path.parent), "test", "coarse").load())
_read_tar = _in_file("cifar-100.tar", lambda path: Cifar100(str(path), "test").load())
_read_imagenet = _in_file("imagenet/val_data", lambda path: ImageNetBatches(str(path.parent), "val").load())
_read_imagenet_npz = _in_file("imagenet-npz/val_data.npz", lambda path: ImageNetBatches(str(path.parent), "val").load())


def _imagenet_npz(folder: Path) -> list[bytes]:
    values = {"data": _pixels(2, 12), "labels": np.array([1, 1000])}
    return [_saved(np.savez, **values), _saved(np.savez_compressed, **values)]


def _swapped(write: Callable[..., object]) -> Callable[..., object]:
    return lambda file, table, **options: write(table, file, **options)


def _parquet(folder: Path) -> list[bytes]:
    import pyarrow
    from pyarrow import parquet

    images = [{"bytes": _picture("PNG"), "path": None} for _ in range(2)]
    table = pyarrow.table({"image": images, "label": [0, 1]})
    return [_saved(_swapped(parquet.write_table), table, compression=kind) for kind in ("none", "snappy")]


OUTSIDE = {
    "image": Reader(_images, _read_image, ""),
    "image-by-ending": Reader(_images_by_ending, _read_by_ending, ""),
    "zip": Reader(_zips, _in_file("set.zip", lambda path: Zip(str(path), size=4, channels=1).load()), "set.zip"),
    "dataset.json": Reader(lambda folder: [LABELS, b'{"labels": null}'], _read_labels, "dataset.json"),
    "npz": Reader(_arrays, _in_file("set.npz", lambda path: Arrays(str(path)).load()), "set.npz"),
    "npz-member": Reader(_npy, _read_member, "set.npz"),
    "npy": Reader(_npy, _in_file("set.npy", lambda path: Arrays(str(path)).load()), "set.npy"),
    "idx": Reader(_idx, _read_idx, "train-images"),
    "idx-gz": Reader(lambda folder: [gzip.compress(data) for data in _idx(folder)], _read_idx, "train-images"),
    "cifar-binary": Reader(_cifar_binary, _read_cifar10, "test_batch"),
    "cifar-pickle": Reader(_pickled(("coarse_labels", "fine_labels"), 3072), _read_cifar_pickle, "test"),
    "cifar-tar": Reader(_tars, _read_tar, "cifar-100.tar"),
    "imagenet-pickle": Reader(_pickled(("labels",), 12, 1), _read_imagenet, "val_data"),
    "imagenet-npz": Reader(_imagenet_npz, _read_imagenet_npz, "val_data"),
    "parquet": Reader(
        _parquet, _in_file("set.parquet", lambda path: Parquet(str(path), size=4, channels=1).load()), "set.parquet"
    ),
}
