"""What a study shows: means with intervals, last beside best, all four clocks, a verdict only where one is earned."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganneal.atomic import write_bytes
from ganneal.comparison.study import CLOCKS, Arm, Study
from ganneal.directory import provenance
from ganneal.metrics.intervals import (
    last_over_best_interval,
    paired_comparison,
    seed_interval,
    verdict,
)

RESULTS_FORMAT = 1
Outcome = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """A study's outcomes with what follows from them, as JSON types."""

    content: dict[str, Any]

    @staticmethod
    def collect(
        study: Study, folder: Path, outcomes: Mapping[tuple[str, int], Outcome], command: str | None = None
    ) -> "Results":
        """Summarise the ``outcomes`` there are; those of runs that have not ended are missing, not zero."""
        by_arm = {arm.name: _in_order(arm, study, outcomes) for arm in study.arms}
        metrics = {o["metric"] for runs in by_arm.values() for o in runs if o["metric"]}
        if len(metrics) > 1:
            raise ValueError(
                f"the arms must be measured by one metric, got {', '.join(sorted(metrics))}; give all of them the same "
                f"records.extractor and data."
            )
        baseline = by_arm[study.baseline]
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
                "hardware": provenance(),
                "arms": [_arm(study, arm, by_arm[arm.name], baseline) for arm in study.arms],
            }
        )

    def write(self, folder: Path) -> None:
        """``results.json`` and ``table.md`` in ``folder``."""
        write_bytes(folder / "results.json", json.dumps(self.content, indent=2).encode())
        write_bytes(folder / "table.md", self.table().encode())

    def table(self) -> str:
        """A Markdown table with the verdicts below it."""
        content = self.content
        head = [
            "arm",
            "runs",
            f"{content['metric'] or 'value'}, last",
            "best",
            "last/best",
            *(clock.replace("_", " ") for clock in CLOCKS),
            "CPU seconds",
            "G step per D update",
        ]
        rows = [_row(arm, len(content["seeds"])) for arm in content["arms"]]
        lines = [head, ["---"] * len(head), *rows]
        seeds = f"{len(content['seeds'])} seed" + ("s" if len(content["seeds"]) > 1 else "")
        said = [f"- {arm['verdict']['text']}" for arm in content["arms"] if arm["verdict"]]
        trouble = [
            f"- {arm['name']} seed {run['seed']} {run['status']}: {str(run['error']).splitlines()[0]}"
            for arm in content["arms"]
            for run in arm["runs"]
            if run["status"] != "finished"
        ]
        return "\n".join(
            [
                *(f"| {' | '.join(line)} |" for line in lines),
                "",
                f"Mean over {seeds} with 95 % t interval; lower is better. Equal in: "
                + "; ".join(f"{arm['name']}, {arm['equal_in']}" for arm in content["arms"])
                + ".",
                "",
                *said,
                *trouble,
                "",
            ]
        )


def _in_order(arm: Arm, study: Study, outcomes: Mapping[tuple[str, int], Outcome]) -> list[Outcome]:
    return [outcomes[arm.name, seed] for seed in study.seeds if (arm.name, seed) in outcomes]


def _values(runs: Sequence[Outcome], key: str) -> list[float]:
    return [run[key] for run in runs if run[key] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _summary(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    found = seed_interval(values)
    return {"mean": found.mean, "sd": found.sd, "low": found.low, "high": found.high, "n": found.n}


def _arm(study: Study, arm: Arm, runs: Sequence[Outcome], baseline: Sequence[Outcome]) -> dict[str, Any]:
    seen = [run for run in runs if run["last_seen"] and run["best_seen"]]
    decay = last_over_best_interval(_values(seen, "last_seen"), _values(seen, "best_seen")).mean if seen else None
    return {
        "name": arm.name,
        "scheme": str(arm.experiment.scheme),
        "equal_in": study.equal_in(arm),
        "runs": [dict(run) | {"path": f"{arm.name}/seed{run['seed']}"} for run in runs],
        "finished": sum(run["status"] == "finished" for run in runs),
        "last": _summary(_values(runs, "last")),
        "best": _summary(_values(runs, "best")),
        "decay": decay,
        "clocks": {clock: _mean(_values(runs, clock)) for clock in (*CLOCKS, "cpu_seconds")},
        "g_step_per_d_update": _mean(_values(runs, "g_step_per_d_update")),
        "verdict": None if arm.name == study.baseline else _verdict(arm.name, study.baseline, runs, baseline),
    }


def _verdict(ours: str, theirs: str, runs: Sequence[Outcome], baseline: Sequence[Outcome]) -> dict[str, Any] | None:
    """The paired comparison of the last values over the seeds that both have."""
    values = {run["seed"]: run["last"] for run in runs if run["last"] is not None}
    against = {run["seed"]: run["last"] for run in baseline if run["last"] is not None}
    seeds = [seed for seed in values if seed in against]
    if not seeds:
        return None
    found = paired_comparison([values[seed] for seed in seeds], [against[seed] for seed in seeds])
    return {
        "against": theirs,
        "text": verdict(found, ours, theirs, better="lower"),
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p_sign_flip,
        "pairs": found.pairs,
        "decided": found.decided,
    }


def _row(arm: Mapping[str, Any], seeds: int) -> list[str]:
    clocks = arm["clocks"]
    return [
        arm["name"],
        f"{arm['finished']} of {seeds}",
        _span(arm["last"], seeds),
        _span(arm["best"], seeds),
        "-" if arm["decay"] is None else f"{arm['decay']:.2f}",
        *("-" if clocks[clock] is None else f"{clocks[clock]:,.0f}" for clock in CLOCKS),
        "-" if clocks["cpu_seconds"] is None else f"{clocks['cpu_seconds']:,.0f}",
        "-" if arm["g_step_per_d_update"] is None else f"{arm['g_step_per_d_update']:.3g}",
    ]


def _span(summary: Mapping[str, Any] | None, seeds: int) -> str:
    if summary is None:
        return "-"
    if summary["low"] is None:
        return f"{summary['mean']:.3g} (1 seed)"
    fewer = f" ({summary['n']} seeds)" if summary["n"] < seeds else ""
    return f"{summary['mean']:.3g} [{summary['low']:.3g}, {summary['high']:.3g}]{fewer}"
