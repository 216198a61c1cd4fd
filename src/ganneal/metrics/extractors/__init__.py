"""Feature networks. Register your own with ``EXTRACTORS["mine"] = MyExtractor()``."""

from ganneal.metrics.extractors.mnist_cnn import MnistCNN, mnist_cnn_card, stacked_labels
from ganneal.metrics.extractors.module import ModuleExtractor, weights_sha256
from ganneal.metrics.extractors.pixels import Pixels, Points
from ganneal.metrics.extractors.protocol import Extracted, Extractor, ExtractorConfig, Precision, Samples

EXTRACTORS: dict[str, ExtractorConfig] = {
    "pixels": Pixels(),
    "points": Points(),
    "mnist-cnn": MnistCNN(),
}
"""Feature extractors by name, each with its default fields."""

__all__ = [
    "EXTRACTORS",
    "Extracted",
    "Extractor",
    "ExtractorConfig",
    "MnistCNN",
    "ModuleExtractor",
    "Pixels",
    "Points",
    "Precision",
    "Samples",
    "mnist_cnn_card",
    "stacked_labels",
    "weights_sha256",
]
