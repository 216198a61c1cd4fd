"""Which recipe makes the best pictures in a given processor time? Candidates, halved from rung to rung.

    OMP_NUM_THREADS=1 python examples/recipe_study.py --sets flowers=flowers.zip faces=faces.zip --rungs 60:2 480:2

Every candidate trains on every set for the processor seconds and seeds of the first rung. The best third goes on to the
next one, beside ``before``, the settings of `ganneal train PATH` before there were recipes. Candidates are ranked by
their kernel distance, a mean over seeds, set by set: the distance is measured in features of MobileNetV2 where
``--features`` names its file, else in those of EfficientNet-Lite0, and coverage and the other network stand beside it.
A distance above about 0.5 ranks textures and fog before faces: look at the sheets of grids in the run folder, and
``--keep`` the candidates that look better than their distance.

Each run goes into the ledger as it ends. The ledger alone decides what is left to do, so that the study may be stopped
at any time and go on, on another machine too.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil, inf
from pathlib import Path
from statistics import fmean
from typing import Any

from PIL import Image, ImageDraw

from ganneal.cli.configure import asked_by, configure
from ganneal.comparison import Arm, LocalProcesses, Study, compare
from ganneal.comparison.job import Job
from ganneal.comparison.schedule import stored_choices
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Experiment
from ganneal.experiments import Choice
from ganneal.experiments.named import automatic_choices, resolve
from ganneal.metrics.extractors import EfficientNetLite0, ExtractorConfig, MobileNetV2
from ganneal.metrics.measures import METRICS
from ganneal.storage.atomic import write_bytes
from ganneal.storage.encoding import encode
from ganneal.storage.run_directory import provenance

FORMAT = 1
BEFORE = "before"
_SLOW_ADAM = "--d-optimizer.lr 2e-4 --g-optimizer.lr 2e-4"
_AS_IT_WAS = f"--model dcgan --model.width 32 --augmentation none --batch-size 64 {_SLOW_ADAM}"
_FAST_ADAM = "--d-optimizer.lr 4e-4 --g-optimizer.lr 4e-4"
_HALF_LIFE = "--averaging.half-life 2000 --averaging.rampup 0.05"
CANDIDATES = {
    BEFORE: f"--recipe nats {_AS_IT_WAS} --averaging.half-life 10000",
    "default": "",
    "dcgan-16": "--recipe dcgan --model.width 16",
    "dcgan-16-plain": "--recipe dcgan --model.width 16 --augmentation none",
    "dcgan-16-hinge-r1": "--recipe dcgan --model.width 16 --loss hinge --model.d-norm layer --regularizer r1 "
    "--regularizer.interval 16",
    "dcgan-32": "--recipe dcgan --model.width 32",
    "nats": "--recipe nats",
    "fastgan-8": f"--recipe fastgan --model.width 8 {_HALF_LIFE}",
    "fastgan-16": f"--recipe fastgan {_HALF_LIFE}",
    "fastgan-16-fast": f"--recipe fastgan {_HALF_LIFE} {_FAST_ADAM}",
    "r3gan": f"--recipe r3gan {_HALF_LIFE}",
    "r3gan-fast": f"--recipe r3gan --augmentation diffaugment {_HALF_LIFE} {_FAST_ADAM}",
    "projected-8": f"--recipe projected --model.generator.width 8 {_HALF_LIFE}",
    "projected-dcgan": f"--recipe projected --model.generator dcgan --model.generator.upsampling nearest {_HALF_LIFE}",
    "sngan": f"--recipe sngan {_HALF_LIFE}",
}
"""Options of `ganneal train PATH` by the candidate's name; ``default`` has none."""
METRIC_NAMES = ("kernel", "density-coverage")
SAMPLES = 500
LONG = 120
"""Processor seconds from which a run is measured in both networks."""
SEED_OF_SAMPLES = 10_000
"""Evaluation seed: samples that chose nothing."""
MOST_SEEDS = 1_000
BEGIN, END = "<!-- written by examples/recipe_study.py -->", "<!-- end of what it writes -->"
SHOWN_ROWS, CAPTION = 5, 18
"""Rows of a grid on the sheet, and the height of the line above it in pixels."""


