"""`ganneal data`: what is in a set of images, converting it, fetching the public ones from a folder of this test."""

import json
import os
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Arrays, Dataset, Folder, Zip, source_at
from ganneal.data.tools import download as downloads
from ganneal.data.tools.convert import write_zip
from ganneal.data.tools.inspection import inspect
from ganneal.data.tools.inspection_text import inspection_as_text
from ganneal.data.tools.pairwise import (
    START_STD,
    fitted_first_weight,
    median_pairwise_distance,
    noise_like,
    pairwise_distances,
    suggest_weights,
)
from ganneal.engine.functional import PROJECTION_STD
from ganneal.weights import Geometric

# Distances


def test_distances_are_over_distinct_pairs_each_once() -> None:
    points = np.array([[0.0], [1.0], [4.0]])  # 1, 3, 4
    found = pairwise_distances(points)
    assert (found.median, found.largest) == (3.0, 4.0)
    assert found.percentile_95 == pytest.approx(3.9)


def test_distances_to_others_are_over_all_pairs() -> None:
    found = pairwise_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0], [0.0, 2.0]]))
    assert (found.median, found.largest) == (2.0, 5.0)


def test_bytes_are_scaled_to_minus_one_to_one() -> None:
    images = np.zeros((2, 3, 4, 4), np.uint8)
    images[1] = 255
    assert median_pairwise_distance(images) == pytest.approx(2 * np.sqrt(48))


def test_noise_is_as_far_from_noise_as_theory_says() -> None:
    # squared distances are 2 chi-squared with d degrees of freedom
    x, y = (noise_like((3, 32, 32), count=200, seed=seed) for seed in (0, 1))
    assert median_pairwise_distance(x, y) == pytest.approx(np.sqrt(2 * 3072), rel=0.01)
    assert median_pairwise_distance(x) == pytest.approx(np.sqrt(2 * 3072), rel=0.01)


