"""Several runs side by side. One run each ranks nothing, and the page says so."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganneal.report.comparison_figures import distances
from ganneal.report.comparison_page import latent_rows
from ganneal.report.curves import Figure
from ganneal.report.figures import Chart
from ganneal.report.page import render
from ganneal.report.player import build_player
from ganneal.report.records import RunRecord, flatten, read_run
from ganneal.report.run_page import command, scheme_and_round
from ganneal.report.verdicts import verdicts
from ganneal.wording import duration, number

OVERLAID = (
    ("d_real", "D(real)"),
    ("d_fake", "D(fake)"),
    ("d_loss", "Discriminator loss"),
    ("g_loss", "Generator loss"),
    ("g_step_per_d_update", "Generator step length per D update"),
)


def labels(folders: Sequence[Path]) -> list[str]:
    """The shortest endings of the paths that tell them apart.

    >>> labels([Path("a/seed0"), Path("b/seed0")])
    ['a/seed0', 'b/seed0']
    """
    parts = [folder.resolve().parts for folder in folders]
    # From the end, for runs of one study differ in their last folders.
    for depth in range(1, max(map(len, parts)) + 1):
        found = ["/".join(part[-depth:]) for part in parts]
        if len(set(found)) == len(found):
            return found
    raise ValueError(f"the same run was given twice: {', '.join(map(str, folders))}; name each once.")


def settings(runs: Mapping[str, RunRecord]) -> list[tuple[str, list[str]]]:
    """Every setting in which the runs differ: its path, and its value in each."""
    flat = {name: flatten(run.experiment) for name, run in runs.items()}
    keys = dict.fromkeys(key for leaves in flat.values() for key in leaves)
    # A field that only some of the runs have differs too: parts of another kind have other fields.
    table = [(key, [str(leaves.get(key, "–")) for leaves in flat.values()]) for key in keys]
    return [(key, values) for key, values in table if len(set(values)) > 1]


def overlaid(runs: Mapping[str, RunRecord], column: str, title: str) -> Figure | None:
    """One logged column of every run over the real images seen."""
    found = {name: run.series(column) for name, run in runs.items()}
    if all(len(x) < 2 for x, _ in found.values()):
        return None
    chart = Chart(f"overlaid-{column.replace('_', '-')}", height=3.0)
    for index, (name, (x, y)) in enumerate(found.items()):
        if len(x) > 1:
            chart.line(x, y, index, name)
    chart.scale(np.concatenate([y for _, y in found.values()]))
    chart.clock_axis("real images seen")
    said = "; ".join(f"{name} ends at {number(y[-1])}" for name, (_, y) in found.items() if len(y))
    return Figure(title, chart.svg(f"{title}: {said}."), "")


def comparison_cautions(runs: Mapping[str, RunRecord]) -> list[str]:
    """Reasons not to compare the runs' numbers."""
    found = ["One run each: differences between them may be chance. A comparison over seeds can decide."]
    data = {str(run.data.get("name")) for run in runs.values()}
    if len(data) > 1:
        found.append(
            f"They were trained on different data ({', '.join(sorted(data))}): their distances do not compare."
        )
    metrics = {run.distance for run in runs.values() if run.distance}
    if len(metrics) > 1:
        found.append(f"They were measured by different distances ({', '.join(sorted(metrics))}), which do not compare.")
    return found


def row(name: str, run: RunRecord) -> dict[str, Any]:
    """One run in the table."""
    metric = run.distance
    values = run.series(metric)[1] if metric else []
    return {
        "name": name,
        "experiment": run.name,
        "scheme": scheme_and_round(run)[1],
        "seed": str(run.experiment.get("seed", "–")),
        "metric": metric or "–",
        # The first, the last and the best of training's own evaluations.
        "values": [number(v) for v in (values[0], values[-1], min(values))] if len(values) else ["–"] * 3,
        "clocks": [number(run.last.get(clock)) for clock in ("num_real", "d_updates", "g_updates")],
        "time": duration(run.last["seconds"]) if "seconds" in run.last else "–",
        "verdict": verdicts(run)[0],
        "command": command(run),
    }


def several_page(folders: Sequence[Path]) -> str:
    """The HTML of several runs.

    Raises:
        FileNotFoundError: A directory holds no run, or one without samples.
        ValueError: The same run twice, or a damaged file.
    """
    runs = {name: read_run(folder) for name, folder in zip(labels(folders), folders, strict=True)}
    grouped = {(name, ""): run for name, run in runs.items()}
    metrics = dict.fromkeys(run.distance for run in runs.values() if run.distance)
    charts = [
        # One chart for each distance, as two of them share no axis.
        distances(list(runs), grouped, {}, metric, "num_real", f"distances{index}")
        for index, metric in enumerate(metrics)
    ]
    charts += [overlaid(runs, column, title) for column, title in OVERLAID]
    return render(
        "several.html.j2",
        rows=[row(name, run) for name, run in runs.items()],
        names=list(runs),
        cautions=comparison_cautions(runs),
        settings=settings(runs),
        charts=[chart for chart in charts if chart is not None],
        player=build_player(grouped),
        latents=latent_rows(grouped),
        provenance={name: flatten(run.provenance | {"data": run.data}) for name, run in runs.items()},
    )
