"""The page of one run."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from markupsafe import Markup

from ganneal.data import Dataset
from ganneal.inference.loading import TrainedGenerator, load
from ganneal.report import words
from ganneal.report.curves import curves
from ganneal.report.drawn import Neighbours, interpolation, load_data, neighbours, paths
from ganneal.report.page import render
from ganneal.report.pictures import Picture, evenly
from ganneal.report.player import build_player
from ganneal.report.pushed import Pushed, pushed
from ganneal.report.records import RunRecord, flatten, read_run
from ganneal.report.schedule import Round, first_round, level_figures, read_scheme
from ganneal.report.verdicts import history, measurements, verdicts
from ganneal.wording import duration, number

SHOWN_POINTS = 1_500
WHILE_TRAINING = "Not drawn while this page renews itself, as it takes the weights: `ganneal report` draws it."


@dataclass(frozen=True)
class GeneratorSections:
    """Sections drawn from the generator itself, or the reason why they are missing."""

    neighbours: Neighbours | None = None
    interpolation: Picture | None = None
    paths: Markup | None = None
    pushed: Pushed | None = None
    neighbours_note: str = ""
    note: str = ""


@dataclass(frozen=True)
class RunCommand:
    """Command that repeats a run, with a caution where it had to be guessed."""

    text: str
    note: str = ""


def command(run: RunRecord) -> RunCommand:
    """The recorded command, else the nearest that can be said."""
    if run.command:
        return RunCommand(run.command)
    seed = run.experiment.get("seed", 0)
    text = f"ganneal train {shlex.quote(run.name)} --out {shlex.quote(str(run.path))}" + (
        f" --seed {seed}" if seed else ""
    )
    return RunCommand(
        text,
        "The command was not recorded. This one names the experiment; options that were changed from its defaults "
        "have to be added: the configuration below lists every one as it was.",
    )


def scheme_and_round(run: RunRecord) -> tuple[Round | None, str]:
    """The first round, and the scheme in words; no round for a scheme that is not registered here."""
    encoded = run.experiment.get("scheme")
    try:
        # A page outlives the code of its run: what cannot be read today is shown as it was written.
        round = first_round(read_scheme(encoded))
    except (ValueError, TypeError):  # a part of somebody's own, or with other fields than it has today
        return None, words.scheme(encoded)
    return round, words.scheme(encoded, [level.weight for level in round.figures.levels])


def figures(run: RunRecord) -> list[tuple[str, str]]:
    """The numbers at the top."""
    last, name = run.last, run.distance
    found = []
    if name is not None:
        # The first evaluation is made before the first update.
        values = run.series(name)[1]
        found.append((f"{name}, start to end", f"{number(values[0])} → {number(values[-1])}"))
    for key, label in (("num_real", run.unit), ("d_updates", "D updates"), ("g_updates", "G updates")):
        if key in last:
            found.append((label, number(last[key])))
    if reals := last.get("g_num_real"):
        found.append((f"more {run.unit} in G updates", number(reals)))
    if "seconds" in last:
        found.append(("training time", duration(last["seconds"])))
    return found


def run_summary(run: RunRecord, scheme: str) -> str:
    """The run's training, data and duration, in three sentences."""
    model = run.experiment.get("model", {}).get("type", "unknown")
    loss = words.loss(run.experiment.get("loss", {}))
    last = run.last
    threads = run.provenance.get("threads")
    # Seconds say something only beside the hardware that took them.
    place = run.provenance.get("accelerator") or (
        f"{threads} CPU thread{'' if threads == 1 else 's'}" if threads else "unknown hardware"
    )
    severity, ended = words.status(run)
    d_updates, g_updates = last.get("d_updates", 0), last.get("g_updates", 0)
    return (
        f"A generator and a discriminator ({model}) trained on {words.samples(run)}. The schedule: {scheme}; the loss: "
        f"{loss}. It saw {words.clock(last.get('num_real', 0), 'num_real', run.unit)} in {d_updates:,} discriminator "
        f"and {g_updates:,} generator updates, {duration(last.get('seconds', 0))} on {place}."
        + (f" {ended}" if severity == "good" else "")
    )


def run_provenance(run: RunRecord) -> Mapping[str, str]:
    """Versions, machine, seed and data, as shown."""
    data = {f"data: {key}": value for key, value in flatten(run.data).items()}
    seed = {"seed": run.experiment.get("seed", "not recorded")}
    return {
        key.replace("_", " "): "–" if value is None else str(value)
        for key, value in (seed | data | dict(flatten(run.provenance))).items()
    }


def generator_of(run: RunRecord) -> tuple[TrainedGenerator | None, str]:
    """The trained generator, or why there is none."""
    try:
        return load(run.path), ""
    except (FileNotFoundError, ValueError, RuntimeError, TypeError) as error:  # absent, damaged, not registered here
        return None, f"No weights could be read: {error}"


def draw_sections(run: RunRecord, data_path: str | None = None) -> GeneratorSections:
    """Everything that takes the weights; what takes the data too only where that is found."""
    generator, note = generator_of(run)
    if generator is None:
        return GeneratorSections(note=note)
    try:
        # The data may have gone while the weights are there: all else is drawn without them.
        dataset, missing = load_data(run, data_path), ""
    except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
        why = "was not found here" if isinstance(error, FileNotFoundError) else "was not read"
        dataset, missing = None, f"The training data {why}, so its nearest images are not shown: {error}"
    if not run.is_images:
        return GeneratorSections(paths=paths(generator, _some(dataset)), neighbours_note=missing)
    found = neighbours(generator, dataset) if dataset is not None else None
    return GeneratorSections(found, interpolation(generator), None, _pushed(run.path), missing)


def _pushed(path: Path) -> Pushed | None:
    try:
        return pushed(path)
    except (FileNotFoundError, ValueError, RuntimeError, TypeError):  # as in `generator_of`: it is left out
        return None


def _some(dataset: Dataset | None) -> np.ndarray:
    if dataset is None:
        return np.empty((0, 2))
    # [points, 2]: of more coordinates, their shadow on the plane of the first two.
    return dataset.samples[evenly(range(len(dataset)), SHOWN_POINTS)][:, :2]


def run_page(path: str | Path, data_path: str | None = None, *, live: str = "") -> str:
    """The HTML of the run at ``path``.

    Args:
        data_path: Where its data lies; None looks where it was, and where it lay from the run.
        live: A line on top of the page of a running training, which leaves out everything that takes the weights.

    Raises:
        FileNotFoundError: There is no run, or one without samples.
        ValueError: A file is damaged.
    """
    run = read_run(path)
    round, scheme = scheme_and_round(run)
    return render(
        "run.html.j2",
        run=run,
        summary=run_summary(run, scheme),
        scheme=scheme,
        verdicts=verdicts(run),
        figures=figures(run),
        # Without a group, as there is nothing to choose between.
        player=build_player({(run.name, ""): run}),
        curves=curves(run),
        round=round,
        levels=level_figures(run, round) if round else [],
        drawn=GeneratorSections(note=WHILE_TRAINING) if live else draw_sections(run, data_path),
        history=history(run),
        measurements=measurements(run),
        command=command(run),
        provenance=run_provenance(run),
        configuration=flatten(run.experiment),
        live=live,
    )
