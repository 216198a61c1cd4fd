"""The identity of a set of data: the same wherever it lies, another one after any change."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet
from tests.for_each import for_each

from ganneal.data import LSUN, Arrays, Dataset, Digits, Folder, Parquet, Ring, Source, Zip, identity
from ganneal.data.identity import Files, Identity, data_changes, identify
from ganneal.data.messages import Remark

COUNT = 6


def pixels(index: int) -> np.ndarray:
    return np.full((8, 8, 3), 30 * index, np.uint8)


def folder(root: Path) -> Source:
    """Bitmaps: every file has the same size in bytes. Two classes, the names of which are those of folders."""
    for index in range(COUNT):
        place = root / ("cat" if index < 2 else "dog") / f"{index}.bmp"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels(index)).save(place)
    return Folder(str(root))


def archive(root: Path) -> Source:
    folder(root / "unpacked")
    with zipfile.ZipFile(root / "images.zip", "w") as written:
        for file in sorted((root / "unpacked").rglob("*.bmp")):
            written.write(file, file.name)
    shutil.rmtree(root / "unpacked")
    return Zip(str(root / "images.zip"))


def encoded(root: Path) -> list[bytes]:
    folder(root / "unpacked")
    found = [file.read_bytes() for file in sorted((root / "unpacked").rglob("*.bmp"))]
    shutil.rmtree(root / "unpacked")
    return found


def table(root: Path) -> Source:
    parquet.write_table(pyarrow.table({"image": encoded(root), "label": [0, 1] * 3}), root / "train.parquet")
    return Parquet(str(root / "train.parquet"))


def database(root: Path) -> Source:
    with lmdb.open(str(root / "lmdb"), map_size=2**20) as opened, opened.begin(write=True) as change:
        for index, content in enumerate(encoded(root)):
            change.put(str(index).encode(), content)
    return LSUN(str(root / "lmdb"))


def archived(root: Path) -> Source:
    root.mkdir(exist_ok=True)
    np.savez(root / "images.npz", x_train=np.stack([pixels(n) for n in range(COUNT)]), y_train=np.arange(COUNT) % 2)
    return Arrays(str(root / "images.npz"))


def mapped(root: Path) -> Source:
    root.mkdir(exist_ok=True)
    np.save(root / "images.npy", np.stack([pixels(n) for n in range(COUNT)]))
    return Arrays(str(root / "images.npy"))


KINDS: dict[str, Callable[[Path], Source]] = {
    "folder": folder,
    "zip": archive,
    "parquet": table,
    "lmdb": database,
    "npz": archived,
    "npy": mapped,
}


@for_each("make", KINDS.values(), ids=KINDS)
def test_a_copy_elsewhere_is_the_same_data_and_another_byte_is_not(
    make: Callable[[Path], Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    source = make(tmp_path / "here")
    before = identify(source.load())
    assert before.count == COUNT and before.shape == (3, 8, 8) and before.hashes
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    for file in (tmp_path / "there").rglob("*"):
        os.utime(file, (1, 1))
    moved = type(source)(source.path.replace(f"{tmp_path}/here", f"{tmp_path}/there"))  # type: ignore
    assert identify(moved.load()) == before
    monkeypatch.setitem(globals(), "pixels", lambda index: np.full((8, 8, 3), 30 * index + (index == 3), np.uint8))
    (tmp_path / "other").mkdir()
    other = identify(make(tmp_path / "other").load())
    (said, *_) = data_changes(before, other)
    assert said.startswith("as many images, but other ") and "when the run began" in said
    assert (other.count, other.shape, other.classes) == (before.count, before.shape, before.classes)


def test_identities_outlive_json() -> None:
    for source in (Ring(num_samples=9), Digits(size=8)):
        found = identify(source.load())
        assert Identity.of(json.loads(json.dumps(found.as_dict()))) == found
    with pytest.raises(ValueError, match="does not describe the data"):
        Identity.of({"count": 3})


def test_classes_are_told_by_name() -> None:
    def of(**counts: int) -> Identity:
        return Identity(10, (3, 8, 8), tuple(counts), tuple(counts.values()))

    assert data_changes(of(cat=4, dog=6), of(cat=4, dog=6)) == []
    assert data_changes(of(cat=4, dog=6), of(dog=6, zebra=4)) == ["classes renamed: cat is zebra now (4)"]
    assert data_changes(of(cat=1, dog=9), of(dog=10)) == [
        "classes removed: cat (1)",
        "samples of a class: dog 9, now 10",
    ]
    assert data_changes(of(dog=10), of(cat=3, dog=7)) == ["classes added: cat (3)", "samples of a class: dog 10, now 7"]
    assert data_changes(of(cat=4, dog=6), of(dog=6, cat=4)) == ["the same classes in another order"]
    many = data_changes(of(a=10), of(**{f"c{index}": 1 for index in range(10)}))
    assert many[1].endswith("c4 (1); and 5 more")


def test_other_labels_of_the_same_images_are_other_data(tmp_path: Path) -> None:
    for index in range(4):
        Image.fromarray(pixels(index)).save(tmp_path / f"{index}.png")

    def labelled(*labels: int) -> Identity:
        pairs = [[f"{index}.png", label] for index, label in enumerate(labels)]
        (tmp_path / "dataset.json").write_text(json.dumps({"labels": pairs}))
        return identify(Folder(str(tmp_path)).load())

    before, now = labelled(0, 0, 1, 1), labelled(1, 0, 1, 0)
    (said,) = data_changes(before, now)
    assert said.startswith("as many images, but other labels: SHA-256")


def test_of_large_sets_evenly_spread_parts_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that is replaced as a whole is seen whatever its size, where names and sizes are the same."""
    source = folder(tmp_path)
    whole = identify(source.load()).hashes
    monkeypatch.setattr(identity, "MOST_FILES", 3)
    monkeypatch.setattr(identity, "MOST_PARTS", 3)
    before = identify(source.load()).hashes
    assert {*whole} - {*before} == {"bytes of the files"} and "bytes at 3 places in the files" in before
    Image.fromarray(pixels(7)).save(tmp_path / "dog" / "3.bmp")  # the middle part is not in this file
    assert identify(source.load()).hashes == before
    for index in range(COUNT):
        Image.fromarray(pixels(index + 1)).save(tmp_path / ("cat" if index < 2 else "dog") / f"{index}.bmp")
    assert identify(source.load()).hashes != before


