"""Plain-language verdicts on a run while it trains: rules that read the record so far, each with the figure behind it.

A rule reads the record and is silent while there is nothing to say. `Watch` says each thing once, and when it is over.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Any, Literal, NamedTuple

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

BY_CHANCE = 12.0
"""Samples that are too many whatever their share: a perfect generator has so many near duplicates with probability
exp(-6)."""

COLLAPSING = frozenset({"mode-loss", "duplicates"})
"""The verdicts that `Records.on_collapse` acts on when they are alarms."""


@dataclass(frozen=True)
class Verdict:
    """A fault, or the end of one, in words and with its figure."""

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


RuleFinding = tuple[Severity, str, float, str]
"""Finding of a rule: severity, text, figure and the figure's name."""


class HealthRule(NamedTuple):
    """A condition on the record of a run; None while all is well or nothing can be said."""

    name: str
    key: str
    """The column it reads."""
    find: Callable[[Series], RuleFinding | None]

    def __call__(self, series: Series) -> Verdict | None:
        """A warning or an alarm, or None."""
        found = self.find(series)
        return None if found is None else Verdict(self.name, *found)


def _early(series: Series) -> bool:
    """True if fewer than `BEGUN` discriminator updates are made. A record that does not count them is not early."""
    updates = series["d_updates"]
    return bool(updates) and updates[-1] < BEGUN


def too_strong(series: Series) -> RuleFinding | None:
    """D ranks 99 % of held-out reals above the samples, at three evaluations in a row."""
    # Ranks and not logits: they have no unit, so one threshold suits every loss.
    recent, patience = series["d_accuracy"][-3:], 3
    if len(recent) < patience or min(recent) < 0.99:
        return None
    distance = series["distance"]
    # A discriminator that ranks nearly all pairs rightly is no harm while the samples still get better.
    falling = len(distance) > 1 and distance[-1] < min(distance[:-1])
    meaning = (
        "the distance to the data still fell at this point; should it stop falling, lower D's learning rate"
        if falling
        else "the generator learns little from it. Lower its learning rate"
    )
    text = (
        f"The discriminator has ranked {100 * recent[-1]:.1f} % of real samples above generated ones, for {patience} "
        f"evaluations: {meaning}. You can also add a regularizer such as r1 (not with batch norm in D), or give the "
        "generator more updates."
    )
    return "warning", text, recent[-1], "share of real-generated pairs that D ranks correctly"


def vanishing_gradient(series: Series) -> RuleFinding | None:
    """The generator's gradient has been below a thousandth of its largest for five rows."""
    norms, rows = series["g_grad_norm"], 5
    # As many rows before the last five as are in them, or the largest so far would be one of a few noisy ones.
    if len(norms) < 2 * rows:
        return None
    usual, recent = max(norms[:-rows]), max(norms[-rows:])
    # Against the run's own largest gradient: the scale of a gradient depends on loss, network and batch.
    if recent >= 1e-3 * usual:
        return None
    text = (
        f"The generator's gradient is {recent:.2g}, {recent / usual:.1g} of its largest so far: it has stopped "
        "learning. Use a non-saturating loss, a weaker discriminator or a penalty on the discriminator."
    )
    return "warning", text, recent, "norm of the generator's gradient"


def mode_loss(series: Series) -> RuleFinding | None:
    """Coverage of the real samples is below half its best, an alarm below a tenth, where the best was 0.1 or more."""
    coverage = series["coverage"]
    # A generator that never covered a tenth has not collapsed: it has not begun.
    if len(coverage) < 2 or max(coverage[:-1]) < 0.1 or _early(series):
        return None
    best, now = max(coverage[:-1]), coverage[-1]
    if now >= 0.5 * best:
        return None
    # Below half of its best some kinds of samples are gone, below a tenth nearly all of them are.
    collapsed = now < 0.1 * best
    text = (
        f"Coverage of the real samples fell from {best:.2f} to {now:.2f}: the generator "
        f"{'has collapsed onto few of them' if collapsed else 'is losing kinds of samples'}. Go back to best/, "
        f"lower the learning rates or add a regularizer."
    )
    figure_name = "share of real samples with a generated one in their neighbourhood"
    return "alarm" if collapsed else "warning", text, now, figure_name


