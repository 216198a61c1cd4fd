"""CelebA's own files, made here: faces in a folder or zip, lists of attributes and parts as text and as csv."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import CelebA, Folder, source_at
from ganneal.data.decode import loading as loading_module

NAMES = [f"{index:06d}.jpg" for index in range(1, 7)]
ATTRIBUTES = {"Eyeglasses": [1, -1, -1, -1, -1, 1], "Male": [-1, 1, 1, -1, 1, -1], "Smiling": [1, 1, 1, 1, 1, 1]}
PARTS = [0, 0, 0, 1, 2, 2]


def written(root: Path, layout: str = "official", parts: bool = True) -> Path:
    """Face n is flat, of level 30 n, red above and blue below what the crop keeps."""
    inner = {"official": "Img/img_align_celeba", "flat": "img_align_celeba", "kaggle": "img_align_celeba/" * 2}[layout]
    faces = root / inner
    faces.mkdir(parents=True)
    for index, name in enumerate(NAMES, 1):
        pixels = np.full((218, 178, 3), 30 * index, dtype=np.uint8)
        pixels[:20] = (255, 0, 0)
        pixels[198:] = (0, 0, 255)
        Image.fromarray(pixels).save(faces / name, quality=95)
    rows = list(zip(NAMES, *ATTRIBUTES.values(), strict=True))
    if layout == "kaggle":
        header = ",".join(["image_id", *ATTRIBUTES])
        (root / "list_attr_celeba.csv").write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]))
        given = ["image_id,partition", *(f"{name},{part}" for name, part in zip(NAMES, PARTS, strict=True))]
        if parts:
            (root / "list_eval_partition.csv").write_text("\n".join(given) + "\n")
        return root
    anno, evaluation = (root / "Anno", root / "Eval") if layout == "official" else (root, root)
    for folder in {anno, evaluation}:
        folder.mkdir(exist_ok=True)
    body = "".join(f"{name} " + " ".join(f"{value:2d}" for value in values) + "\n" for name, *values in rows)
    (anno / "list_attr_celeba.txt").write_text(f"{len(NAMES)}\n{' '.join(ATTRIBUTES)} \n{body}")
    if parts:
        lines = (f"{name} {part}\n" for name, part in zip(NAMES, PARTS, strict=True))
        (evaluation / "list_eval_partition.txt").write_text("".join(lines))
    return root


def levels(samples: Any) -> list[int]:
    return [round(int(image[0, 16, 16]) / 30) for image in np.asarray(samples)]


@for_each("layout", ["official", "flat", "kaggle"])
def test_faces_have_the_labels_of_the_attribute_in_every_layout(tmp_path: Path, layout: str) -> None:
    root = written(tmp_path / "celeba", layout)
    data = CelebA(str(root), split="all", size=32).load()
    assert data.samples.shape == (6, 3, 32, 32) and levels(data.samples) == [1, 2, 3, 4, 5, 6]
    assert data.labels is not None and data.labels.tolist() == [0, 1, 1, 0, 1, 0]
    assert data.num_classes == 2 and data.description["classes"] == ["not Male", "Male"]
    assert data.description["count"] == 6


def test_an_attribute_that_all_faces_have_is_still_one_of_two_classes(tmp_path: Path) -> None:
    data = CelebA(str(written(tmp_path / "celeba")), attribute="Smiling", size=8).load()
    assert data.labels is not None and set(data.labels.tolist()) == {1} and data.num_classes == 2


def test_the_middle_square_is_kept(tmp_path: Path) -> None:
    image = np.asarray(CelebA(str(written(tmp_path / "celeba")), split="all", size=178).load().samples[5]).astype(int)
    assert image.shape == (3, 178, 178)
    middle = image[:, 14:-14]  # JPEG smears the border over its blocks of 8 and 16 pixels
    assert np.abs(middle - 180).max() <= 3


@for_each(
    ("split", "faces"),
    [(None, [1, 2, 3]), ("train", [1, 2, 3]), ("valid", [4]), ("test", [5, 6]), ("all", [1, 2, 3, 4, 5, 6])],
)
@for_each("layout", ["official", "kaggle"])
def test_the_list_of_parts_is_followed(tmp_path: Path, layout: str, split: Any, faces: list[int]) -> None:
    data = CelebA(str(written(tmp_path / "celeba", layout)), split=split, size=32).load()
    assert levels(data.samples) == faces
    assert data.labels is not None and data.labels.tolist() == [int(ATTRIBUTES["Male"][n - 1] > 0) for n in faces]


def test_parts_kept_decoded_are_not_taken_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading_module, "SMALL_SET", 0)
    root = str(written(tmp_path / "celeba"))
    read = {split: levels(CelebA(root, split=split, size=32).load().samples) for split in ("train", "test", "all")}
    assert read == {"train": [1, 2, 3], "test": [5, 6], "all": [1, 2, 3, 4, 5, 6]}


def test_without_a_list_of_parts_all_faces_are_read_and_a_part_is_refused(tmp_path: Path) -> None:
    root = str(written(tmp_path / "celeba", parts=False))
    assert len(CelebA(root, size=8).load()) == 6
    with pytest.raises(ValueError, match=r"split 'test' needs list_eval_partition.txt .* or give split 'all'"):
        CelebA(root, split="test").listing()


def test_the_zip_is_read_as_the_folder_is(tmp_path: Path) -> None:
    root = written(tmp_path / "celeba", "flat")
    before = CelebA(str(root), size=16).load()
    shutil.make_archive(str(root / "img_align_celeba"), "zip", root, "img_align_celeba")
    shutil.rmtree(root / "img_align_celeba")
    after = CelebA(str(root), size=16).load()
    assert np.array_equal(before.samples, after.samples) and before.labels is not None and after.labels is not None
    assert before.labels.tolist() == after.labels.tolist()


def test_an_unknown_attribute_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown attribute of list_attr_celeba.txt 'Smile'. Did you mean 'Smiling'?"):
        CelebA(str(written(tmp_path / "celeba")), attribute="Smile").listing()


def test_faces_need_no_attributes(tmp_path: Path) -> None:
    root = written(tmp_path / "celeba")
    shutil.rmtree(root / "Anno")
    assert CelebA(str(root), attribute=None, size=8).load().labels is None
    classes = CelebA(str(root)).listing().classes
    assert classes.labels is None and "attribute 'Male' needs list_attr_celeba.txt or " in classes.unusable


def test_a_list_and_faces_that_disagree_are_refused_or_passed_over(tmp_path: Path) -> None:
    root = written(tmp_path / "celeba")
    listed = root / "Anno" / "list_attr_celeba.txt"
    listed.write_text("\n".join(listed.read_text().splitlines()[:-5]))  # the first face alone
    classes = CelebA(str(root)).listing().classes
    assert classes.labels is None and "has no label for 2 of 3 images, the first '000002.jpg'" in classes.unusable
    assert CelebA(str(root), on_damaged="skip").listing().names == ["000001.jpg"]


def test_a_list_that_is_cut_off_is_named_with_its_line(tmp_path: Path) -> None:
    root = written(tmp_path / "celeba")
    listed = root / "Anno" / "list_attr_celeba.txt"
    listed.write_text("\n".join([*listed.read_text().splitlines()[:-1], "000006.jpg 1"]))
    with pytest.raises(ValueError, match="list_attr_celeba.txt is damaged in line 8"):
        CelebA(str(root)).listing()


def test_no_column_is_taken_for_an_attribute_that_the_list_does_not_name(tmp_path: Path) -> None:
    root = written(tmp_path / "celeba")
    listed = root / "Anno" / "list_attr_celeba.txt"
    listed.write_text("\n".join(listed.read_text().splitlines()[2:]))
    with pytest.raises(ValueError, match="list_attr_celeba.txt has no row that names the attributes"):
        CelebA(str(root), attribute="Male").listing()


def test_a_folder_without_faces_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no images in {tmp_path}; known file types are"):
        CelebA(str(tmp_path)).listing()


def test_its_folder_is_known_by_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = written(tmp_path / "celeba")
    assert source_at(root, 16) == CelebA(str(root), size=16)
    assert isinstance(source_at(root / "Img"), Folder)
    assert main(["data", "inspect", str(root), "--size", "16"]) == 0
    said = capsys.readouterr().out
    assert "stored as   178x218 RGB  3" in said and "classes     2, with 1 to 2 images each" in said
