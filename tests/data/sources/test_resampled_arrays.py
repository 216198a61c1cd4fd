"""Arrays in another size, in other channels and of other levels, as the options of every command say."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Reading, read_as, source_at
from ganneal.data.messages import Remark
from ganneal.data.tools.inspection import inspect
from ganneal.evaluation.stored import Settings, evaluate_images
from ganneal.metrics.measures import METRICS

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 24, 36, 3), np.uint8)
EXACT = Settings((METRICS["frechet"],))


def _folder(place: Path, pixels: np.ndarray) -> Path:
    place.mkdir()
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(place / f"{index:03d}.png")
    return place


@for_each(
    "reading",
    [
        Reading(size=16),
        Reading(size=16, channels=1),
        Reading(size=16, fit="pad"),
        Reading(size=8, channels=1, fit="stretch"),
    ],
)
def test_arrays_are_resampled_as_the_same_images_in_files(tmp_path: Path, reading: Reading) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS[:4])
    folder = _folder(tmp_path / "a", PIXELS[:4])
    with warnings.catch_warnings(action="ignore", category=Remark):
        arrays, files = (read_as(source_at(place), reading).load() for place in (tmp_path / "a.npz", folder))
    assert np.array_equal(np.asarray(arrays.samples), np.asarray(files.samples[:4]))


def test_a_folder_and_an_array_of_the_same_images_are_at_distance_0_in_any_size(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS)
    folder = _folder(tmp_path / "a", PIXELS)
    with warnings.catch_warnings(action="ignore", category=Remark):
        found = evaluate_images(folder, tmp_path / "a.npz", settings=EXACT, reading=Reading(size=16))
        turned = evaluate_images(tmp_path / "a.npz", folder, settings=EXACT, reading=Reading(size=16))
    assert [record.value for record in (*found, *turned)] == pytest.approx([0, 0], abs=1e-12)
    assert turned[0].protocol.reference.transform == "centre crop, Lanczos to 16"


def test_levels_are_for_the_side_that_is_not_8_bits_already(tmp_path: Path) -> None:
    np.savez(tmp_path / "bytes.npz", images=PIXELS)
    np.savez(tmp_path / "floats.npz", images=(PIXELS / 127.5 - 1).astype(np.float32))
    reading = Reading(levels=(-1.0, 1.0))
    (record,) = evaluate_images(tmp_path / "bytes.npz", tmp_path / "floats.npz", settings=EXACT, reading=reading)
    assert record.value == pytest.approx(0, abs=1e-12)


def test_the_options_that_a_refusal_names_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "grey.npz", images=PIXELS[:, :16, :16, 0])
    np.savez(tmp_path / "coloured.npz", images=PIXELS[:, :24, :24])
    pair = ["evaluate", "--real", str(tmp_path / "grey.npz"), "--fake", str(tmp_path / "coloured.npz")]
    assert main(pair) == 2
    assert "--size N or --channels N" in capsys.readouterr().err
    assert main([*pair, "--size", "16", "--channels", "1", "--metrics", "kernel"]) == 0


def test_images_keep_their_shape_where_no_size_is_given(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS[:4])
    assert read_as(source_at(tmp_path / "a.npz"), Reading(channels=1)).load().shape == (1, 24, 36)
    assert read_as(source_at(tmp_path / "a.npz"), Reading(size="30x20")).load().shape == (3, 20, 30)


def test_inspect_says_what_is_said_of_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS[:4, :16, :16] // 128)
    found, _ = inspect(source_at(tmp_path / "a.npz"))
    assert any("they are black" in note for note in found.remarks)
