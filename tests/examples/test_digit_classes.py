from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch

import ganneal


@pytest.fixture(scope="module")
def example():
    path = Path(__file__).parents[2] / "examples" / "digit_classes.py"
    spec = spec_from_file_location("digit_classes", path)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Replay:
    """A sampler that returns given images over and over."""

    def __init__(self, images):
        self.images = images

    def sample(self, count, *, seed):
        return self.images[(torch.arange(count) + seed) % len(self.images)]


def test_classifier_names_97_percent_of_held_out_digits(example):
    assert min(example.held_out_accuracy(seed) for seed in range(3)) >= 0.97


def test_training_images_are_16_pixels_wide_and_in_range(example):
    images, _ = example.training_images()
    assert images.shape == (1797, 1, 16, 16) and images.dtype == torch.float32
    assert images.min() == -1 and images.max() == 1


def test_shares_of_real_digits_are_their_frequencies(example):
    images, labels = example.training_images()
    shares = example.class_shares(images)
    assert shares.sum() == pytest.approx(1)
    assert np.abs(shares - np.bincount(labels) / len(labels)).max() < 0.005


def test_exit_status_is_0_when_all_ten_digits_are_drawn(example, monkeypatch, capsys):
    images, _ = example.training_images()
    monkeypatch.setitem(vars(ganneal), "load", lambda run: Replay(images))
    assert example.main(["runs/x", "--count", "500", "--seed", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "500 samples of runs/x, seed 3"
    assert lines[-1] == "all ten digits at least 3% of the samples: yes"


def test_exit_status_is_1_and_names_the_digit_when_one_is_missing(example, monkeypatch, capsys):
    images, labels = example.training_images()
    images = images[labels != 7]
    monkeypatch.setitem(vars(ganneal), "load", lambda run: Replay(images))
    assert example.main(["runs/x"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].endswith("no, too few of 7")
