"""State of composite functional gradients between steps: stored discriminators, the pool and the fit."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ganneal.logits import upcast
from ganneal.losses import Loss
from ganneal.models.parts.freezing import frozen, in_mode
from ganneal.push import Push
from ganneal.task import Condition

OutputsOf = Callable[[nn.Module, Tensor, Condition], Tensor]
"""A discriminator's raw outputs of samples under their condition, with what stands before it."""


class Stored(NamedTuple):
    """A discriminator as it was, and the size of its push."""

    discriminator: nn.Module
    step_size: float


@dataclass
class Chain:
    """The discriminators stored since the generator last moved, by level: the generator followed by their pushes.

    When the generator moves on, the chain keeps a copy of it as it was, so that it stays one sampler until the next
    discriminator is stored.
    """

    push: Push
    loss: Loss
    chunk: int
    """Samples pushed together: as many as the discriminator sees at once in training."""
    stored: dict[int, Stored] = field(default_factory=dict)
    generator: nn.Module | None = None
    """The generator under these pushes where it has moved since."""

    def store(self, level: int, discriminator: nn.Module, step_size: float) -> None:
        """Keep a copy of ``discriminator`` behind those of lower levels; after the generator has moved, alone."""
        # After the generator has moved, earlier discriminators belong to samples that it no longer makes.
        before = {} if self.generator is not None else self.stored
        self.stored = {other: by for other, by in before.items() if other < level}
        self.generator = None
        # A copy, since training goes on changing the discriminator in place.
        self.stored[level] = Stored(deepcopy(discriminator).requires_grad_(False), step_size)

    def leave(self, generator: nn.Module) -> None:
        """``generator`` is about to move: keep it as it is, where there is a chain behind it."""
        if self.stored and self.generator is None:
            # In eval mode, as the fakes of the chain were made.
            self.generator = deepcopy(generator).requires_grad_(False).eval()

    def at(self, level: int) -> Stored:
        """The discriminator stored at ``level`` behind the present generator.

        Raises:
            ValueError: There is none.
        """
        if self.generator is not None or level not in self.stored:
            kept = [] if self.generator is not None else sorted(self.stored)
            raise ValueError(
                f"a push at level {level} needs the discriminator stored there since the generator last moved, got "
                f"{kept} only. Use StoreDiscriminator(level={level}) before it."
            )
        return self.stored[level]

    def walk(self, samples: Tensor, condition: Condition, outputs_of: OutputsOf, pushes: int) -> Tensor:
        """``samples`` of the present generator after the first ``pushes`` levels."""
        for level in range(1, pushes + 1):
            samples = self.move(samples, condition, outputs_of, self.at(level))
        return samples

    def finish(self, samples: Tensor, condition: Condition, outputs_of: OutputsOf) -> Tensor:
        """``samples`` of the chain's generator after all of its pushes."""
        for _, moved in self.trail(samples, condition, outputs_of):
            samples = moved
        return samples

    def trail(self, samples: Tensor, condition: Condition, outputs_of: OutputsOf) -> Iterator[tuple[Stored, Tensor]]:
        """Each stored discriminator in turn, with ``samples`` of the chain's generator after its push."""
        for level in sorted(self.stored):
            samples = self.move(samples, condition, outputs_of, self.stored[level])
            yield self.stored[level], samples

    def move(self, samples: Tensor, condition: Condition, outputs_of: OutputsOf, by: Stored) -> Tensor:
        """``samples`` after one push; no weight and no buffer of the discriminator changes, one graph lives at once."""
        moved = []
        # In chunks of training's size: batch norm in a discriminator would push along another gradient for another
        # chunk.
        for start in range(0, len(samples), self.chunk):
            piece = slice(start, start + self.chunk)
            given = tuple(each[piece] for each in condition)
            # In train mode, the default, batch norm would move its running statistics: a stored one stays as stored.
            with frozen(by.discriminator, keep_buffers=True), in_mode(by.discriminator, self.push.d_norm_mode):
                outputs = lambda x, given=given: outputs_of(by.discriminator, x, given)  # noqa: E731
                moved.append(self.push(outputs, samples[piece], by.step_size, self.loss))
        return torch.cat(moved)

    def state_dict(self) -> dict[str, Any]:
        """As tensors and plain types."""
        return {
            "generator": None if self.generator is None else self.generator.state_dict(),
            "stored": {level: (by.step_size, by.discriminator.state_dict()) for level, by in self.stored.items()},
        }

    def load_state_dict(self, state: dict[str, Any], generator: nn.Module, discriminator: nn.Module) -> None:
        """Continue from a `state_dict`; ``generator`` and ``discriminator`` give the shapes."""
        self.stored, self.generator = {}, None
        # A state has weights alone; the networks to put them in are copies of the players at hand.
        for level, (step_size, weights) in state["stored"].items():
            self.store(level, discriminator, step_size)
            self.stored[level].discriminator.load_state_dict(weights)
        if state["generator"] is not None:
            self.leave(generator)
            assert self.generator is not None
            self.generator.load_state_dict(state["generator"])


@dataclass
class SamplePool:
    """Samples with the latents and the condition they were made of."""

    latents: Tensor
    condition: Condition
    samples: Tensor
    skipped: bool = False
    """It is not fitted to: the discriminator had lost touch when it was made."""

    @classmethod
    def of(cls, state: dict[str, Any], device: torch.device) -> "SamplePool":
        """The chain that a `state_dict` holds."""
        condition = tuple(each.to(device) for each in state["condition"])
        return cls(state["latents"].to(device), condition, state["samples"].to(device), state["skipped"])

    def state_dict(self) -> dict[str, Any]:
        """As tensors and plain types."""
        return dict(vars(self))


def half_squares(samples: Tensor, targets: Tensor) -> Tensor:
    """1/2 ||samples - targets||^2, summed over the batch."""
    # With the 1/2 one step of the fit on pushed samples is a step along the push itself: J^T (target - G(z)).
    return 0.5 * (upcast(samples) - targets).square().sum()


@dataclass
class PoolFit:
    """One stage of regression onto one pool: a fresh optimizer, and how often its learning rate was lowered."""

    optimizer: torch.optim.Optimizer
    decays: int = 0
    last: float | None = None
    """Mean loss of the epoch before."""

    def state_dict(self) -> dict[str, Any]:
        """As tensors and plain types."""
        return {"optimizer": self.optimizer.state_dict(), "decays": self.decays, "last": self.last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.decays, self.last = state["decays"], state["last"]
