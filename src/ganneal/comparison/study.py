"""A study: which experiments, which seeds, equal in what."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from ganneal.checks import check
from ganneal.clocks import CLOCKS, BudgetClock
from ganneal.data.places import file_hashes, found_at, places, without_places
from ganneal.experiment import Budget, Experiment
from ganneal.losses import weight_scales_gradient
from ganneal.optim import CG, OptimizerConfig, PacedCG, moment_decays
from ganneal.plan import plan
from ganneal.report.records import STUDY
from ganneal.schemes import Alternating, FunctionalGradient, Nested, Scheme
from ganneal.storage.encoding import difference, encode
from ganneal.weights import MatchedConstant, Ones, Reversed

TAKEN = (STUDY, "results.json", "table.md", "report.html")
"""Files beside the folders of the arms; no arm may have such a name."""
MATCHED_STEP, MATCHED_CONSTANT = MATCHED = ("matched-step", "matched-constant")
"""Names of the control with the same total generator step, where a constant weight cancels and where it does not."""
REVERSED = "cfg-reversed"
"""Name of the control with the weights reversed, which is annealed itself."""
# File systems take 255 bytes for a name, of which endings and temporary names need some.
LONGEST_ARM_NAME = 200
WEIGHT_ROUNDING = 1e-9
"""Weights that differ by less, relatively, are one weight: powers of a constant come out so."""
SHORT_CLOCK_WORDS: dict[BudgetClock, str] = {
    "num_real": "real images",
    "d_updates": "D updates",
    "g_updates": "G updates",
    "seconds": "seconds",
    "cpu_seconds": "processor seconds",
}


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
        bad = not self.name or self.name[0] == "." or self.name in TAKEN or len(self.name.encode()) > LONGEST_ARM_NAME
        # A slash would make a folder within a folder, a bar another cell of the table.
        if bad or any(letter in "/|" or not letter.isprintable() for letter in self.name):
            raise ValueError(
                f"the name of an arm must be usable as a folder and in a table, got {self.name!r}. It may not hold / "
                f"or |, begin with a dot, or be one of {', '.join(TAKEN)}. Give another as LABEL=EXPERIMENT."
            )
        check(self.experiment)
        if self.experiment.ranks > 1:
            raise ValueError(
                f"a study trains each run in one process, got devices x nodes = {self.experiment.ranks} in the arm "
                f"{self.name}. Leave them out, or run `ganneal train` with them."
            )

    def with_threads(self, threads: int) -> "Arm":
        """The arm with its share of the cores, where its experiment does not say: oversubscribed threads cost a lot."""
        if self.experiment.threads is not None:
            return self
        return replace(self, experiment=replace(self.experiment, threads=threads))


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
        if not 0 < self.amount < inf or (not self.clock.endswith("seconds") and self.amount != int(self.amount)):
            raise ValueError(f"amount must be above 0, finite, whole but for times, got {self.amount} {self.clock}.")
        if self.baseline not in names:
            raise ValueError(f"baseline must be one of the arms {', '.join(names)}, got {self.baseline!r}.")
        for arm in self.arms:
            # No chain of likes: the budget of a model must not wait for another run.
            if arm.like is not None and (arm.like.arm not in names or self.arm(arm.like.arm).like is not None):
                raise ValueError(f"arm {arm.name} is like {arm.like.arm!r}, which is no arm with a budget of its own.")
        for arm in self.arms[1:]:
            if changes := difference(_measured_at(self.arms[0]), _measured_at(arm)):
                raise ValueError(
                    f"arms must be measured alike, got {self.arms[0].name} and {arm.name} with other "
                    f"{'; '.join(changes)}; give all of them the same data, records.extractor and "
                    f"records.evaluate_count."
                )

    def arm(self, name: str) -> Arm:
        """The arm called ``name``."""
        return next(arm for arm in self.arms if arm.name == name)

    def budget(self) -> Budget:
        """Limit of each arm without a ``like``."""
        return budget_of(self.clock, self.amount)

    def experiment(self, arm: Arm, seed: int, used: Budget | None) -> Experiment:
        """The experiment of one run; ``used`` is the budget of an arm that is like another.

        It is measured at its own points alone, to the end of its budget: points by the clock fall elsewhere next time.
        """
        records = replace(arm.experiment.records, early_seconds=(), patience=None)
        budget = self.budget() if used is None else used
        return replace(arm.experiment, seed=seed, budget=budget, time_limit=None, records=records)

    def equal_in(self, arm: Arm) -> str:
        """In words, what the arm's budget is equal in."""
        if arm.like is None:
            return f"{count(self.amount)} {SHORT_CLOCK_WORDS[self.clock]}"
        return f"{SHORT_CLOCK_WORDS[arm.like.clock]} of {arm.like.arm}, seed by seed"

    def describe(self) -> dict[str, Any]:
        """As JSON types what may not change when it is taken up again: seeds, amount, name and baseline may."""
        return {
            "clock": self.clock,
            "measured": measured_with(self.arms[0]),
            "arms": {arm.name: {"experiment": _trained(arm), "like": encode(arm.like)} for arm in self.arms},
        }


