"""Check of a reported order of two rows: decided by the paired comparison over seeds, or left open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from ganneal.comparison.paired import Finding, Standing, compared, corrected, standing
from ganneal.reproduction.results import Entry
from ganneal.reproduction.table import BETTER, Table
from ganneal.wording import number

ClaimVerdict = Literal["agrees", "disagrees", "undecided", "not run"]
VERDICTS: tuple[ClaimVerdict, ...] = get_args(ClaimVerdict)


@dataclass(frozen=True)
class Claim:
    """Two rows and a score in which one was reported, or is asked by us, to be better."""

    better: str
    worse: str
    score: str
    reported: tuple[str, str] | None
    """The numbers as printed; None for a question of ours, which nothing was reported on."""


@dataclass(frozen=True)
class CheckedClaim:
    """Verdict of the measured values on a claim."""

    claim: Claim
    verdict: ClaimVerdict
    why: str


def claims(table: Table) -> list[Claim]:
    """Every pair of the table in every score that both rows were reported in; none where the numbers are equal."""
    found = []
    for first, second in table.pairs:
        for score, better in BETTER.items():
            values = [table.row(name).reported.get(score) for name in (first, second)]
            # Equal numbers claim no order.
            if values[0] is None or values[1] is None or values[0].number == values[1].number:
                continue
            # The numbers decide which row is claimed to be better: in Table XII they contradict the text of the paper.
            swapped = (values[0].number < values[1].number) != (better == "lower")
            ours, theirs = (first, values[0].text), (second, values[1].text)
            better_one, worse_one = (theirs, ours) if swapped else (ours, theirs)
            found.append(Claim(better_one[0], worse_one[0], score, (better_one[1], worse_one[1])))
    return found


def questions(table: Table) -> list[list[Claim]]:
    """The table's own questions of its controls, in their groups: p is corrected within each."""
    return [[Claim(first, second, "FID", None) for first, second in group] for group in table.questions]


def check_claims(claims: Sequence[Claim], rows: Mapping[str, Entry]) -> list[CheckedClaim]:
    """Each claim against what was measured of the last weights, seed by seed, by the rule of `comparison.paired`.

    p is corrected for the number of claims in one score that could be compared.
    """
    shown = {claim: _compared(claim, rows) for claim in claims}
    findings = {claim: finding for claim, finding in shown.items() if isinstance(finding, Finding)}
    # FID and Inception Score look at the same runs, so that one table is corrected within each score.
    settled = {}
    for score in BETTER:
        own = [claim for claim in findings if claim.score == score]
        settled |= dict(zip(own, corrected([findings[claim] for claim in own]), strict=True))
    return [
        found if isinstance(found, CheckedClaim) else _checked(claim, found, *settled[claim])
        for claim, found in shown.items()
    ]


def _compared(claim: Claim, rows: Mapping[str, Entry]) -> Finding | CheckedClaim:
    """Comparison of the two rows, or the claim with the reason why they cannot be compared."""
    if claim.better not in rows or claim.worse not in rows:
        return CheckedClaim(claim, "not run", "")
    better, worse = rows[claim.better], rows[claim.worse]
    # A row whose runs have all diverged has no protocol, and is still the worse one.
    if better["protocol"] and worse["protocol"] and better["protocol"] != worse["protocol"]:
        return CheckedClaim(claim, "undecided", "measured differently")
    sense = BETTER[claim.score]
    ours, theirs = (stands(entry, claim.score) for entry in (better, worse))
    return compared(ours, theirs, better=sense) or CheckedClaim(claim, "undecided", "no seed with both values")


def stands(entry: Entry, score: str, which: str = "last") -> Standing:
    """The runs of a row in one score."""
    # None where samples made no number: such a finished run counts as diverged.
    values = {run["outcome"]["seed"]: run[which].get(score) for run in entry["runs"]}
    runs = [run["outcome"] for run in entry["runs"] if run[which] or not run["last"]]  # some lack best weights
    return standing(runs, values, better=BETTER[score])


def _checked(claim: Claim, finding: Finding, adjusted: float | None, among: int) -> CheckedClaim:
    found = finding.comparison
    # One difference has no spread, so that no test can be made of it: its sign is said and decides nothing.
    if found.pairs == 1:
        as_stated = "as asked" if claim.reported is None else "as reported"
        way = {"ours": as_stated, "theirs": "the other way round", None: "equal"}[finding.leader]
        seen = _diverged(finding) or f"difference {number(found.difference)}"
        return CheckedClaim(claim, "undecided", f"one seed, not decided: {seen}, {way}")
    verdict: ClaimVerdict = "undecided"
    if (winner := finding.winner(adjusted)) is not None:
        verdict = "agrees" if winner == "ours" else "disagrees"
    parts = [_diverged(finding)]
    # Where a run diverged the mean difference is no finite number and has no interval: the counts stand in its place.
    if found.low is not None and found.high is not None:
        span = f"difference {number(found.difference)} [{number(found.low)}, {number(found.high)}]"
        parts.append(f"{span}, {found.pairs} seeds")
    parts.append(f"p {found.p_t:.2g}" + (f", corrected for {among} orders {adjusted:.2g}" if among > 1 else ""))
    # However small the p beside it: a row that lost runs is not called better for those that are left.
    if finding.leader is not None and finding.leader in finding.barred:
        row = claim.better if finding.leader == "ours" else claim.worse
        parts.append(f"{row} {finding.barred[finding.leader]}")
    return CheckedClaim(claim, verdict, "; ".join(filter(None, parts)))


def _diverged(finding: Finding) -> str:
    """Number of runs that diverged, the row reported to be better first."""
    first, second = finding.comparison.diverged
    if not first and not second:
        return ""
    return f"of {finding.comparison.pairs} runs each {first} and {second} diverged"
