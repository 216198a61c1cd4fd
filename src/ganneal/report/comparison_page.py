"""The page of a comparison: what its results say, and nothing that they do not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganneal.clocks import CLOCKS
from ganneal.report import words
from ganneal.report.comparison_figures import distances, index_of, values_by_arm
from ganneal.report.drawn import same_latents
from ganneal.report.page import render
from ganneal.report.pictures import Picture
from ganneal.report.player import build_player
from ganneal.report.records import RunRecord, flatten, read_run
from ganneal.report.run_page import generator_of
from ganneal.storage.encoding import difference
from ganneal.storage.json_files import read_json
from ganneal.wording import duration, lost, number, span

RunKey = tuple[str, str]
"""Arm and seed."""


@dataclass(frozen=True)
class LatentRow:
    """The samples of one run from the latents that all share."""

    name: str
    group: str
    picture: Picture | None
    note: str


def arm_row(arms: Sequence[Mapping[str, Any]], arm: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """One arm as a row of the table: means over seeds as text."""
    return {
        "name": arm["name"],
        "colour": index_of(arms, arm),
        "scheme": arm.get("scheme", ""),
        "equal_in": arm.get("equal_in", ""),
        "finished": f"{arm.get('finished', 0)} of {seeds}",
        "last": _parted(arm.get("last")),
        "best": _parted(arm.get("best")),
        "decay": number(arm.get("decay")),
        "clocks": _clocks(arm.get("clocks") or {}),
        "step": number(arm.get("g_step_per_d_update")),
    }


def _parted(summary: Mapping[str, Any] | None) -> tuple[str, str]:
    """The mean, or how many runs diverged where there were any, and the rest."""
    text, said = span(summary), lost(summary or {"n": 0})
    # The page shows the first part of a cell in large letters and the rest small, below.
    if said:
        others = text.removeprefix(said)
        return said.removesuffix(", others "), others and f"others {others}"
    mean, _, rest = text.partition(" ")
    return mean, rest


def _clocks(values: Mapping[str, Any]) -> list[str]:
    read = [(name, values.get(name)) for name in CLOCKS]
    return [
        "–" if value is None else duration(value) if name.endswith("seconds") else f"{value:,.0f}"
        for name, value in read
    ]


def rows_of_runs(arm: Mapping[str, Any], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Every run the arm was to have: those that diverged or failed, and those that have not ended, too."""
    ended = {run["seed"]: run for run in arm["runs"]}
    # By the seeds that were asked for: a run that has not ended is in no result.
    runs = [{"seed": seed} | ended.get(seed, {"status": "not ended"}) for seed in seeds]
    return [
        {key: run.get(key) for key in ("seed", "status", "error")}
        | {"arm": arm["name"], "last": number(run.get("last")), "best": number(run.get("best")), "clocks": _clocks(run)}
        for run in runs
    ]


def read_runs(folder: Path, arms: Sequence[Mapping[str, Any]]) -> dict[RunKey, RunRecord]:
    """The runs whose directories are there, by arm and seed."""
    found = {}
    for arm in arms:
        for run in arm["runs"]:
            path = folder / run.get("path", f"{arm['name']}/seed{run['seed']}")
            if (path / "experiment.json").exists():
                # A run that failed at once has drawn nothing, and is a row all the same.
                found[str(arm["name"]), str(run["seed"])] = read_run(path, needs_samples=False)
    return found


def latent_rows(runs: Mapping[RunKey, RunRecord]) -> list[LatentRow]:
    """A row of samples for each run, all from the same latents; a note where there are no weights."""
    loaded = [generator_of(run) for run in runs.values()]
    pictures = same_latents([generator for generator, _ in loaded])
    rows = [
        LatentRow(name, group, picture, note)
        for (name, group), picture, (_, note) in zip(runs, pictures, loaded, strict=True)
    ]
    # Points and lost weights have no pictures; without a single one the section is left out.
    return rows if any(row.picture for row in rows) else []


