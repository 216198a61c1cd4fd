"""Images of any shape and with transparency: sizes as WIDTHxHEIGHT, RGBA decoded, trained, drawn and measured."""

import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

import ganneal
from ganneal.cli import main
from ganneal.data import Folder
from ganneal.data.decode.images import Format, decode_image, height_and_width, image_size
from ganneal.data.decode.survey import ImageHeader
from ganneal.data.sources.arrays import Refitted
from ganneal.data.sources.files import load_like


def png(pixels: np.ndarray, mode: str) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels, mode).save(file, "PNG")
    return file.getvalue()


def decoded(content: bytes, format: Format) -> np.ndarray:
    return decode_image(lambda name: content, "a.png", format)


def test_a_size_is_a_side_or_width_and_height() -> None:
    assert [height_and_width(size) for size in (8, "8", "12x8", "8X12")] == [(8, 8), (8, 8), (8, 12), (12, 8)]
    assert [image_size(8, 8), image_size(8, 12)] == [8, "12x8"]
    assert Format("12x8", 3).shape == (3, 8, 12)


@for_each(("fit", "left"), [("crop", 25), ("stretch", 0), ("pad", 0)])
def test_images_are_fitted_to_a_rectangle(fit: str, left: int) -> None:
    wide = np.zeros((100, 200, 3), np.uint8)
    wide[:, 50:150] = 255
    found = decoded(png(wide, "RGB"), Format("120x80", 3, fit))  # type: ignore[arg-type]
    assert found.shape == (3, 80, 120)
    share = {"crop": 100 / 150, "stretch": 0.5, "pad": 0.5 * 60 / 80}[fit]
    assert found.mean() / 255 == pytest.approx(share, abs=0.02)


@for_each(("width", "height", "lost"), [(3, 2, 0.0), (4, 2, 0.25), (2, 2, 1 / 3), (6, 4, 0.0), (3, 4, 0.5)])
def test_what_a_crop_to_a_rectangle_loses(width: int, height: int, lost: float) -> None:
    assert ImageHeader(width, height, "RGB", False).lost_to(3, 2) == pytest.approx(lost)


def test_transparency_is_kept_and_what_lies_under_it_is_black() -> None:
    pixels = np.full((8, 8, 4), 200, np.uint8)
    pixels[:4, :, 3], pixels[4:, :, 3] = 0, 255
    found = decoded(png(pixels, "RGBA"), Format(8, 4))
    assert found.shape == (4, 8, 8)
    assert (found[3, :4] == 0).all() and (found[3, 4:] == 255).all()
    assert (found[:3, :4] == 0).all() and (found[:3, 4:] == 200).all()
    opaque = decoded(png(pixels[..., :3].copy(), "RGB"), Format(8, 4))
    assert (opaque[3] == 255).all() and (opaque[:3] == 200).all()
    grey = decoded(png(pixels[..., 0].copy(), "L"), Format("4x8", 4))
    assert grey.shape == (4, 8, 4) and (grey[:3] == 200).all()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for index in range(72):
        pixels = random.integers(0, 256, (26, 34, 4), dtype=np.uint8)
        (folder / f"{index:02d}.png").write_bytes(png(pixels, "RGBA"))
    return folder


def test_held_out_data_and_arrays_take_the_shape_of_the_data(pictures: Path) -> None:
    data = Folder(str(pictures), size="32x24", channels=4).load()
    assert data.shape == (4, 24, 32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_like(Folder(str(pictures)), data).shape == data.shape
        assert Refitted(Folder(str(pictures), size="32x24")).refit(data).shape == data.shape
        assert Refitted(Folder(str(pictures)), channels=3).refit(data).shape == (3, 24, 32)


@pytest.mark.runs
def test_a_folder_of_transparent_rectangles_trains_samples_measures_reports_and_exports(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ("--model.width", "2", "--scheme", "cts", "--batch-size", "8", "--budget.d-updates", "2")
    size = ("--data.size", "32x24", "--data.channels", "4", "--precision", "float32", "--records.evaluate-count", "72")
    assert main(["train", "pictures", "--out", "run", *size, *small, "--augmentation", "diffaugment"]) == 0
    samples = ganneal.load("run").sample(2, seed=0)
    assert samples.shape == (2, 4, 24, 32) and samples.abs().max() <= 1
    assert main(["sample", "run", "--count", "2", "--out", "singles"]) == 0
    assert main(["evaluate", "run", "--count", "72"]) == 0
    assert main(["report", "run", "--out", "report.html"]) == 0
    assert main(["export", "run", "--out", "run.pt2", "--format", "torch"]) == 0
    said = capsys.readouterr().out
    assert "FD-pixels4" in said
    paths = sorted(Path("singles").glob("*.png"))
    assert len(paths) == 2
    for path, sample in zip(paths, (samples * 127.5 + 128).clamp(0, 255).byte().numpy(), strict=True):
        with Image.open(path) as image:
            assert image.mode == "RGBA"
            np.testing.assert_array_equal(np.asarray(image).transpose(2, 0, 1), sample)
    with Image.open("run/samples/real.png") as grid:
        assert grid.mode == "RGB"
