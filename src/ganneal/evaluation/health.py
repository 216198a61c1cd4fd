"""Plain-language verdicts on a run while it trains: rules that read the record so far, each with the figure behind it.

A rule is a frozen dataclass, silent while there is nothing to say. `Watch` says each thing once, and when it is over.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Any, Literal, Protocol, runtime_checkable

from ganneal.losses.outputs import UNKNOWN, Output
from ganneal.stop import Row

Severity = Literal["good", "warning", "alarm"]

BEGUN = 100
"""Discriminator updates before which nothing is said of the samples' variety: at Adam's usual 0.0002 they move a weight
by 0.02, as much as it is drawn with, so the samples are still much like those of an untrained generator."""

FADING = frozenset({"discriminator-too-strong"})
"""The verdicts that rest on a generator's gradient that fades as the discriminator gets better."""
EXPECTED = 0.01
"""Share of near duplicates of a perfect generator of many samples, of data without copies."""

COLLAPSING = frozenset({"mode-loss", "duplicates"})
"""The verdicts that `Records.on_collapse` acts on when they are alarms."""


@dataclass(frozen=True)
class Verdict:
    """What is wrong, or over, in words and with its figure."""

    name: str
    severity: Severity
    text: str
    figure: float
    figure_name: str

    def as_dict(self) -> dict[str, Any]:
        """JSON types."""
        return asdict(self)


Series = Mapping[str, Sequence[float]]
"""The finite values of each column of the log so far, newest last; a column that never came is empty."""


@runtime_checkable
class HealthRule(Protocol):
    """A condition on the record of a run."""

    @property
    def name(self) -> str:
        """Of its verdict."""
        ...

    @property
    def key(self) -> str:
        """The column it reads."""
        ...

    def __call__(self, series: Series) -> Verdict | None:
        """A warning or an alarm, or None while all is well or nothing can be said."""
        ...


def _early(series: Series, begun: int) -> bool:
    """Whether fewer than ``begun`` discriminator updates are made; a record that does not count them is not early."""
    updates = series["d_updates"]
    return bool(updates) and updates[-1] < begun


@dataclass(frozen=True)
class DiscriminatorTooStrong:
    """D ranks nearly every held-out real above every sample, at ``patience`` evaluations in a row."""

    accuracy: float = 0.99
    patience: int = 3
    name = "discriminator-too-strong"
    key = "d_accuracy"

    def __call__(self, series: Series) -> Verdict | None:
        recent = series["d_accuracy"][-self.patience :]
        if len(recent) < self.patience or min(recent) < self.accuracy:
            return None
        distance = series["distance"]
        falling = len(distance) > 1 and distance[-1] < min(distance[:-1])
        meaning = (
            "the distance to the data still fell at this point; should it stop falling, lower D's learning rate"
            if falling
            else "the generator learns little from it. Lower its learning rate"
        )
        return Verdict(
            self.name,
            "warning",
            f"The discriminator ranks {100 * recent[-1]:.1f} % of real samples above generated ones, and has for "
            f"{self.patience} evaluations: {meaning}, add a regularizer such as r1 (not beside batch norm in D), or "
            f"give the generator more updates.",
            recent[-1],
            "share of pairs of a real and a generated sample that D ranks rightly",
        )


@dataclass(frozen=True)
class VanishingGradient:
    """The generator's gradient has become a small part of what it was."""

    fraction: float = 1e-3
    rows: int = 5
    name = "vanishing-generator-gradient"
    key = "g_grad_norm"

    def __call__(self, series: Series) -> Verdict | None:
        norms = series["g_grad_norm"]
        if len(norms) < 2 * self.rows:
            return None
        usual = max(norms[: -self.rows])
        recent = max(norms[-self.rows :])
        if recent >= self.fraction * usual:
            return None
        return Verdict(
            self.name,
            "warning",
            f"The generator's gradient is {recent:.2g}, {recent / usual:.1g} of its largest so far: it has stopped "
            f"learning. A non-saturating loss, a weaker discriminator or a penalty on it help.",
            recent,
            "norm of the generator's gradient",
        )


@dataclass(frozen=True)
class ModeLoss:
    """Coverage of the real samples has fallen well below its best."""

    warn: float = 0.5
    alarm: float = 0.1
    least: float = 0.1
    """Coverages that never exceeded this say nothing."""
    begun: int = BEGUN
    name = "mode-loss"
    key = "coverage"

    def __call__(self, series: Series) -> Verdict | None:
        coverage = series["coverage"]
        if len(coverage) < 2 or max(coverage[:-1]) < self.least or _early(series, self.begun):
            return None
        best, now = max(coverage[:-1]), coverage[-1]
        if now >= self.warn * best:
            return None
        collapsed = now < self.alarm * best
        return Verdict(
            self.name,
            "alarm" if collapsed else "warning",
            f"Coverage of the real samples fell from {best:.2f} to {now:.2f}: the generator "
            f"{'has collapsed onto few of them' if collapsed else 'is losing kinds of samples'}. Go back to best/, "
            f"lower the learning rates or add a regularizer.",
            now,
            "share of real samples with a generated one in their neighbourhood",
        )


