"""What a study shows: means with intervals, last beside best, all four clocks, a verdict only where one is earned."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
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
from ganneal.wording import number

RESULTS_FORMAT = 1
Outcome = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """A study's outcomes with what follows from them, as JSON types."""

    content: dict[str, Any]

    @staticmethod
    def collect(study: Study, outcomes: Mapping[tuple[str, int], Outcome], command: str | None = None) -> "Results":
        """Summarise the ``outcomes`` there are; those of runs that have not ended are missing, not zero."""
        by_arm = {arm.name: _in_order(arm, study, outcomes) for arm in study.arms}
        metrics = {o["metric"] for runs in by_arm.values() for o in runs if o["metric"]}
        if len(metrics) > 1:
            raise ValueError(
                f"the arms must be measured by one metric, got {', '.join(sorted(metrics))}; give all of them the same "
                f"records.extractor and data."
            )
        baseline = [run for run in by_arm[study.baseline] if run["status"] != "failed"]
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
            *(clock.replace("_", " ") for clock in CLOCKS),
            "CPU seconds",
            "G step per D update",
        ]
        rows = [_row(arm, len(content["seeds"])) for arm in content["arms"]]
        lines = [head, ["---"] * len(head), *rows]
        several = len(content["seeds"]) > 1
        over = f"Mean over {len(content['seeds'])} seeds with 95 % t interval" if several else "1 seed, so no interval"
        lost = "Runs that failed are in no mean. " if any(_failed(arm) for arm in content["arms"]) else ""
        said = [f"- {arm['verdict']['text']}" for arm in content["arms"] if arm["verdict"]]
        trouble = [
            f"- {arm['name']} seed {run['seed']} {run['status']}: {first_line(run['error'])}"
            for arm in content["arms"]
            for run in arm["runs"]
            if run["status"] != "finished"
        ]
        return "\n".join(
            [
                *(f"| {' | '.join(line)} |" for line in lines),
                "",
                f"{over}; lower is better. {lost}Equal in: "
                + "; ".join(f"{arm['name']}, {arm['equal_in']}" for arm in content["arms"])
                + ".",
                "",
                *said,
                *trouble,
                "",
            ]
        )


def _failed(arm: Mapping[str, Any]) -> bool:
    return any(run["status"] == "failed" for run in arm["runs"])


def first_line(error: str | None) -> str:
    """The gist of an error."""
    return next(iter(str(error).splitlines()), "")


def _in_json(value: Any) -> Any:
    """``value`` without numbers that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _in_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_json(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _in_order(arm: Arm, study: Study, outcomes: Mapping[tuple[str, int], Outcome]) -> list[Outcome]:
    return [_in_json(dict(outcomes[arm.name, seed])) for seed in study.seeds if (arm.name, seed) in outcomes]


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
    counted = [run for run in runs if run["status"] != "failed"]
    return {
        "name": arm.name,
        "scheme": str(arm.experiment.scheme),
        "equal_in": _equal_in(study, arm, _mean(_values(counted, "g_num_real"))),
        "runs": [dict(run) | {"path": f"{arm.name}/seed{run['seed']}"} for run in runs],
        "finished": sum(run["status"] == "finished" for run in runs),
        "last": _summary(_values(counted, "last")),
        "best": _summary(_values(counted, "best")),
        **_decay(counted),
        "clocks": {clock: _mean(_values(counted, clock)) for clock in (*CLOCKS, "g_num_real", "cpu_seconds")},
        "g_step_per_d_update": _mean(_values(counted, "g_step_per_d_update")),
        "verdict": None if arm.name == study.baseline else _verdict(arm.name, study.baseline, counted, baseline),
    }


def _equal_in(study: Study, arm: Arm, reals: float | None) -> str:
    """What the arm is equal in, and the real images that its generator's updates saw beside those of the clock."""
    beside = f" and {number(reals)} more real images in its G updates, which no clock counts" if reals else ""
    return study.equal_in(arm) + beside


def _decay(runs: Sequence[Outcome]) -> dict[str, Any]:
    """Geometric mean of last over best in training's own evaluations, and its interval."""
    seen = [run for run in runs if run["last_seen"] and run["best_seen"]]
    if not seen:
        return {"decay": None, "decay_interval": None}
    found = last_over_best_interval(_values(seen, "last_seen"), _values(seen, "best_seen"))
    return {"decay": found.mean, "decay_interval": None if found.low is None else [found.low, found.high]}


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
    return [
        arm["name"],
        f"{arm['finished']} of {seeds}",
        _span(arm["last"], seeds),
        _span(arm["best"], seeds),
        _ratio(arm["decay"], arm["decay_interval"]),
        *(_clock(clock, arm["clocks"][clock]) for clock in (*CLOCKS, "cpu_seconds")),
        number(arm["g_step_per_d_update"]),
    ]


def _span(summary: Mapping[str, Any] | None, seeds: int) -> str:
    if summary is None:
        return number(None)
    if summary["low"] is None:
        return f"{number(summary['mean'])} (1 seed)"
    fewer = f" ({summary['n']} seeds)" if summary["n"] < seeds else ""
    return f"{number(summary['mean'])} [{number(summary['low'])}, {number(summary['high'])}]{fewer}"


def _ratio(mean: float | None, interval: Sequence[float] | None) -> str:
    words = [
        f"{value:.2f}" if value < 100 else number(value) for value in (mean, *(interval or ())) if value is not None
    ]
    if not words:
        return number(None)
    return words[0] if interval is None else f"{words[0]} [{words[1]}, {words[2]}]"


def _clock(clock: str, value: float | None) -> str:
    return number(value) if value is None or clock.endswith("seconds") else f"{value:,.0f}"
