"""What a scheme will do, before it does it: counts, cost and the size of its generator steps.

Everything is computed from one round's flattened steps, so it holds for any scheme. Pure Python.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import sqrt

from ganneal.schemes import Scheme
from ganneal.steps import Step, UpdateDiscriminator, UpdateGenerator


@dataclass(frozen=True)
class LevelPlan:
    """One level of a round."""

    level: int
    d_updates: int
    g_updates: int
    weight: float
    """Weight of its generator updates (their mean, should they differ)."""
    effective_weight: float
    """Sum of the weights, j w_j for `Nested`: what the level contributes under plain SGD."""
    nominal_step: float
    """Length of one of its generator updates in nominal Adam steps, weight / rms."""


@dataclass(frozen=True)
class Plan:
    """One round of a scheme in figures.

    References:
        Counts and cost follow from Algorithm 3 of arXiv 2501.11318; the Adam figures assume gradients of equal size and
        a second-moment memory much longer than a round (beta2 = 0.999).
    """

    sequence: str
    levels: tuple[LevelPlan, ...]
    d_updates: int
    g_updates: int
    effective_per_d_update: float
    """Sum of all generator weights per discriminator update: the total pull under SGD."""
    rms_weight: float
    nominal_steps_per_d_update: float
    """Total generator step length per discriminator update, in nominal Adam steps."""

    def cost(self, g_cost: float = 1.0) -> float:
        """Cost per discriminator update over that of `schemes.Alternating` with as many discriminator steps a level.

        Args:
            g_cost: Cost of one generator update over that of one discriminator update.
        """
        d_steps = self.d_updates / sum(level.d_updates > 0 for level in self.levels)
        per_d_update = 1 + g_cost * self.g_updates / self.d_updates
        return per_d_update / (1 + g_cost / d_steps)


def _symbols(steps: Sequence[Step]) -> str:
    letters = {UpdateDiscriminator: "D", UpdateGenerator: "G"}
    runs = []
    for letter, group in groupby(letters.get(type(step), type(step).__name__) for step in steps):
        count = len(list(group))
        runs.append(letter * count if len(letter) == 1 and count <= 10 else f"{letter}x{count}")
    return " ".join(runs)


def plan(scheme: Scheme, round: int = 0) -> Plan:
    """Count what ``scheme`` does in ``round``.

    Raises:
        ValueError: The round has no discriminator or no generator update.

    >>> from ganneal.schemes import Nested
    >>> plan(Nested(4)).sequence
    'D G D GG D GGG D GGGG'
    """
    steps = list(scheme(round))
    by_level: dict[int, list[Step]] = {}
    for step in steps:
        by_level.setdefault(step.level, []).append(step)
    weights = [step.weight for step in steps if isinstance(step, UpdateGenerator)]
    d_updates = sum(isinstance(step, UpdateDiscriminator) for step in steps)
    if not weights or not d_updates:
        raise ValueError(
            f"round {round} of {scheme} has {d_updates} discriminator and {len(weights)} generator updates."
        )
    rms = sqrt(sum(w * w for w in weights) / len(weights))

    levels = []
    for level, members in sorted(by_level.items()):
        own = [step.weight for step in members if isinstance(step, UpdateGenerator)]
        judged = sum(isinstance(step, UpdateDiscriminator) for step in members)
        mean = sum(own) / len(own) if own else 0.0
        levels.append(LevelPlan(level, judged, len(own), mean, sum(own), mean / rms))
    return Plan(
        sequence=_symbols(steps),
        levels=tuple(levels),
        d_updates=d_updates,
        g_updates=len(weights),
        effective_per_d_update=sum(weights) / d_updates,
        rms_weight=rms,
        nominal_steps_per_d_update=sum(weights) / rms / d_updates,
    )
