"""The extractor of FID, KID and IS, and that of the Inception Score with torchvision's weights."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ganneal.metrics.extractors.files import load_network
from ganneal.metrics.extractors.inception_file import (
    FID_FILE,
    TO_GET_FID,
    TORCHVISION_FILE,
    fetched_inception,
    read_weight_file,
)
from ganneal.metrics.extractors.inception_network import InceptionNetwork, Layer
from ganneal.metrics.extractors.module import ModuleExtractor, check_shape
from ganneal.metrics.extractors.protocol import Precision
from ganneal.metrics.resize import INCEPTION_SCALINGS, TO_SIGNED, Resize
from ganneal.registry import check_choices

ResizeRule = Literal["pytorch-fid", "tf-legacy", "clean", "friendly"]
SMALLEST = 75
"""Pixels a side below which the network runs out of image."""


@dataclass(frozen=True)
class Inception:
    """The 2015 TensorFlow Inception network, with its 2,048 features and 1,008 logits.

    Its weights do not ship with ganneal; ``ganneal fetch inception`` downloads them.

    Args:
        path: The file `FID_FILE`; left out, where ``ganneal fetch inception`` puts it.
        resize: Rule that brings images to 299x299; values under different rules are not comparable.
        layer: "2048" (pool3) is that of FID; features of the others are means over positions.
        biased_logits: Add the last layer's bias; published Inception Scores leave it out.
    References:
        Heusel et al., GANs Trained by a Two Time-Scale Update Rule, NeurIPS 2017; Salimans et al., Improved
        Techniques for Training GANs, NeurIPS 2016; Parmar et al., On Aliased Resizing, CVPR 2022.
    """

    path: str | None = None
    # The rule of the graph that the first FIDs were computed with.
    resize: ResizeRule = "tf-legacy"
    layer: Layer = "2048"
    biased_logits: bool = False
    precision: Precision = "float32"
    batch_size: int = 16

    def __post_init__(self) -> None:
        check_choices(self)

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        check_shape("inception", shape, 3)
        if self.path is None and not fetched_inception().is_file():
            raise ValueError(
                f"path must name {FID_FILE.name} for FID, and there is none in the cache: {TO_GET_FID}; without it use "
                f"another extractor, whose distance is called FD-<name>."
            )
        path = Path(self.path).expanduser() if self.path is not None else fetched_inception()
        state, sha256 = read_weight_file(path, FID_FILE)
        return ModuleExtractor(
            # By default without the bias, as published Inception Scores are computed.
            load_network(lambda: InceptionNetwork(self.layer, biased_logits=self.biased_logits), state, str(path)),
            name="inception",
            shape=shape,
            layer=f"{self.layer}, biased logits" if self.biased_logits else self.layer,
            resize=Resize(self.resize, 299),
            scaling=INCEPTION_SCALINGS[self.resize],
            channels=3,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )


@dataclass(frozen=True)
class InceptionTorchvision:
    """Torchvision's inception_v3: other weights, other pooling, 1,000 classes, input in [-1, 1].

    Scores of it compare with one another only: CIFAR-10's training set reads about 10 where the 2015 network reads
    11.24. They are called ``IS-torchvision(resize=...,splits=...)``. The usual tool neither applies the network's
    ``transform_input`` nor needs it: that step turns ImageNet's normalisation into [-1, 1], the scale given here.

    Args:
        path: ``inception_v3_google-0cc3c7bd.pth``, or its older edition ``-1a9a5a14.pth``.
        resize: "pytorch-fid" is bilinear to 299x299; "none" leaves images of at least 75 pixels a side as they are.
    References:
        Shane Barratt's inception-score-pytorch, the tool of several papers' CIFAR-10 tables.
    """

    path: str | None = None
    resize: Literal["pytorch-fid", "none"] = "pytorch-fid"
    precision: Precision = "float32"
    batch_size: int = 16

    def __post_init__(self) -> None:
        check_choices(self)

    def build(self, shape: tuple[int, ...]) -> ModuleExtractor:
        check_shape("inception-torchvision", shape, 3)
        if self.resize == "none" and min(shape[1:]) < SMALLEST:
            raise ValueError(
                f"shape must be at least {SMALLEST}x{SMALLEST} without resizing, got {shape}; use resize='pytorch-fid'."
            )
        if self.path is None:
            raise ValueError(
                f"path must name {TORCHVISION_FILE.name} for IS-torchvision; download it from "
                f"https://download.pytorch.org/models/{TORCHVISION_FILE.name}."
            )
        state, sha256 = read_weight_file(Path(self.path).expanduser(), TORCHVISION_FILE)
        # The auxiliary classifier served training alone.
        used = {name: value for name, value in state.items() if not name.startswith("AuxLogits.")}
        return ModuleExtractor(
            load_network(lambda: InceptionNetwork(biased_logits=True, torchvision=True), used, self.path),
            name="inception-torchvision",
            shape=shape,
            layer="2048",
            resize=None if self.resize == "none" else Resize(self.resize, 299),
            scaling=TO_SIGNED,
            channels=3,
            batch_size=self.batch_size,
            precision=self.precision,
            sha256=sha256,
        )
