"""Whether the order of two rows is the one reported: decided by the paired interval over seeds, or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ganneal.metrics.intervals import paired_comparison
from ganneal.reproduction.table import BETTER, Table
from ganneal.wording import number

Verdict = Literal["agrees", "disagrees", "undecided", "not run"]
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Claim:
    """Two rows and a score in which one was reported to be better."""

    better: str
    worse: str
    score: str
    reported: tuple[str, str]


@dataclass(frozen=True)
class Judgement:
    """What the measured values say of a claim."""

    claim: Claim
    verdict: Verdict
    why: str


def claims(table: Table) -> list[Claim]:
    """Every pair of the table in every score that both rows were reported in; none where the numbers are equal."""
    found = []
    for first, second in table.pairs:
        for score, better in BETTER.items():
            values = [table.row(name).reported.get(score) for name in (first, second)]
            if values[0] is None or values[1] is None or values[0].number == values[1].number:
                continue
            swapped = (values[0].number < values[1].number) != (better == "lower")
            ours, theirs = (first, values[0].text), (second, values[1].text)
            better_one, worse_one = (theirs, ours) if swapped else (ours, theirs)
            found.append(Claim(better_one[0], worse_one[0], score, (better_one[1], worse_one[1])))
    return found


def judge(claim: Claim, rows: Mapping[str, Entry]) -> Judgement:
    """The claim against what was measured of the last weights, seed by seed.

    A run that diverged counts as worse than one that did not.
    """
    if claim.better not in rows or claim.worse not in rows:
        return Judgement(claim, "not run", "")
    better, worse = rows[claim.better], rows[claim.worse]
    diverged = [_all_diverged(entry) for entry in (better, worse)]
    if diverged[0] != diverged[1]:
        return Judgement(claim, *_by_divergence(claim, *diverged))
    if better["protocol"] != worse["protocol"]:
        return Judgement(claim, "undecided", "measured differently")
    ours, theirs = (_values(entry, claim.score) for entry in (better, worse))
    seeds = [seed for seed in ours if seed in theirs]
    if not seeds:
        return Judgement(claim, "undecided", "no seed with both values")
    sign = 1.0 if BETTER[claim.score] == "lower" else -1.0
    return Judgement(claim, *_over_seeds([ours[s] for s in seeds], [theirs[s] for s in seeds], sign))


def _by_divergence(claim: Claim, better: bool, worse: bool) -> tuple[Verdict, str]:
    name = claim.worse if worse else claim.better
    return ("agrees" if worse else "disagrees"), f"every run of {name} diverged"


def _over_seeds(ours: list[float], theirs: list[float], sign: float) -> tuple[Verdict, str]:
    """Verdict and reason; ``sign`` is -1 where higher is better."""
    if len(ours) == 1:
        gap = ours[0] - theirs[0]
        way = "as reported" if sign * gap < 0 else "the other way round" if gap else "equal"
        return "undecided", f"1 seed, {way}: difference {number(gap)}"
    found = paired_comparison(ours, theirs)
    span = f"difference {number(found.difference)} [{number(found.low)}, {number(found.high)}], {len(ours)} seeds"
    if not found.decided:
        return "undecided", span
    return ("agrees" if sign * found.difference < 0 else "disagrees"), span


def _all_diverged(entry: Entry) -> bool:
    return bool(entry["runs"]) and all(run["status"] == "diverged" for run in entry["runs"])


def _values(entry: Entry, score: str) -> dict[int, float]:
    return {run["seed"]: run["last"][score] for run in entry["runs"] if score in run["last"]}
