"""MobileNetV2 trained on ImageNet: 1,280 features and 1,001 logits of colour images of any size."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from ganneal.metrics.extractors.files import load_network, read_npz
from ganneal.metrics.extractors.inverted_residual import PaddedConvolution, StageSettings, inverted_residuals
from ganneal.metrics.extractors.module import ModuleExtractor, check_shape
from ganneal.metrics.extractors.protocol import Precision
from ganneal.metrics.resize import Resize

MOBILENET_STAGES: tuple[StageSettings, ...] = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 32, 3, 2, 3),
    (6, 64, 3, 2, 4),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 3, 1, 1),
)
"""The inverted residuals; table 2 of the paper."""


# The stored weights have batch norm folded in, so layers have biases in its place.
Convolution = partial(PaddedConvolution, norm=False)


class MobileNet(nn.Module):
    """Images in [-1, 1] to the mean over positions of the last maps, and logits with ImageNet's classes from 1 on."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, stride=2)
        self.blocks = inverted_residuals(Convolution, 32, MOBILENET_STAGES)
        self.head = Convolution(320, 1280)
        # Class 0 is TensorFlow's "background", which no picture has.
        self.logits = Convolution(1280, 1001, linear=True)

    def forward(self, images: Float[Tensor, "n 3 h w"]) -> tuple[Float[Tensor, "n 1280"], Float[Tensor, "n 1001"]]:
        features = self.head(self.blocks(self.stem(images))).float().mean(dim=(2, 3))
        return features, self.logits(features[:, :, None, None]).flatten(1)


def dequantised(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict from 8-bit weights with one scale an output channel.

    ``block3.dw.weight_q``, ``.scale`` and ``.bias`` become ``blocks.3.depthwise.convolution.weight`` and ``.bias``.

    Raises:
        ValueError: A layer has 8-bit weights without a scale.
    """
    state = {}
    for name, value in arrays.items():
        layer, _, kind = name.rpartition(".")
        place = f"blocks.{layer.removeprefix('block')}" if layer.startswith("block") else layer
        place = place.replace(".dw", ".depthwise")
        if kind == "weight_q":
            if f"{layer}.scale" not in arrays:
                raise ValueError(f"{layer}.weight_q needs {layer}.scale beside it; the file is for another network.")
            # One scale for each output channel turns 8-bit weights back into float32.
            state[f"{place}.convolution.weight"] = value.float() * arrays[f"{layer}.scale"][:, None, None, None]
        elif kind != "scale":
            state[f"{place}.convolution.{kind}"] = value
    return state


@dataclass(frozen=True)
class MobileNetV2:
    """MobileNetV2 1.0; features are the 1,280 before the classifier.

    Args:
        path: 8-bit weights with scales, looked for where `data.find_data` looks.
        size: Images are resized to this, bicubic with antialiasing (rule "clean"). It was trained at 224, which
            takes four times as long as 128 and labels large photographs a little better.
    References:
        Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, CVPR 2018.
    """

    path: str = "weights/mobilenet_v2_imagenet.npz"
    size: int = 128
    precision: Precision = "float32"
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.size < 32:
            raise ValueError(f"size must be at least 32, got {self.size}; 128 and 224 are usual.")

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        check_shape("mobilenet-v2", shape, 3)
        arrays, sha256 = read_npz(self.path)
        return ModuleExtractor(
            load_network(MobileNet, dequantised(arrays), self.path),
            name="mobilenet-v2",
            shape=shape,
            layer="pool",
            resize=Resize("clean", self.size),
            channels=3,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )
