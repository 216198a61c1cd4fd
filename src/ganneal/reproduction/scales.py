"""At which size a table is run: as published, or with the structure kept and width, batches and budget reduced."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganneal.metrics.extractors import CifarCNN, EfficientNetLite0, ExtractorConfig, Inception, InceptionTorchvision
from ganneal.optim import Averaging
from ganneal.reproduction.table import Family


@dataclass(frozen=True)
class Cost:
    """Processor seconds on one thread of a 2.7 GHz AMD EPYC with AVX-512, shared with other work, in float32."""

    d_update: float
    g_update: float
    round: float = 0.0
    """Seconds of everything else in a round: pushes, fits."""


@dataclass(frozen=True)
class Reduction:
    """Changes of one family at a scale, and its length of training."""

    num_real: int
    """Real images of each row: equal in data, not in time."""
    changes: Mapping[str, Any]
    """New values by path, as ``model.width``."""
    widths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Fields of the model by its class."""
    cost: Cost | None = None
    """None where it was not measured."""


@dataclass(frozen=True)
class Scale:
    """Everything that a scale decides."""

    text: str
    families: Mapping[Family, Reduction]
    everywhere: Mapping[str, Any]
    extractors: Mapping[int, ExtractorConfig]
    """By pixels a side of the published images."""
    samples: int
    """Generated samples of the reported values, against all real images."""
    score: ExtractorConfig | None = None
    """Network whose answers the Inception Score is computed of; None takes that of the features."""
    halves: bool = False
    """True if larger images are made into `HALVED` pixels a side."""


HALVED = 32
"""Pixels a side of larger images at the smallest scale."""
POINTS = 20
"""Evaluations in the budget of a family: points of each row's curve."""
WIDTHS: dict[str, dict[str, Any]] = {
    "DCGAN": {"width": 16},
    "ResNet4": {"width": 8},
    "BigGAN": {"width": 4},
    "SNGAN": {"g_width": 16, "d_width": 16},
    "DDGAN": {
        "width": 16,
        "multipliers": (1, 2),
        "blocks": 1,
        "latent_size": 16,
        "style_size": 32,
        "mapping_layers": 2,
        "d_width": 8,
        "d_time_size": 32,
    },
}
"""Widths of the smallest scale."""
CPU: dict[str, Any] = {
    "threads": 1,
    "records.log_every": 1_000,
    # Beyond every budget of this scale: no pictures on the way.
    "records.sample_every": 10_000_000,
    "records.evaluate_count": 2_000,
    "records.tensorboard": False,
}
GPU: dict[str, Any] = {
    "precision": "bf16",
    "device": "cuda",
    "records.tensorboard": False,
}

SCALES: dict[str, Scale] = {
    "paper": Scale(
        "the published settings and data; training lengths, which the papers leave out, are ours",
        {
            # 100 passes over CIFAR-10; 10,000 rounds of 960 images as CFG's code; 500 passes, BigGAN's script; 1,800
            # passes, DDGAN's; 100,000 updates of 64 images, those of the conjugate-gradient runs.
            "classical": Reduction(5_000_000, {}),
            "functional": Reduction(9_600_000, {}),
            "biggan": Reduction(25_000_000, {}),
            "biggan64": Reduction(40_000_000, {}),
            "ddgan": Reduction(90_000_000, {}),
            "sngan": Reduction(6_400_000, {}),
        },
        {},
        # The network and the resampling of the tool that the paper names: only with these a distance is called FID.
        {32: Inception(resize="pytorch-fid"), 64: Inception(resize="pytorch-fid")},
        samples=50_000,
        score=InceptionTorchvision(path="inception_v3_google-0cc3c7bd.pth"),
    ),
    "gpu-10min": Scale(
        "the published networks on one GPU in bfloat16, short budgets; sized on paper, never timed on a GPU",
        {
            "classical": Reduction(2_000_000, {}),
            "functional": Reduction(600_000, {}),
            # Published half-lives are as long as these budgets: the average would keep much of the untrained weights.
            "biggan": Reduction(1_500_000, {"averaging": Averaging(half_life=100_000)}),
            "biggan64": Reduction(500_000, {"averaging": Averaging(half_life=50_000)}),
            "ddgan": Reduction(300_000, {"averaging": Averaging(half_life=50_000)}),
            "sngan": Reduction(1_500_000, {}),
        },
        GPU,
        # Networks that ship or come from the package index, so that no weights have to be fetched by hand.
        {32: CifarCNN(), 64: EfficientNetLite0()},
        samples=10_000,
    ),
    "cpu": Scale(
        "narrow networks on one CPU thread in float32; the first seed of a row takes at most half an hour; images of "
        "64 px halved to 32",
        {
            "classical": Reduction(200_000, {}, WIDTHS, Cost(0.014, 0.014)),
            # The cost is of a whole round, pushes and fits included.
            "functional": Reduction(96_000, {}, WIDTHS, Cost(0.0, 0.0, round=5.9)),
            "biggan": Reduction(
                200_000, {"averaging": Averaging(half_life=10_000), "batch_size": 20}, WIDTHS, Cost(0.021, 0.020)
            ),
            "biggan64": Reduction(
                100_000, {"averaging": Averaging(half_life=5_000), "batch_size": 20, "model.attention": 16}, WIDTHS
            ),
            "ddgan": Reduction(
                24_000, {"averaging": Averaging(half_life=1_000), "batch_size": 16}, WIDTHS, Cost(0.072, 0.112)
            ),
            "sngan": Reduction(200_000, {}, WIDTHS, Cost(0.051, 0.047)),
        },
        CPU,
        {32: CifarCNN(), 64: CifarCNN()},
        samples=10_000,
        halves=True,
    ),
}
"""Scales by name."""
