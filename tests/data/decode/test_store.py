"""Decoded images kept in a file: exact, found again, shared, mended, limited; and what happens without one."""

import io
import json
import os
import subprocess
import sys
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganneal.data import Dataset, Folder, Sampler, Zip, reporting
from ganneal.data.decode import decoding, loading, store
from ganneal.data.decode.images import Format
from ganneal.data.decode.lazy import LazyImages

SIZE = 8
COUNT = 150


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((SIZE, SIZE), value, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of this test's own, that keeps the smallest sets too."""
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "SMALL_SET", 0)
    return tmp_path / "cache" / "images"


@pytest.fixture
def source(tmp_path: Path) -> Zip:
    return written(tmp_path / "images.zip")


def written(path: Path, first: int = 0, damaged: tuple[int, ...] = (), **options: Any) -> Zip:
    """Image n is flat, of level n + first."""
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(COUNT):
            archive.writestr(f"{index:03d}.png", b"broken" if index in damaged else png((index + first) % 256))
    return Zip(str(path), **options)


def levels(data: Dataset) -> list[int]:
    return np.asarray(data.samples[:])[:, 0, 0, 0].tolist()


def refuse_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "decode_to_file", lambda *arguments: pytest.fail("it was decoded again"))


def test_what_is_kept_is_what_is_decoded_and_cannot_be_changed(source: Zip, own_store: Path) -> None:
    samples = source.load().samples
    assert np.array_equal(samples[:, 0, 0, 0], np.arange(COUNT)) and samples.shape == (COUNT, 1, SIZE, SIZE)
    assert isinstance(samples.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        samples[0] = 1
    assert sorted(path.suffix for path in own_store.iterdir()) == [".bin", ".json", ".lock"]


def test_the_second_time_nothing_is_decoded(source: Zip, monkeypatch: pytest.MonkeyPatch) -> None:
    first = levels(source.load())
    refuse_decoding(monkeypatch)
    assert levels(source.load()) == first


def test_images_that_changed_are_decoded_anew(tmp_path: Path, source: Zip) -> None:
    source.load()
    assert levels(written(tmp_path / "images.zip", first=7).load()) == list(range(7, COUNT + 7))


def test_a_changed_file_of_a_folder_is_decoded_anew(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(png(index))
    assert levels(Folder(str(tmp_path)).load()) == [0, 1, 2]
    (tmp_path / "1.png").write_bytes(png(9))
    os.utime(tmp_path / "1.png", ns=(0, 0))  # a clock too coarse to see two writings apart
    assert levels(Folder(str(tmp_path)).load()) == [0, 9, 2]


@pytest.mark.parametrize("options", [{"size": 4}, {"channels": 3}, {"fit": "pad"}])
def test_every_format_is_kept_apart(source: Zip, options: dict[str, Any], own_store: Path) -> None:
    source.load()
    replace(source, **options).load()
    assert len(list(own_store.glob("*.bin"))) == 2


def test_labels_are_not_kept_with_the_images(tmp_path: Path, source: Zip, monkeypatch: pytest.MonkeyPatch) -> None:
    source.load()
    refuse_decoding(monkeypatch)
    for label in (3, 5):
        with zipfile.ZipFile(source.path) as old:
            contents = {name: old.read(name) for name in old.namelist() if name.endswith(".png")}
        with zipfile.ZipFile(source.path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
            archive.writestr("dataset.json", json.dumps({"labels": [[name, label] for name in contents]}))
        assert source.load().class_names == [str(label)]


# Damage to what is kept


@pytest.mark.parametrize("suffix", [".bin", ".json"])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.5, 0.99])
def test_one_flipped_bit_is_seen_and_mended(source: Zip, own_store: Path, suffix: str, where: float) -> None:
    expected = levels(source.load())
    (path,) = own_store.glob(f"*{suffix}")
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 4
    path.write_bytes(content)
    assert levels(source.load()) == expected
    if suffix == ".bin":
        assert path.read_bytes() != content


@pytest.mark.parametrize("damage", ["cut", "empty", "long", "gone", "no description", "half a description"])
def test_half_written_files_are_made_again(
    source: Zip, own_store: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = levels(source.load())
    (data,), (description,) = own_store.glob("*.bin"), own_store.glob("*.json")
    content = data.read_bytes()
    match damage:
        case "cut":
            data.write_bytes(content[:-1])
        case "empty":
            data.write_bytes(b"")
        case "long":
            data.write_bytes(content + b"0")
        case "gone":
            data.unlink()
        case "no description":
            description.unlink()
        case _:
            description.write_bytes(description.read_bytes()[:-9])
    assert levels(source.load()) == expected
    refuse_decoding(monkeypatch)
    assert levels(source.load()) == expected


def test_what_a_killed_process_left_is_no_hindrance(source: Zip, own_store: Path) -> None:
    source.load()
    (data,), (description,) = own_store.glob("*.bin"), own_store.glob("*.json")
    description.unlink()
    data.rename(own_store / f".{data.name}.tmp")
    assert levels(source.load()) == list(range(COUNT))
    assert not list(own_store.glob(".*.tmp"))


def test_a_failed_decoding_leaves_nothing(source: Zip, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "decode_to_file", fail)
    with pytest.raises(KeyboardInterrupt):
        source.load()
    assert [path.suffix for path in own_store.iterdir()] == [".lock"]


LOAD = """
import sys, ganneal.data.decode.store as store
from ganneal.data import Zip
from ganneal.data.decode.images import Format
decode = store.decode_to_file
store.decode_to_file = lambda *arguments: print("decoding", flush=True) or decode(*arguments)
samples, damaged = store.kept_images(Zip(sys.argv[1]).listing(), Format(8, 1))
print(samples[:, 0, 0, 0].tolist())
"""


@pytest.mark.runs
def test_of_processes_at_once_one_decodes_and_all_read_the_same(source: Zip) -> None:
    command = [sys.executable, "-c", LOAD, source.path]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=100)[0].splitlines() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(lines.count("decoding") for lines in said) == 1
    assert {lines[-1] for lines in said} == {str(list(range(COUNT)))}


# Damaged images


@pytest.mark.parametrize("damaged", [(0,), (149,), (3, 4, 5, 77), tuple(range(1, 150))])
def test_damaged_images_leave_no_gap_and_are_remembered(
    tmp_path: Path, damaged: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "images.zip", damaged=damaged, on_damaged="skip")
    for _ in range(2):
        with pytest.warns(UserWarning, match=f"{damaged[0]:03d}.png"):
            data = source.load()
        assert levels(data) == [level for level in range(COUNT) if level not in damaged]
        refuse_decoding(monkeypatch)
    with pytest.raises(ValueError, match="cannot read"):
        replace(source, on_damaged="fail").load()


def test_a_set_of_damaged_images_alone_is_remembered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "images.zip", damaged=tuple(range(COUNT)), size=8, channels=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot read 150 of 150 images"):
            source.load()


# Processes


@pytest.mark.runs
def test_processes_and_threads_decode_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = written(tmp_path / "images.zip", damaged=(7, 140))
    listing, format = source.listing(), Format(SIZE, 1)
    for name in ("threads", "processes"):
        (tmp_path / name).touch()
    threads = decoding.decode_to_file(listing, format, tmp_path / "threads")
    monkeypatch.setattr(decoding, "FEWEST_FOR_PROCESSES", 1)
    monkeypatch.setattr(decoding, "cores", lambda: 2)
    heard: list[tuple[str, int, int]] = []
    with reporting(lambda *said: heard.append(said)):
        processes = decoding.decode_to_file(listing, format, tmp_path / "processes")
    assert threads == processes and set(threads) == {"007.png", "140.png"}
    assert (tmp_path / "threads").read_bytes() == (tmp_path / "processes").read_bytes()
    assert heard[-1] == ("decoding images", COUNT, COUNT)


def test_a_process_that_dies_is_told_and_the_images_are_read_another_way(
    source: Zip, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "FEWEST_FOR_PROCESSES", 1)
    monkeypatch.setattr(decoding, "cores", lambda: 2)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.warns(UserWarning, match=r"a process that decodes images ended early \(status [12]\)"):
        assert levels(source.load()) == list(range(COUNT))
    assert [path.suffix for path in own_store.iterdir()] == [".lock"]


# Without a store


def test_a_store_that_cannot_be_written_is_named_with_the_ways_on(
    source: Zip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "file"))
    with pytest.warns(UserWarning) as said:
        data = source.load()
    assert levels(data) == list(range(COUNT)) and isinstance(data.samples, np.ndarray)
    message = str(said[0].message)
    assert "cannot be kept in" in message and "Not a directory" in message
    assert "set GANNEAL_CACHE to a folder with room for" in message


