"""Any set of images as a zip in the layout of the StyleGAN tools."""

import zipfile
from pathlib import Path

import numpy as np

from ganneal.data.decode.dataset_json import LABELS, label_file
from ganneal.data.messages import report
from ganneal.data.protocol import Dataset
from ganneal.storage.atomic import replaced_file
from ganneal.storage.pictures import png_bytes, single_image

PER_FOLDER = 1_000
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The same images make the same bytes."""


def write_zip(data: Dataset, path: Path) -> None:
    """Write ``data`` as lossless PNG files and ``dataset.json``; ``path`` is replaced when all is written.

    Raises:
        ValueError: The data is points.
        OSError: It cannot be written; ``path`` is as it was.
    """
    if not data.is_images:
        raise ValueError(f"data must be images, got points of shape {data.shape}.")
    # Stored, not deflated: PNG is compressed already, and stored entries are read faster.
    with replaced_file(path, shared=True) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        names = [_add(archive, data, index) for index in range(len(data))]
        labels = None if data.labels is None else data.labels.tolist()
        content = label_file(names, labels, data.description.get("classes") or ())
        archive.writestr(zipfile.ZipInfo(LABELS, EARLIEST), content)


def png(pixels: np.ndarray) -> bytes:
    """One image uint8 ``[C, H, W]`` as the bytes of a PNG file, without loss."""
    # Lossless, so that what is read again has the same bytes and trains to the same weights.
    return png_bytes(single_image(pixels))


def _add(archive: zipfile.ZipFile, data: Dataset, index: int) -> str:
    # A thousand files a folder, as the StyleGAN tools write: unpacked, no folder becomes slow to list.
    name = f"{index // PER_FOLDER:05d}/img{index:08d}.png"
    archive.writestr(zipfile.ZipInfo(name, EARLIEST), png(np.asarray(data.samples[index])))
    if index % 100 == 99:
        report("writing images", index + 1, len(data))
    return name
