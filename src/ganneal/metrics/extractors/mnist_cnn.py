"""A small classifier of handwritten digits: features for MNIST, and the mode counter of Stacked MNIST."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Int, UInt8
from safetensors import safe_open
from torch import Tensor, nn

from ganneal.metrics.extractors.files import load_shipped
from ganneal.metrics.extractors.module import ModuleExtractor
from ganneal.metrics.extractors.protocol import Extractor, Precision
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


@dataclass(frozen=True)
class MnistCNN:
    """The digit classifier that ships with ganneal: 64 features (after ReLU) and 10 logits of grey images.

    Images of another size than 28x28 are resized, bilinear with antialiasing. `mnist_cnn_card` says how it was
    trained and how often it is right.
    """

    precision: Precision = "float32"
    batch_size: int = 256

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        network, sha256 = load_shipped(DigitNetwork, MNIST_WEIGHTS)
        return ModuleExtractor(
            network,
            name="mnist-cnn",
            shape=shape,
            layer="penultimate",
            resize=Resize("friendly", 28),
            channels=1,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )


def mnist_cnn_card() -> dict[str, str]:
    """How the shipped weights came about: command, seed, data, and accuracy on the 10,000 test images."""
    with safe_open(MNIST_WEIGHTS, framework="pt") as file:
        return dict(file.metadata())


def stacked_labels(classifier: Extractor, images: UInt8[Tensor, "n c h w"]) -> Int[Tensor, "n c"]:
    """The label of each channel of ``images`` as a grey image of its own: Stacked MNIST's mode is 100 a + 10 b + c.

    Args:
        classifier: Built for grey images of this size, ``MnistCNN().build((1, 28, 28))``.
    """
    count, channels, height, width = images.shape
    logits = classifier(images.reshape(count * channels, 1, height, width)).logits
    if logits is None:
        raise ValueError(f"classifier must give logits, {classifier.name} does not; use MnistCNN().")
    return logits.argmax(dim=1).reshape(count, channels)