def arm_differences(study: Mapping[str, Any], baseline: str) -> dict[str, list[str]]:
    """For each arm, how its experiment differs from the baseline's."""
    arms = study.get("arms", {})
    if baseline not in arms:
        return {}
    before = arms[baseline].get("experiment", {})
    return {name: difference(before, arm.get("experiment", {})) for name, arm in arms.items() if name != baseline}


def comparison_summary(results: Mapping[str, Any]) -> str:
    """Summary of the comparison: the arms, and the clock at which they are equal."""
    arms, seeds = results["arms"], results["seeds"]
    amount, clock = results["amount"], results["clock"]
    equal = duration(amount) + " of training" if clock == "seconds" else words.clock(amount, clock)
    return (
        f"{len(arms)} arm{'' if len(arms) == 1 else 's'}, {len(seeds)} seed{'' if len(seeds) == 1 else 's'} each, "
        f"{equal} a run unless said; judged by {results.get('metric') or 'nothing, as no distance was measured'}, "
        f"lower is better. Baseline: {results['baseline']}."
    )


def trouble(results: Mapping[str, Any]) -> str:
    """Number of runs that did not finish, in a sentence; empty when all did."""
    runs = [run for arm in results["arms"] for run in arm["runs"]]
    kinds = {kind: sum(run["status"] == kind for run in runs) for kind in ("diverged", "failed")}
    # What has not ended is in no list, so it is counted by what lacks.
    kinds["not ended"] = len(results["arms"]) * len(results["seeds"]) - len(runs)
    parts = [f"{count} {kind}" for kind, count in kinds.items() if count]
    total = len(results["arms"]) * len(results["seeds"])
    return f"Of {total} runs: {', '.join(parts)}. They are in the tables below." if parts else ""


def comparison_page(folder: Path) -> str:
    """The HTML of the comparison in ``folder``.

    Raises:
        FileNotFoundError: It has no results yet.
        ValueError: A file is damaged.
    """
    if not (folder / "results.json").exists():
        raise FileNotFoundError(
            f"a comparison without results: no {folder / 'results.json'}; run `ganneal compare` until a run has ended."
        )
    study, results = read_json(folder / "study.json"), read_json(folder / "results.json")
    arms, seeds = results["arms"], results["seeds"]
    runs = read_runs(folder, arms)
    # Drawn one by one, each with how it ended.
    unfinished = {
        (str(arm["name"]), str(run["seed"])): str(run["status"])
        for arm in arms
        for run in arm["runs"]
        if run["status"] != "finished"
    }
    metric, clock = results.get("metric"), results["clock"]
    names = [str(arm["name"]) for arm in arms]
    charts = [values_by_arm(arms, metric), distances(names, runs, unfinished, metric, clock)] if metric else []
    table = folder / "table.md"
    # All arms of a study are trained on the same data: any run tells it.
    one = next(iter(runs.values()), None)
    by_seed = {(arm, f"seed {seed}"): run for (arm, seed), run in runs.items()}
    return render(
        "comparison.html.j2",
        results=results,
        summary=comparison_summary(results),
        trouble=trouble(results),
        verdicts=[arm["verdict"] for arm in arms if arm.get("verdict")],
        rows=[arm_row(arms, arm, len(seeds)) for arm in arms],
        runs=[row for arm in arms for row in rows_of_runs(arm, seeds)],
        charts=[chart for chart in charts if chart is not None],
        player=build_player(by_seed, clock),
        latents=latent_rows(by_seed),
        differences=arm_differences(study, str(results["baseline"])),
        data=flatten(one.data) if one else {},
        provenance=flatten(results.get("hardware") or {}),
        command=results.get("command") or study.get("command"),
        # As `ganneal compare` wrote it, so that the page and the file cannot differ.
        markdown=table.read_text("utf-8") if table.exists() else None,
    )