def near_duplicates(series: Series) -> RuleFinding | None:
    """Many samples are all but copies of one another; an alarm where that had been otherwise, so not at the start.

    Of n real samples the closest pair decides what is close. So a perfect generator of n samples exceeds the share s
    with probability exp(-s n / 2), about: by chance one in 400 evaluations of 60 images exceeds 0.2.
    """
    shares = series["duplicates"]
    if len(shares) < 2 or _early(series):  # the first is that of the untrained generator
        return None
    # A record without that column is taken to be of data without copies.
    expected = series["duplicates_expected"][-1] if series["duplicates_expected"] else EXPECTED
    compared = series["compared"][-1] if series["compared"] else inf
    # Few samples reach a large share by chance, and data with copies of its own make near duplicates look normal.
    most = max(0.2, BY_CHANCE / compared) + max(0.0, expected - EXPECTED)
    if shares[-1] <= most:
        return None
    # A generator that has not begun makes near duplicates only; to lose variety it must have had some.
    collapsed = shares[-1] > 0.8 and min(shares) <= most
    text = (
        f"{100 * shares[-1]:.0f} % of the samples lie closer to another sample than 99 % of real ones lie to "
        f"another real one: near duplicates. Expected of a perfect generator: {100 * expected:.0f} %."
    )
    figure_name = "share of samples closer to another than the 1st percentile among real ones"
    return "alarm" if collapsed else "warning", text, shares[-1], figure_name


def oscillation(series: Series) -> RuleFinding | None:
    """The distance has turned up or down by half or more at each of the last five evaluations."""
    # Six evaluations have five steps between them, and four places where the direction may turn.
    recent, swing, turns = series["distance"][-6:], 1.5, 4
    if len(recent) < turns + 2 or min(recent) <= 0:
        return None
    steps = list(zip(recent, recent[1:], strict=False))
    # Turning at each step is what circling looks like; a swing alone may be noise.
    rises = [after > before for before, after in steps]
    turning = all(a != b for a, b in zip(rises, rises[1:], strict=False))
    if not turning or any(max(step) < swing * min(step) for step in steps):
        return None
    text = (
        f"The distance to the data went up and down by {swing:g} times or more at each of the last {len(steps)} "
        "evaluations. The players circle each other. Use a longer --averaging.half-life or lower learning rates."
    )
    return "warning", text, max(recent) / min(recent), "largest over smallest of the recent distances"


def nan_risk(series: Series) -> RuleFinding | None:
    """A player's gradient is a thousand times its median: NaN is near."""
    for key, what in (("d_grad_norm", "discriminator's gradient"), ("g_grad_norm", "generator's gradient")):
        norms = series[key]
        # A median of fewer is whatever the first updates happened to be.
        if len(norms) <= 5:
            continue
        # The median, as one early spike would lift a mean.
        usual = sorted(norms[:-1])[len(norms[:-1]) // 2]
        if usual > 0 and norms[-1] > 1e3 * usual:
            text = (
                f"The {what} is {norms[-1]:.2g}, {norms[-1] / usual:.2g} times its median so far. Training is close "
                "to NaN. Lower the learning rates, or add a regularizer such as r1."
            )
            return "alarm", text, norms[-1], f"norm of the {what}"
    return None


# In the order in which verdicts are shown; names are those of the verdicts in health.jsonl.
HEALTH_RULES: dict[str, HealthRule] = {
    rule.name: rule
    for rule in (
        HealthRule("discriminator-too-strong", "d_accuracy", too_strong),
        HealthRule("vanishing-generator-gradient", "g_grad_norm", vanishing_gradient),
        HealthRule("mode-loss", "coverage", mode_loss),
        HealthRule("duplicates", "duplicates", near_duplicates),
        HealthRule("oscillation", "distance", oscillation),
        HealthRule("nan-risk", "d_grad_norm", nan_risk),
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
        # The verdicts that rows of before lead to are dropped: they stand in the record already.
        for row in rows:
            self(row)

    def __call__(self, row: Row) -> list[Verdict]:
        """The verdicts that are new with ``row``, and a good one for each that is over."""
        for column, value in row.items():
            # A value that is no number would spoil every maximum and every comparison from then on.
            if isinstance(value, int | float) and isfinite(value):
                # Rules know the distance by one name, whatever its extractor.
                self.series["distance" if column == self.distance else column].append(value)
        return [change for rule in self.rules.values() if (change := self._change(rule)) is not None]

    def collapse(self, row: Row) -> Verdict | None:
        """The alarm in `COLLAPSING` that stands at the evaluation in ``row``, whether it is new or not."""
        for name, rule in self.rules.items():
            verdict = self.standing.get(name)
            # Only at an evaluation: between two of them the verdict rests on values that were acted on already.
            if name in COLLAPSING and rule.key in row and verdict is not None and verdict.severity == "alarm":
                return verdict
        return None

    def _change(self, rule: HealthRule) -> Verdict | None:
        # Popped whatever comes of it, and put back only while the rule still finds something.
        verdict, before = rule(self.series), self.standing.pop(rule.name, None)
        if verdict is not None:
            self.standing[rule.name] = verdict
            # Said once, and again only when it gets better or worse.
            return verdict if before is None or verdict.severity != before.severity else None
        if before is None:
            return None
        latest = (self.series[rule.key] or [before.figure])[-1]
        return Verdict(rule.name, "good", f"{rule.name}: no longer.", latest, rule.key)
