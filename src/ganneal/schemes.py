"""Training schemes: who moves when, as data.

A scheme is a function from a round's number to the steps of that round. It is pure Python and imports no torch, so
that a schedule can be printed, counted, tested and used in a loop of your own:

>>> for step in Nested(levels=2, weights=Geometric(1, 0.01))(round=0):
...     match step:
...         case UpdateDiscriminator():
...             print("D")
...         case UpdateGenerator(weight=w):
...             print("G", w)
D
G 1.0
D
G 0.01
G 0.01
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Protocol, runtime_checkable

from ganneal.steps import Step, UpdateDiscriminator, UpdateGenerator
from ganneal.weights import Geometric, MatchedConstant, Ones, Reversed, Weights

MOST_LEVELS = 1_000
"""A round of so many levels has half a million generator updates."""


@runtime_checkable
class Scheme(Protocol):
    """The steps of one round; ``round`` counts from 0 and is the paper's cycle index i."""

    def __call__(self, round: int) -> Iterator[Step]:
        """Yield the round's steps in order."""
        ...


def _check_d_steps(d_steps: int) -> None:
    if d_steps < 1:
        raise ValueError(
            f"d_steps must be at least 1, got {d_steps}; use 1, the generator needs a discriminator that moves."
        )


@dataclass(frozen=True)
class Alternating:
    """The common training scheme (CTS, Algorithm 1): ``d_steps`` discriminator updates, then one of the generator.

    Symbols: K -> ``d_steps``.
    """

    d_steps: int = 1

    def __post_init__(self) -> None:
        _check_d_steps(self.d_steps)

    def __call__(self, round: int) -> Iterator[Step]:
        yield from (UpdateDiscriminator(),) * self.d_steps
        yield UpdateGenerator()


@dataclass(frozen=True)
class Nested:
    """Nested training (NTS), nested annealed training (NATS) when ``weights`` fall (Algorithm 3).

    Level j makes ``d_steps`` discriminator updates and then j generator updates, each with weight w[j]. Neither the
    discriminator nor the optimizers are reset between levels.

    Symbols: N_d -> ``levels``, K -> ``d_steps``, w -> ``weights``, N_g = j -> the number of generator updates.

    References:
        Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Algorithm 3.
    """

    levels: int = 5
    d_steps: int = 1
    weights: Weights = Ones()

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(
                f"levels must be at least 1, got {self.levels}; use Alternating() for a scheme without levels."
            )
        if self.levels > MOST_LEVELS:
            raise ValueError(
                f"levels must be at most {MOST_LEVELS}, got {self.levels}; use a few, as the paper's 4 to 20."
            )
        _check_d_steps(self.d_steps)
        weights = self.weights(range(1, self.levels + 1), 0)  # a rule that does not fit fails here, not in round 1000
        if len(weights) != self.levels or not all(isfinite(weight) and weight > 0 for weight in weights):
            raise ValueError(
                f"weights must give {self.levels} finite numbers above 0, got {weights} from {self.weights}; "
                f"give one positive weight a level."
            )

    def __call__(self, round: int) -> Iterator[Step]:
        weights = self.weights(range(1, self.levels + 1), round)
        for level, weight in enumerate(weights, start=1):
            yield from (UpdateDiscriminator(level=level),) * self.d_steps
            yield from (UpdateGenerator(weight=weight, level=level),) * level


SCHEMES: dict[str, Scheme] = {
    "cts": Alternating(),
    "nts": Nested(),
    "nats": Nested(weights=Geometric()),
    "nats-reversed": Nested(weights=Reversed()),
    "nats-matched": Nested(weights=MatchedConstant()),
}
"""Schemes by name, with five levels where there are levels."""