def test_the_samples_are_chosen_by_the_seed() -> None:
    points = np.random.default_rng(0).normal(size=(400, 5))
    first, again, other = (pairwise_distances(points, count=20, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


@for_each(("d1", "expected"), [(38, (1, 0.01)), (80, (1, 0.01)), (330, (20, 1))])
def test_the_papers_settings_are_suggested_where_it_gives_them(d1: float, expected: tuple[float, float]) -> None:
    assert suggest_weights(d1) == Geometric(*expected)


def test_the_fitted_curve_goes_through_both_settings() -> None:
    assert fitted_first_weight(62) == 1 and fitted_first_weight(125) == 1
    assert fitted_first_weight(520) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("points", [np.zeros((1, 3)), np.zeros((0, 3))])
def test_a_single_sample_has_no_pair(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least 2 samples"):
        pairwise_distances(points)


# Inspecting


def folder(root: Path) -> Path:
    flat = {"cat/a.png": 0, "cat/b.png": 255, "dog/c.png": 0}
    for name, level in flat.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (level, level, 51)).save(root / name)
    (root / "dog" / "broken.png").write_bytes(b"no image")
    return root


def test_an_inspection_counts_names_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        status = main(["data", "inspect", str(folder(tmp_path / "mine")), "--sheet", str(tmp_path / "sheet.png")])
    said = capsys.readouterr().out
    assert status == 0
    for line in (
        "images      3 of shape (3, 16, 16) as measured here",
        "stored as   16x16 RGB  3",
        "classes     2, with 1 to 2 images each\n            cat 2, dog 1\n",
        "damaged     1",
        "            dog/broken.png: it is empty or no image",
        "duplicates  1 images have the pixels of another",
        "mean        0.3333 0.3333 0.2000",
        "std         0.4714 0.4714 0.0000",
        "annealed CFG: (1, 0.01) by the paper's rule on D1",
    ):
        assert line in said, said
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 2 * 48


def said_of_classes(root: Path, files: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    for index, name in enumerate(files):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), index).save(root / name)
    assert main(["data", "inspect", str(root)]) == 0
    return capsys.readouterr().out


def test_an_inspection_lists_every_class_with_its_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    said = said_of_classes(tmp_path, [f"class-{n:02d}/{n}.png" for n in range(30)], capsys)
    assert (
        "classes     31, with 0 to 1 images each\n            without an image, and left out of training: empty" in said
    )
    assert all(f"class-{n:02d} 1" in said for n in range(30)) and said.count("class-") == 30


def test_an_inspection_says_why_there_are_no_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = said_of_classes(tmp_path, ["a/0.png", "b/1.png", "cover.png"], capsys)
    assert "classes     none; 1 of 3 images lie in no class folder of" in said and "'cover.png'" in said
    (tmp_path / "cover.png").unlink()
    assert "classes     2, with 1 image each\n            a 1, b 1\n" in said_of_classes(tmp_path, [], capsys)


def test_converted_classes_keep_names_and_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set" / "none").mkdir(parents=True)
    said_of_classes(tmp_path / "set", ["10/0.png", "2/1.png", "3/2.png", "2/3.png"], capsys)
    out = str(tmp_path / "set.zip")
    assert main(["data", "convert", str(tmp_path / "set"), out]) == 0
    assert "3 classes: 10 (1), 2 (2), 3 (1); left out, for want of an image: none" in capsys.readouterr().out
    data = Zip(out).load()
    assert data.labels is not None and [data.class_names[label] for label in data.labels] == ["10", "2", "2", "3"]
    assert data.class_names == ["10", "2", "3"]


@for_each(("kinds", "said"), [(5, None), (6, "and 1 other size or mode\n"), (8, "and 3 other sizes")])
def test_sizes_beyond_the_five_most_common_are_counted(
    kinds: int, said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in range(kinds):
        Image.new("RGB", (8 + index, 8 + index)).save(tmp_path / f"{index}.png")
    assert main(["data", "inspect", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert ("or mode" in shown) == (said is not None) and (said or "") in shown


def test_arrays_are_inspected_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.random.default_rng(0).integers(0, 256, (9, 8, 8), dtype=np.uint8))
    found, _ = inspect(Arrays(str(tmp_path / "a.npz"), "images", None))
    assert found.count == 9 and not found.sizes and found.duplicates == 0 and found.classes == {}


@pytest.mark.slow
def test_the_start_of_functional_gradients_has_the_pixels_that_random_projections_of_latents_have() -> None:
    """W z with 100 normal latents and entries of 0.01 has pixels of std 0.1."""
    assert START_STD == pytest.approx(PROJECTION_STD * 100**0.5)
    start = noise_like((3, 8, 8), std=START_STD, count=500)
    assert start.dtype == np.float32 and float(start.std()) == pytest.approx(START_STD, rel=0.02)
    np.testing.assert_array_equal(start, np.float32(START_STD) * noise_like((3, 8, 8), count=500))


def test_distances_from_both_starts_are_beside_each_other(tmp_path: Path) -> None:
    """Grey images of one value c are √(d (c² + std²)) from noise of std, up to √d's spread."""
    np.save(tmp_path / "grey.npy", np.full((40, 16, 16, 3), 191, np.uint8))
    found, _ = inspect(source_at(str(tmp_path / "grey.npy")))
    value, pixels = 191 / 127.5 - 1, 16 * 16 * 3
    for distances, std in ((found.d2, 1.0), (found.d2_start, START_STD)):
        assert distances.median == pytest.approx((pixels * (value**2 + std**2)) ** 0.5, rel=0.02)
    lines = inspection_as_text(found).splitlines()
    assert any(line.startswith("from noise") and "paper's D2" in line for line in lines)
    assert any(line.startswith("from start") and f"{found.d2_start.median:.1f} median" in line for line in lines)


@pytest.mark.runs
@pytest.mark.parametrize(
    ("name", "d1", "d2"),
    [pytest.param("cifar10-train.zip", 38, 62, marks=pytest.mark.slow), ("celeba10k-64.zip", 80, 130)],
)
def test_distances_of_real_images_are_the_papers(data_root: Path, name: str, d1: float, d2: float) -> None:
    data = Zip(str(data_root / name)).load()
    assert median_pairwise_distance(data.samples) == pytest.approx(d1, rel=0.05)
    assert median_pairwise_distance(data.samples, noise_like(data.shape)) == pytest.approx(d2, rel=0.05)


# Converting


@pytest.mark.runs
@for_each("channels", [1, 3])
@for_each("labelled", [True, False])
def test_a_converted_set_is_the_same_set(tmp_path: Path, channels: int, labelled: bool) -> None:
    random = np.random.default_rng(0)
    samples = random.integers(0, 256, (1_003, channels, 4, 4), dtype=np.uint8)
    labels = random.integers(0, 5, len(samples)) if labelled else None
    data = Dataset(samples, labels, 5 if labelled else 0)
    write_zip(data, tmp_path / "a.zip")
    read = Zip(str(tmp_path / "a.zip")).load()
    assert np.array_equal(read.samples, samples) and (read.labels is None) == (not labelled)
    if labels is not None and read.labels is not None:
        assert np.array_equal(read.labels, labels)
    first = (tmp_path / "a.zip").read_bytes()
    write_zip(data, tmp_path / "a.zip")
    assert (tmp_path / "a.zip").read_bytes() == first


def test_converting_is_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = str(folder(tmp_path / "mine")), str(tmp_path / "new" / "out.zip")
    assert main(["data", "convert", source, out]) == 2
    said = capsys.readouterr().err
    assert "dog/broken.png" in said and "--on-damaged skip" in said and not Path(out).exists()
    (tmp_path / "mine" / "dog" / "broken.png").unlink()
    assert main(["data", "convert", source, out, "--size", "8"]) == 0
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [f"00000/img0000000{n}.png" for n in range(3)] + ["dataset.json"]
        assert [label for _, label in json.loads(archive.read("dataset.json"))["labels"]] == [0, 0, 1]
    assert [path.name for path in Path(out).parent.iterdir()] == ["out.zip"]
    assert main(["data", "convert", source, str(tmp_path / "out.tar")]) == 2


# Fetching


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder that stands for the public address of one file."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "train").write_bytes(b"images")
    address = (tmp_path / "public").as_uri() + "/"
    md5 = "59b514174bffe4ae402b3d63aad79fe0"
    entry = replace(downloads.DOWNLOADS["mnist"], address=address, files=(("train", md5),))
    monkeypatch.setitem(downloads.DOWNLOADS, "mnist", entry)
    monkeypatch.chdir(tmp_path)
    return address


def test_what_is_fetched_is_checked_and_not_fetched_again(
    published: str, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "fetch", "mnist"]) == 0
    said = capsys.readouterr().out
    assert (stranger / "mnist" / "train").read_bytes() == b"images" and said.endswith("\nganneal train mnist-nats\n")
    (tmp_path / "public" / "train").unlink()
    assert main(["data", "fetch", "mnist"]) == 0


def test_a_folder_can_be_named(published: str, stranger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "mnist", "--out", "my data"]) == 0
    own = "ganneal train mnist-nats --data.path 'my data' --records.held-out.path 'my data'"
    assert capsys.readouterr().out.endswith(f"\nganneal train 'my data'\n{own}\n")
    assert Path("my data/train").exists() and not stranger.exists()


def test_another_file_is_refused(
    published: str, stranger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "public" / "train").write_bytes(b"other")
    assert main(["data", "fetch", "mnist"]) == 2
    assert "is not the published train: its MD5 must be" in capsys.readouterr().err
    assert not stranger.exists()


@pytest.mark.parametrize("url", ["file:///nowhere/", "no address"])
def test_without_a_connection_one_line_says_what_to_do(published: str, url: str, capsys: Any) -> None:
    assert main(["data", "fetch", "mnist", "--url", url]) == 2
    err = capsys.readouterr().err
    assert "cannot download" in err and "copy train from a machine with a network, or give --url" in err


def test_unknown_names_are_answered_with_the_nearest(published: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "fetch", "cifar"]) == 2 and "Did you mean 'cifar10" in capsys.readouterr().err
    assert main(["data", "inspct", "x"]) == 2 and "Did you mean 'inspect'" in capsys.readouterr().err
    assert main(["data"]) == 0 and "ganneal data inspect" in capsys.readouterr().out