def test_parts_of_files_are_read_where_the_bytes_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_BYTES_READ", 0)
    monkeypatch.setattr(identity, "MOST_PARTS", 4)
    monkeypatch.setattr(identity, "PART_BYTES", 10)
    (tmp_path / "a").write_bytes(bytes(100))
    (tmp_path / "b").write_bytes(bytes(300))
    files = Files(str(tmp_path), ["a", "b"], [100, 300])
    assert list(files._places([100, 400], 400)) == [(0, 0, 10), (1, 0, 10), (1, 100, 10), (1, 200, 10)]
    before = files.hashes()
    (tmp_path / "b").write_bytes(bytes(205) + b"\1" + bytes(94))
    assert files.hashes() != before


def test_large_arrays_are_told_by_evenly_spread_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MOST_OF_ARRAYS", 100)
    monkeypatch.setattr(identity, "SAMPLED", 3 * 64)
    samples = np.zeros((9, 1, 8, 8), np.uint8)
    before = identify(Dataset(samples))
    assert list(before.hashes) == ["bytes of 3 samples, evenly spread"]
    assert identify(Dataset(samples.copy())) == before
    samples[4] = 1
    assert identify(Dataset(samples)) != before


def test_the_directory_of_a_run_is_no_data(tmp_path: Path) -> None:
    source = folder(tmp_path)
    before = identify(source.load())
    pictures = tmp_path / "runs" / "mine" / "samples"
    pictures.mkdir(parents=True)
    (pictures.parent / "experiment.json").write_text("{}")
    Image.fromarray(pixels(1)).save(pictures / "000000000.png")
    with pytest.warns(Remark, match="passed over in .*: the folder runs/mine/ of a run; their pictures are no data"):
        data = source.load()
    assert identify(data) == before and data.description["classes"] == ["cat", "dog"]
    for path in (pictures.parent, pictures):
        with pytest.raises(ValueError, match="got the directory of a run, .*mine.*: its pictures are no data"):
            Folder(str(path)).load()


def test_an_empty_path_is_not_the_present_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in ("", " "):
        with pytest.raises(ValueError, match="path must name a file or a folder, got the empty"):
            Folder(path).load()


def test_images_kept_decoded_are_not_served_for_others_with_the_same_name_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganneal.data.decode.loading.SMALL_SET", 0)
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "cache"))
    source = folder(tmp_path / "data")
    file = tmp_path / "data" / "cat" / "0.bmp"
    assert source.load().samples[0].max() == 0
    status = file.stat()
    Image.fromarray(pixels(5)).save(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size and file.stat().st_mtime_ns == status.st_mtime_ns
    assert source.load().samples[0].min() == 150
