"""Any set of images as a zip in the layout of the StyleGAN tools."""

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ganneal.data.dataset_json import LABELS
from ganneal.data.progress import report
from ganneal.data.protocol import Dataset

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
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with zipfile.ZipFile(temporary, "w") as archive:
            names = [_add(archive, data, index) for index in range(len(data))]
            labels = None
            if data.labels is not None:
                labels = [[name, int(label)] for name, label in zip(names, data.labels, strict=True)]
            archive.writestr(zipfile.ZipInfo(LABELS, EARLIEST), json.dumps({"labels": labels}))
        with open(temporary, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, data: Dataset, index: int) -> str:
    name = f"{index // PER_FOLDER:05d}/img{index:08d}.png"
    pixels = np.asarray(data.samples[index]).transpose(1, 2, 0)
    picture = io.BytesIO()
    Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)).save(picture, "PNG")
    archive.writestr(zipfile.ZipInfo(name, EARLIEST), picture.getvalue())
    if index % 100 == 99:
        report("writing images", index + 1, len(data))
    return name
