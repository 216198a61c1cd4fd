"""A discriminator's own term: how badly it reconstructs real images from what it saw of them (FastGAN)."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ganneal.logits import upcast
from ganneal.regularizers.protocol import Context, Regularizer, RegularizerState
from ganneal.regularizers.sum import Sum

QUARTERS = 4


@runtime_checkable
class Reconstructs(Protocol):
    """A discriminator with decoders."""

    reconstruction: float
    """Factor of the term; 0 for none."""

    def reconstruction_error(
        self, features: tuple[Tensor, ...], images: Tensor, quarters: Int[Tensor, " batch"]
    ) -> Float[Tensor, " batch"]:
        """The error for each of ``images``, from the ``features`` that judging them has left.

        Args:
            quarters: The part of each image that is reconstructed larger, 0 to 3 in reading order.
        """
        ...


@dataclass(frozen=True)
class Reconstruction(Regularizer):
    """``coefficient`` times the mean reconstruction error of the reals as the discriminator saw them, augmented.

    It reads the maps of the pass that judged them: no further pass is made.
    """

    coefficient: float

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""]:
        player, seen = context.player, context.real_seen
        assert isinstance(player, Reconstructs) and seen is not None
        size = (len(seen),)
        # On the generator's own device, as torch refuses any other.
        quarters = torch.randint(QUARTERS, size, generator=context.random, device=context.random.device)
        features = tuple(map(upcast, context.real_features))  # outside mixed precision, as every penalty
        return self.coefficient * player.reconstruction_error(features, upcast(seen), quarters).mean()


def with_own_term(regularizer: Regularizer, discriminator: nn.Module) -> Regularizer:
    """``regularizer``, and the term that ``discriminator`` brings with it where it has one."""
    # Added by the engine: the term belongs to the network and is named in no experiment.
    if isinstance(discriminator, Reconstructs) and discriminator.reconstruction:
        return Sum((regularizer, Reconstruction(discriminator.reconstruction)))
    return regularizer
