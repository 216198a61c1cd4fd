"""The original archive of CIFAR-10, written from images: what `ganneal data fetch cifar10` would have downloaded.

python -m tests.data.originals cifar10-train.zip ~/.cache/ganneal/data/cifar10
"""

import io
import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np

from ganneal.data import Dataset, source_at

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def few_photographs(count: int = 60) -> Dataset:
    """Noise of CIFAR-10's shape, each class alike."""
    images = np.random.default_rng(0).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    return Dataset(images, np.arange(count) % 10, 10)


def write_cifar10(folder: Path, train: Dataset, test: Dataset | None = None) -> Path:
    """The archive of the Python version in ``folder``: five batches of ``train``, and one of ``test``."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "cifar-10-python.tar.gz"
    parts = {f"data_batch_{n}": rows for n, rows in enumerate(np.array_split(np.arange(len(train)), 5), 1)}
    with tarfile.open(place, "w:gz", compresslevel=1) as archive:
        for name, rows in parts.items():
            _add(archive, name, _batch(train, rows))
        if test is not None:
            _add(archive, "test_batch", _batch(test, np.arange(len(test))))
        _add(archive, "batches.meta", {b"label_names": [name.encode() for name in NAMES]})
    return place


def _batch(data: Dataset, rows: np.ndarray) -> dict[bytes, object]:
    assert data.labels is not None and data.shape == (3, 32, 32)
    images = np.asarray(data.samples[rows]).reshape(len(rows), -1)
    return {b"data": images, b"labels": data.labels[rows].tolist()}


def _add(archive: tarfile.TarFile, name: str, content: dict[bytes, object]) -> None:
    packed = pickle.dumps(content, protocol=2)
    entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
    entry.size = len(packed)
    archive.addfile(entry, io.BytesIO(packed))


if __name__ == "__main__":
    print(write_cifar10(Path(sys.argv[2]).expanduser(), source_at(sys.argv[1]).load()))
