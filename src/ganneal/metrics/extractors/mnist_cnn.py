"""A small classifier of handwritten digits: features for MNIST, and the mode counter of Stacked MNIST."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn

from ganneal.metrics.extractors.files import load_shipped
from ganneal.metrics.extractors.module import ModuleExtractor
from ganneal.metrics.extractors.protocol import Precision
from ganneal.metrics.resize import Resize

MNIST_WEIGHTS = Path(__file__).with_name("weights") / "mnist_cnn.safetensors"


class DigitNetwork(nn.Module):
    """28x28 in [-1, 1] to 64 features and 10 logits, 107,338 parameters.

    Five 3x3 convolutions of 16, 32, 32, 64, 64 channels, each with batch norm and ReLU, max pooling after the first,
    third and fifth, then a linear layer to the features (after ReLU) and one to the logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            # 28, 14, 7 and 3 pixels a side: the last pooling drops a row and a column.
            *_unit(1, 16), nn.MaxPool2d(2), *_unit(16, 32), *_unit(32, 32), nn.MaxPool2d(2),
            *_unit(32, 64), *_unit(64, 64), nn.MaxPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.features = nn.Sequential(nn.Linear(64 * 3 * 3, 64), nn.ReLU())
        self.logits = nn.Linear(64, 10)

    def forward(self, images: Float[Tensor, "n 1 28 28"]) -> tuple[Float[Tensor, "n 64"], Float[Tensor, "n 10"]]:
        features = self.features(self.convolutions(images))
        return features, self.logits(features)


def _unit(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


class StackedDigits(nn.Module):
    """A classifier of digits on each channel by itself, its features and logits one channel after the other."""

    def __init__(self, digit: DigitNetwork) -> None:
        super().__init__()
        self.digit = digit

    def forward(self, images: Float[Tensor, "n 3 28 28"]) -> tuple[Float[Tensor, "n 192"], Float[Tensor, "n 30"]]:
        features, logits = zip(*(self.digit(channel) for channel in images.split(1, dim=1)), strict=True)  # three each
        return torch.cat(features, dim=1), torch.cat(logits, dim=1)


@dataclass(frozen=True)
class MnistCNN:
    """The digit classifier that ships with ganneal: 64 features (after ReLU) and 10 logits of grey images.

    Images of another size than 28x28 are resized, bilinear with antialiasing. `mnist_cnn_card` says how it was
    trained and how often it is right. With ``stacked`` it sees red, green and blue as three digits, and has 192
    features and 30 logits.
    """

    precision: Precision = "float32"
    batch_size: int = 256
    stacked: bool = False

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        if self.stacked and (len(shape) != 3 or shape[0] != 3):
            raise ValueError(f"shape must have 3 channels, a digit each, for stacked-mnist-cnn, got {shape}.")
        network, sha256 = load_shipped(DigitNetwork, MNIST_WEIGHTS)
        return ModuleExtractor(
            StackedDigits(network) if self.stacked else network,
            name="stacked-mnist-cnn" if self.stacked else "mnist-cnn",
            shape=shape,
            layer="penultimate",
            resize=Resize("friendly", 28),
            channels=3 if self.stacked else 1,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )


def mnist_cnn_card() -> dict[str, str]:
    """The card of the shipped weights: command, seed, data, and accuracy on the 10,000 test images."""
    with safe_open(MNIST_WEIGHTS, framework="pt") as file:
        return dict(file.metadata())
