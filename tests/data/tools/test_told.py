"""What is said of data where it was wrong, or where nothing was: values, labels, crops, and ways out that exist."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Arrays, Folder, Zip, source_at
from ganneal.data.decode.survey import ImageHeader
from ganneal.data.messages import Remark
from ganneal.data.tools.inspection import inspect

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
GREY = (PIXELS[:, :, :, 0] / 255).astype(np.float32)


def test_a_crop_of_exactly_a_third_is_not_more_than_a_third() -> None:
    assert not any(ImageHeader(3 * n, 2 * n, "RGB", False).lost_to(5, 5) > 1 / 3 for n in range(1, 4_000))
    assert ImageHeader(301, 200, "RGB", False).lost_to(5, 5) > 1 / 3


@for_each("levels", [None, (0.0, 1.0)])
@for_each("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_counted(
    tmp_path: Path, value: float, levels: tuple[float, float] | None
) -> None:
    images = (PIXELS / 255).astype(np.float32)
    images[[3, 7], 0, 0, 0] = value
    np.savez(tmp_path / "a.npz", images=images)
    with pytest.raises(ValueError, match=r"a.npz must be finite, got NaN or infinite values in 2 of 12"):
        Arrays(str(tmp_path / "a.npz"), "images", None, levels).load()


def test_floating_point_files_are_answered_with_the_option_that_reads_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for index, image in enumerate(GREY[:4]):
        Image.fromarray(image).save(folder / f"{index}.tif")
    for command in (["data", "inspect", str(folder)], ["data", "convert", str(folder), str(tmp_path / "out.zip")]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "--levels" in said and "--on-damaged" not in said
        assert main([*command, "--levels", "0", "1"]) == 0
        capsys.readouterr()


def test_inspect_says_which_files_need_levels_beside_others(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[0]).save(tmp_path / "a.png")
    Image.fromarray(GREY[0]).save(tmp_path / "b.tif")
    with pytest.warns(UserWarning, match="passed over"):
        found, _ = inspect(Folder(str(tmp_path), on_damaged="skip"))
    assert found.num_damaged == 1 and any("passed over without levels=" in remark for remark in found.remarks)


def test_labels_that_are_objects_are_told_and_not_left_out(tmp_path: Path) -> None:
    words = np.array(["a", "b"] * 6, dtype=object)
    np.savez(tmp_path / "a.npz", images=PIXELS, labels=words)
    data = source_at(tmp_path / "a.npz").load()
    assert data.labels is None and "labels of" in data.unusable and "objects" in data.unusable


def test_arrays_that_may_be_the_labels_are_named_where_none_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS, targets=np.arange(12) % 2, mean=np.zeros(3))
    with pytest.warns(Remark, match=r"no labels under the name 'labels'.*not read: targets\."):
        source_at(tmp_path / "a.npz")


def test_images_of_no_networks_size_are_converted_as_the_refusal_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 18, 18, 3), np.uint8) + 9)
    assert main(["train", str(tmp_path / "a.npz"), "--budget.d-updates", "1"]) == 2
    out = tmp_path / "out.zip"
    values = {"FILE": str(tmp_path / "a.npz"), "OUT.zip": str(out), "N": "16"}
    told = [values.get(word, word) for word in shlex.split(capsys.readouterr().err.split("`")[1])]
    assert told[0] == "ganneal" and main(told[1:]) == 0
    assert Zip(str(out)).load().shape == (3, 16, 16)


def test_the_help_that_a_wrong_option_names_is_of_the_path_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("my images.npz", images=PIXELS)
    assert main(["train", "my images.npz", "--nonsense", "3"]) == 2
    assert "`ganneal train 'my images.npz' --help-all` lists the options" in capsys.readouterr().err
    assert main(["train", "my images.npz", "--help-all"]) == 0 and "--data.levels" in capsys.readouterr().out


def test_a_metric_that_was_asked_for_and_is_not_measured_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "a.npz", images=PIXELS)
    place = str(tmp_path / "a.npz")
    assert main(["evaluate", "--real", place, "--fake", place, "--metrics", "kernel", "score"]) == 0
    assert "warning: no score, which needs" in capsys.readouterr().err
