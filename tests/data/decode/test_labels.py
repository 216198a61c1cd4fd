"""Labels of every form as classes, or the reason why they are none."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.for_each import for_each

from ganneal.data import Arrays, Dataset
from ganneal.data.classes import EMPTY, classes_in_words, paired_classes, populated
from ganneal.data.decode.labels import read_labels
from ganneal.data.sources.mnist import StackedMNIST
from ganneal.task import Labelled, Unconditional

PIXELS = np.zeros((4, 8, 8), dtype=np.uint8)


def in_npz(path: Path, labels: Any, **more: Any) -> Dataset:
    np.savez(path / "set.npz", x_train=PIXELS, y_train=labels, **more)
    return Arrays(str(path / "set.npz")).load()


@for_each(
    ("labels", "names"),
    [
        (np.array([1, 0, 2, 1]), ["1", "0", "2", "1"]),
        (np.array([[1], [0], [2], [1]]), ["1", "0", "2", "1"]),
        (np.array([[[1]], [[0]], [[2]], [[1]]]), ["1", "0", "2", "1"]),
        (np.array([[1, 0, 2, 1]]), ["1", "0", "2", "1"]),
        (np.array([1.0, 0.0, 2.0, 1.0]), ["1", "0", "2", "1"]),
        (np.array([True, False, False, True]), ["1", "0", "0", "1"]),
        (np.array([1, 0, 2, 1], dtype=np.uint8), ["1", "0", "2", "1"]),
        (np.array(["1", "0", "2", "1"]), ["1", "0", "2", "1"]),
        (np.array([b"1", b"0", b"2", b"1"]), ["1", "0", "2", "1"]),
        (np.eye(3)[[1, 0, 2, 1]], ["1", "0", "2", "1"]),
        (np.eye(3, dtype=bool)[[1, 0, 2, 1]], ["1", "0", "2", "1"]),
        (np.array(["cat", "Dog", "ant", "cat"]), ["cat", "Dog", "ant", "cat"]),
        (np.array([10, 2, 1000, 10]), ["10", "2", "1000", "10"]),
        (np.array(["007", "7", "7", "007"]), ["007", "7", "7", "007"]),
        (np.array(["cafe\u0301", "caf\u00e9", "x", "x"]), ["caf\u00e9", "caf\u00e9", "x", "x"]),
    ],
)
def test_labels_of_every_form_are_the_classes_they_say(tmp_path: Path, labels: np.ndarray, names: list[str]) -> None:
    data = in_npz(tmp_path, labels)
    assert data.labels is not None and data.labels.dtype == np.int64
    assert [data.class_names[label] for label in data.labels] == names
    assert Labelled().num_classes(data) == len(set(names))


@for_each(
    ("labels", "reason"),
    [
        (np.array([0, -1, 0, -1]), "2 of 4 are negative"),
        (np.array([0.5, 1, 1.25, 2]), "no whole numbers, as 0.5, 1.25"),
        (np.array([0, np.nan, 1, 1]), "1 of 4 are NaN or infinite"),
        (np.random.default_rng(0).normal(size=(4, 3)), "float64 of shape (4, 3)"),
        (np.array([[1, 1], [0, 1], [1, 0], [0, 1]]), "not each has exactly one 1"),
        (np.arange(3), "there are 3 of them for 4 images"),
        (np.arange(5), "there are 5 of them for 4 images"),
        (np.zeros((2, 2), dtype=int), "there are 2 of them for 4 images"),
        (np.array(3), "there are 1 of them for 4 images"),
        (np.array(["cat", "", "dog", ""]), "2 of 4 images have none, the first is image 1"),
        (np.array(["cat", "Cat", "dog", "dog"]), "'Cat' and 'cat' differ only in case"),
        (np.array(["cat", "cat ", "dog", "dog"]), "'cat' and 'cat ' differ only in case, spaces"),
        (np.array([1, 2, 1, 2], dtype=np.complex64), "they are complex64"),
        (np.array([2**63, 1, 1, 1], dtype=np.uint64), "beyond 64 bits, as 9223372036854775808"),
        (np.array(["cat", None, "dog", "dog"], dtype=object), "cannot be read"),
    ],
)
def test_labels_that_are_no_classes_block_no_training_without_classes(
    tmp_path: Path, labels: np.ndarray, reason: str
) -> None:
    data = in_npz(tmp_path, labels)
    assert data.labels is None and len(data) == 4 and reason in data.unusable and "set.npz" in data.unusable
    assert Unconditional().num_classes(data) == 0
    with pytest.raises(ValueError, match=f"needs labels, and the data has none.*{re.escape(reason)}.*unconditional"):
        Labelled().num_classes(data)


def test_labels_that_are_not_wanted_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x_train=PIXELS, y_train=np.ones((4, 2)))
    data = Arrays(str(tmp_path / "set.npz"), labels=None).load()
    assert data.labels is None and not data.unusable


def test_names_of_classes_lie_beside_the_labels(tmp_path: Path) -> None:
    data = in_npz(tmp_path, np.array([2, 0, 0, 2]), class_names=np.array(["ant", "bee", "cow"]))
    assert data.class_names == ["ant", "bee", "cow"] and data.num_classes == 3
    beyond = in_npz(tmp_path, np.array([3, 0, 0, 2]), class_names=np.array(["ant", "bee", "cow"]))
    assert beyond.labels is None and "3 is beyond the 3 classes that are named" in beyond.unusable


@for_each("labels", [[0, None, 1, 1], [0.0, None, 1, 1], ["a", None, "b", "b"]])
def test_missing_labels_are_counted(labels: list[Any]) -> None:
    found = read_labels(labels, "column 'y'", 4)
    assert found.labels is None and "1 of 4 images have none, the first is image 1" in found.unusable


def test_two_classes_of_one_name_are_no_classes() -> None:
    assert "two classes are named cat" in read_labels([0, 1], "a list", 2, ["cat", "cat"]).unusable


def test_classes_without_a_sample_are_left_out_by_name() -> None:
    samples = np.zeros((4, 2), dtype=np.float32)
    data = Dataset(samples, np.array([3, 1, 1, 3]), 5, {"classes": ["a", "b", "c", "d", "e"]})
    kept = populated(data)
    assert kept.labels is not None and kept.labels.tolist() == [1, 0, 0, 1]
    assert kept.class_names == ["b", "d"] and kept.num_classes == 2
    assert kept.description[EMPTY] == ["a", "c", "e"]
    assert classes_in_words(kept) == "2 classes: b (2), d (2); left out, for want of an image: a, c, e"


def test_classes_without_a_name_keep_their_numbers() -> None:
    kept = populated(Dataset(np.zeros((3, 2), dtype=np.float32), np.array([2, 4, 4]), 6))
    assert kept.class_names == ["2", "4"] and kept.labels is not None and kept.labels.tolist() == [0, 1, 1]


def test_full_classes_stay_as_they_are() -> None:
    data = Dataset(np.zeros((2, 2), dtype=np.float32), np.array([1, 0]), 2)
    assert populated(data) is data


def test_one_class_is_no_class() -> None:
    data = Dataset(np.zeros((2, 2), dtype=np.float32), np.array([0, 0]), 1, {"classes": ["cat"]})
    with pytest.raises(ValueError, match="needs two classes or more, and all samples are of the class cat"):
        Labelled().num_classes(data)


def test_the_line_counts_what_it_does_not_list() -> None:
    labels = np.repeat(np.arange(20), 2)
    line = classes_in_words(Dataset(np.zeros((40, 2), dtype=np.float32), labels, 20))
    assert line.startswith("20 classes: 0 (2), 1 (2)") and line.endswith("and 8 more, 2 images each")


class TwoDigits:
    """Threes and sevens alone."""

    def load(self) -> Dataset:
        return Dataset(PIXELS[:, None], np.array([0, 1, 1, 0]), 2, {"classes": ["3", "7"]})


def test_stacked_digits_take_the_number_that_a_class_is_named(tmp_path: Path) -> None:
    data = StackedMNIST(TwoDigits(), num_samples=64).load()
    assert data.labels is not None and data.num_classes == 1000
    assert set(data.labels.tolist()) <= {100 * a + 10 * b + c for a in (3, 7) for b in (3, 7) for c in (3, 7)}


# Which classes of two sides are the same


@for_each(
    ("ours", "theirs", "places", "words"),
    [
        (["cat", "dog"], ["dog", "cat"], (1, 0), "by name"),
        (["10", "20", "3"], ["3", "10", "20"], (2, 0, 1), "by number"),
        (["0", "1"], ["cat", "dog"], (0, 1), "by index, as only one side has names: 0 = cat, 1 = dog"),
        (["cat", "dog"], ["0", "1"], (0, 1), "by index, as only one side has names: 0 = cat, 1 = dog"),
    ],
)
def test_classes_are_paired_by_name_where_both_sides_have_names(
    ours: list[str], theirs: list[str], places: tuple[int, ...], words: str
) -> None:
    found = paired_classes(ours, theirs, called=("real", "fake"))
    assert found.places == places and found.words == words


@for_each(
    ("ours", "theirs", "message"),
    [
        (["cat", "dog"], ["cat", "cow"], "got dog of real only; cow of fake only"),
        (["cat", "dog"], ["cat"], "got dog of real only"),
        (["0", "1"], ["1", "2"], "got 0 of real only; 2 of fake only"),
        (["cat", "dog"], ["0", "1", "2"], "got cat, dog of real only; 0, 1, 2 of fake only"),
        (["cat", "dog"], ["1", "2"], "got cat, dog of real only; 1, 2 of fake only"),
        (["10", "20", "3"], ["0", "1", "2"], "got 10, 20, 3 of real only; 0, 1, 2 of fake only"),
    ],
)
def test_classes_of_other_sets_are_refused_with_the_difference(
    ours: list[str], theirs: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=f"classes must be the same in real and fake, {message}"):
        paired_classes(ours, theirs, called=("real", "fake"))
