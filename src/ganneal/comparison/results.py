"""Results of a study: means with intervals, last beside best, all clocks, a verdict only where one is earned."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ganneal.clocks import CLOCKS
from ganneal.comparison.job import STEP_RATIO
from ganneal.comparison.paired import FAILURE_RULE, Finding, Standing, compared, corrected, standing
from ganneal.comparison.study import MATCHED, Arm, Study, is_annealed
from ganneal.metrics.intervals import last_over_best_interval, seed_interval
from ganneal.schemes import Nested
from ganneal.storage.atomic import write_bytes
from ganneal.storage.run_directory import provenance
from ganneal.wording import markdown_table, number, span

RESULTS_FORMAT = 2
STEP_TOLERANCE = 0.05
"""Share by which a matched control may walk further or less far before the table says so."""
Outcome = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """A study's outcomes with what follows from them, as JSON types."""

    content: dict[str, Any]

    @staticmethod
    def collect(study: Study, outcomes: Mapping[tuple[str, int], Outcome], command: str | None = None) -> "Results":
        """Summarise the ``outcomes`` there are; those of runs that have not ended are missing, not zero."""
        by_arm = {
            arm.name: [_in_json(dict(outcomes[key])) for seed in study.seeds if (key := (arm.name, seed)) in outcomes]
            for arm in study.arms
        }
        # The name of the value tells the extractor, and so whether two numbers may stand in one column.
        metrics = {o["metric"] for runs in by_arm.values() for o in runs if o["metric"]}
        if len(metrics) > 1:
            raise ValueError(
                f"the arms must be measured by one metric, got {', '.join(sorted(metrics))}; give all of them the same "
                f"records.extractor and data."
            )
        return Results(
            {
                "format": RESULTS_FORMAT,
                "name": study.name,
                "command": command,
                "clock": study.clock,
                "amount": study.amount,
                "seeds": list(study.seeds),
                "baseline": study.baseline,
                "metric": next(iter(metrics), None),
                "better": "lower",
                # Of this process; runs elsewhere have their own in their directories.
                "hardware": provenance(),
                "rule": FAILURE_RULE,
                "walks": _walks(study, by_arm),
                "arms": _with_verdicts(
                    study, [_arm(study, arm, by_arm[arm.name], measured=bool(metrics)) for arm in study.arms]
                ),
            }
        )

    def write(self, folder: Path) -> None:
        """``results.json`` and ``table.md`` in ``folder``."""
        content = json.dumps(_in_json(self.content), indent=2, allow_nan=False)
        write_bytes(folder / "results.json", content.encode())
        write_bytes(folder / "table.md", self.table().encode())

    def table(self) -> str:
        """A Markdown table with the verdicts below it."""
        content = self.content
        head = [
            "arm",
            "runs",
            f"{content['metric'] or 'value'}, last",
            "best",
            "last/best, geometric",
            *(clock.replace("_", " ").replace("cpu", "CPU") for clock in CLOCKS),
            "G step per D update",
        ]
        rows = [_row(arm, len(content["seeds"])) for arm in content["arms"]]
        several = len(content["seeds"]) > 1
        over = f"Mean over {len(content['seeds'])} seeds with 95 % t interval" if several else "1 seed, so no interval"
        unmeasured = "- no run has a value: it takes at least two images, and two samples by --records.evaluate-count"
        said = [] if content["metric"] else [unmeasured]
        said += [f"- {arm['verdict']['text']}" for arm in content["arms"] if arm["verdict"]]
        trouble = [
            f"- {arm['name']} seed {run['seed']} {run['status']}: {first_line(run['error'])}"
            for arm in content["arms"]
            for run in arm["runs"]
            if run["status"] != "finished"
        ]
        return "\n".join(
            [
                markdown_table(head, rows),
                "",
                f"{over}; lower is better. Equal in: "
                + "; ".join(f"{arm['name']}, {arm['equal_in']}" for arm in content["arms"])
                + ".",
                "",
                content["rule"],
                *content["walks"],
                "",
                *said,
                *trouble,
                "",
            ]
        )


def first_line(error: str | None) -> str:
    """The gist of an error."""
    return next(iter(str(error).splitlines()), "")


