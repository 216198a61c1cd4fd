"""ImageNet at 64 pixels or fewer as it is distributed: batches of arrays, pickled or as .npz, read one at a time."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ganneal.data.decode.images import shown
from ganneal.data.decode.listing import stamp, version
from ganneal.data.decode.loading import SHARE_OF_MEMORY, SMALL_SET, free_memory
from ganneal.data.decode.npy import check_not_swollen, read_header, read_member
from ganneal.data.decode.pickles import load_batch
from ganneal.data.decode.store import kept_rows, store_limit
from ganneal.data.finding import find_data
from ganneal.data.messages import report
from ganneal.data.protocol import Dataset
from ganneal.registry import check_choices

MOVED_TOGETHER = 4_096
"""Images that are moved at a time."""
NUM_CLASSES = 1_000
STEMS = {"train": [f"train_data_batch_{index}" for index in range(1, 11)], "val": ["val_data"]}


@dataclass(frozen=True)
class ImageNetBatches:
    """Downsampled ImageNet from the folder of ``train_data_batch_1`` to ``10`` and ``val_data``, pickled or ``.npz``.

    Each holds ``data``, uint8 ``[N, 3 size size]``, red before green before blue, and ``labels``, 1 to 1,000, which
    become 0 to 999. No pickle is run. More than fits in memory at ease is kept below the cache folder.

    References:
        Chrabaszcz, Loshchilov, Hutter, A Downsampled Variant of ImageNet, arXiv 1707.08819.
    """

    path: str = "imagenet64"
    split: Literal["train", "val"] = "train"

    def __post_init__(self) -> None:
        check_choices(self)

    def load(self) -> Dataset:
        files = batch_files(find_data(self.path), self.split)
        width = _width(files[0])
        side = isqrt(width // 3)
        if 3 * side * side != width or not side:
            raise ValueError(f"{shown(files[0].name)} must hold square RGB images, got {width:,} numbers for each.")
        records = _records(files, side)
        description = {
            "name": f"ImageNet {side}x{side} ({self.split})",
            "count": len(records),
            "licence": "non-commercial research only; cite Russakovsky et al., 2015, and Chrabaszcz et al., 2017",
        }
        return Dataset(records["pixels"], records["label"].astype(np.int64), NUM_CLASSES, description)


def batch_files(root: Path, split: str) -> list[Path]:
    """The files of a split in order, in ``root`` or its folders; an .npz goes before a pickle of the same name.

    Raises:
        ValueError: One is not there.
    """
    files = [_found(root, stem) for stem in STEMS[split]]
    if None in files:
        lacking = STEMS[split][files.index(None)]
        raise ValueError(f"{shown(str(root))} lacks {lacking}, as .npz or as it is; unpack all parts into it.")
    return [file for file in files if file is not None]


def is_imagenet(root: Path) -> bool:
    """True if the folder ``root`` holds its first batch."""
    return _found(root, STEMS["train"][0]) is not None


def _found(root: Path, stem: str) -> Path | None:
    candidates = [
        path for kind in (".npz", "") for path in (root / (stem + kind), *sorted(root.glob(f"*/{stem}{kind}")))
    ]
    return next((path for path in candidates if path.is_file()), None)


def _records(files: list[Path], side: int) -> np.ndarray:
    """Label and pixels of every image, as one structured array ``[N]``."""
    width = 3 * side * side
    # Labels lie beside their pixels, so that one memory map holds both and they cannot come from different writings.
    dtype = np.dtype([("label", "<u2"), ("pixels", "u1", (3, side, side))])
    # From lists and file sizes, before anything is unpacked: it decides between memory and the store.
    size = sum(_claimed(path) for path in files)

    def write(path: Path) -> dict[str, str]:
        with open(path, "wb") as out:
            for number, file in enumerate(files):
                report("reading batches", number, len(files))
                for labels, pixels in _blocks(file, width):
                    out.write(_record(labels, pixels, dtype, file).tobytes())
        return {}

    if SMALL_SET < size <= store_limit():
        key = stamp(*([str(path.resolve()), *version(path.stat())] for path in files))[:32]
        try:
            # Rows of bytes, seen as records: the store knows bytes only.
            return kept_rows(key, (dtype.itemsize,), size, write)[0].view(dtype)[:, 0]
        except OSError as error:
            reason = f"cannot be kept ({error.strerror or error})"
    else:
        reason = f"are above the limit of {store_limit() / 1e9:g} GB"
    # Memory is the last resort of a large set: without room there, the caller is told before hours of reading.
    if size > SMALL_SET and size > SHARE_OF_MEMORY * free_memory():
        raise ValueError(
            f"{size / 1e9:.1f} GB of images {reason}, nor held in memory; set GANNEAL_CACHE to a folder with room "
            f"for them, and GANNEAL_CACHE_GB to at least that."
        )
    return np.concatenate([_record(*block, dtype, file) for file in files for block in _blocks(file, width)])


def _record(labels: np.ndarray, pixels: np.ndarray, dtype: np.dtype, file: Path) -> np.ndarray:
    if labels.shape != (len(pixels),) or not ((labels >= 1) & (labels <= NUM_CLASSES)).all():
        raise ValueError(f"{shown(file.name)} must hold a label from 1 to 1,000 for each image; download it again.")
    record = np.empty(len(pixels), dtype)
    # The files count classes from 1.
    record["label"] = labels - 1
    record["pixels"] = pixels.reshape(-1, *dtype["pixels"].shape)
    return record


def _claimed(path: Path) -> int:
    """Bytes that its arrays take, no less."""
    if path.suffix != ".npz":
        return path.stat().st_size
    with _whole(path), zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _width(path: Path) -> int:
    """Numbers of one image."""
    if path.suffix == ".npz":
        with _whole(path), zipfile.ZipFile(path) as archive, archive.open("data.npy") as member:
            return _header(member)[1]
    return next(_blocks(path, None))[1].shape[1]


def _blocks(path: Path, width: int | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Labels ``[n]`` and pixels uint8 ``[n, width]`` of a batch file, block by block."""
    pairs = _of_npz(path) if path.suffix == ".npz" else _of_pickle(path)
    with _whole(path):
        for labels, pixels in pairs:
            if width not in (None, pixels.shape[1]):
                raise ValueError(f"images of {pixels.shape[1]:,} numbers beside others of {width:,}")
            yield labels, pixels


