"""Verdicts on a run: its end, its progress, its faults, and later measurements."""

from dataclasses import dataclass
from typing import Any

from ganneal.report import words
from ganneal.report.records import RunRecord, flatten
from ganneal.stop import Row
from ganneal.wording import number

PROTOCOL = (
    *("metric", "parameters", "extractor", "extractor_sha256", "layer", "quantised", "resize", "input_scaling"),
    *("reference", "n_fake", "classes", "truncation", "truncation_form", "statistics", "generator_weights"),
    *("sampler", "sampler_steps", "seeds", "seed", "n_seeds"),
    *("checkpoint", "evaluation_index", "num_real", "d_updates", "g_updates", "seconds"),
)
"""Settings that a measured value is worthless without, in the order in which they are shown."""
SEVERITIES = ("good", "warning", "alarm")


@dataclass(frozen=True)
class RunVerdict:
    """One sentence on the run, and how grave it is: "good", "warning" or "alarm"."""

    severity: str
    text: str
    figure: str = ""


def current_verdicts(run: RunRecord) -> list[RunVerdict]:
    """Present faults of the run: the last verdict of each kind, without those that are over."""
    # Rows are in order: the last one of a name is how it stands, "good" where the alarm is over.
    last: dict[str, Row] = {str(row.get("name")): row for row in run.health}
    found = [_verdict(row) for row in last.values() if row.get("severity") != "good"]
    return sorted(found, key=lambda verdict: -SEVERITIES.index(verdict.severity))


def _verdict(row: Row) -> RunVerdict:
    # A grade that this version does not know is shown as a warning.
    severity = str(row.get("severity"))
    figure, name = row.get("figure"), row.get("figure_name")
    shown = f"{name}: {number(figure)}" if isinstance(figure, int | float) and name else ""
    return RunVerdict(severity if severity in SEVERITIES else "warning", str(row.get("text", "")), shown)


def verdicts(run: RunRecord) -> list[RunVerdict]:
    """The summary's sentences: how it ended, whether it helped, what is wrong; the gravest first."""
    ended = RunVerdict(*words.status(run))
    helped = words.progress(run)
    measured = RunVerdict(*helped) if helped else RunVerdict("warning", "No distance to the data was measured.")
    # A good end is in the summary already.
    found = [measured, *([ended] if ended.severity != "good" else []), *current_verdicts(run)]
    return sorted(found, key=lambda verdict: -SEVERITIES.index(verdict.severity))


def history(run: RunRecord) -> list[dict[str, str]]:
    """Every verdict on the run's health with its place, in order."""
    return [
        {"at": words.clock(row.get("num_real", 0), "num_real", run.unit)} | vars(_verdict(row)) for row in run.health
    ]


def measurements(run: RunRecord) -> list[dict[str, Any]]:
    """The typed metric records, each with its protocol."""
    found = []
    for row in run.evaluations:
        interval = row.get("interval")
        # What does not apply to a metric is left out rather than shown as none.
        protocol = {key: value for key in PROTOCOL if (value := row.get(key)) not in (None, [], {}, ())}
        found.append(
            {
                "name": str(row.get("name", "unnamed")),
                "value": number(row.get("value"), 4),
                "error": number(row.get("standard_error")),
                "interval": f"{number(interval[0])} to {number(interval[1])}" if interval else "–",
                "of": f"{row.get('checkpoint') or 'files'}",
                "at": number(row.get("num_real")),
                "protocol": flatten(protocol),
                "warnings": [str(warning) for warning in row.get("warnings") or ()],
            }
        )
    return found