def _trained(arm: Arm) -> dict[str, Any]:
    """The identity of the arm's training under every seed, as JSON types."""
    return {key: value for key, value in arm.experiment.identity().items() if key not in ("seed", "name")}


def measured_with(arm: Arm) -> dict[str, Any]:
    """The settings that decide the number by which a run is judged, as JSON types."""
    records = arm.experiment.records
    return {
        # Wherever the data lie, for a study may go on where they have been moved.
        "data": without_places(encode(arm.experiment.data), arm.experiment.data),
        "records": {
            "extractor": without_places(encode(records.extractor), records.extractor),
            "evaluate_count": records.evaluate_count,
        },
        "files of the extractor": file_hashes(records.extractor),
    }


def _measured_at(arm: Arm) -> dict[str, Any]:
    """`measured_with`, with where the data lie: arms of one study read them at one place."""
    # Two spellings of one place are one place.
    there = {name: str(found_at(place) or place) for name, place in places(arm.experiment.data).items()}
    return measured_with(arm) | {"place of the data": there}


def count(amount: float) -> str:
    """An amount of a clock, every digit of it.

    >>> count(1e6), count(2.5)
    ('1,000,000', '2.5')
    """
    return f"{int(amount):,}" if amount == int(amount) else f"{amount:,}"


def budget_of(clock: BudgetClock, amount: float) -> Budget:
    """``amount`` of ``clock`` alone."""
    return Budget(**{clock: amount if clock.endswith("seconds") else int(amount)})  # type: ignore[arg-type]


def matched_control(experiment: Experiment, scheme: Nested) -> Experiment:
    """``experiment`` without annealing but with the same total generator step.

    An optimizer that divides by its gradient's size cancels a constant weight. There the generator's learning rate is
    multiplied by the ratio of nominal steps per discriminator update with and without annealing, which depends on the
    decays of the optimizer's averages. Under all others, SGD and conjugate gradients, a constant weight of the same
    mass does it.

    Raises:
        ValueError: The generator's optimizer does not say which of both it is.
    """
    moments = moment_decays(experiment.g_optimizer)
    if moments is None:
        paced = experiment.g_optimizer
        if isinstance(paced, CG):  # whose directions compare gradients, and so the weights of one and the next
            paced = PacedCG(paced, scheme.levels, scheme.weights)
        # Level j has j updates, so the constant of the same mass is the sum of j w_j over the sum of j.
        return replace(experiment, scheme=replace(scheme, weights=MatchedConstant(scheme.weights)), g_optimizer=paced)
    plain = replace(scheme, weights=Ones())
    # Adam would cancel a constant weight but not a learning rate. The decays of its averages decide how far it goes as
    # the weight changes from level to level, so the ratio is of nominal steps and not of masses.
    ratio = plan(scheme, moments=moments).nominal_steps_per_d_update / plan(plain).nominal_steps_per_d_update
    return replace(experiment, scheme=plain, g_optimizer=with_lr(experiment.g_optimizer, ratio))


def with_lr(optimizer: OptimizerConfig, factor: float) -> OptimizerConfig:
    """``optimizer`` at ``factor`` times its learning rate."""
    return replace(optimizer, lr=optimizer.lr * factor)  # type: ignore[type-var]


def control_cautions(arm: Arm) -> list[str]:
    """Why the matched control of the annealed ``arm`` may walk another generator step than it, in sentences."""
    experiment = arm.experiment
    if not isinstance(experiment.scheme, Nested):
        return []
    found = []
    if not weight_scales_gradient(experiment.loss):
        found.append(
            f"under the loss {type(experiment.loss).__name__} the generator's pull is not in proportion to a weight on "
            f"the output: the matched control of {arm.name} may walk from 0.85 to 2.35 times its step. "
            f"--loss.weight-on loss makes it exact"
        )
    if why := getattr(experiment.g_optimizer, "unmatched", None):
        found.append(
            f"{type(experiment.g_optimizer).__name__} {why}: the matched control of {arm.name} may walk further or "
            f"less far than it"
        )
    return found


def is_annealed(scheme: Scheme) -> bool:
    """True if its weights differ from level to level."""
    match scheme:
        case Nested(levels=levels, weights=rule):
            # Of round 0, which stands for all: a rule that moves from round to round is judged by its first.
            weights = rule(range(1, levels + 1), 0)
        case FunctionalGradient(steps=steps, weights=rule):
            weights = rule((1,) * steps, 0)
        case _:
            return False
    # Geometric(1, 1) has constant weights and is not annealed, whatever its name.
    return max(weights) > min(weights) * (1 + WEIGHT_ROUNDING)


