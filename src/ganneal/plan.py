"""What a scheme will do, before it does it: counts, cost and the size of its generator steps.

Everything is computed from one round's flattened steps, so it holds for any scheme. Pure Python.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, sqrt

from ganneal.moments import MomentDecays
from ganneal.schemes import Scheme
from ganneal.steps import (
    DrawPool,
    FitGenerator,
    PushPool,
    Replay,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)


@dataclass(frozen=True)
class LevelPlan:
    """One level of a round."""

    level: int
    d_updates: int
    g_updates: int
    weight: float
    """Weight of its generator updates (their mean, should they differ), or the step size of its push."""
    effective_weight: float
    """Sum of the weights, j w_j for `Nested`: what the level contributes under plain SGD."""
    nominal_step: float
    """Mean length of its generator updates in nominal Adam steps: weight / rms where the memory is long."""


@dataclass(frozen=True)
class Stage:
    """What a round of functional gradients does beside its discriminator updates."""

    stored: int
    """Discriminators stored, and pushes of one sample drawn after training."""
    pool_size: int
    """Samples of the pool; 0 for a round without one."""
    pool_pushes: int
    """Pushes of the whole pool."""
    replayed: int
    """Pushes of a batch of fakes, summed over the discriminator updates."""
    epochs: int
    """Passes of the generator's fit over the pool."""

    def passes(self, batch_size: int) -> int:
        """Passes of one batch through a discriminator, forward and back to the input, that move samples."""
        return self.replayed + self.pool_pushes * ceil(self.pool_size / batch_size)

    def fit_updates(self, batch_size: int) -> int:
        """Optimizer steps of the generator's fit."""
        return self.epochs * ceil(self.pool_size / batch_size)


@dataclass(frozen=True)
class Plan:
    """One round of a scheme in figures.

    References:
        Counts and cost follow from Algorithm 3 of arXiv 2501.11318; the Adam figures assume gradients of equal size.
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
    stage: Stage | None = None
    """In rounds that store discriminators, where pushes take the place of generator updates."""

    def cost(self, g_cost: float = 1.0) -> float:
        """Cost per discriminator update over that of `schemes.Alternating` with as many discriminator steps a level.

        Args:
            g_cost: Cost of one generator update over that of one discriminator update.
        """
        d_steps = self.d_updates / sum(level.d_updates > 0 for level in self.levels)
        per_d_update = 1 + g_cost * self.g_updates / self.d_updates
        # Alternating makes one generator update for every d_steps of the discriminator.
        return per_d_update / (1 + g_cost / d_steps)


SHOWN_LEVELS, KEPT = 20, 5
"""A schedule of more levels is shown by its first and last few, ``KEPT`` of each."""
LETTERS: dict[type[Step], str] = {
    UpdateDiscriminator: "D",
    UpdateGenerator: "G",
    DrawPool: "draw",
    PushPool: "P",
    StoreDiscriminator: "S",
    FitGenerator: "F",
}
"""What each step is called in a sequence."""


def _symbols(steps: Sequence[Step]) -> str:
    runs = []
    for letter, group in groupby(LETTERS[type(step)] for step in steps):
        count = len(list(group))
        runs.append(
            letter * count if len(letter) == 1 and count <= 10 else f"{letter}x{count}" if count > 1 else letter
        )
    return " ".join(runs)


def plan(scheme: Scheme, round: int = 0, moments: MomentDecays | None = None) -> Plan:
    """Count what ``scheme`` does in ``round``.

    Args:
        moments: Those of the generator's optimizer, for the nominal steps; None takes a memory of squared gradients
            much longer than a round, as beta2 = 0.999 is for a few levels.
    Raises:
        ValueError: The round has no discriminator update, or neither generator updates nor pushes.

    >>> from ganneal.schemes import Nested
    >>> plan(Nested(4)).sequence
    'D G D GG D GGG D GGGG'
    """
    steps = list(scheme(round))
    g_updates = sum(isinstance(step, UpdateGenerator) for step in steps)
    weights = [weight for step in steps if (weight := _weight(step, g_updates > 0)) is not None]
    d_updates = sum(isinstance(step, UpdateDiscriminator) for step in steps)
    if not weights or not d_updates:
        raise ValueError(f"round {round} of {scheme} has {d_updates} discriminator and {g_updates} generator updates.")
    # Adam divides by the root of the mean square of its gradients: with a long memory a weight w makes a step of w /
    # rms.
    rms = sqrt(sum(w * w for w in weights) / len(weights))
    lengths = [weight / rms for weight in weights] if moments is None else moments.lengths(weights)
    return Plan(
        sequence=_symbols(steps),
        levels=_levels(steps, g_updates > 0, lengths),
        d_updates=d_updates,
        g_updates=g_updates,
        effective_per_d_update=sum(weights) / d_updates,
        rms_weight=rms,
        nominal_steps_per_d_update=sum(lengths) / d_updates,
        stage=_stage(steps),
    )


def _weight(step: Step, updates: bool) -> float | None:
    """The weight of a generator update, or the step size of a stored discriminator in rounds without ``updates``."""
    match step:
        case UpdateGenerator(weight=weight):
            return weight
        case StoreDiscriminator(step_size=step_size) if not updates:
            return step_size
        case _:
            return None


def _levels(steps: Sequence[Step], updates: bool, lengths: Sequence[float]) -> tuple[LevelPlan, ...]:
    by_level: dict[int, list[Step]] = {}
    walked: dict[int, list[float]] = {}
    following = iter(lengths)
    for step in steps:
        if not isinstance(step, DrawPool | FitGenerator):  # whose levels are not those of the game
            by_level.setdefault(step.level, []).append(step)
            if _weight(step, updates) is not None:
                walked.setdefault(step.level, []).append(next(following))
    levels = []
    for level, members in sorted(by_level.items()):
        own = [weight for step in members if (weight := _weight(step, updates)) is not None]
        nominal = sum(walked[level]) / len(own) if own else 0.0
        judged = sum(isinstance(step, UpdateDiscriminator) for step in members)
        moved = sum(isinstance(step, UpdateGenerator) for step in members)
        mean = sum(own) / len(own) if own else 0.0
        levels.append(LevelPlan(level, judged, moved, mean, sum(own), nominal))
    return tuple(levels)


def _stage(steps: Sequence[Step]) -> Stage | None:
    stored = {step.level for step in steps if isinstance(step, StoreDiscriminator)}
    if not stored:
        return None
    fakes = [step.fakes for step in steps if isinstance(step, UpdateDiscriminator)]
    return Stage(
        stored=len(stored),
        pool_size=max((step.size for step in steps if isinstance(step, DrawPool)), default=0),
        pool_pushes=sum(isinstance(step, PushPool) for step in steps),
        replayed=sum(source.pushes for source in fakes if isinstance(source, Replay)),
        epochs=sum(isinstance(step, FitGenerator) for step in steps),
    )
