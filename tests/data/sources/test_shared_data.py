"""Real files: published statistics of MNIST and CIFAR-10."""

from pathlib import Path

import numpy as np
import pytest

from ganneal.data import Arrays, Idx, Zip


def test_mnist_has_its_published_shape_and_mean(data_root: Path) -> None:
    data = Arrays(str(data_root / "mnist.npz")).load()
    assert data.samples.shape == (60_000, 1, 28, 28) and data.samples.dtype == np.uint8
    assert data.num_classes == 10 and data.labels is not None and data.labels.shape == (60_000,)
    assert data.samples.mean() / 255 == pytest.approx(0.130659, abs=1e-5)
    assert data.samples.std() / 255 == pytest.approx(0.308109, abs=1e-5)


@pytest.mark.usefixtures("data_root")
def test_mnist_is_found_by_its_name_below_the_folder_of_the_environment() -> None:
    data = Idx("mnist", split="test").load()
    assert data.samples.shape == (10_000, 1, 28, 28)
    assert data.labels is not None
    assert np.bincount(data.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_cifar10_tenth_of_the_test_set_has_its_class_counts(data_root: Path) -> None:
    data = Zip(str(data_root / "cifar10-test-lossless1k.zip")).load()
    assert data.samples.shape == (1_000, 3, 32, 32) and data.samples.dtype == np.uint8
    assert data.num_classes == 10 and data.labels is not None
    assert np.bincount(data.labels).tolist() == [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]
    assert data.description["count"] == 1_000
