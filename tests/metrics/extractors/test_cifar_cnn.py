from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from ganneal.data import Zip
from ganneal.metrics import frechet_distance
from ganneal.metrics.extractors import CifarCNN, cifar_cnn_card
from ganneal.metrics.extractors.cifar_cnn import CIFAR_WEIGHTS, PhotoNetwork


@pytest.fixture(scope="module")
def photographs(data_root: Path) -> tuple[Tensor, Tensor]:
    data = Zip(str(data_root / "cifar10-test-lossless1k.zip")).load()
    assert data.labels is not None
    return torch.from_numpy(np.array(data.samples)), torch.from_numpy(data.labels)


def test_the_shipped_weights_are_small():
    assert sum(p.numel() for p in PhotoNetwork().parameters()) == 486_938
    assert CIFAR_WEIGHTS.stat().st_size <= 1_000_000


def test_the_shipped_classifier_is_right_as_often_as_its_card_says(photographs: tuple[Tensor, Tensor]):
    images, labels = photographs
    logits = CifarCNN().build((3, 32, 32))(images).logits
    assert logits is not None
    right = (logits.argmax(dim=1) == labels).double().mean().item()
    assert right >= 0.9
    assert right == pytest.approx(float(cifar_cnn_card()["test_accuracy"]), abs=2e-3)  # other CPUs round ties apart


@pytest.mark.runs
@pytest.mark.filterwarnings("ignore:the smaller sample:UserWarning")
def test_blurred_photographs_are_the_farther_the_more(photographs: tuple[Tensor, Tensor]):
    images = photographs[0].numpy()
    extractor = CifarCNN().build((3, 32, 32))
    half, other = extractor(torch.from_numpy(images[::2])).features, images[1::2]

    def blurred(image: np.ndarray, radius: float) -> np.ndarray:
        picture = Image.fromarray(image.transpose(1, 2, 0)).filter(ImageFilter.GaussianBlur(radius))
        return np.asarray(picture).transpose(2, 0, 1)

    distances = []
    for radius in (0.0, 0.5, 1.0, 2.0):
        changed = torch.from_numpy(np.stack([blurred(image, radius) for image in other]))
        distances.append(frechet_distance(half.double(), extractor(changed).features.double()))
    assert distances == sorted(distances) and distances[-1] > 5 * distances[0]


def test_the_card_names_command_seed_and_data():
    card = cifar_cnn_card()
    assert {"command", "seed", "data_sha256", "test_sha256", "test_images"} <= set(card)
    assert len(card["data_sha256"]) == 64 and "train_cifar_cnn.py" in card["command"]


def test_features_of_the_network_are_the_mean_over_positions():
    network = PhotoNetwork().eval()
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    maps = network.convolutions(images)
    assert maps.shape == (2, 128, 4, 4)
    assert torch.allclose(network(images)[0], maps.mean(dim=(2, 3)))
