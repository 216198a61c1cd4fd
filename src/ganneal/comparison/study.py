"""A study: which experiments, which seeds, equal in what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

from ganneal.config import difference, encode
from ganneal.experiment import Budget, Experiment
from ganneal.optim import SGD, OptimizerConfig
from ganneal.plan import plan
from ganneal.schemes import Alternating, Nested, Scheme
from ganneal.weights import MatchedConstant, Ones

BudgetClock = Literal["num_real", "d_updates", "g_updates", "seconds"]
CLOCKS: tuple[BudgetClock, ...] = ("num_real", "d_updates", "g_updates", "seconds")
WORDS = {"num_real": "real images", "d_updates": "D updates", "g_updates": "G updates", "seconds": "seconds"}


@dataclass(frozen=True)
class Like:
    """A budget taken from another arm: as much of ``clock`` as its run of the same seed used."""

    arm: str
    clock: BudgetClock


@dataclass(frozen=True)
class Arm:
    """One experiment of a study under the name it has there; its seed and budget are the study's."""

    name: str
    experiment: Experiment
    like: Like | None = None
    """None gives it the study's own clock and amount."""

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise ValueError(f"an arm's name must be fit for a folder, got {self.name!r}; give LABEL=EXPERIMENT.")


@dataclass(frozen=True)
class Study:
    """Arms x seeds under one clock. The first arm is what the others are compared with, but for ``baseline``."""

    name: str
    arms: tuple[Arm, ...]
    seeds: tuple[int, ...]
    clock: BudgetClock
    amount: float
    baseline: str

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"arms must be one or more with different names, got {names}; give LABEL=EXPERIMENT.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must be one or more different numbers of at least 0, got {self.seeds}.")
        if self.clock not in CLOCKS:
            raise ValueError(f"clock must be one of {', '.join(CLOCKS)}, got {self.clock!r}.")
        if not 0 < self.amount < inf or (self.clock != "seconds" and self.amount != int(self.amount)):
            raise ValueError(f"amount must be above 0, finite, whole but for seconds, got {self.amount} {self.clock}.")
        if self.baseline not in names:
            raise ValueError(f"baseline must be one of the arms {', '.join(names)}, got {self.baseline!r}.")
        for arm in self.arms:
            if arm.like is not None and (arm.like.arm not in names or self.arm(arm.like.arm).like is not None):
                raise ValueError(f"arm {arm.name} is like {arm.like.arm!r}, which is no arm with a budget of its own.")
        for arm in self.arms[1:]:
            if changes := difference(measured(self.arms[0]), measured(arm)):
                raise ValueError(
                    f"arms must be measured alike, got {self.arms[0].name} and {arm.name} with other "
                    f"{'; '.join(changes)}; give all of them the same data, records.extractor and "
                    f"records.evaluate_count."
                )

    def arm(self, name: str) -> Arm:
        """The arm called ``name``."""
        return next(arm for arm in self.arms if arm.name == name)

    def budget(self) -> Budget:
        """What each arm without a ``like`` may use."""
        return _budget(self.clock, self.amount)

    def experiment(self, arm: Arm, seed: int, used: Budget | None) -> Experiment:
        """The experiment of one run; ``used`` is the budget of an arm that is like another."""
        return replace(arm.experiment, seed=seed, budget=self.budget() if used is None else used)

    def equal_in(self, arm: Arm) -> str:
        """In words, what the arm's budget is equal in."""
        if arm.like is None:
            return f"{self.amount:g} {WORDS[self.clock]}"
        return f"{WORDS[arm.like.clock]} of {arm.like.arm}, seed by seed"

    def describe(self) -> dict[str, Any]:
        """The study as JSON types, seeds apart: what may not change when it is taken up again."""
        return {
            "name": self.name,
            "clock": self.clock,
            "baseline": self.baseline,
            "measured": measured(self.arms[0]),
            "arms": {
                arm.name: {
                    "experiment": {
                        key: value for key, value in arm.experiment.identity().items() if key not in ("seed", "name")
                    },
                    "like": encode(arm.like),
                }
                for arm in self.arms
            },
        }


