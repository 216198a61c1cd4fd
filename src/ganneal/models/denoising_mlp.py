"""Perceptrons for one step of a diffusion of points in the plane."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.data.protocol import PointBatch
from ganneal.models.mlp import Perceptron
from ganneal.models.parts.checks import check_unconditional
from ganneal.models.parts.times import check_times, waves
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one

TIME_SIZE = 8
"""Length of the vector of waves that tells the time."""


class DenoisingMLPGenerator(nn.Module):
    """A guess of the clean point behind a noisier one at time t + 1."""

    def __init__(self, latent_size: int, width: int, depth: int, shape: Shape):
        super().__init__()
        self.shape = shape
        self.net = Perceptron(latent_size + TIME_SIZE + shape[0], width, depth, shape[0])

    def forward(self, latents: Float[Tensor, "n size"], t: Tensor, noisier: PointBatch) -> PointBatch:
        check_times(t, latents)
        # Waves rather than the number t: a network tells two waves apart more easily than 2 from 3.
        return self.net(torch.cat([latents, waves(t, TIME_SIZE), noisier], 1))


class DenoisingMLPDiscriminator(nn.Module):
    """One raw output for each point at time t, given the noisier one at t + 1."""

    def __init__(self, width: int, depth: int, shape: Shape):
        super().__init__()
        self.net = Perceptron(TIME_SIZE + 2 * shape[0], width, depth, 1)

    def forward(self, x: PointBatch, t: Tensor, noisier: PointBatch) -> Float[Tensor, " n"]:
        check_times(t, x)
        # The pair (x_t, x_{t+1}) with its time is judged: could this be one step of the diffusion?
        return self.net(torch.cat([x, waves(t, TIME_SIZE), noisier], 1)).squeeze(1)


@dataclass(frozen=True)
class DenoisingMLP:
    """Two perceptrons of the same width and depth for the task 'denoising'; time and noisier point join the input."""

    width: int = 128
    depth: int = 3
    latent_size: int = 2

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, depth=self.depth, latent_size=self.latent_size)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        if len(shape) != 1:
            raise ValueError(f"shape must be (D,) for DenoisingMLP, got {shape}; for images use the model 'ddgan'.")
        check_unconditional("DenoisingMLP", num_classes)
        return ModelPair(
            DenoisingMLPGenerator(self.latent_size, self.width, self.depth, shape),
            DenoisingMLPDiscriminator(self.width, self.depth, shape),
            Normal(self.latent_size),
            shape,
            denoises=True,
        )
