"""Confidence and class entropy from logits that are given."""

import math
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from ganneal.metrics.extractors import MnistCNN

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("digit_confidence")


def test_sure_and_spread_evenly(example: ModuleType) -> None:
    found = example.certainty(200 * torch.eye(10).repeat(3, 1))
    assert found.confidence == 1.0 and found.entropy == pytest.approx(math.log(10), rel=1e-12)
    assert found.shares == pytest.approx([0.1] * 10)


def test_one_class_has_no_entropy_and_a_coin_two_halves(example: ModuleType) -> None:
    one = torch.zeros(5, 10)
    one[:, 3] = 2_000.0
    assert example.certainty(one).entropy == 0.0
    coin = torch.full((4, 10), -1e4)
    coin[:, :2] = 0.0
    found = example.certainty(coin)
    assert (found.confidence, found.entropy) == (pytest.approx(0.5), pytest.approx(math.log(2)))


@pytest.mark.runs
def test_the_temperature_has_the_least_cross_entropy_on_real_digits(example: ModuleType, data_root: Path) -> None:
    with np.load(data_root / "mnist.npz") as arrays:
        images, labels = arrays["x_test"][:, None], torch.from_numpy(arrays["y_test"]).long()
    logits = MnistCNN().build((1, 28, 28))(torch.from_numpy(images)).logits
    assert logits is not None
    loss = {step: cross_entropy(logits.double() / (example.TEMPERATURE + step), labels) for step in (-0.03, 0, 0.03)}
    assert loss[0] < loss[-0.03] and loss[0] < loss[0.03]
    found = example.certainty(logits / example.TEMPERATURE)
    right = (logits.argmax(1) == labels).double().mean().item()
    assert found.confidence == pytest.approx(right, abs=0.003)