@dataclass(frozen=True)
class Rung:
    """Processor seconds of a run, and seeds."""

    seconds: float
    seeds: int


class Ledger:
    """Every run that has ended, in one JSON file that is written anew after each."""

    def __init__(self, file: Path):
        self.file = file
        content = json.loads(file.read_text("utf-8")) if file.exists() else {"format": FORMAT, "runs": []}
        if content["format"] != FORMAT:
            raise SystemExit(f"{file} has the format {content['format']}, this script writes {FORMAT}; name another.")
        self.runs: list[dict[str, Any]] = content["runs"]

    def add(self, run: Mapping[str, Any]) -> None:
        """Keep one more run, in place of one of the same name, set, time and seed."""
        place = ("set", "candidate", "seconds", "seed")
        self.runs = [other for other in self.runs if any(other[key] != run[key] for key in place)]
        self.runs.append(dict(run))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(self.file, json.dumps({"format": FORMAT, "runs": self.runs}, indent=1).encode())

    def of(self, images: str, rung: Rung) -> list[dict[str, Any]]:
        """The runs of one set and one rung."""
        return [
            run
            for run in self.runs
            if (run["set"], run["seconds"]) == (images, rung.seconds) and run["seed"] < rung.seeds
        ]


def settings_of(experiment: Experiment) -> dict[str, Any]:
    """What a candidate trains on every machine, as JSON types: a recipe that has changed since is another candidate."""
    other = ("data", "seed", "precision", "init_from")
    return json.loads(json.dumps({key: value for key, value in experiment.identity().items() if key not in other}))


