"""The shipped digits, at their own size and enlarged."""

import numpy as np
import pytest
from PIL import Image

from ganneal.data import DATASETS, Digits
from ganneal.data.sources.digits import DIGITS_TABLE

LEVELS, LABELS = np.split(np.loadtxt(DIGITS_TABLE, delimiter=",", dtype=int), [64], axis=1)


def test_eight_pixels_are_the_originals_on_the_full_range() -> None:
    data = Digits(size=8).load()
    assert data.samples.shape == (1797, 1, 8, 8) and data.samples.dtype == np.uint8
    exact = np.array([round(level * 255 / 16) for level in range(17)])  # no level falls on a half but 8: 127.5
    assert np.abs(exact[LEVELS] - data.samples.reshape(1797, 64).astype(int)).max() <= 0
    assert (data.samples.min(), data.samples.max()) == (0, 255)


@pytest.mark.parametrize("size", [8, 16, 32])
def test_labels_are_the_ten_digits(size: int) -> None:
    data = Digits(size).load()
    assert data.labels is not None and data.labels.dtype == np.int64
    assert np.array_equal(data.labels, LABELS[:, 0]) and data.num_classes == 10
    assert np.bincount(data.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert data.shape == (1, size, size) and data.is_images
    assert data.description["count"] == len(data) == 1797


def test_enlarging_keeps_the_picture() -> None:
    small, large = Digits(8).load().samples, Digits(32).load().samples
    for index in (0, 7, 1796):
        shrunk = Image.fromarray(large[index, 0]).resize((8, 8), Image.Resampling.BOX)
        difference = np.asarray(shrunk).astype(int) - small[index, 0]
        assert np.abs(difference).mean() < 16  # a sixteenth of the range: edges are softened, nothing moves


def test_default_is_sixteen_pixels() -> None:
    assert DATASETS["digits"] == Digits(size=16)


@pytest.mark.parametrize("size", [7, 0, -8])
def test_sizes_below_the_digits_own_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"size must be at least 8.*got {size}"):
        Digits(size)