@dataclass(frozen=True)
class Duplicates:
    """Many samples are all but copies of one another; an alarm where that had been otherwise, so not at the start.

    Of n real samples the closest pair decides what is close. So a perfect generator of n samples exceeds the share s
    with probability exp(-s n / 2), about: by chance one in 400 evaluations of 60 images exceeds 0.2.
    """

    warn: float = 0.2
    by_chance: float = 12.0
    """Samples that are too many whatever their share: a perfect generator has so many near duplicates with
    probability exp(-6)."""
    alarm: float = 0.8
    begun: int = BEGUN
    name = "duplicates"
    key = "duplicates"

    def __call__(self, series: Series) -> Verdict | None:
        shares = series["duplicates"]
        if len(shares) < 2 or _early(series, self.begun):  # the first is that of the untrained generator
            return None
        expected = series["duplicates_expected"][-1] if series["duplicates_expected"] else EXPECTED
        compared = series["compared"][-1] if series["compared"] else inf
        most = max(self.warn, self.by_chance / compared) + max(0.0, expected - EXPECTED)
        if shares[-1] <= most:
            return None
        collapsed = shares[-1] > self.alarm and min(shares) <= most
        return Verdict(
            self.name,
            "alarm" if collapsed else "warning",
            f"{100 * shares[-1]:.0f} % of the samples lie closer to another sample than 99 % of real ones lie to "
            f"another real one: near duplicates. Expected of a perfect generator: {100 * expected:.0f} %.",
            shares[-1],
            "share of samples closer to another than the 1st percentile among real ones",
        )


@dataclass(frozen=True)
class Oscillation:
    """The distance swings up and down by a large factor, evaluation after evaluation."""

    swing: float = 1.5
    turns: int = 4
    name = "oscillation"
    key = "distance"

    def __call__(self, series: Series) -> Verdict | None:
        recent = series[self.key][-(self.turns + 2) :]
        if len(recent) < self.turns + 2 or min(recent) <= 0:
            return None
        steps = list(zip(recent, recent[1:], strict=False))
        rises = [after > before for before, after in steps]
        turning = all(a != b for a, b in zip(rises, rises[1:], strict=False))
        if not turning or any(max(step) < self.swing * min(step) for step in steps):
            return None
        swing = max(recent) / min(recent)
        return Verdict(
            self.name,
            "warning",
            f"The distance to the data went up and down by {self.swing:g} times or more at each of the last "
            f"{len(steps)} evaluations: the players circle each other. A longer --averaging.half-life or lower "
            f"learning rates help.",
            swing,
            "largest over smallest of the recent distances",
        )


@dataclass(frozen=True)
class NonFiniteRisk:
    """Losses or gradients grow by orders of magnitude: NaN is near."""

    growth: float = 1e3
    rows: int = 5
    name = "nan-risk"
    key = "d_grad_norm"

    def __call__(self, series: Series) -> Verdict | None:
        for key, what in (("d_grad_norm", "discriminator's gradient"), ("g_grad_norm", "generator's gradient")):
            norms = series[key]
            if len(norms) <= self.rows:
                continue
            usual = sorted(norms[:-1])[len(norms[:-1]) // 2]
            if usual > 0 and norms[-1] > self.growth * usual:
                return Verdict(
                    self.name,
                    "alarm",
                    f"The {what} is {norms[-1]:.2g}, {norms[-1] / usual:.2g} times its median so far: not-a-number is "
                    f"near. Lower the learning rates, or add a regularizer such as r1.",
                    norms[-1],
                    f"norm of the {what}",
                )
        return None


HEALTH_RULES: dict[str, HealthRule] = {
    rule.name: rule
    for rule in (
        DiscriminatorTooStrong(),
        VanishingGradient(),
        ModeLoss(),
        Duplicates(),
        Oscillation(),
        NonFiniteRisk(),
    )
}
"""Rules by the name of their verdict."""


def suited_rules(output: Output) -> dict[str, HealthRule]:
    """The rules that hold under a loss whose discriminator has this ``output``.

    A critic that measures a distance is to rank all samples rightly: its gradient does not fade then.
    """
    return {name: rule for name, rule in HEALTH_RULES.items() if name not in FADING or not output.distance}


class Watch:
    """Applies rules to the rows as they come, and reports what has changed.

    Args:
        distance: Name of the column with the distance to the data.
        rows: What was logged before; what was said of it is not said again.
        output: Meaning of the discriminator's output under the loss, which decides the rules.
    """

    def __init__(self, distance: str, rows: Iterable[Row] = (), output: Output = UNKNOWN):
        self.rules = suited_rules(output)
        self.distance = distance
        self.series: dict[str, list[float]] = defaultdict(list)
        self.standing: dict[str, Verdict] = {}
        for row in rows:
            self(row)

    def __call__(self, row: Row) -> list[Verdict]:
        """The verdicts that are new with ``row``, and a good one for each that is over."""
        for column, value in row.items():
            if isinstance(value, int | float) and isfinite(value):
                self.series["distance" if column == self.distance else column].append(value)
        return [change for rule in self.rules.values() if (change := self._change(rule)) is not None]

    def collapse(self, row: Row) -> Verdict | None:
        """The alarm in `COLLAPSING` that stands at the evaluation in ``row``, whether it is new or not."""
        for name, rule in self.rules.items():
            verdict = self.standing.get(name)
            if name in COLLAPSING and rule.key in row and verdict is not None and verdict.severity == "alarm":
                return verdict
        return None

    def _change(self, rule: HealthRule) -> Verdict | None:
        verdict, before = rule(self.series), self.standing.pop(rule.name, None)
        if verdict is not None:
            self.standing[rule.name] = verdict
            return verdict if before is None or verdict.severity != before.severity else None
        if before is None:
            return None
        latest = (self.series[rule.key] or [before.figure])[-1]
        return Verdict(rule.name, "good", f"{rule.name}: no longer.", latest, rule.key)