def _of_npz(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Straight from the archive: `numpy.load` would hold a whole array."""
    with zipfile.ZipFile(path) as archive:
        labels = read_member(archive, "labels")
        with archive.open("data.npy") as member:
            count, width = _header(member)
            if len(labels) != count:
                raise ValueError(f"{len(labels):,} labels for {count:,} images")
            check_not_swollen(archive.getinfo("data.npy"), count * width)
            for start in range(0, count, MOVED_TOGETHER):
                stop = min(start + MOVED_TOGETHER, count)
                # A block of the compressed member at a time; seeking in it would start again from its beginning.
                content = member.read((stop - start) * width)
                yield labels[start:stop], np.frombuffer(content, np.uint8).reshape(stop - start, width)
            if member.read(1):  # at the end, where the checksum is compared too
                raise ValueError("more bytes than its header says")


def _header(member: Any) -> tuple[int, int]:
    """Rows and columns of an .npy of uint8, which is read up to its first number."""
    shape, by_columns, dtype = read_header(member)
    if by_columns or dtype != np.uint8 or len(shape) != 2:
        raise ValueError(f"'data' must be uint8 [N, 3 size size] by rows, got {dtype} {shape}")
    return shape


def _of_pickle(path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    with open(path, "rb") as file:
        batch = load_batch(path.name, file)
    pixels, given = batch.get("data"), batch.get("labels")
    if not isinstance(given, np.ndarray) and not (isinstance(given, list) and all(isinstance(n, int) for n in given)):
        raise ValueError("it must hold 'labels', numbers")
    # A list in the published files, an array where somebody has written them again.
    labels = np.asarray(given)
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise ValueError("it must hold 'data', uint8 [N, 3 size size]")
    if labels.shape != (len(pixels),):
        raise ValueError(f"it must hold 'labels', one for each of its {len(pixels):,} images")
    for start in range(0, len(pixels), MOVED_TOGETHER):
        yield labels[start : start + MOVED_TOGETHER], pixels[start : start + MOVED_TOGETHER]


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Whatever is wrong with the file ``path`` names it."""
    try:
        yield
    except Exception as error:  # damaged archives make zipfile and numpy raise almost any type
        # Raised as it is where an inner block has named the file already.
        if isinstance(error, ValueError) and str(error).startswith(shown(path.name)):
            raise
        raise ValueError(f"{shown(path.name)} cannot be read ({error}); download it again.") from error
