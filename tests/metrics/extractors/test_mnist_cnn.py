import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tests.for_each import for_each
from torch import Tensor

from ganneal.data import Arrays
from ganneal.metrics.extractors import MnistCNN, mnist_cnn_card
from ganneal.metrics.extractors.mnist_cnn import MNIST_WEIGHTS, DigitNetwork

PATH = Path(__file__).parents[3] / "examples" / "train_mnist_cnn.py"
SPEC = importlib.util.spec_from_file_location("train_mnist_cnn", PATH)
assert SPEC and SPEC.loader
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)


@pytest.fixture(scope="module")
def digits(data_root: Path) -> tuple[Tensor, Tensor]:
    data = Arrays(str(data_root / "mnist.npz"), images="x_test", labels="y_test").load()
    assert data.labels is not None
    return torch.from_numpy(data.samples), torch.from_numpy(data.labels)


def test_the_shipped_weights_are_small():
    assert sum(p.numel() for p in DigitNetwork().parameters()) <= 120_000
    assert MNIST_WEIGHTS.stat().st_size <= 500_000


@pytest.mark.runs
def test_the_shipped_classifier_is_right_as_often_as_its_card_says(digits):
    images, labels = digits
    logits = MnistCNN().build((1, 28, 28))(images).logits
    assert logits is not None
    right = (logits.argmax(dim=1) == labels).double().mean().item()
    assert right >= 0.994
    assert right == pytest.approx(float(mnist_cnn_card()["test_accuracy"]), abs=2e-4)  # other CPUs round ties apart


def test_the_card_names_command_seed_and_data():
    card = mnist_cnn_card()
    assert {"command", "seed", "data_sha256", "test_accuracy"} <= set(card)
    assert len(card["data_sha256"]) == 64 and "train_mnist_cnn.py" in card["command"]


def test_features_are_64_non_negative_numbers_and_logits_their_linear_map(digits):
    extractor = MnistCNN().build((1, 28, 28))
    features, logits = extractor(digits[0][:20])
    assert features.shape == (20, 64) and features.min() >= 0
    with safe_open(MNIST_WEIGHTS, framework="pt") as file:
        expected = features @ file.get_tensor("logits.weight").T + file.get_tensor("logits.bias")
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


@for_each("size", [24, 32, 56])
def test_digits_of_another_size_are_recognised(digits, size):
    images, labels = digits[0][:500], digits[1][:500]
    resized = torch.nn.functional.interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    logits = MnistCNN().build((1, size, size))(resized.round().byte()).logits
    assert logits is not None and (logits.argmax(dim=1) == labels).float().mean() >= 0.98


def test_the_stacked_classifier_sees_each_channel_as_a_digit(digits):
    images = digits[0][:30]
    alone, stacked = (
        MnistCNN(stacked=stacked).build((channels, 28, 28)) for stacked, channels in ((False, 1), (True, 3))
    )
    for one, three in zip(alone(images), stacked(images.reshape(10, 3, 28, 28)), strict=True):
        assert one is not None and three is not None
        torch.testing.assert_close(three.view(30, -1), one, atol=1e-5, rtol=1e-5)
    assert (stacked.name, alone.name) == ("stacked-mnist-cnn", "mnist-cnn")


def test_the_stacked_classifier_needs_three_digits():
    with pytest.raises(ValueError, match=r"3 channels, a digit each, for stacked-mnist-cnn, got \(1, 28, 28\)"):
        MnistCNN(stacked=True).build((1, 28, 28))


def test_shifted_images_are_the_same_picture_at_another_place():
    images = torch.full((200, 1, 9, 9), -1.0)
    images[:, 0, 4, 4] = torch.linspace(0.1, 1, 200)
    moved = script.shifted(images, torch.Generator().manual_seed(0), most=2)
    assert torch.equal(moved.amax(dim=(1, 2, 3)), torch.linspace(0.1, 1, 200))
    assert ((moved > -1).sum(dim=(1, 2, 3)) == 1).all()
    places = (moved[:, 0] > -1).nonzero()[:, 1:]
    assert places.min() == 2 and places.max() == 6  # every offset of -2..2 is drawn among 200
    assert len({tuple(place.tolist()) for place in places}) == 25


def test_training_repeats_under_its_seed_and_leaves_the_global_generator_alone(digits):
    before = torch.get_rng_state()
    runs = [script.train_mnist_cnn(digits[0][:96], digits[1][:96], epochs=2, batch_size=32, seed=s) for s in (3, 3, 4)]
    first, again, other = (torch.cat([p.flatten() for p in run.parameters()]) for run in runs)
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before) and not runs[0].training


@pytest.mark.runs
def test_training_learns_from_two_thousand_digits(digits):
    images, labels = digits
    lines: list[str] = []
    network = script.train_mnist_cnn(images[:2000], labels[:2000], epochs=5, batch_size=50, progress=lines.append)
    assert script.accuracy(network, images[9000:], labels[9000:]) >= 0.95
    assert lines[0].startswith("step 0 of 200, loss 2.")


def test_too_few_images_are_refused(digits):
    with pytest.raises(ValueError, match="at least batch_size=128 with a label each, got 3 images and 3 labels"):
        script.train_mnist_cnn(digits[0][:3], digits[1][:3])


def test_the_script_writes_weights_that_the_extractor_reads(digits, tmp_path, monkeypatch, capsys):
    images, labels = (part.numpy() for part in digits)
    parts = {"x_train": images[:128, 0], "y_train": labels[:128], "x_test": images[:500, 0], "y_test": labels[:500]}
    np.savez(tmp_path / "few.npz", **parts)
    out = tmp_path / "weights.safetensors"
    assert script.main(["--data", str(tmp_path / "few.npz"), "--out", str(out), "--epochs", "1"]) == 0
    assert "test accuracy" in capsys.readouterr().out.splitlines()[-1]
    monkeypatch.setattr("ganneal.metrics.extractors.mnist_cnn.MNIST_WEIGHTS", out)
    assert mnist_cnn_card()["epochs"] == "1"
    assert MnistCNN().build((1, 28, 28)).sha256 is not None


@pytest.mark.slow
def test_one_pass_over_mnist_is_enough_for_99_percent(data_root, digits):
    data = Arrays(str(data_root / "mnist.npz")).load()
    assert data.labels is not None
    network = script.train_mnist_cnn(torch.from_numpy(data.samples), torch.from_numpy(data.labels), epochs=1)
    assert script.accuracy(network, *digits) >= 0.99
