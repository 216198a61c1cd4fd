"""Classes by folders: the layouts that data sets come in, the same for a folder and a zip file."""

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.data import Dataset, Folder, Zip

Place = Callable[[Path, Mapping[str, bytes]], Folder | Zip]


def picture() -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(content, "PNG")
    return content.getvalue()


PICTURE = picture()


def in_folder(root: Path, files: Mapping[str, bytes]) -> Folder:
    for name, content in files.items():
        (root / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            (root / "set" / name).write_bytes(content)
        else:
            (root / "set" / name).mkdir(exist_ok=True)
    return Folder(str(root / "set"))


def in_zip(root: Path, files: Mapping[str, bytes]) -> Zip:
    with zipfile.ZipFile(root / "set.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return Zip(str(root / "set.zip"))


both = for_each("place", [in_folder, in_zip], ids=["folder", "zip"])


def pictures(*names: str) -> dict[str, bytes]:
    return dict.fromkeys(names, PICTURE)


def named(data: Dataset) -> list[str]:
    assert data.labels is not None, data.unusable
    return [data.class_names[label] for label in data.labels]


def each(folders: Iterable[str], prefix: str = "") -> dict[str, bytes]:
    return pictures(*(f"{prefix}{folder}/{index}.png" for folder in folders for index in range(2)))


@both
def test_class_folders_are_classes_in_the_order_of_text(tmp_path: Path, place: Place) -> None:
    data = place(tmp_path, each(["10", "2", "3"])).load()
    assert data.class_names == ["10", "2", "3"] and named(data) == ["10", "10", "2", "2", "3", "3"]


@both
@for_each("outer", ["images/", "set/images/", "train/"])
def test_folders_that_hold_all_images_are_looked_through(tmp_path: Path, place: Place, outer: str) -> None:
    data = place(tmp_path, each(["cat", "dog"], outer)).load()
    assert data.class_names == ["cat", "dog"] and named(data) == ["cat", "cat", "dog", "dog"]
    assert data.description["classes_are"].startswith("the folders in ")


@both
@for_each("names", [["a.png", "b.png"], ["images/a.png", "images/b.png"], ["x/y/a.png"]])
def test_one_folder_is_no_class(tmp_path: Path, place: Place, names: list[str]) -> None:
    data = place(tmp_path, pictures(*names)).load()
    assert data.labels is None and data.num_classes == 0 and not data.unusable


@both
def test_folders_of_the_stylegan_tools_are_no_classes(tmp_path: Path, place: Place) -> None:
    data = place(tmp_path, pictures("00000/img00000000.png", "00001/img00001000.png")).load()
    assert data.labels is None and not data.unusable


@both
@for_each(
    ("parts", "give"),
    [
        (["train", "test"], "train"),
        (["Train", "Val", "Test"], "Train"),
        (["training", "validation"], "training"),
        (["trainA", "trainB", "testA", "testB"], "trainA"),
        (["train2017", "val2017"], "train2017"),
        (["train", "valid", "extra"], "train"),
        (["dev", "test"], "dev"),
    ],
)
@for_each("below", ["cat/", ""])
def test_parts_of_a_data_set_are_no_classes(
    tmp_path: Path, place: Place, parts: list[str], give: str, below: str
) -> None:
    data = place(tmp_path, pictures(*(f"{part}/{below}{index}.png" for part in parts for index in range(2)))).load()
    assert data.labels is None and len(data) == 2 * len(parts)
    assert "are parts of a data set, no classes, and all are read" in data.unusable
    assert f"set/{give}" in data.unusable or "give a zip of one of them" in data.unusable


def test_folders_of_a_zip_may_be_parted_by_backslashes(tmp_path: Path) -> None:
    data = in_zip(tmp_path, pictures("set\\cat\\0.png", "set\\dog\\0.png")).load()
    assert named(data) == ["cat", "dog"]


@both
def test_one_folder_called_train_among_others_is_a_class(tmp_path: Path, place: Place) -> None:
    assert place(tmp_path, each(["bus", "car", "train"])).load().class_names == ["bus", "car", "train"]


@both
def test_folders_that_all_hold_the_same_folders_are_no_classes(tmp_path: Path, place: Place) -> None:
    files = each(["monday/cat", "monday/dog", "friday/cat", "friday/dog", "friday/cow"])
    data = place(tmp_path, files).load()
    assert data.labels is None and "each of the folders friday, monday in" in data.unusable
    assert "holds the folders cat, dog" in data.unusable


@both
def test_folders_in_class_folders_are_not_told_apart_and_that_is_said(tmp_path: Path, place: Place) -> None:
    data = place(tmp_path, each(["animal/cat", "animal/dog", "plant/tree"])).load()
    assert named(data) == ["animal"] * 4 + ["plant"] * 2
    assert data.description["classes_are"] == "folders in them are not told apart, as animal/cat"


@both
def test_an_image_beside_class_folders_is_named(tmp_path: Path, place: Place) -> None:
    data = place(tmp_path, each(["cat", "dog"]) | pictures("cover.png")).load()
    assert data.labels is None and len(data) == 5
    assert "1 of 5 images lie in no class folder" in data.unusable and "'cover.png'" in data.unusable


@both
@for_each("twin", ["Cat", "CAT"])
def test_folders_that_differ_only_in_case_are_no_classes(tmp_path: Path, place: Place, twin: str) -> None:
    data = place(tmp_path, each(["cat", twin, "dog"])).load()
    assert data.labels is None and f"the folders {twin!r} and 'cat' in" in data.unusable


@both
def test_folders_that_look_the_same_are_no_classes(tmp_path: Path, place: Place) -> None:
    data = place(tmp_path, each(["cafe\u0301", "caf\u00e9", "x"])).load()
    assert data.labels is None and "differ only in case, spaces or Unicode form" in data.unusable


@both
def test_names_of_classes_are_in_unicodes_composed_form(tmp_path: Path, place: Place) -> None:
    assert place(tmp_path, each(["cafe\u0301", "x"])).load().class_names == ["caf\u00e9", "x"]


@both
def test_a_class_folder_without_an_image_is_a_class_without_one(tmp_path: Path, place: Place) -> None:
    data = place(tmp_path, each(["cat", "dog"]) | {"bird/": b"", "fish/notes.txt": b"none"}).load()
    assert data.class_names == ["bird", "cat", "dog", "fish"] and set(named(data)) == {"cat", "dog"}


@both
@for_each("top", ["", "flat/", "a/b/"])
@for_each("written", ["{name}", "{top}{name}", "./{name}"])
def test_a_list_is_found_in_the_folders_that_hold_all_images(
    tmp_path: Path, place: Place, top: str, written: str
) -> None:
    names = ["c/0.png", "d/1.png"]
    labels = [[written.format(name=name, top=top), label] for name, label in zip(names, [1, 0], strict=True)]
    listed = json.dumps({"labels": labels}).encode()
    data = place(tmp_path, pictures(*(top + name for name in names)) | {f"{top}dataset.json": listed}).load()
    assert named(data) == ["1", "0"]


@both
def test_a_list_beside_not_all_images_is_named(tmp_path: Path, place: Place) -> None:
    data = place(tmp_path, each(["cat", "dog"]) | {"cat/dataset.json": b'{"labels": null}'}).load()
    assert data.class_names == ["cat", "dog"] and "cat/dataset.json is not read" in data.description["classes_are"]


@both
def test_a_list_may_name_its_classes(tmp_path: Path, place: Place) -> None:
    listed = {"labels": [["a.png", 1], ["b.png", 0]], "classes": ["dog", "cat"]}
    data = place(tmp_path, pictures("a.png", "b.png") | {"dataset.json": json.dumps(listed).encode()}).load()
    assert named(data) == ["cat", "dog"]


def test_an_entry_without_a_name_is_passed_over(tmp_path: Path) -> None:
    source = in_zip(tmp_path, each(["cat", "dog"]))
    with zipfile.ZipFile(source.path, "a") as archive:
        archive.writestr(zipfile.ZipInfo("x"), b"")
        archive.infolist()[-1].filename = ""
    with pytest.warns(Warning, match="1 file is no image"):
        assert named(source.load()) == ["cat", "cat", "dog", "dog"]