def _in_json(value: Any) -> Any:
    """``value`` without numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _in_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_json(item) for item in value]
    # JSON has no NaN and no infinity: a value that is no number is absent from here on.
    return None if isinstance(value, float) and not isfinite(value) else value


def _values(runs: Sequence[Outcome], key: str) -> list[float]:
    return [run[key] for run in runs if run[key] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def summary(arm: Standing) -> dict[str, Any] | None:
    """Mean and interval of the finite values, and how many runs have none; None where no run has ended."""
    if not arm.values:
        return None
    counts = {"n": len(arm.finite), "diverged": arm.diverged}
    if not arm.finite:
        return {"mean": None, "sd": None, "low": None, "high": None} | counts
    # Student's t: over three seeds the interval reaches 4.3 standard errors to each side.
    found = seed_interval(arm.finite)
    return {"mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high} | counts


def _standing(study: Study, runs: Sequence[Outcome], key: str) -> Standing:
    return standing(runs, {run["seed"]: run[key] for run in runs}, planned=study.seeds)


def _arm(study: Study, arm: Arm, runs: Sequence[Outcome], *, measured: bool) -> dict[str, Any]:
    # A run that diverged used its budget up to there and counts in the clocks; one that failed for another reason says
    # nothing of the scheme.
    counted = [run for run in runs if run["status"] != "failed"]
    # A finished run that never had an evaluation has no best weights: its best is unknown, and not diverged.
    without_best = [run for run in runs if run["status"] == "finished" and run["best"] is None]
    with_best = [run for run in runs if run not in without_best]
    return {
        "name": arm.name,
        "scheme": str(arm.experiment.scheme),
        "equal_in": _equal_in(study, arm, _mean(_values(counted, "g_num_real"))),
        # Below the study, which may be moved as a whole.
        "runs": [dict(run) | {"path": f"{arm.name}/seed{run['seed']}"} for run in runs],
        "finished": sum(run["status"] == "finished" for run in runs),
        "last": summary(_standing(study, runs, "last")) if measured else None,
        "best": summary(_standing(study, with_best, "best")) if measured else None,
        **_decay([run for run in runs if run["status"] == "finished"]),
        "clocks": {clock: _mean(_values(counted, clock)) for clock in (*CLOCKS, "g_num_real")},
        STEP_RATIO: _mean(_values(counted, STEP_RATIO)),
        "verdict": None,
    }


def _equal_in(study: Study, arm: Arm, reals: float | None) -> str:
    """The clock at which the arm is equal, and the real images that its generator updates saw beside it."""
    beside = f" and {number(reals)} more real images in its G updates, which no clock counts" if reals else ""
    return study.equal_in(arm) + beside


def _walks(study: Study, by_arm: Mapping[str, Sequence[Outcome]]) -> list[str]:
    """Sentences on the steps of each matched control relative to the annealed arm, at the seeds that both finished."""
    steps = {
        name: {run["seed"]: run[STEP_RATIO] for run in runs if run["status"] == "finished" and run[STEP_RATIO]}
        for name, runs in by_arm.items()
    }
    found = []
    for arm in study.arms:
        if not (isinstance(arm.experiment.scheme, Nested) and is_annealed(arm.experiment.scheme)):
            continue
        for control in (name for name in MATCHED if name in steps):
            seeds = [seed for seed in steps[arm.name] if seed in steps[control]]
            if seeds:
                # A ratio of sums, not the mean of ratios: a seed with a tiny step would outweigh the others.
                ratio = sum(steps[control][s] for s in seeds) / sum(steps[arm.name][s] for s in seeds)
                off = (
                    ""
                    if abs(ratio - 1) <= STEP_TOLERANCE
                    else f", more than {100 * STEP_TOLERANCE:.0f} % from its match"
                )
                found.append(f"Measured, {control} walked {ratio:.2f} times the generator step of {arm.name}{off}.")
    return found


def _with_verdicts(study: Study, arms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The arms, each but the baseline with its verdict; p is corrected for the number of arms that are compared."""
    stands = {arm["name"]: _standing(study, arm["runs"], "last") for arm in arms if arm["last"] is not None}
    baseline = stands.get(study.baseline)
    others = [arm for arm in arms if arm["name"] != study.baseline]
    findings = [
        None if baseline is None or arm["name"] not in stands else compared(stands[arm["name"]], baseline)
        for arm in others
    ]
    for arm, finding, (adjusted, among) in zip(others, findings, corrected(findings), strict=True):
        arm["verdict"] = None if finding is None else _verdict(arm["name"], study.baseline, finding, adjusted, among)
    return arms


def has_ratio(run: Mapping[str, Any]) -> bool:
    """True if the ratio of the last to the best distance exists. An unbiased kernel distance may be negative near 0."""
    return all(run[key] is not None and run[key] > 0 for key in ("last_seen", "best_seen"))


def _decay(runs: Sequence[Outcome]) -> dict[str, Any]:
    """Geometric mean of last over best in training's own evaluations, and its interval."""
    seen = [run for run in runs if has_ratio(run)]
    if not seen:
        return {"decay": None, "decay_interval": None}
    # Geometric, as ratios spread by factors: 2 and 1/2 are no decay on average.
    found = last_over_best_interval(_values(seen, "last_seen"), _values(seen, "best_seen"))
    return {"decay": found.mean, "decay_interval": None if found.low is None else [found.low, found.high]}


def _verdict(ours: str, theirs: str, finding: Finding, adjusted: float | None, among: int) -> dict[str, Any]:
    """The paired comparison of the last values over the seeds that both have."""
    found = finding.comparison
    return {
        "against": theirs,
        "text": finding.text(ours, theirs, adjusted, among),
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        # It assumes only that differences are as likely up as down, and cannot fall below 2^(1 - n) over n seeds.
        "p": found.p_sign_flip,
        "p_t": found.p_t,
        "p_corrected": adjusted,
        "comparisons": among,
        "pairs": found.pairs,
        "diverged": list(found.diverged),
        # By the corrected p too: several arms against one baseline would find a winner by chance.
        "decided": finding.winner(adjusted) is not None,
    }


def _row(arm: Mapping[str, Any], seeds: int) -> list[str]:
    return [
        arm["name"],
        f"{arm['finished']} of {seeds}",
        span(arm["last"], seeds),
        span(arm["best"], seeds),
        _ratio(arm["decay"], arm["decay_interval"]),
        *(_clock(clock, arm["clocks"][clock]) for clock in CLOCKS),
        number(arm["g_step_per_d_update"]),
    ]


def _ratio(mean: float | None, interval: Sequence[float] | None) -> str:
    words = [
        f"{value:.2f}" if value < 100 else number(value) for value in (mean, *(interval or ())) if value is not None
    ]
    if not words:
        return number(None)
    return words[0] if interval is None else f"{words[0]} [{words[1]}, {words[2]}]"


def _clock(clock: str, value: float | None) -> str:
    return number(value) if value is None or clock.endswith("seconds") else f"{value:,.0f}"
