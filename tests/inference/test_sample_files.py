"""Samples in files: the same pixels in every form of data, classes beside them, nothing lost that was there."""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.for_each import for_each

from ganneal.data import source_at
from ganneal.evaluation.stored import Settings, evaluate_images
from ganneal.inference.sample_files import MANIFEST, DrawnSamples, check_outside, folder_names, write_samples
from ganneal.metrics.measures import METRICS
from ganneal.storage.pictures import to_uint8

FORMS = ("set.npz", "set.zip", "set")
HARD = (
    "dataset.json",
    *("a/b", "..", "con", "", "été", "Été", "x" * 300, "class-0", "nul.txt", "a\\b", ".hidden", "end ", "a\nb"),
    *("Thumbs.db", "猫"),
)
"""Names that are no folders everywhere, or that some file systems take for one another."""


def drawn(
    count: int = 6, channels: int = 3, size: int = 16, names: tuple[str, ...] = (), classes: int = 0
) -> DrawnSamples:
    samples = 2.4 * torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(count)) - 1.2
    classes = classes or len(names)
    labels = torch.arange(count) % classes if classes else None
    return DrawnSamples(samples, labels, names, classes)


def stored(path: Path) -> np.ndarray:
    """All images below a folder, in a zip or in an archive, in the order in which they were drawn."""
    if path.suffix == ".npz":
        return np.load(path)["images"]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            files = [BytesIO(archive.read(name)) for name in sorted(archive.namelist()) if name.endswith(".png")]
    else:
        files = sorted(path.rglob("*.png"), key=lambda file: file.name)
    pictures = [np.asarray(Image.open(file)) for file in files]
    return np.stack([picture[None] if picture.ndim == 2 else picture.transpose(2, 0, 1) for picture in pictures])


@for_each("form", FORMS)
@for_each(("channels", "size"), [(3, 16), (1, 16), (3, 32), (1, 8)])
def test_every_form_of_data_holds_the_same_bytes(form: str, channels: int, size: int, tmp_path: Path) -> None:
    given = drawn(channels=channels, size=size)
    write_samples(given, tmp_path / form)
    assert np.array_equal(stored(tmp_path / form), to_uint8(given.samples))


