"""The protocol of a task, which turns data and latents into the two players' inputs.

A task decides the real view, the condition that goes with it, how a generator's output becomes what the discriminator
judges, and how samples are drawn after training. Players take their condition as extra arguments,
``discriminator(x, *condition)``, so that the engine needs no case for it.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ganneal.data import Batch, Dataset

Condition = tuple[Tensor, ...]
"""Inputs of both players beside samples, each [batch, ...]; empty for none."""


class RealView(NamedTuple):
    """The discriminator's view of a real batch: samples, and the condition they are judged under."""

    samples: Tensor
    condition: Condition


@runtime_checkable
class Noisy(Protocol):
    """A task whose fakes have noise of their own: the two parts of its ``fake``, for code that cannot draw."""

    def noise(self, condition: Condition, random: torch.Generator) -> tuple[Tensor, ...]:
        """Draw the noise of ``fake``, and prepare everything else that the generator does not decide."""
        ...

    def fake_with(
        self, generator: nn.Module, latents: Tensor, condition: Condition, noise: tuple[Tensor, ...]
    ) -> Tensor:
        """``fake`` with that noise."""
        ...


@runtime_checkable
class Task(Protocol):
    """Everything about a run that depends on what is being modelled; all randomness comes from ``random``.

    Subclass it: the bodies below are those of samples without a condition, each made in one pass.
    """

    needs_real: bool = False
    """True if the generator's moves need a real batch."""
    denoises: bool = False
    """True if the condition is a time and a noisier sample, and a sample is made in several passes."""
    paired: bool = True
    """True if fake i of a discriminator's move carries the condition of real i, as line penalties assume."""

    def num_classes(self, dataset: Dataset) -> int:
        """The number of classes the players are built for; 0 for none."""
        return 0

    def real_view(self, batch: Batch, random: torch.Generator) -> RealView:
        """The discriminator's view of ``batch``."""
        return RealView(batch.samples, ())

    def fake_condition(self, count: int, num_classes: int, real: RealView | None, random: torch.Generator) -> Condition:
        """The condition of ``count`` fakes; ``real`` is given in the discriminator's moves and where needed."""
        return ()

    def changed(self, condition: Condition, change: Callable[[Tensor], Tensor]) -> Condition:
        """``condition`` for samples that ``change`` was made to: what it holds of a sample's kind is changed alike."""
        return condition

    def fake(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """The discriminator's view of the generator's samples, with a graph to its parameters."""
        return generator(latents, *condition)

    def sample_condition(
        self, labels: Tensor | None, count: int, num_classes: int, random: torch.Generator
    ) -> Condition:
        """The condition for drawing ``count`` samples, of the classes ``labels`` where they are given."""
        if labels is not None:
            raise ValueError("labels must be left out: this generator was trained without classes.")
        return ()

    def sample(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """Finished samples: the sampling chain of a trained generator."""
        # One pass is the whole chain.
        return self.fake(generator, latents, condition, random)
