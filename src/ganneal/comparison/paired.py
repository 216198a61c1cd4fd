"""Two arms over the same seeds, every run counted: the one rule for comparisons and for reproduced tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any, Literal

from ganneal.metrics.intervals import SIGNIFICANCE_LEVEL, Better, PairedComparison, paired_comparison, verdict
from ganneal.metrics.p_values import holm

FAILURE_RULE = (
    "A run that diverged, collapsed or ends in no finite value is worse than every finite value. It is in no mean; its "
    "number stands beside the mean of the others. An arm is not called better if one of its runs failed or has not "
    "ended, nor if one diverged at a seed where the other arm's did not."
)
"""The rule for runs without a value, printed under each table."""

Winner = Literal["ours", "theirs"]


@dataclass(frozen=True)
class Standing:
    """The runs of one arm: values by seed, infinity for those that diverged, and the seeds without a value."""

    values: Mapping[int, float]
    unknown: frozenset[int] = frozenset()

    @property
    def finite(self) -> list[float]:
        """The values that a mean is made of."""
        return [value for value in self.values.values() if isfinite(value)]

    @property
    def diverged(self) -> int:
        """Number of runs that are worse than every finite value."""
        return len(self.values) - len(self.finite)


def standing(
    runs: Iterable[Mapping[str, Any]],
    values: Mapping[int, float | None],
    *,
    planned: Sequence[int] = (),
    better: Better = "lower",
) -> Standing:
    """The `Standing` of one arm, from ``runs``: mappings with ``seed`` and ``status``.

    Args:
        values: Measured values of those that finished, by seed.
        planned: All seeds; runs of others than those given have not ended.
    """
    # Leaving out the runs that diverged would reward an arm for diverging where it would have done badly.
    worst = inf if better == "lower" else -inf
    found: dict[int, float] = {}
    unknown = set(planned)
    for run in runs:
        seed, value = run["seed"], values.get(run["seed"])
        if run["status"] == "failed":
            unknown.add(seed)
            continue
        # Ended, well or badly: what is left unknown failed or has not ended.
        unknown.discard(seed)
        good = run["status"] == "finished" and value is not None and isfinite(value)
        found[seed] = float(value) if good and value is not None else worst
    return Standing(found, frozenset(unknown))


@dataclass(frozen=True)
class Finding:
    """Result of the paired comparison of two arms, with the reason where neither may be called better."""

    comparison: PairedComparison
    better: Better
    barred: Mapping[Winner, str] = field(default_factory=dict)

    @property
    def leader(self) -> Winner | None:
        """The arm that is ahead, decided or not."""
        # Where both diverged, at different seeds, the mean difference is NaN and nobody leads.
        gain = self.comparison.difference * (1 if self.better == "higher" else -1)
        return "ours" if gain > 0 else "theirs" if gain < 0 else None

    @property
    def p(self) -> float:
        """p of the t test; 1 where the leader may not be called better."""
        # Not the sign-flip test, which cannot reach 0.05 with five seeds: its smallest p over n seeds is 2 ** (1 - n).
        return 1.0 if self._reason else self.comparison.p_t

    @property
    def _reason(self) -> str | None:
        return None if self.leader is None else self.barred.get(self.leader)

    def winner(self, adjusted: float | None = None) -> Winner | None:
        """The better arm where that is decided, by the ``adjusted`` p too."""
        lost = adjusted is not None and adjusted > SIGNIFICANCE_LEVEL
        return self.leader if self.comparison.decided and not self._reason and not lost else None

    def text(self, ours: str, theirs: str, adjusted: float | None = None, among: int = 1) -> str:
        """The verdict in words."""
        reason = self._reason if self.comparison.decided else None
        name = ours if self.leader == "ours" else theirs
        barred = reason and f"{name} {reason}"
        return verdict(self.comparison, ours, theirs, better=self.better, adjusted=adjusted, among=among, barred=barred)


def compared(ours: Standing, theirs: Standing, *, better: Better = "lower") -> Finding | None:
    """Two arms over the seeds that both have; None where there is no such seed."""
    # Paired by seed: data order and initial weights are shared, so their luck cancels in the difference.
    seeds = [seed for seed in ours.values if seed in theirs.values]
    if not seeds:
        return None
    found = paired_comparison([ours.values[seed] for seed in seeds], [theirs.values[seed] for seed in seeds])
    reasons = {"ours": _barred(ours, theirs), "theirs": _barred(theirs, ours)}
    return Finding(found, better, {side: why for side, why in reasons.items() if why is not None})  # type: ignore[misc]


def _barred(arm: Standing, other: Standing) -> str | None:
    """Why ``arm`` may not be called better, whatever the seeds of both say."""
    if arm.unknown:
        return f"has no value at {_seeds(arm.unknown)}"
    # Where both arms have the seed, the comparison itself counts the diverged run.
    alone = [seed for seed, value in arm.values.items() if not isfinite(value) and seed not in other.values]
    return f"diverged at {_seeds(alone)}" if alone else None


def _seeds(seeds: Iterable[int]) -> str:
    listed = sorted(seeds)
    return f"seed{'s' if len(listed) > 1 else ''} {', '.join(map(str, listed))}"


def corrected(findings: Sequence[Finding | None]) -> list[tuple[float | None, int]]:
    """p of each comparison after Holm's correction, and for how many; None where nothing was compared.

    A comparison over one seed has no p and is not counted.
    """
    counted = [finding for finding in findings if finding is not None and finding.comparison.pairs > 1]
    # Several arms against one baseline, each tried at 5 %, would find a winner by chance more often than that.
    adjusted = iter(holm([finding.p for finding in counted]))
    return [
        (next(adjusted) if finding is not None and finding.comparison.pairs > 1 else None, len(counted))
        for finding in findings
    ]