@pytest.mark.parametrize("channels", [1, 3])
def test_one_image_is_written_as_it_is_and_several_as_a_grid(channels: int, tmp_path: Path) -> None:
    given = drawn(1, channels)
    write_samples(given, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (16, 16) and picture.mode == ("L" if channels == 1 else "RGB")
        assert np.array_equal(
            np.asarray(picture).reshape(16, 16, channels), to_uint8(given.samples)[0].transpose(1, 2, 0)
        )
    write_samples(drawn(4, channels), tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.size == (2 * 50 + 2, 2 * 50 + 2)


@pytest.mark.runs
@for_each("real", FORMS)
@for_each("fake", FORMS)
def test_the_same_samples_in_two_forms_have_no_distance(real: str, fake: str, tmp_path: Path) -> None:
    places = [tmp_path / f"{side}-{form}" for side, form in (("real", real), ("fake", fake))]
    for place in places:
        write_samples(drawn(80, names=("cat", "dog")), place)
    found = evaluate_images(*places, settings=Settings((METRICS["frechet"], METRICS["precision-recall"])))
    assert [round(record.value, 9) for record in found] == [0, 1, 1]


def test_points_are_read_again_as_points(tmp_path: Path) -> None:
    points = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    for name in ("a.npz", "b.npz"):
        write_samples(DrawnSamples(points, torch.arange(40) % 2, (), 2), tmp_path / name)
    data = source_at(tmp_path / "a.npz").load()
    assert np.array_equal(data.samples, points.numpy()) and data.labels is not None
    found = evaluate_images(tmp_path / "a.npz", tmp_path / "b.npz", settings=Settings((METRICS["frechet"],)))
    assert abs(found[0].value) < 1e-9 and not found[0].protocol.quantised
    for name in ("points", "points.zip"):
        with pytest.raises(ValueError, match=r"out must end in \.png or \.npz for points"):
            write_samples(DrawnSamples(points), tmp_path / name)


@for_each("form", FORMS)
@for_each("names", [("cat", "dog", "eel"), HARD, ()], ids=["plain", "hard", "none"])
def test_the_class_of_each_sample_is_read_again(form: str, names: tuple[str, ...], tmp_path: Path) -> None:
    given = drawn(30, names=names, classes=0 if names else 12)
    write_samples(given, tmp_path / form)
    data = source_at(tmp_path / form).load()
    assert given.labels is not None and data.labels is not None
    by_content = {image.tobytes(): int(label) for image, label in zip(data.samples, data.labels, strict=True)}
    expected = {image.tobytes(): int(label) for image, label in zip(to_uint8(given.samples), given.labels, strict=True)}
    assert by_content == expected


def test_samples_of_named_classes_lie_in_folders_of_these_names(tmp_path: Path) -> None:
    write_samples(drawn(4, names=("cat", "dog")), tmp_path / "set")
    found = sorted(file.relative_to(tmp_path / "set").as_posix() for file in (tmp_path / "set").rglob("*.png"))
    assert found == ["cat/000000.png", "cat/000002.png", "dog/000001.png", "dog/000003.png"]
    assert json.loads((tmp_path / "set/dataset.json").read_text())["classes"] == ["cat", "dog"]
    assert np.load(_written(tmp_path / "set.npz"))["class_names"].tolist() == ["cat", "dog"]


def _written(path: Path) -> Path:
    write_samples(drawn(4, names=("cat", "dog")), path)
    return path


@pytest.mark.runs
@given(st.lists(st.text(max_size=8) | st.sampled_from(HARD), max_size=20, unique=True))
def test_folders_of_classes_are_safe_and_all_different(names: list[str]) -> None:
    found = folder_names(names)
    assert len({name.casefold() for name in found}) == len(names) and "dataset.json" not in found
    for name in found:
        assert name and not set(name) & set('/\\<>:"|?*\0') and not name.startswith(".") and name.isprintable()
        assert name.split(".")[0].lower() not in ("con", "prn", "aux", "nul") and len(name.encode()) <= 255


@for_each("form", ["one.png", "set.npz", "set.zip"])
def test_a_file_that_is_there_is_replaced_on_request_only(form: str, tmp_path: Path) -> None:
    (tmp_path / form).write_text("mine")
    with pytest.raises(ValueError, match=r"out must be a new file.*--overwrite"):
        write_samples(drawn(1), tmp_path / form)
    assert (tmp_path / form).read_text() == "mine"
    write_samples(drawn(1), tmp_path / form, overwrite=True)
    assert (tmp_path / form).read_bytes() != b"mine"


def test_older_samples_in_a_folder_go_on_request_only_and_nothing_else_does(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_samples(drawn(9, names=("cat", "dog", "eel")), root)
    (root / "notes.txt").write_text("mine")
    (root / "cat/notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"with 10 files of earlier samples; name another, or replace them"):
        write_samples(drawn(2), root)
    assert len(list(root.rglob("*.png"))) == 9
    write_samples(drawn(2), root, overwrite=True)
    left = sorted(file.relative_to(root).as_posix() for file in root.rglob("*"))
    assert left == [MANIFEST, "000000.png", "000001.png", "cat", "cat/notes.txt", "notes.txt"]


@for_each("name", ["mine.png", "000000.png", "cat/mine.jpg", "dataset.json"])
def test_samples_are_never_mixed_with_other_images_nor_replace_them(name: str, tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_samples(drawn(3), root)
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b"mine")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match=r"with 1 that `ganneal sample` did not write there"):
            write_samples(drawn(2), root, overwrite=overwrite)
    assert (root / name).read_bytes() == b"mine" and (root / "000002.png").exists()


def test_an_interrupted_folder_is_known_for_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganneal.inference import sample_files

    def full(pixels: np.ndarray) -> bytes:
        if (tmp_path / "set/000001.png").exists():
            raise OSError(28, "No space left on device")
        return png(pixels)

    png = sample_files.png
    monkeypatch.setattr(sample_files, "png", full)
    with pytest.raises(OSError, match="No space"):
        write_samples(drawn(4), tmp_path / "set")
    monkeypatch.undo()
    write_samples(drawn(3), tmp_path / "set", overwrite=True)
    assert np.array_equal(stored(tmp_path / "set"), to_uint8(drawn(3).samples))


@for_each("out", ["", "fakes", "cat/fakes", "one.png"])
def test_samples_are_never_written_among_the_data_wherever_the_command_runs(out: str, tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    run.mkdir()
    place = {"given": "data", "absolute": str(tmp_path / "gone"), "relative": "../data"}  # moved with the run
    (run / "experiment.json").write_text(json.dumps({"experiment": {}, "data": {}, "places": {"data.path": place}}))
    with pytest.raises(ValueError, match="out must lie outside the run's data"):
        check_outside(data / out, run)
    for other in (tmp_path / "data-fakes", data / "fakes.npz", data / "fakes.zip", tmp_path / "one.png"):
        check_outside(other, run)
    check_outside(data / "fakes", tmp_path / "zoo:nowhere")


@for_each("ending", [".jpg", ".webp", ".tar", ".npy"])
def test_other_endings_are_refused(ending: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"out must end in \.png, \.npz or \.zip, or be a folder"):
        write_samples(drawn(), tmp_path / f"set{ending}")
    assert not list(tmp_path.iterdir())


def test_samples_that_are_no_numbers_are_never_written(tmp_path: Path) -> None:
    given = drawn()
    given.samples[0, 0, 0, 0] = float("nan")
    for form in (*FORMS, "set.png"):
        with pytest.raises(ValueError, match="samples are NaN or infinite"):
            write_samples(given, tmp_path / form)
    assert not list(tmp_path.iterdir())
