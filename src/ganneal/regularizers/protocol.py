"""The protocol of a regularizer: its inputs and its terms."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.clocks import Clock, Counters
from ganneal.logits import Discriminator
from ganneal.models import ModelPair
from ganneal.optim.lr_rules import LRRule

RegularizerState = dict[str, Any]
"""A regularizer's own state: tensors and plain values, kept in the run and saved with it."""

Generate = Callable[[Tensor], Tensor]
"""Latents to what the discriminator sees of the generator, under the condition of the fakes of the move."""


Change = Callable[[Tensor], Tensor]
"""A change of samples ``[batch, ...]`` that makes the same one each time it is called."""


def unchanged(samples: Tensor) -> Tensor:
    """The change that is none."""
    return samples


@runtime_checkable
class Again(Protocol):
    """Judges samples after a change, under the random draws of a pass that was made."""

    def __call__(self, samples: Tensor, change: Change = unchanged) -> Tensor: ...


@dataclass
class Context:
    """One discriminator's move as a regularizer sees it; outside mixed precision."""

    discriminator: Discriminator
    """Bound to the condition of the real batch."""
    real: Tensor
    fake: Tensor
    """Without a graph to the generator."""
    real_logits: Float[Tensor, " batch"]
    fake_logits: Float[Tensor, " batch"]
    counters: Counters
    random: torch.Generator
    fake_discriminator: Discriminator | None = None
    """Bound to the condition of the fakes; None where it is that of the reals."""
    latents: Tensor | None = None
    """Latents of the fakes; None where the generator did not make them in this move."""
    generate: Generate | None = None
    """Makes more fakes as ``fake`` were made: under their condition, precision and random draws."""
    network: nn.Module | None = None
    """Network that the regularizer's `build` gave."""
    player: nn.Module | None = None
    """The discriminator itself, for what regularizes its weights."""
    real_seen: Tensor | None = None
    """``real`` augmented, as the discriminator saw it for ``real_logits``."""
    real_features: tuple[Tensor, ...] = ()
    """Features that a discriminator with a term of its own kept of that pass."""
    real_again: Again | None = None
    """Further logits under the augmentation of ``real_logits``; None where ``discriminator`` draws nothing."""
    fake_again: Again | None = None
    """Further logits under the augmentation of ``fake_logits``."""

    def logits_of_fakes(self, samples: Tensor) -> Tensor:
        """Raw outputs of ``samples`` under the condition of the fakes."""
        return (self.fake_discriminator or self.discriminator)(samples)

    def logits_as_reals(self, samples: Tensor, change: Change = unchanged) -> Tensor:
        """Raw outputs to be compared with ``real_logits``: of ``samples`` after ``change``, all else being equal.

        The augmentation is that of ``real_logits``, and samples in the condition are changed alike.
        """
        # Under fresh augmentation two passes would differ by their draws, and not by what the regularizer changed.
        return self.discriminator(change(samples)) if self.real_again is None else self.real_again(samples, change)

    def logits_as_fakes(self, samples: Tensor, change: Change = unchanged) -> Tensor:
        """`logits_as_reals` for what is to be compared with ``fake_logits``."""
        return self.logits_of_fakes(change(samples)) if self.fake_again is None else self.fake_again(samples, change)


@dataclass
class GeneratorContext:
    """One generator's move as a regularizer sees it."""

    generate: Generate
    """Makes more fakes as ``fake`` were made: under their condition, precision and random draws."""
    latents: Tensor
    fake: Tensor
    """With a graph to the generator."""
    counters: Counters
    random: torch.Generator
    network: nn.Module | None = None
    """Network that the regularizer's `build` gave."""
    player: nn.Module | None = None
    """The generator itself, for what regularizes its weights."""


@runtime_checkable
class Regularizer(Protocol):
    """Terms added to the players' losses, and a constraint put on the discriminator after its updates.

    Subclass it and write the methods that your regularizer needs; every other one does nothing.
    """

    @property
    def per_sample_gradients(self) -> bool:
        """True if it differentiates the discriminator sample by sample, which batch norm in it would falsify."""
        return False

    @property
    def on_lines(self) -> bool:
        """True if it mixes real i with fake i, which needs both to share a condition."""
        return False

    @property
    def needs_latents(self) -> bool:
        """True if the discriminator's term reads the latents of the fakes, which pushed fakes do not have."""
        return False

    @property
    def needs_generator_updates(self) -> bool:
        """True if a scheme without generator updates is refused, since it would leave out a term."""
        return False

    @property
    def has_terms(self) -> bool:
        """True if it may add a term to a player's loss. Without terms the engine prepares no context."""
        return True

    def build(self, pair: ModelPair) -> nn.Module | None:
        """A network of its own, trained in the generator's moves with the generator's term; None for most.

        Raises:
            ValueError: It cannot work with such players or samples.
        """
        return None

    def init_state(self) -> RegularizerState:
        """State at the start of a run."""
        return {}

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""] | None:
        """Added to the discriminator's mean loss; None where nothing is due."""
        return None

    def generator_term(self, context: GeneratorContext, state: RegularizerState) -> Float[Tensor, ""] | None:
        """Added to the generator's mean loss, never multiplied by a schedule's weight."""
        return None

    def constrain(self, discriminator: nn.Module) -> None:
        """Called after each discriminator update, without gradients."""


def check_coefficients(**coefficients: float) -> None:
    """Refuse what is not a finite number >= 0."""
    for name, value in coefficients.items():
        # isfinite is False for NaN, which no comparison would refuse.
        if not (isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite number >= 0, got {value}; use 0 to switch it off.")


def check_interval(interval: int) -> None:
    """Refuse intervals below 1."""
    if interval < 1:
        raise ValueError(f"interval must be at least 1 discriminator update, got {interval}; use 1 for every update.")


def coefficient_now(counters: Counters, coefficient: float, rule: LRRule, own: Clock) -> float:
    """``coefficient`` times the factor of ``rule``, whose ``own_updates`` are those that ``own`` counts."""
    # "own" lets one rule be counted in D's updates for D's term and in G's for G's.
    return coefficient * rule.at(counters.read(rule.clock, own))


def lazy_strength(
    counters: Counters, coefficient: float, rule: LRRule, interval: int, scale_by_interval: bool
) -> float | None:
    """The factor on a term of the discriminator's loss at this update, None where none is due.

    Due at every ``interval``-th discriminator update, and then multiplied by the interval where ``scale_by_interval``
    keeps the mean strength.
    """
    strength = coefficient_now(counters, coefficient, rule, own="d_updates")
    # Updates made before this one are counted, so the first update of a run is always due.
    if counters.d_updates % interval or strength == 0:
        return None
    # As StyleGAN2 does for lazy R1; DDGAN, which does not, needs scale_by_interval=False.
    return strength * interval if scale_by_interval else strength