# Odd names


def test_every_damaged_image_is_counted_once_and_its_name_stays_on_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    names = [
        b"caf\xe9.png",
        b"new\nline.png",
        b"red\x1b[31m.png",
        "left\u202e.png".encode(),
        *(b"%d.png" % n for n in range(4)),
    ]
    for name in names:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"" if len(name) > 5 else content[:-100])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["data", "inspect", str(tmp_path)]) == 0
    said, told = capsys.readouterr()
    assert "damaged     8\n" in said and "cannot read 8 of 9 images" in told and told.count("\n") == 1
    for shown in (r"caf\xe9.png", r"new\nline.png", r"red\x1b[31m.png", r"left\u202e.png"):
        assert f"            {shown}: the file is empty" in said
    assert "\x1b" not in said + told and "\u202e" not in said + told


def test_images_that_a_list_of_labels_leaves_out_are_inspected_as_training_reads_them(tmp_path: Path) -> None:
    for index in range(4):
        Image.fromarray(np.full((8, 8, 3), 40 * index, np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "dataset.json").write_text('{"labels": [["0.png", 0]]}')
    found, _ = inspect(Folder(str(tmp_path), on_damaged="skip"))
    assert (found.count, found.num_damaged, found.classes) == (4, 0, {})
    assert "no label for 3 of 4 images" in found.about_classes