def controls(annealed: Arm, clock: BudgetClock) -> tuple[Arm, ...]:
    """The arms that a claim for annealing needs as controls. The first is the reference of the others.

    For nested training: common training at the study's clock, and at the other of D updates and time that
    ``annealed`` used; nested training without annealing; and the control of the same total generator step. For
    functional gradients: those without annealing, with a constant step of the same sum, and with the weights reversed.

    Raises:
        ValueError: The arm's scheme is not annealed.
    """
    scheme = annealed.experiment.scheme
    if is_annealed(scheme):
        match scheme:
            case Nested():
                return _nested_controls(annealed, scheme, clock)
            case FunctionalGradient():
                return _functional_controls(annealed, scheme)
    raise ValueError(
        f"controls need a nested annealed scheme or annealed functional gradients, got {scheme} in {annealed.name}; "
        "leave --controls out."
    )


def _nested_controls(nats: Arm, scheme: Nested, clock: BudgetClock) -> tuple[Arm, ...]:
    # Common training makes one generator update a level where level j of a nested round makes j: equal in updates it is
    # cheaper, equal in seconds it sees more data. Both stand in the table.
    common: Scheme = Alternating(d_steps=scheme.d_steps)
    # SGD and conjugate gradients walk in proportion to the loss, so that a constant weight is a match for them.
    matched = MATCHED_CONSTANT if moment_decays(nats.experiment.g_optimizer) is None else MATCHED_STEP
    by_time = clock.endswith("seconds")
    other: BudgetClock = "d_updates" if by_time else "seconds"
    cts = replace(nats.experiment, scheme=common)
    return (
        Arm("cts", cts),
        Arm("cts-equal-updates" if by_time else "cts-equal-seconds", cts, Like(nats.name, other)),
        Arm("nts", replace(nats.experiment, scheme=replace(scheme, weights=Ones()))),
        Arm(matched, matched_control(nats.experiment, scheme)),
    )


def _functional_controls(annealed: Arm, scheme: FunctionalGradient) -> tuple[Arm, ...]:
    # A push is no step of an optimizer that could cancel a constant: one of the same sum is an exact match.
    rules = {"cfg": Ones(), "cfg-matched": MatchedConstant(scheme.weights), REVERSED: Reversed(scheme.weights)}
    return tuple(
        Arm(name, replace(annealed.experiment, scheme=replace(scheme, weights=rule))) for name, rule in rules.items()
    )


def first_control(arms: Sequence[Arm]) -> str:
    """The control among ``arms`` that the others are compared with: common training, or plain functional gradients."""
    return next(arm.name for arm in arms if arm.name in ("cts", "cfg"))


def with_controls(arms: Sequence[Arm], clock: BudgetClock) -> tuple[Arm, ...]:
    """The arms and the controls of the one that is annealed; a control that is there already is not added.

    Raises:
        ValueError: No arm is annealed, or more than one; or an arm has a control's name and is another.
    """
    # The reversed control is annealed too, and asks for no controls of its own.
    found = [arm for arm in arms if is_annealed(arm.experiment.scheme) and arm.name != REVERSED]
    if len(found) != 1:
        raise ValueError(
            f"--controls needs one arm with a nested annealed scheme or annealed functional gradients, got "
            f"{[arm.name for arm in found]}; compare each of several in a study of its own."
        )
    own = {arm.name: arm for arm in arms}
    added = controls(found[0], clock)
    for control in added:
        mine = own.get(control.name)
        # Seed and budget are the study's, so that only what is trained and what it is like can differ.
        if mine is not None and (mine.like != control.like or _trained(mine) != _trained(control)):
            raise ValueError(
                f"the arm {mine.name} has the name of a control and is another:\n  "
                f"{'; '.join(difference(_trained(control), _trained(mine))) or f'like: {control.like} -> {mine.like}'}"
                f"\ngive it another label, as my-{mine.name}=EXPERIMENT."
            )
    return (*arms, *(control for control in added if control.name not in own))


def seeds_of(text: str) -> tuple[int, ...]:
    """Seeds from a number of them or a list, as 3 or 0,3,7."""
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    # A number alone counts seeds; in a list 0 is one of them.
    least = 1 if len(numbers) == 1 else 0
    if not numbers or min(numbers) < least:
        raise ValueError(f"--seeds must be a number of seeds of at least 1, or a list as 0,3,7, got {text!r}.")
    return tuple(numbers) if len(numbers) > 1 else tuple(range(numbers[0]))
