"""Changing what the discriminator sees: random and differentiable, the same for reals and fakes."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ganneal.clocks import Counters
from ganneal.losses.outputs import LOG_RATIO, Output

AugmentState = dict[str, Any]
"""Tensors and plain values, kept in the run and saved with it."""


@runtime_checkable
class Augmentation(Protocol):
    """Applied to every image that enters the discriminator: reals, fakes and penalties' points, in both players' moves.

    A penalty's gradient is the one in the image before augmentation.
    """

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples it cannot change.

        Raises:
            ValueError: They are not images.
        """

    def init_state(self) -> AugmentState:
        """State at the start of a run."""
        return {}

    def __call__(self, images: Tensor, random: torch.Generator, state: AugmentState, counters: Counters) -> Tensor:
        """``images`` changed, each in its own way."""
        ...

    def observe(self, real_logits: Tensor, state: AugmentState, output: Output = LOG_RATIO) -> None:
        """Take note of the discriminator's outputs on augmented reals, once a pass in its moves.

        Args:
            output: Meaning of the outputs under the loss.
        """

    def probability_now(self, state: AugmentState, counters: Counters) -> Tensor | float | None:
        """The present probability of each change, for the log. None where it is constant."""
        return None


def refuse_points(shape: tuple[int, ...], name: str) -> None:
    """Refuse points."""
    if len(shape) != 3:
        raise ValueError(
            f"augmentation {name} changes images, got points of shape {shape}; use the augmentation 'none'."
        )
