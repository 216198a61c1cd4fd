"""Batches of ImageNet at few pixels, made here as .npz and as pickles: whole, kept, damaged, hostile."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.for_each import for_each

from ganneal.data import ImageNetBatches, source_at
from ganneal.data.decode import store
from ganneal.data.sources import imagenet as module

SIDE, EACH = 8, 5
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (10, EACH, 3 * SIDE * SIDE), dtype=np.uint8)
LABELS = RANDOM.integers(1, 1_001, (10, EACH))
KINDS = ["savez", "savez_compressed", "pickle-2", "pickle-4"]


def write(path: Path, kind: str, pixels: np.ndarray, labels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {"data": pixels, "labels": labels, "mean": pixels.mean(0)}
    if kind.startswith("pickle"):
        path.write_bytes(pickle.dumps(values | {"labels": list(map(int, labels))}, int(kind[-1])))
    else:
        getattr(np, kind)(path.with_name(path.name + ".npz"), **values)


def written(root: Path, kind: str = "savez") -> Path:
    for index in range(10):
        write(root / f"train_data_batch_{index + 1}", kind, PIXELS[index], LABELS[index])
    write(root / "val_data", kind, PIXELS[3, :2], LABELS[3, :2])
    return root


@for_each("kept", [True, False])
@for_each("kind", KINDS)
def test_every_image_and_label_is_read_in_order(
    tmp_path: Path, kind: str, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL_SET", 0 if kept else 2**24)
    monkeypatch.setattr(module, "MOVED_TOGETHER", 2)
    root = written(tmp_path / "batches", kind)
    data = ImageNetBatches(str(root)).load()
    assert np.array_equal(data.samples, PIXELS.reshape(-1, 3, SIDE, SIDE))
    assert data.labels is not None and data.labels.tolist() == (LABELS.ravel() - 1).tolist()
    assert data.num_classes == 1_000 and data.description["count"] == 50
    assert isinstance(data.samples.base, np.ndarray) and data.samples.flags.writeable != kept
    assert np.array_equal(ImageNetBatches(str(root), split="val").load().samples.reshape(2, -1), PIXELS[3, :2])


def test_what_is_kept_is_not_read_again_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SMALL_SET", 0)
    root = written(tmp_path / "batches")
    ImageNetBatches(str(root)).load()
    asked: list[str] = []
    read = module._of_npz
    monkeypatch.setattr(module, "_of_npz", lambda path: asked.append(path.name) or read(path))
    ImageNetBatches(str(root)).load()
    assert not asked
    write(root / "train_data_batch_2", "savez", 255 - PIXELS[1], LABELS[1])
    changed = ImageNetBatches(str(root)).load()
    assert len(asked) == 10 and np.array_equal(changed.samples[EACH].ravel(), 255 - PIXELS[1, 0])


@pytest.mark.runs
def test_no_more_than_a_block_of_an_npz_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(module, "SMALL_SET", 0)
    monkeypatch.setattr(module, "MOVED_TOGETHER", 16)
    monkeypatch.setattr(store, "READ_BYTES", 2**16)
    pixels = np.zeros((8_000, 3 * SIDE * SIDE), np.uint8)  # 1.5 MB a file
    root = tmp_path / "batches"
    for index in range(10):
        write(root / f"train_data_batch_{index + 1}", "savez", pixels, np.ones(8_000, np.int64))
    tracemalloc.start()
    records = module._records(module.batch_files(root, "train"), SIDE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(records) == 80_000 and peak < pixels.nbytes / 2


def test_too_many_for_the_store_and_the_memory_is_an_error_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL_SET", 0)
    monkeypatch.setattr(module, "free_memory", lambda: 0)
    monkeypatch.setenv("GANNEAL_CACHE_GB", "0")
    with pytest.raises(ValueError, match="above the limit of 0 GB, nor held in memory; set GANNEAL_CACHE to a folder"):
        ImageNetBatches(str(written(tmp_path / "batches"))).load()


def test_its_folder_is_known_by_its_first_batch_and_an_npz_goes_first(tmp_path: Path) -> None:
    root = written(tmp_path / "all" / "part1", "pickle-2").parent
    assert source_at(root) == ImageNetBatches(str(root))
    write(root / "part1" / "train_data_batch_1", "savez", PIXELS[0], LABELS[0])
    assert [file.suffix for file in module.batch_files(root, "train")] == [".npz", *[""] * 9]


def test_a_missing_batch_is_named(tmp_path: Path) -> None:
    root = written(tmp_path / "batches")
    (root / "train_data_batch_7.npz").unlink()
    with pytest.raises(ValueError, match="lacks train_data_batch_7, as .npz or as it is; unpack all parts into it"):
        ImageNetBatches(str(root)).load()


@for_each(
    ("pixels", "labels", "message"),
    [
        (PIXELS[0], LABELS[0] - LABELS[0], "must hold a label from 1 to 1,000"),
        (PIXELS[0], LABELS[0] + 1_000, "must hold a label from 1 to 1,000"),
        (PIXELS[0], LABELS[0][:3], "3 labels for 5 images|one for each of its 5 images"),
        (PIXELS[0, :, :12], LABELS[0], "images of 12 numbers beside others of 192"),
        (PIXELS[0].astype(np.int32), LABELS[0], r"uint8 \[N, 3 size size\]"),
    ],
)
@for_each("kind", ["savez", "pickle-2"])
def test_a_batch_that_is_none_is_named(tmp_path: Path, kind: str, pixels: Any, labels: Any, message: str) -> None:
    root = written(tmp_path / "batches", kind)
    write(root / "train_data_batch_4", kind, pixels, labels)
    with pytest.raises(ValueError, match=f"train_data_batch_4.*{message}"):
        ImageNetBatches(str(root)).load()


@for_each("kind", KINDS)
@for_each("damage", ["cut", "flipped", "empty"])
def test_a_damaged_batch_is_named_or_read_as_it_was_written(tmp_path: Path, kind: str, damage: str) -> None:
    root = written(tmp_path / "batches", kind)
    path = root / ("train_data_batch_4" + ("" if kind.startswith("pickle") else ".npz"))
    content = path.read_bytes()
    middle = content.index(b"data") + 300
    changed = {"cut": content[:middle], "flipped": content[:middle] + b"\xff\x00" * 8 + content[middle + 16 :]}
    path.write_bytes(changed.get(damage, b""))
    if damage == "flipped" and kind.startswith("pickle"):
        return  # a pickle has no checksum
    with pytest.raises(ValueError, match="train_data_batch_4"):
        ImageNetBatches(str(root)).load()


def test_images_that_are_not_square_are_refused(tmp_path: Path) -> None:
    for index in range(10):
        write(tmp_path / f"train_data_batch_{index + 1}", "savez", PIXELS[index, :, :15], LABELS[index])
    with pytest.raises(ValueError, match="must hold square RGB images, got 15 numbers"):
        ImageNetBatches(str(tmp_path)).load()


class Hostile:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@for_each("kind", ["savez", "pickle-2"])
@for_each("key", ["data", "labels"])
def test_nothing_that_a_file_asks_for_is_run(tmp_path: Path, kind: str, key: str) -> None:
    root = written(tmp_path / "batches", kind)
    mark = tmp_path / "mark"
    values: dict[str, Any] = {"data": PIXELS[0], "labels": LABELS[0]} | {key: np.array([Hostile(mark)], object)}
    if kind == "savez":
        np.savez(root / "train_data_batch_1.npz", **values)
    else:
        (root / "train_data_batch_1").write_bytes(pickle.dumps(values | {key: [Hostile(mark)]}, 2))
    with pytest.raises(ValueError, match="train_data_batch_1"):
        ImageNetBatches(str(root)).load()
    assert not mark.exists()
    shutil.rmtree(root)
