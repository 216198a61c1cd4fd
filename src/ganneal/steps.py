"""The closed vocabulary of moves a scheme can make; the engine is one `match` over it.

A step names *who* moves, *on which samples* and *with which weight*, never *how*: networks, losses and optimizers
belong to the experiment. Every step carries its ``level``, the paper's round j (nested schemes) or functional
step m (composite functional gradients), counted from 1.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fresh:
    """Fakes from new latents through the current generator."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Fakes from the pool of samples that `PushPool` moves in place."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Fakes from new latents through the generator, then pushed by the first ``pushes`` stored discriminators."""

    pushes: int


# Where its fakes come from is all that tells a discriminator's move of functional gradients from one of CTS or NATS.
Fakes = Fresh | Pool | Replay
"""The generated samples that a discriminator update sees."""


@dataclass(frozen=True, slots=True)
class UpdateDiscriminator:
    """One optimizer step of the discriminator on a new real batch and on ``fakes``; no weight enters."""

    level: int = 1
    fakes: Fakes = Fresh()


@dataclass(frozen=True, slots=True)
class UpdateGenerator:
    """One optimizer step of the generator on fresh latents, the discriminator frozen.

    ``weight`` multiplies the discriminator's raw output inside the generator's loss (the paper's w[j]); a loss with
    ``weight_on="loss"`` multiplies the loss instead.
    """

    weight: float = 1.0
    level: int = 1


@dataclass(frozen=True, slots=True)
class DrawPool:
    """Draw ``size`` latents and keep them with the generator's samples of them, in place of the pool before.

    ``projected`` takes random projections of the latents instead: what an untrained generator is fitted to first.
    """

    size: int
    level: int = 1
    projected: bool = False


@dataclass(frozen=True, slots=True)
class PushPool:
    """Move every pool sample by ``step_size`` along the input gradient of the discriminator stored at ``level``."""

    step_size: float
    level: int = 1


@dataclass(frozen=True, slots=True)
class StoreDiscriminator:
    """Keep a copy of the discriminator as number ``level`` together with the step size of its push."""

    # Kept with the copy: replays, and whoever draws samples after training, repeat the push as it was made.
    step_size: float
    level: int = 1


@dataclass(frozen=True, slots=True)
class FitGenerator:
    """One epoch of regression of the generator onto the pool's samples."""

    level: int = 1


Step = UpdateDiscriminator | UpdateGenerator | DrawPool | PushPool | StoreDiscriminator | FitGenerator
"""One move of a player, or of the pool between them."""

MOVES_GENERATOR = (UpdateGenerator, FitGenerator)
"""The steps that change the generator's parameters: averaging (EMA) acts where a run of them ends."""