def ranked(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The candidates of ``runs``, best first: by kernel distance, a mean over seeds; those without one come last."""
    return sorted({run["candidate"] for run in runs}, key=lambda name: distance(runs, name))


def distance(runs: Sequence[Mapping[str, Any]], candidate: str) -> float:
    """The mean kernel distance of a candidate; infinite where one of its runs has none."""
    found = [run["measured"].get("distance") for run in runs if run["candidate"] == candidate]
    return inf if not found or None in found else fmean(found)


def entrants(
    ledger: Ledger, images: str, rungs: Sequence[Rung], number: int, names: Sequence[str], kept: Sequence[str] = ()
) -> list[str]:
    """Who runs in a rung: all at first; then the best third of the one before and those that are ``kept``.

    ``before`` joins in the second rung, or in the only one.
    """
    begins = min(1, len(rungs) - 1)
    standard = [name for name in names if name == BEFORE and number >= begins]
    if number == 0:
        return [*(name for name in names if name != BEFORE), *standard]
    earlier = [name for name in entrants(ledger, images, rungs, number - 1, names, kept) if name != BEFORE]
    order = [name for name in ranked(ledger.of(images, rungs[number - 1])) if name in earlier]
    best = order[: max(1, len(earlier) // 3)]
    return [*best, *(name for name in earlier if name in kept and name not in best), *standard]


def measured(path: Path, features: str | None, *, quickly: bool) -> dict[str, Any]:
    """Kernel distance and coverage of the last weights in each network; ``distance`` is what the run is ranked by.

    Args:
        quickly: Measure in the first network alone.
    """
    networks: list[ExtractorConfig] = [] if features is None else [MobileNetV2(path=features)]
    beside = [] if networks and quickly else [EfficientNetLite0()]
    settings = Settings(tuple(METRICS[name] for name in METRIC_NAMES), SAMPLES, (SEED_OF_SAMPLES,))
    found: dict[str, Any] = {}
    for network in [*networks, *beside]:
        records = evaluate_run(path, checkpoints=("last",), settings=settings, extractor=network)
        found |= {record.name: record.value for record in records}
        first = next(record for record in records if record.name.startswith("KD-"))
        found.setdefault("distance", first.value)
    return found


def last_grid(path: Path) -> Path | None:
    """The last grid of samples of the run at ``path``."""
    return max(path.glob("samples/[0-9]*.png"), default=None)


def sheet(grids: Mapping[str, Path], out: Path) -> None:
    """The upper rows of grids of samples side by side, each below its name."""
    tiles = []
    for name, file in grids.items():
        with Image.open(file) as grid:
            side = min(grid.height, grid.width * SHOWN_ROWS // 8)
            tile = Image.new("RGB", (grid.width, side + CAPTION), "white")
            tile.paste(grid.convert("RGB").crop((0, 0, grid.width, side)), (0, CAPTION))
        ImageDraw.Draw(tile).text((4, 2), name, "black")
        tiles.append(tile)
    columns = min(3, len(tiles))
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    board = Image.new("RGB", (columns * width, ceil(len(tiles) / columns) * height), "white")
    for place, tile in enumerate(tiles):
        board.paste(tile, (place % columns * width, place // columns * height))
    out.parent.mkdir(parents=True, exist_ok=True)
    board.save(out)


class RecipeStudy:
    """The runs of all rungs on all sets."""

    def __init__(self, sets: Mapping[str, str], ledger: Ledger, out: Path, features: str | None):
        self.sets, self.ledger, self.out, self.features = sets, ledger, out, features

    def rung(self, images: str, rung: Rung, names: Sequence[str]) -> None:
        """Train and measure what the ledger lacks of one rung on one set, seed by seed; then draw the sheet."""
        done = {(run["candidate"], run["seed"]): run["settings"] for run in self.ledger.of(images, rung)}
        for seed in range(rung.seeds):
            folder = self.out / images / f"{rung.seconds:g}-seed{seed}"
            chosen, arms = self._arms(images, rung, names, folder)
            missing = [arm for arm in arms if done.get((arm.name, seed)) != settings_of(arm.experiment)]
            if missing:
                self._compared(images, rung, missing, seed, folder, chosen)
        grids = {
            f"{name}  KD {distance(self.ledger.of(images, rung), name):.2f}": file
            for name in names
            if (file := self.out / "grids" / f"{images}-{rung.seconds:g}-{name}-0.png").exists()
        }
        if grids:
            sheet(grids, self.out / f"{images}-{rung.seconds:g}.png")

    def _arms(
        self, images: str, rung: Rung, names: Sequence[str], folder: Path
    ) -> tuple[dict[str, Choice] | None, list[Arm]]:
        """What is chosen for the set, and the candidates' experiments."""
        path = self.sets[images]
        options = {name: [*CANDIDATES[name].split(), *QUIET] for name in names}
        # Sizes that all networks make; the choices of the first call in this folder hold for those after it.
        chosen = automatic_choices(
            path,
            stored_choices(folder).get(path),
            asked_by(*options.values(), limits={"cpu_seconds": rung.seconds}),
        )
        return chosen, [
            Arm(name, configure(resolve(path, chosen), words, path, chosen)) for name, words in options.items()
        ]

    def _compared(
        self,
        images: str,
        rung: Rung,
        arms: Sequence[Arm],
        seed: int,
        folder: Path,
        chosen: dict[str, Choice] | None,
    ) -> None:
        study = Study(images, tuple(arms), (seed,), "cpu_seconds", rung.seconds, arms[0].name)

        def ended(job: Job, outcome: dict[str, Any]) -> None:
            self._keep(images, rung, job, outcome)

        compare(study, folder, LocalProcesses(1), say=say, chosen=encode({self.sets[images]: chosen}), ended=ended)

    def _keep(self, images: str, rung: Rung, job: Job, outcome: dict[str, Any]) -> None:
        finished = outcome["status"] == "finished"
        found = measured(job.path, self.features, quickly=rung.seconds < LONG) if finished else {}
        if (grid := last_grid(job.path)) is not None:
            kept = self.out / "grids" / f"{images}-{rung.seconds:g}-{job.arm}-{job.seed}.png"
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(grid, kept)
        self.ledger.add(
            {
                "set": images,
                "candidate": job.arm,
                "options": CANDIDATES[job.arm],
                "settings": settings_of(job.experiment),
                "precision": job.experiment.precision,
                "seconds": rung.seconds,
                "seed": job.seed,
                "measured": found,
                "outcome": outcome,
                "provenance": provenance(),
                "date": datetime.now(UTC).date().isoformat(),
            }
        )
        say(f"{images} {rung.seconds:g} s {job.arm} seed {job.seed}: {found or outcome['error']}")


QUIET = (
    *("--threads", "1", "--records.evaluate-count", "0", "--records.no-tensorboard", "--records.sample-every", "5000"),
    *("--records.log-every", "200"),
)
"""Options of every run: one thread, no evaluation beside training."""


def say(text: str) -> None:
    """A line with the time of day."""
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


def tables(ledger: Ledger) -> Iterator[str]:
    """The ledger in Markdown: a table for each set and time, the best candidate first, a figure for each seed."""
    for images, seconds in sorted({(run["set"], run["seconds"]) for run in ledger.runs}):
        runs = ledger.of(images, Rung(seconds, MOST_SEEDS))
        columns = sorted({key for run in runs for key in run["measured"] if key.startswith(("KD", "coverage"))})
        yield f"| {images}, {seconds:g} processor seconds | images | {' | '.join(columns)} |"
        yield f"| --- {'| --- ' * (len(columns) + 1)}|"
        for name in ranked(runs):
            own = sorted((run for run in runs if run["candidate"] == name), key=lambda run: run["seed"])
            seen = " / ".join(f"{run['outcome']['num_real']:,}" for run in own)
            shown = [" / ".join(_figure(run["measured"].get(column)) for run in own) for column in columns]
            yield f"| `{name}` | {seen} | {' | '.join(shown)} |"
        yield ""


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def with_tables(page: str, ledger: Ledger) -> str:
    """``page`` with the tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    return "\n".join([before + BEGIN, "", *tables(ledger), END]) + rest.partition(END)[2]


def main(arguments: list[str]) -> int:
    """Run what is left of the study, and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=[], metavar="NAME=PATH", help="images to train on")
    parser.add_argument("--rungs", nargs="+", default=["60:2", "480:2"], metavar="SECONDS:SEEDS", help="shortest first")
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), choices=CANDIDATES, metavar="NAME")
    parser.add_argument("--keep", nargs="+", default=[], choices=CANDIDATES, metavar="NAME", help="go on in any case")
    parser.add_argument("--features", metavar="FILE", help="weights of MobileNetV2; left out, EfficientNet-Lite0 ranks")
    parser.add_argument("--out", default="runs/recipe-study", help="where runs and sheets go")
    parser.add_argument("--results", default="results/recipes/study.json", help="the ledger")
    parser.add_argument("--page", metavar="FILE", help="write the tables of the ledger between the marks of a page")
    given = parser.parse_args(arguments)
    sets = dict(each.split("=", 1) for each in given.sets)
    rungs = [Rung(float(seconds), int(seeds)) for seconds, seeds in (each.split(":") for each in given.rungs)]
    ledger = Ledger(Path(given.results))
    study = RecipeStudy(sets, ledger, Path(given.out).resolve(), given.features)
    for number, rung in enumerate(rungs):
        for images in sets:
            study.rung(images, rung, entrants(ledger, images, rungs, number, given.candidates, given.keep))
    print("\n".join(tables(ledger)))
    if given.page:
        page = Path(given.page)
        page.write_text(with_tables(page.read_text("utf-8"), ledger), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
