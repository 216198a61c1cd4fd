"""The protocol of a network family: a pair of players, the latent they share, and the shape of an image."""

from dataclasses import dataclass, replace
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
        # On the generator's own device: torch refuses to draw anywhere else.
        return torch.randn(count, self.size, generator=generator, device=generator.device)


@runtime_checkable
class NeedsFiles(Protocol):
    """A part of a player with a frozen network from a file, which is no weight of the player."""

    def load_files(self) -> None:
        """Read the file, unless that was done."""
        ...


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
    """True if the players are for the task 'denoising'."""
    compares_pairs: bool = False
    """True if the discriminator judges a sample beside a partner, ``discriminator(samples, partners)``."""
    judged_together: int = 1
    """Samples that the discriminator compares with each other: a batch is fewer, or a multiple of it."""

    def load_files(self) -> None:
        """Read the files that the players need beside their own weights.

        Raises:
            FileNotFoundError: A package that holds one is not installed; the message says which.
        """
        for player in (self.generator, self.discriminator):
            # A frozen network may sit anywhere inside a player, and is in no state dict that would bring it along.
            for module in player.modules():
                if isinstance(module, NeedsFiles):
                    module.load_files()

    @property
    def parameters(self) -> dict[str, int]:
        """Number of parameters of each player."""
        players = {"generator": self.generator, "discriminator": self.discriminator}
        # Buffers are not counted, as in published sizes: batch norm's statistics, the vectors u, fixed mixtures.
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


@runtime_checkable
class Discriminates(Protocol):
    """A family that can build its discriminator alone."""

    def build_discriminator(self, shape: Shape, num_classes: int = 0) -> nn.Module:
        """A fresh discriminator of single samples for samples of ``shape``."""
        ...


def pair_of_families(generator: Model, discriminator: Model, shape: Shape, num_classes: int) -> ModelPair:
    """Fresh players, the generator of one family and the discriminator of the other.

    Raises:
        ValueError: One of the families is for the task 'denoising' and the other is not.
    """
    pair = generator.build(shape, num_classes)
    # A family that cannot build one player alone builds both, and the other is dropped; the random draws of both count.
    if isinstance(discriminator, Discriminates):
        # One built alone judges single samples by themselves, whatever the generator's own one did.
        alone = discriminator.build_discriminator(shape, num_classes)
        other = replace(pair, discriminator=alone, denoises=False, compares_pairs=False, judged_together=1)
    else:
        other = discriminator.build(shape, num_classes)
    if pair.denoises != other.denoises:
        names = [type(each).__name__ for each in (generator, discriminator)]
        raise ValueError(
            f"generator and discriminator must both be for the task 'denoising' or both not, got {names[0]} and "
            f"{names[1]}; use two families of one kind."
        )
    return replace(
        pair,
        discriminator=other.discriminator,
        compares_pairs=other.compares_pairs,
        judged_together=other.judged_together,
    )