def test_without_memory_either_images_are_decoded_as_they_are_asked_for(
    source: Zip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(loading, "free_memory", lambda: 1000)
    with pytest.warns(UserWarning, match="decoded anew"):
        assert isinstance(source.load().samples, LazyImages)


def test_a_full_disk_is_seen_before_decoding(source: Zip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: store.shutil._ntuple_diskusage(10, 10, 0))
    refuse_decoding(monkeypatch)
    with pytest.warns(UserWarning, match="0.0 GB are needed"):
        assert levels(source.load()) == list(range(COUNT))


@pytest.mark.parametrize("value", ["", "-1", "many", "nan"])
def test_a_limit_that_is_none_is_refused(source: Zip, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANNEAL_CACHE_GB", value)
    with pytest.raises(ValueError, match="GANNEAL_CACHE_GB must be a number of gigabytes"):
        source.load()


def test_what_was_used_longest_ago_makes_room(tmp_path: Path, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANNEAL_CACHE_GB", str(2.5 * COUNT * SIZE**2 / 1e9))
    first, second, third = (written(tmp_path / f"{n}.zip", first=n) for n in (1, 2, 3))
    kept = first.load()
    for number, path in enumerate(own_store.glob("*.json")):
        os.utime(path, (number, number))
    second.load()
    third.load()
    assert len(list(own_store.glob("*.bin"))) == 2
    assert levels(kept) == list(range(1, COUNT + 1))  # still mapped by who uses it
    refuse_decoding(monkeypatch)
    assert levels(second.load())[0] == 2 and levels(third.load())[0] == 3


# Decoding on demand


@pytest.fixture
def lazy(source: Zip, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("GANNEAL_CACHE_GB", "0")
    with pytest.warns(UserWarning, match="above the limit of 0 GB.*GANNEAL_CACHE_GB to at least that"):
        data = source.load()
    yield data
    data.samples.close()


def test_rows_on_demand_are_those_of_the_array(source: Zip, lazy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANNEAL_CACHE_GB")
    array = source.load().samples
    assert lazy.samples.shape == array.shape and len(lazy) == COUNT and lazy.is_images and lazy.shape == (1, 8, 8)
    for index in (slice(3, 9), slice(None, None, -40), np.array([5, 5, 149]), [2, -1], np.arange(COUNT) > 147, 7, -1):
        assert np.array_equal(lazy.samples[index], array[index]), index
    assert lazy.samples[[]].shape == (0, 1, 8, 8)
    with pytest.raises(IndexError):
        lazy.samples[COUNT]


def test_batches_on_demand_are_those_of_the_array(source: Zip, lazy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GANNEAL_CACHE_GB")
    expected, asked = Sampler(source.load(), 3, flip=True), Sampler(lazy, 3, flip=True)
    position = 0
    for count in (16, 16, 140, 5, 16):
        assert torch.equal(asked.batch(position, count).samples, expected.batch(position, count).samples)
        position += count


def test_the_next_batch_is_decoded_ahead(lazy: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = Sampler(lazy, 3)
    sampler.batch(0, 16)
    for future in lazy.samples._ahead[1]:
        future.result()
    monkeypatch.setattr("ganneal.data.decode.lazy.decode_image", lambda *arguments: pytest.fail("it was decoded late"))
    monkeypatch.setattr(LazyImages, "ahead", lambda *arguments: None)
    assert sampler.batch(16, 16).samples.shape == (16, 1, 8, 8)


@pytest.mark.parametrize("on_damaged", ["fail", "skip"])
def test_damage_on_demand_is_an_error_or_the_next_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_damaged: Any
) -> None:
    monkeypatch.setenv("GANNEAL_CACHE_GB", "0")
    source = written(tmp_path / "images.zip", damaged=(5, 6, 149), on_damaged=on_damaged)
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        samples = source.load().samples
        if on_damaged == "skip":
            assert samples[[4, 5, 6, 149]][:, 0, 0, 0].tolist() == [4, 7, 7, 0]
        else:
            with pytest.raises(ValueError, match="cannot read the image 005.png"):
                samples[[4, 5]]
    samples.close()


def test_small_sets_leave_no_files(source: Zip, own_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SMALL_SET", COUNT * SIZE**2)
    assert isinstance(source.load().samples, np.ndarray) and not own_store.exists()


def test_a_damaged_image_on_demand_is_replaced_by_one_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANNEAL_CACHE_GB", "0")
    monkeypatch.setattr(loading, "SMALL_SET", 0)
    for name, level in {"cat/0": None, "cat/1": None, "dog/0": 20, "dog/1": None, "emu/0": 30, "cat/2": 10}.items():
        path = tmp_path / "set" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no image") if level is None else Image.new("L", (8, 8), level).save(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = Folder(str(tmp_path / "set"), size=8, channels=1, on_damaged="skip").load()
        assert isinstance(data.samples, LazyImages) and data.labels is not None
        shown = {(int(label), int(row[0, 0, 0])) for label, row in zip(data.labels, data.samples[:], strict=True)}
    data.samples.close()
    assert shown == {(0, 10), (1, 20), (2, 30)}
