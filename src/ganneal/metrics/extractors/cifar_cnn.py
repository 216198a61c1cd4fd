"""A small classifier of 32x32 colour photographs: the features of CIFAR-10 that need no download."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from safetensors import safe_open
from torch import Tensor, nn

from ganneal.metrics.extractors.files import load_shipped
from ganneal.metrics.extractors.module import ModuleExtractor
from ganneal.metrics.extractors.protocol import Precision
from ganneal.metrics.resize import Resize

CIFAR_WEIGHTS = Path(__file__).with_name("weights") / "cifar_cnn.safetensors"


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(*_unit(channels, channels), *_unit(channels, channels))

    def forward(self, maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return maps + self.inner(maps)


class PhotoNetwork(nn.Module):
    """32x32 RGB in [-1, 1] to 128 features and 10 logits, 486,938 parameters.

    3x3 convolutions of 16, 32, 64 and 128 channels, each with batch norm and ReLU; max pooling and a residual block
    follow each of the last three; the mean over positions is the feature, a linear layer gives the logits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            # 32, 16, 8 and 4 pixels a side.
            *_unit(3, 16),
            *_unit(16, 32), nn.MaxPool2d(2), Residual(32),
            *_unit(32, 64), nn.MaxPool2d(2), Residual(64),
            *_unit(64, 128), nn.MaxPool2d(2), Residual(128),
        )  # fmt: skip
        self.logits = nn.Linear(128, 10)

    def forward(self, images: Float[Tensor, "n 3 32 32"]) -> tuple[Float[Tensor, "n 128"], Float[Tensor, "n 10"]]:
        features = self.convolutions(images).float().mean(dim=(2, 3))
        return features, self.logits(features)


def _unit(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


@dataclass(frozen=True)
class CifarCNN:
    """The CIFAR-10 classifier that ships with ganneal: 128 features and 10 logits of colour images.

    Images of another size than 32x32 are resized, bilinear with antialiasing. Weights are stored as float16 and
    computed with as float32. `cifar_cnn_card` says how it was trained and how often it is right.
    """

    precision: Precision = "float32"
    batch_size: int = 250

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        network, sha256 = load_shipped(PhotoNetwork, CIFAR_WEIGHTS)
        return ModuleExtractor(
            network,
            name="cifar-cnn",
            shape=shape,
            layer="pool",
            resize=Resize("friendly", 32),
            channels=3,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )


def cifar_cnn_card() -> dict[str, str]:
    """The card of the shipped weights: command, seed, data, and accuracy on held-out images."""
    with safe_open(CIFAR_WEIGHTS, framework="pt") as file:
        return dict(file.metadata())
