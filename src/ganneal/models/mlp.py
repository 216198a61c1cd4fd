"""Multi-layer perceptrons for points in the plane, plain or conditional."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ganneal.models.parts.checks import checked_labels
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one

Labels = Int[Tensor, " batch"]


class Perceptron(nn.Sequential):
    """``depth`` hidden layers of ``width`` with leaky ReLU 0.2, then a linear layer."""

    def __init__(self, inputs: int, width: int, depth: int, outputs: int):
        layers: list[nn.Module] = []
        # No norm: batch norm would tie the samples of a batch together, which gradient penalties and pushes must not
        # meet.
        for level in range(depth):
            layers += [nn.Linear(width if level else inputs, width), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(width, outputs))


def _with_labels(x: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """``x`` with one-hot labels appended when there are classes."""
    if not num_classes:
        return x
    given = checked_labels(labels, num_classes, x)
    # Enough for a few classes in the plane; networks for images have tables of class vectors instead.
    return torch.cat([x, F.one_hot(given, num_classes).to(x.dtype)], dim=1)


class MLPGenerator(nn.Module):
    """Latents, with one-hot labels appended, to points."""

    def __init__(self, latent_size: int, width: int, depth: int, dim: int, num_classes: int):
        super().__init__()
        self.num_classes = num_classes
        self.net = Perceptron(latent_size + num_classes, width, depth, dim)

    def forward(self, latents: Float[Tensor, "batch size"], labels: Labels | None = None) -> Float[Tensor, "batch dim"]:
        return self.net(_with_labels(latents, labels, self.num_classes))


class MLPDiscriminator(nn.Module):
    """Points, with one-hot labels appended, to one raw output each."""

    def __init__(self, dim: int, width: int, depth: int, num_classes: int):
        super().__init__()
        self.num_classes = num_classes
        self.net = Perceptron(dim + num_classes, width, depth, 1)

    def forward(self, x: Float[Tensor, "batch dim"], labels: Labels | None = None) -> Float[Tensor, " batch"]:
        return self.net(_with_labels(x, labels, self.num_classes)).squeeze(1)


@dataclass(frozen=True)
class MLP:
    """Two perceptrons of the same width and depth."""

    width: int = 128
    depth: int = 3
    latent_size: int = 2

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, depth=self.depth, latent_size=self.latent_size)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        if len(shape) != 1:
            raise ValueError(f"shape must be (D,) for an MLP, got {shape}; for images use the model 'dcgan'.")
        (dim,) = shape
        return ModelPair(
            MLPGenerator(self.latent_size, self.width, self.depth, dim, num_classes),
            MLPDiscriminator(dim, self.width, self.depth, num_classes),
            Normal(self.latent_size),
            shape,
            num_classes,
        )
