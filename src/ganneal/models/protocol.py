"""What a network family provides: a pair of players, the latent they share, and the shape of an image."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

Shape = tuple[int, ...]
"""Shape of one sample: (C, H, W) for images, (D,) for points."""
FeatureMaps = Float[Tensor, "batch _ _ _"]
"""Images, or channels of features, ``[batch, C, H, W]``; each may have another size than the next."""


@runtime_checkable
class Latent(Protocol):
    """The prior of the generator's input."""

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count size"]:
        """``count`` latents from the random ``generator``, on its device."""
        ...


@dataclass(frozen=True)
class Normal:
    """Independent standard normal latents."""

    size: int

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count size"]:
        return torch.randn(count, self.size, generator=generator, device=generator.device)


@dataclass
class ModelPair:
    """Two players.

    The generator maps latents ``[batch, size]`` (and, with classes, labels ``[batch]``) to samples ``[batch, *shape]``;
    the discriminator maps samples (and labels) to raw outputs ``[batch]``. Players of the task 'denoising' take a time
    ``[batch]`` and a noisier sample where others take labels, and the generator has its sample's ``shape``.
    """

    generator: nn.Module
    discriminator: nn.Module
    latent: Latent
    shape: Shape
    num_classes: int = 0
    """0 for unconditional players, which take no labels."""
    denoises: bool = False
    """Whether the players are for the task 'denoising'."""
    judges_pairs: bool = False
    """Whether the discriminator judges a sample beside a partner, ``discriminator(samples, partners)``."""
    judged_together: int = 1
    """Samples that the discriminator compares with each other: a batch is fewer, or a multiple of it."""

    @property
    def parameters(self) -> dict[str, int]:
        """How many parameters each player has."""
        players = {"generator": self.generator, "discriminator": self.discriminator}
        return {name: sum(p.numel() for p in player.parameters()) for name, player in players.items()}


@runtime_checkable
class Model(Protocol):
    """A network family with its sizes chosen; registered in `models.MODELS`."""

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        """Fresh players for samples of ``shape``, initialised from torch's global random generator.

        Raises:
            ValueError: The family has no network for this shape, or none with classes.
        """
        ...
