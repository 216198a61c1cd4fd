"""Feature networks. Register your own with ``EXTRACTORS["mine"] = MyExtractor()``."""

from ganneal.metrics.extractors.cifar_cnn import CifarCNN, cifar_cnn_card
from ganneal.metrics.extractors.efficientnet import EfficientNetLite0
from ganneal.metrics.extractors.inception import Inception, InceptionTorchvision
from ganneal.metrics.extractors.mnist_cnn import MnistCNN, mnist_cnn_card
from ganneal.metrics.extractors.mobilenet import MobileNetV2
from ganneal.metrics.extractors.module import ModuleExtractor, weights_sha256
from ganneal.metrics.extractors.pixels import Pixels, Points
from ganneal.metrics.extractors.protocol import Extracted, Extractor, ExtractorConfig, Precision, RawSamples
from ganneal.metrics.extractors.random_convolutions import Random
from ganneal.metrics.extractors.resnet import ResNet

EXTRACTORS: dict[str, ExtractorConfig] = {
    "pixels": Pixels(),
    "points": Points(),
    "cifar-cnn": CifarCNN(),
    "resnet56": ResNet(56),
    "resnet20": ResNet(20),
    "mobilenet-v2": MobileNetV2(),
    "efficientnet-lite0": EfficientNetLite0(),
    "mnist-cnn": MnistCNN(),
    "stacked-mnist-cnn": MnistCNN(stacked=True),
    "inception": Inception(),
    "inception-torchvision": InceptionTorchvision(),
    "random": Random(),
}
"""Feature extractors by name, each with its default fields."""

__all__ = [
    "EXTRACTORS",
    "CifarCNN",
    "EfficientNetLite0",
    "Extracted",
    "Extractor",
    "ExtractorConfig",
    "Inception",
    "InceptionTorchvision",
    "MnistCNN",
    "MobileNetV2",
    "ModuleExtractor",
    "Pixels",
    "Points",
    "Precision",
    "Random",
    "ResNet",
    "RawSamples",
    "cifar_cnn_card",
    "mnist_cnn_card",
    "weights_sha256",
]
