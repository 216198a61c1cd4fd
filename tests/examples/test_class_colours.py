"""Mean colours of classes, and a generator that has or has not learnt them."""

from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from ganneal.data import Dataset

EXAMPLES = Path(__file__).parents[2] / "examples"
COLOURS = np.array([[200, 20, 20], [30, 180, 40], [10, 30, 220]], dtype=np.uint8)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("class_colours")


def painted(labels: np.ndarray, colours: np.ndarray = COLOURS) -> np.ndarray:
    """Images 2 px a side, half of them darker, half of them brighter than the colour of their class by 5."""
    images = np.repeat(colours[labels][:, :, None, None], 4, axis=2).reshape(-1, 3, 2, 2).astype(int)
    return (images + np.array([-5, 5]).reshape(1, 1, 1, 2)).astype(np.uint8)


def test_means_of_classes_in_several_chunks(example: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(example, "CHUNK", 4)
    labels = np.array([0, 2, 1, 0, 0, 2, 2, 1, 0, 1])
    assert np.array_equal(example.mean_colours(painted(labels), labels, 3), COLOURS)


def test_correlations_by_hand(example: ModuleType) -> None:
    real = COLOURS.astype(float)
    assert example.correlations(real, 0.5 * real + 7) == pytest.approx((1.0, 1.0))
    assert example.correlations(real, -real) == pytest.approx((-1.0, -1.0))
    shared = np.array([[1.0, 100.0], [2.0, 101.0]])
    whole, apart = example.correlations(shared, shared[::-1])  # the channels are alike, the classes exchanged
    assert whole > 0.99 and apart == pytest.approx(-1.0)


@pytest.mark.parametrize(("order", "status"), [([0, 1, 2], 0), ([1, 2, 0], 1)])
def test_the_status_says_whether_classes_have_their_colours(
    order: list[int], status: int, example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    labels = np.arange(30) % 3

    def sample(count: int, seed: int, labels: Tensor) -> Tensor:
        return torch.from_numpy(painted(labels.numpy(), COLOURS[order])) / 127.5 - 1

    generator = SimpleNamespace(num_classes=3, class_names=["red", "green", "blue"], sample=sample)
    monkeypatch.setattr(example, "read_run", lambda path, needs_samples: path)
    monkeypatch.setattr(example, "load_data", lambda run: Dataset(painted(labels), labels, 3))
    monkeypatch.setattr(example.ganneal, "load", lambda path: generator)
    assert example.main(["a-run", "--per-class", "4"]) == status
    said = capsys.readouterr().out
    assert "of 9 numbers" in said and ("red: 200 for 200, 20 for 20" in said) == (status == 0)
