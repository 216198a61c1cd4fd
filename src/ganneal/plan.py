"""Plan of a scheme before it runs: counts, cost and the size of its generator steps.

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
    """Work of a round of functional gradients beside its discriminator updates."""

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
        # Rounded up: the last batch of a pool costs a pass whether it is full or not.
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
        # For `Nested` (K c_D + (N_d + 1) / 2 c_G) / (K c_D + c_G), here from the counts of any scheme.
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
"""Letter of each step in a sequence."""


def _symbols(steps: Sequence[Step]) -> str:
    runs = [(letter, len(list(group))) for letter, group in groupby(LETTERS[type(step)] for step in steps)]
    # "GGG" shows a level at a glance; "Gx12" once there are too many to count by eye.
    return " ".join(
        f"{letter}x{count}" if count > 10 or (count > 1 and len(letter) > 1) else letter * count
        for letter, count in runs
    )


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
    # Adam divides by the root of the mean square of its gradients: with a long memory a weight w makes a step of
    # w / rms. An entry for each update, so that in rms^2 = sum_j j w_j^2 / sum_j j level j counts j times.
    rms = sqrt(sum(w * w for w in weights) / len(weights))
    # With a short memory (DDGAN's beta2 = 0.9) v follows the weights within a round and cancels most of the annealing.
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
        # In a round of pushes the step size of a stored discriminator takes the place of a weight.
        case StoreDiscriminator(step_size=step_size) if not updates:
            return step_size
        case _:
            return None


def _levels(steps: Sequence[Step], updates: bool, lengths: Sequence[float]) -> tuple[LevelPlan, ...]:
    by_level: dict[int, list[tuple[Step, float | None, float]]] = {}
    following = iter(lengths)
    for step in steps:
        if not isinstance(step, DrawPool | FitGenerator):  # whose levels are not those of the game
            weight = _weight(step, updates)
            walked = 0.0 if weight is None else next(following)
            by_level.setdefault(step.level, []).append((step, weight, walked))
    levels = []
    for level, members in sorted(by_level.items()):
        own = [weight for _, weight, _ in members if weight is not None]
        judged, moved = (
            sum(isinstance(step, kind) for step, _, _ in members) for kind in (UpdateDiscriminator, UpdateGenerator)
        )
        mean, nominal = (sum(values) / max(len(own), 1) for values in (own, [walked for _, _, walked in members]))
        levels.append(LevelPlan(level, judged, moved, mean, sum(own), nominal))
    return tuple(levels)


def _stage(steps: Sequence[Step]) -> Stage | None:
    # By level: a discriminator stored twice at one level takes the place of the first.
    stored = {step.level for step in steps if isinstance(step, StoreDiscriminator)}
    if not stored:
        return None
    fakes = [step.fakes for step in steps if isinstance(step, UpdateDiscriminator)]
    return Stage(
        stored=len(stored),
        pool_size=max((step.size for step in steps if isinstance(step, DrawPool)), default=0),
        pool_pushes=sum(isinstance(step, PushPool) for step in steps),
        # Each discriminator update of level m pushes a batch of its own through all m - 1 before it.
        replayed=sum(source.pushes for source in fakes if isinstance(source, Replay)),
        epochs=sum(isinstance(step, FitGenerator) for step in steps),
    )


def _shorten(items: Sequence[str], each: int = 1) -> list[str]:
    """``items``, or the first and last few of a long list; ``each`` of them belong to one level."""
    if len(items) <= SHOWN_LEVELS * each:
        return list(items)
    return [*items[: KEPT * each], "...", *items[-KEPT * each :]]


_PLAN_HEAD = f"{'level':>5} {'D':>4} {'G':>4} {'weight':>11} {'effective':>11} {'Adam step':>11}"
_PUSH_HEAD = f"{'level':>5} {'D':>4} {'step size':>11}"


def _push_row(level: LevelPlan) -> str:
    return f"{level.level:>5} {level.d_updates:>4} {level.weight:>11.6g}"


def _row(level: LevelPlan) -> str:
    return (
        f"{level.level:>5} {level.d_updates:>4} {level.g_updates:>4} {level.weight:>11.6g} "
        f"{level.effective_weight:>11.6g} {level.nominal_step:>11.4g}"
    )


def _shown_stage(stage: Stage, figures: Plan, batch_size: int) -> list[str]:
    """The work of a round that stores discriminators, for batches of ``batch_size``, as text."""
    pool, batches = stage.pool_size, ceil(stage.pool_size / batch_size)
    total = sum(level.weight for level in figures.levels)
    return [
        f"updates per round          {figures.d_updates} D, {stage.fit_updates(batch_size)} G in {stage.epochs} epochs "
        f"of a fit to {pool} samples",
        f"stored discriminators      {stage.stored}, as many pushes of each sample drawn after training",
        f"refinement passes          {stage.passes(batch_size)} = {stage.replayed} for D's fakes + "
        f"{stage.pool_pushes * batches} for the pool ({batches} batches of {batch_size})",
        f"sum of the step sizes      {total:.4g}   compare schedules at equal sums",
        "",
        "D: discriminator update, S: store it, P: push the pool by it, F: an epoch of the generator's fit. A pass: one",
        "batch through a discriminator, forward and back to the input. The weights are step sizes, eta x w.",
    ]


def _shown_reals(figures: Plan, batch_size: int, g_reals: int) -> list[str]:
    """The real images of a round, where generator updates need ``g_reals`` each: no clock counts those."""
    if not g_reals:
        return []
    return [
        f"real images per round      {figures.d_updates * batch_size:,} in D updates, which the clock counts, and "
        f"{figures.g_updates * g_reals:,} more in G updates",
    ]


def _shown_updates(figures: Plan, g_cost: float, reals: list[str], moments: MomentDecays | None) -> list[str]:
    """The work and the cost of a round of updates of both players, as text."""
    return [
        f"updates per round          {figures.d_updates} D, {figures.g_updates} G",
        f"cost per D update          {figures.cost(g_cost):.3g} x CTS (a G update costs {g_cost:g} D updates)",
        *reals,
        f"effective weight per D     {figures.effective_per_d_update:.3f}   under SGD; CTS: 1",
        f"Adam steps per D           {figures.nominal_steps_per_d_update:.3f}   nominal; without annealing: "
        f"{figures.g_updates / figures.d_updates:.3g}",
        f"root mean square weight    {figures.rms_weight:.4f}",
        "",
        "effective = sum of the level's weights (j w_j). Adam cancels a constant weight: a step's nominal length",
        f"under it, in learning rates, {_memory(moments)}; gradients of equal size.",
    ]


def _memory(moments: MomentDecays | None) -> str:
    if moments is None:
        return "is weight / root mean square weight where 1 / (1 - beta2) is much longer than a round"
    return f"is that of averages with beta1 = {moments.beta1:g} and beta2 = {moments.beta2:g}"


def plan_as_text(
    scheme: Scheme, g_cost: float = 1.0, batch_size: int = 64, g_reals: int = 0, moments: MomentDecays | None = None
) -> str:
    """One round of ``scheme`` as text; ``g_reals`` are the real images of one generator update."""
    figures = plan(scheme, moments=moments)
    moves = _shorten(figures.sequence.split(" "), each=2 if figures.stage is None else 3)
    weights = _shorten([f"{level.weight:.6g}" for level in figures.levels])
    if figures.stage is None:
        head, rows = _PLAN_HEAD, [_row(level) for level in figures.levels]
        below = _shown_updates(figures, g_cost, _shown_reals(figures, batch_size, g_reals), moments)
    else:
        head, rows = _PUSH_HEAD, [_push_row(level) for level in figures.levels]
        below = _shown_stage(figures.stage, figures, batch_size)
    return "\n".join(
        [
            f"scheme   {scheme}",
            f"round    {' '.join(moves)}",
            f"weights  {', '.join(weights)}",
            "",
            head,
            *_shorten(rows),
            "",
            *below,
        ]
    )
