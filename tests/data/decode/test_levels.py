"""Images of more than 8 bits: what 8 bits lose is said, and a range that is given is spread over all of them."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Arrays, Folder, source_at
from ganneal.data.decode.images import eight_bits
from ganneal.data.messages import Remark
from ganneal.data.sources.arrays import SCALED_TOGETHER
from ganneal.data.tools.inspection import survey

RANDOM = np.random.default_rng(0)


def folder(path: Path, arrays: list[np.ndarray], kind: str = "png") -> str:
    path.mkdir(parents=True, exist_ok=True)
    for number, values in enumerate(arrays):
        Image.fromarray(values).save(path / f"{number}.{kind}")
    return str(path)


def twelve_bits(count: int = 4, side: int = 16) -> list[np.ndarray]:
    ramp = np.linspace(0, 4_095, side * side).astype(np.uint16).reshape(side, side)
    return [np.roll(ramp, number) for number in range(count)]


def loaded(source: Folder | Arrays) -> tuple[np.ndarray, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        samples = np.asarray(source.load().samples)
    return samples, [str(warning.message) for warning in caught if issubclass(warning.category, Remark)]


@given(st.floats(-1e4, 1e4), st.floats(1e-2, 1e5), st.lists(st.floats(-1e5, 1e5), min_size=2, max_size=9))
def test_given_levels_become_black_and_white_and_the_order_stays(low: float, width: float, values: list[float]) -> None:
    levels = (low, low + width)
    assert eight_bits(np.array(levels), levels).tolist() == [0, 255]
    assert eight_bits(np.array([low - 1, low + width + 1]), levels).tolist() == [0, 255]
    assert (np.diff(eight_bits(np.sort(values), levels).astype(int)) >= 0).all()


def test_levels_and_their_range_are_those_of_all_blocks(tmp_path: Path) -> None:
    count = 2 * SCALED_TOGETHER + 1
    values = np.arange(count, dtype=np.float32)
    np.save(tmp_path / "a.npy", np.broadcast_to(values[:, None, None], (count, 2, 2)))
    data = Arrays(str(tmp_path / "a.npy"), levels=(0, count - 1)).load()
    assert np.array_equal(data.samples[:, 0, 1, 0], (255 * values / (count - 1)).round().astype(np.uint8))
    with pytest.warns(Remark, match=f"have values from 0 to {count - 1}: those beyond 0 to 1000 are clipped"):
        Arrays(str(tmp_path / "a.npy"), levels=(0, 1_000)).load()


def test_without_a_range_the_upper_eight_of_sixteen_bits_are_taken() -> None:
    values = np.array([0, 255, 256, 511, 512, 65_279, 65_280, 65_535], np.uint16)
    assert eight_bits(values, None).tolist() == [0, 0, 1, 1, 2, 254, 255, 255]


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_twelve_bits_in_sixteen_are_said_with_the_range_and_spread_by_levels(tmp_path: Path, kind: str) -> None:
    path = folder(tmp_path / "d", twelve_bits(), kind)
    dark, (text,) = loaded(Folder(path))
    assert len(np.unique(dark)) == 16 and dark.max() == 15
    assert text.startswith(
        "4 of 4 images have more than 8 bits, with levels from 0 to 4095 in 4 of them, of 0 to 65535: 16 of"
    )
    assert "levels=(0, 4095) spreads them over all 256" in text
    spread, texts = loaded(Folder(path, levels=(0, 4_095)))
    assert texts == [] and len(np.unique(spread)) >= 250 and (spread.min(), spread.max()) == (0, 255)


def test_sixteen_bits_that_are_used_are_read_without_a_word(tmp_path: Path) -> None:
    full = [values * 16 for values in twelve_bits()]
    assert loaded(Folder(folder(tmp_path / "d", full)))[1] == []


def test_one_bright_image_among_dark_ones_counts_wherever_it_stands(tmp_path: Path) -> None:
    for place in (0, 3):
        images = twelve_bits()
        images[place] = images[place] * 16
        assert loaded(Folder(folder(tmp_path / str(place), images)))[1] == []


def test_levels_that_cut_or_waste_are_said(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", twelve_bits())
    assert "those beyond 0 to 1000 are clipped" in loaded(Folder(path, levels=(0, 1_000)))[1][0]
    assert "17 of 256 grey levels are left" in loaded(Folder(path, levels=(0, 65_535)))[1][0]
    plain = folder(tmp_path / "e", [values.astype(np.uint8) for values in twelve_bits()])
    assert "none of 4 images has more" in loaded(Folder(plain, levels=(0, 255)))[1][0]


@pytest.mark.parametrize(
    "values", [np.linspace(-1, 1, 256, dtype=np.float32), np.arange(-100, 69_900, 274, dtype=np.int32)[:256]]
)
def test_levels_that_sixteen_bits_do_not_hold_are_refused_with_the_range(tmp_path: Path, values: np.ndarray) -> None:
    path = folder(tmp_path / "d", [values.reshape(16, 16)] * 3, "tif")
    low, high = float(values.min()), float(values.max())
    with pytest.raises(ValueError, match=f"levels from {low:g} to {high:g} in 3 of them, which 16 bits do not hold"):
        Folder(path).load()
    samples, texts = loaded(Folder(path, levels=(low, high)))
    assert texts == [] and (samples.min(), samples.max()) == (0, 255) and len(np.unique(samples)) >= 250


def test_every_command_takes_levels_and_the_one_that_warns_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path / "d", twelve_bits(8))
    monkeypatch.chdir(tmp_path)
    warnings.simplefilter("always", Remark)
    calls = {
        "--levels 0 4095": [
            ["data", "inspect", path],
            ["data", "convert", path, "out.zip"],
            ["evaluate", "--real", path, "--fake", path, "--metrics", "kernel"],
        ],
        "--data.levels 0 4095": [["train", path, "--dry-run"]],
    }
    for option, commands in calls.items():
        for command in commands:
            assert main(command) == 0 and option in "".join(capsys.readouterr()), command
            assert main([*command, *option.split()]) == 0 and "grey levels are left" not in "".join(capsys.readouterr())
    assert len(np.unique(source_at("out.zip").load().samples)) >= 250


# Arrays


@for_each(
    ("values", "levels"),
    [(np.linspace(0, 1, 1_024), (0, 1)), (np.linspace(-1, 1, 1_024), (-1, 1)), (np.linspace(0, 255, 1_024), (0, 255))]
    + [(np.arange(1_024) * 4, (0, 4_095)), (np.linspace(-3, 5, 1_024), (-3, 5))],
)
@for_each("suffix", ["npz", "npy"])
def test_the_range_of_a_whole_array_is_told_and_scaled(
    tmp_path: Path, values: np.ndarray, levels: tuple[float, float], suffix: str
) -> None:
    path, images = tmp_path / f"a.{suffix}", values.reshape(4, 16, 16)
    np.save(path, images) if suffix == "npy" else np.savez(path, images=images)
    source = source_at(path)
    assert isinstance(source, Arrays) and survey(source).side == 16
    low, high = levels
    with pytest.raises(
        ValueError,
        match=rf"its values are {values.min():g} to {values.max():g}: give levels=\({low}(\.0)?, {high}(\.0)?\)",
    ):
        source.load()
    samples, texts = loaded(Arrays(str(path), "images", None, levels))
    assert texts == [] and samples.shape == (4, 1, 16, 16)
    assert np.array_equal(samples[:, 0], eight_bits(images, levels))
    assert "are clipped" in loaded(Arrays(str(path), "images", None, (low, (low + high) / 2)))[1][0]


def test_an_array_of_floats_trains_by_its_path_with_levels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", images=RANDOM.random((16, 16, 16, 3)).astype(np.float32))
    assert main(["train", "a.npz", "--dry-run"]) == 2
    assert "it would be refused" in (shown := capsys.readouterr().out) and "give --data.levels 0 1" in shown
    assert main(["train", "a.npz", "--dry-run", "--data.levels", "0", "1"]) == 0
    assert "16 samples of shape (3, 16, 16)" in capsys.readouterr().out
    assert main(["data", "convert", "a.npz", "out.zip", "--levels", "0", "1"]) == 0
    assert main(["data", "convert", "a.npz", "out.zip", "--levels", "0", "1", "--size", "8"]) == 0
    assert "16 images of shape (3, 8, 8)" in capsys.readouterr().out


def test_an_archive_of_several_arrays_that_may_be_the_images_is_refused_by_their_names(tmp_path: Path) -> None:
    images, labels = np.zeros((3, 8, 8), np.uint8), np.arange(3)
    np.savez(tmp_path / "a.npz", images=images, x_train=images, labels=labels)
    np.savez(tmp_path / "b.npz", first=images, second=images)
    for name, arrays in (("a", "images, x_train"), ("b", "first, second")):
        with pytest.raises(ValueError, match=f"several arrays that may be the images: {arrays}; save the one"):
            source_at(tmp_path / f"{name}.npz")
    np.savez(tmp_path / "c.npz", arr_0=images, labels=labels)
    assert source_at(tmp_path / "c.npz") == Arrays(str(tmp_path / "c.npz"), "arr_0", "labels")
    np.savez(tmp_path / "d.npz", x_train=images, x_test=images)
    assert source_at(tmp_path / "d.npz") == Arrays(str(tmp_path / "d.npz"), "x_train", None)


def test_arrays_without_names_are_images_and_labels_in_either_order(tmp_path: Path) -> None:
    images, labels = np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 2, 1])
    for name, arrays, expected in (
        ("a", (images,), ("arr_0", None)),
        ("b", (images, labels), ("arr_0", "arr_1")),
        ("c", (labels, images), ("arr_1", "arr_0")),
    ):
        np.savez(tmp_path / f"{name}.npz", *arrays)
        source = source_at(tmp_path / f"{name}.npz")
        assert source == Arrays(str(tmp_path / f"{name}.npz"), *expected)
        assert source.load().shape == (3, 8, 8)
        assert (source.load().num_classes == 3) == (len(arrays) == 2)
    np.savez(tmp_path / "d.npz", images, images)
    with pytest.raises(ValueError, match="several arrays that may be the images: arr_0, arr_1"):
        source_at(tmp_path / "d.npz")


def test_one_array_of_bytes_is_the_images_beside_features_of_three_axes(tmp_path: Path) -> None:
    images, features = np.zeros((3, 8, 8, 3), np.uint8), np.zeros((3, 4, 5), np.float32)
    np.savez(tmp_path / "a.npz", features=features, pictures=images)
    assert source_at(tmp_path / "a.npz") == Arrays(str(tmp_path / "a.npz"), "pictures", None)
    np.savez(tmp_path / "b.npz", features=features.astype(np.int64), pictures=images)
    with pytest.raises(ValueError, match="several arrays that may be the images"):
        source_at(tmp_path / "b.npz")


def test_adm_keeps_statistics_beside_its_images_and_a_file_of_them_alone_is_told(tmp_path: Path) -> None:
    about = {"mu": np.zeros(4), "sigma": np.eye(4), "mu_s": np.zeros(5), "sigma_s": np.eye(5)}
    np.savez(tmp_path / "a.npz", np.zeros((3, 8, 8, 3), np.uint8), **about)
    assert source_at(tmp_path / "a.npz") == Arrays(str(tmp_path / "a.npz"), "arr_0", None)
    np.savez(tmp_path / "b.npz", mu=about["mu"], sigma=about["sigma"])
    with pytest.raises(
        ValueError, match="b.npz holds no images but the statistics of features.*ganneal evaluate --real"
    ):
        source_at(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", values=np.zeros(4))
    with pytest.raises(ValueError, match=r"c.npz holds no array that may be images, only values \[4\]"):
        source_at(tmp_path / "c.npz")


def test_one_image_is_no_set_of_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match=r"got \(64, 64, 3\), the shape of a single image. Add the axis of the images"):
        source_at(tmp_path / "a.npy").load()
    np.save(tmp_path / "a.npy", np.zeros((64, 64, 3), np.uint8)[None])
    assert source_at(tmp_path / "a.npy").load().shape == (3, 64, 64)


@for_each(
    ("shape", "read"),
    [((5, 3, 3, 1), (1, 3, 3)), ((5, 1, 3, 3), (1, 3, 3)), ((5, 3, 8, 8), (3, 8, 8)), ((5, 8, 8, 3), (3, 8, 8))],
)
def test_channels_stand_where_the_other_two_sides_are_equal(
    tmp_path: Path, shape: tuple[int, ...], read: tuple[int, ...]
) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
    assert source_at(tmp_path / "a.npy").load().shape == read


def test_levels_are_part_of_what_a_run_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = folder(tmp_path / "d", twelve_bits(8))
    quick = ["--budget.d-updates", "1", "--model.width", "4", "--records.evaluate-count", "0", "--out", "r"]
    assert main(["train", path, "--data.levels", "0", "4095", *quick]) == 0
    assert json.loads(Path("r/experiment.json").read_text())["experiment"]["data"]["levels"] == [0.0, 4095.0]
    assert main(["train", path, "--data.levels", "0", "65535", *quick]) == 2  # another identity


def test_images_whose_levels_are_zero_and_one_are_told_to_be_black(tmp_path: Path) -> None:
    masks = [RANDOM.integers(0, 2, (16, 16), dtype=np.uint8) for _ in range(3)]
    (said,) = loaded(Folder(folder(tmp_path / "d", masks)))[1]
    assert "the levels of 3 of 3 images" in said and "are 0 to 1 of 255: they are black" in said
    np.save(tmp_path / "a.npy", np.stack(masks))
    assert "they are black" in loaded(Arrays(str(tmp_path / "a.npy")))[1][0]
    masks[2] = masks[2] * 255
    assert loaded(Folder(folder(tmp_path / "d", masks)))[1] == []
    assert loaded(Arrays(str(tmp_path / "a.npy"), levels=(0, 1)))[0].max() == 255