def measured(arm: Arm) -> dict[str, Any]:
    """What decides the number that a run is judged by, as JSON types: with another one it is another number."""
    records = arm.experiment.records
    return {
        "data": encode(arm.experiment.data),
        "records": {"extractor": encode(records.extractor), "evaluate_count": records.evaluate_count},
    }


def _budget(clock: BudgetClock, amount: float) -> Budget:
    match clock:
        case "seconds":
            return Budget(seconds=amount)
        case "num_real":
            return Budget(num_real=int(amount))
        case "d_updates":
            return Budget(d_updates=int(amount))
        case "g_updates":
            return Budget(g_updates=int(amount))


def used_budget(like: Like, outcome: dict[str, Any]) -> Budget:
    """The budget of a run that is like another whose ``outcome`` is known."""
    return _budget(like.clock, outcome[like.clock])


def matched_control(experiment: Experiment, scheme: Nested) -> Experiment:
    """``experiment`` without annealing but with the same total generator step.

    Under SGD a constant weight of the same mass does it. Optimizers that divide by their gradient's size cancel a
    constant, so there the generator's learning rate is multiplied by the ratio of nominal steps per discriminator
    update, `Plan.nominal_steps_per_d_update` with and without annealing: for Adam that is ``matched-step``.
    """
    plain = replace(scheme, weights=Ones())
    if isinstance(experiment.g_optimizer, SGD):
        return replace(experiment, scheme=replace(scheme, weights=MatchedConstant(scheme.weights)))
    ratio = plan(scheme).nominal_steps_per_d_update / plan(plain).nominal_steps_per_d_update
    return replace(experiment, scheme=plain, g_optimizer=_with_lr(experiment.g_optimizer, ratio))


def _with_lr(optimizer: OptimizerConfig, factor: float) -> OptimizerConfig:
    return replace(optimizer, lr=optimizer.lr * factor)  # type: ignore[type-var]


def controls(nats: Arm, clock: BudgetClock) -> tuple[Arm, ...]:
    """What a claim for nested annealed training must be held against.

    Nested training without annealing; common training at the study's clock, and at the other of D updates and seconds
    that ``nats`` used; and the control of the same total generator step.

    Raises:
        ValueError: The arm's scheme is not nested and annealed.
    """
    scheme = nats.experiment.scheme
    if not isinstance(scheme, Nested) or isinstance(scheme.weights, Ones):
        raise ValueError(
            f"controls are for a nested annealed scheme, got {scheme} in {nats.name}; leave --controls out."
        )
    common: Scheme = Alternating(d_steps=scheme.d_steps)
    matched = "matched-constant" if isinstance(nats.experiment.g_optimizer, SGD) else "matched-step"
    by_time = clock == "seconds"
    other: BudgetClock = "d_updates" if by_time else "seconds"
    cts = replace(nats.experiment, scheme=common)
    return (
        Arm("cts", cts),
        Arm("cts-equal-updates" if by_time else "cts-equal-seconds", cts, Like(nats.name, other)),
        Arm("nts", replace(nats.experiment, scheme=replace(scheme, weights=Ones()))),
        Arm(matched, matched_control(nats.experiment, scheme)),
    )


def annealed(arms: Sequence[Arm]) -> Arm:
    """The one arm whose scheme is nested and annealed.

    Raises:
        ValueError: There is none, or more than one.
    """
    found = [
        a for a in arms if isinstance(a.experiment.scheme, Nested) and not isinstance(a.experiment.scheme.weights, Ones)
    ]
    if len(found) != 1:
        raise ValueError(
            f"--controls needs one arm with a nested annealed scheme, got {[a.name for a in found]}; name one."
        )
    return found[0]
