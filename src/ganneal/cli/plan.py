"""`ganneal plan`: what a schedule does, in figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Annotated

from ganneal.cli.command import Command
from ganneal.cli.fields import ARGUMENT
from ganneal.moments import MomentDecays
from ganneal.plan import KEPT, SHOWN_LEVELS, LevelPlan, Plan, Stage, plan
from ganneal.registry import nearest
from ganneal.schemes import SCHEMES, Scheme
from ganneal.weights import WEIGHTS


@dataclass(frozen=True)
class PlanCommand(Command):
    """Print one round of a schedule, its update counts, cost and step sizes."""

    parts = {"scheme": ("scheme", SCHEMES), "scheme.weights": ("weight rule", WEIGHTS)}
    opens = "scheme or experiment"

    name: Annotated[str, ARGUMENT]
    """A scheme or an experiment."""
    scheme: Scheme
    g_cost: float = 1.0
    """Cost of one generator update over that of one discriminator update."""
    batch_size: int = 64
    """Real images of one discriminator update, and samples of one pass."""
    beta1: float = 0.0
    """Decay of the generator's average gradient, for the Adam steps."""
    beta2: float | None = None
    """Decay of its average squared gradient (smoothing of RMSProp); None takes a memory much longer than a round."""

    def __post_init__(self) -> None:
        if not self.g_cost > 0:
            raise ValueError(f"g_cost must be above 0, got {self.g_cost}.")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {self.batch_size}.")
        for name in ("beta1", "beta2"):
            if (value := getattr(self, name)) is not None and not 0 <= value < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {value}; Adam's are 0.5 and 0.999.")

    @property
    def moments(self) -> MomentDecays | None:
        """Those of the generator's optimizer, None where its memory is long."""
        return None if self.beta2 is None else MomentDecays(self.beta1, self.beta2)

    @classmethod
    def begun(cls, first: str) -> "PlanCommand":
        """The plan of the scheme of that name, or of the experiment of that name."""
        if first in SCHEMES:
            return cls(first, SCHEMES[first])
        from ganneal.experiments import EXPERIMENTS

        if first not in EXPERIMENTS:
            raise ValueError(f"unknown scheme or experiment {first!r}. {nearest(first, SCHEMES | EXPERIMENTS)}")
        experiment = EXPERIMENTS[first]()
        own = getattr(experiment.g_optimizer, "moments", None) or MomentDecays(0.0, 0.999)
        return cls(first, experiment.scheme, batch_size=experiment.batch_size, beta1=own.beta1, beta2=own.beta2)

    @classmethod
    def more(cls) -> Mapping[str, str]:
        """Some fields of schemes."""
        return {
            "--scheme.levels N": "Levels of a nested scheme (N_d).",
            "--scheme.steps N": "Functional steps of a scheme that pushes samples.",
            "--scheme.d-steps N": "Discriminator updates per level.",
            "--scheme.weights NAME": " | ".join(WEIGHTS),
            "--scheme.weights.first X, --scheme.weights.last X": "Weights of the first and the last level.",
        }

    def __call__(self, typed: str) -> None:
        """Print."""
        if self.name in SCHEMES:
            print(plan_as_text(self.scheme, self.g_cost, self.batch_size, moments=self.moments))
            return
        from ganneal.experiments import EXPERIMENTS
        from ganneal.training.forewarning import forewarning

        planned = replace(EXPERIMENTS[self.name](), scheme=self.scheme, batch_size=self.batch_size)
        print(plan_as_text(self.scheme, self.g_cost, self.batch_size, planned.generator_reals, self.moments))
        if warning := forewarning(planned):
            print(f"\nwarning: {warning}")


def _shorten(items: Sequence[str], each: int = 1) -> list[str]:
    """``items``, or the first and last few of a long list; ``each`` of them belong to one level."""
    if len(items) <= SHOWN_LEVELS * each:
        return list(items)
    return [*items[: KEPT * each], "...", *items[-KEPT * each :]]


PLAN_HEAD = f"{'level':>5} {'D':>4} {'G':>4} {'weight':>11} {'effective':>11} {'Adam step':>11}"
PUSH_HEAD = f"{'level':>5} {'D':>4} {'step size':>11}"


def _push_row(level: LevelPlan) -> str:
    return f"{level.level:>5} {level.d_updates:>4} {level.weight:>11.6g}"


def _row(level: LevelPlan) -> str:
    return (
        f"{level.level:>5} {level.d_updates:>4} {level.g_updates:>4} {level.weight:>11.6g} "
        f"{level.effective_weight:>11.6g} {level.nominal_step:>11.4g}"
    )


def _shown_stage(stage: Stage, figures: Plan, batch_size: int) -> list[str]:
    """What a round that stores discriminators does, for batches of ``batch_size``."""
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
    """What a round of updates of both players does and costs."""
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
        head, rows = PLAN_HEAD, [_row(level) for level in figures.levels]
        below = _shown_updates(figures, g_cost, _shown_reals(figures, batch_size, g_reals), moments)
    else:
        head, rows = PUSH_HEAD, [_push_row(level) for level in figures.levels]
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
