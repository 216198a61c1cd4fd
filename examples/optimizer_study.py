"""The sweep behind the tables of docs/notes/studies.md: ten optimizers on the DCGAN of CIFAR-10.

    OMP_NUM_THREADS=1 python examples/optimizer_study.py --out runs/optimizer-study --jobs 2

Each method runs at the same ten points (lr of D, lr of G, coefficient c of the conjugate-gradient rules), drawn without
replacement from the grid of Naganuma and Iiduka (AISTATS 2023) by a fixed seed. The budget is a count of real images,
so that other work on the machine changes no result. The same command goes on where it was stopped, and ends by
writing ``docs/notes/optimizer-study.json`` and ``.png`` and printing the tables.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from math import inf
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import numpy as np

from ganneal.comparison import Arm, LocalProcesses, Study, compare
from ganneal.data import Arrays, Cifar10
from ganneal.experiment import Experiment, Records
from ganneal.experiments import EXPERIMENTS
from ganneal.metrics.extractors import ResNet
from ganneal.metrics.intervals import paired_comparison
from ganneal.models import DCGAN
from ganneal.optim import CG, SGD, Adam, BetaRule, OptimizerConfig

LEARNING_RATES = (5e-3, 1e-3, 5e-4, 1e-4, 5e-5)
COEFFICIENTS = (0.5, 0.75, 1.0)
POINTS = 10
POINTS_SEED = 2023
NUM_REAL = 80_000


def conjugate(beta_rule: BetaRule) -> Callable[[float, float], OptimizerConfig]:
    """A conjugate-gradient method from its learning rate and coefficient."""
    return lambda lr, c: CG(lr=lr, beta_rule=beta_rule, beta_coeff=c)


METHODS: dict[str, Callable[[float, float], OptimizerConfig]] = {
    "Adam": lambda lr, c: Adam(lr=lr),
    "SGD": lambda lr, c: SGD(lr=lr),
    "momentum": lambda lr, c: SGD(lr=lr, momentum=0.9),
    "DY": conjugate("DY"),
    "FR": conjugate("FR"),
    "FR_PRP": conjugate("FR_PRP"),
    "HS": conjugate("HS"),
    "HS_DY": conjugate("HS_DY"),
    "HZ": conjugate("HZ"),
    "PRP": conjugate("PRP"),
}
"""A player's optimizer from its learning rate and the coefficient c, which only the conjugate-gradient rules have."""


class Point(NamedTuple):
    """One place in the grid, the same for every method."""

    d_lr: float
    g_lr: float
    c: float


def points(count: int = POINTS, seed: int = POINTS_SEED) -> list[Point]:
    """Different places of the grid, in the order drawn."""
    grid = [Point(*place) for place in product(LEARNING_RATES, LEARNING_RATES, COEFFICIENTS)]
    return random.Random(seed).sample(grid, count)


def base(data: str) -> Experiment:
    """What all runs share."""
    return replace(
        EXPERIMENTS["cifar10-cts"](),
        data=Arrays(path=data),
        model=DCGAN(width=32),
        precision="bf16",
        threads=1,
        records=Records(
            log_every=4_000,
            sample_every=NUM_REAL,
            evaluate_every=NUM_REAL // 2,
            evaluate_count=2_000,
            evaluate_share=1.0,
            extractor=ResNet(20),
            tensorboard=False,
        ),
    )


def study(data: str) -> Study:
    """Every method at every point; point by point, so that an unfinished study compares the same points."""
    arms = tuple(
        Arm(
            f"{method}-{number:02d}",
            replace(base(data), d_optimizer=make(point.d_lr, point.c), g_optimizer=make(point.g_lr, point.c)),
        )
        for number, point in enumerate(points())
        for method, make in METHODS.items()
    )
    return Study("optimizers", arms, (0,), "num_real", NUM_REAL, arms[0].name)


def decoded(folder: Path) -> str:
    """CIFAR-10's training images as one array that every run maps into memory."""
    path = folder.with_name(f"{folder.name}-cifar10.npy")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, Cifar10().load().samples)
    return str(path.resolve())


def _spread(values: Sequence[float | None]) -> dict[str, float]:
    """Of the runs that did not diverge."""
    finite = [value for value in values if value is not None]
    return {"best": min(finite), "mean": fmean(finite), "sd": stdev(finite), "worst": max(finite), "n": len(finite)}


def summary(results: dict[str, Any]) -> dict[str, Any]:
    """What each method reached over its points: at the end of training, and at each run's best evaluation.

    A run that diverged has no value: it is in no mean, and worse than every finite value where methods are compared.
    """
    methods = {}
    runs = {arm["name"]: run for arm in results["arms"] for run in arm["runs"]}
    for method in METHODS:
        own = [runs[f"{method}-{number:02d}"] for number in range(POINTS)]
        last = [run["last"] for run in own]
        best = [run["last"] if run["best"] is None else run["best"] for run in own]
        rows = zip(last, best, own, strict=True)
        methods[method] = {
            "last": _spread(last),
            "best": _spread(best),
            "runs": [{"last": end, "best": least, "status": run["status"]} for end, least, run in rows],
            "stopped": sum(run["status"] != "finished" for run in own),
            "cpu_seconds": fmean(run["cpu_seconds"] for run in own),
        }
    untrained = {round(run["untrained"], 6) for run in runs.values()}
    return {
        "metric": results["metric"],
        "num_real": results["amount"],
        "untrained": sorted(untrained),
        "points": [point._asdict() for point in points()],
        "hardware": results["hardware"],
        "methods": methods,
    }


def table(content: dict[str, Any]) -> str:
    """The summary as Markdown."""
    head = (
        f"| optimizer | best run, {content['metric']} last | best run, best | runs that ended, last | same, best | "
        f"diverged | CPU s a run |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    rows = [
        f"| {name} | {m['last']['best']:.2f} | {m['best']['best']:.2f} | "
        f"{m['last']['mean']:.2f} ± {m['last']['sd']:.2f} | {m['best']['mean']:.2f} ± {m['best']['sd']:.2f} | "
        f"{m['stopped']} | {m['cpu_seconds']:.0f} |"
        for name, m in content["methods"].items()
    ]
    return "\n".join([head, *rows])


def differences(content: dict[str, Any]) -> str:
    """Each rule's last value less those of three others at the same points, with t intervals, as Markdown.

    No p is corrected for their number.
    """

    def last(method: str) -> list[float]:
        return [inf if run["last"] is None else run["last"] for run in content["methods"][method]["runs"]]

    def against(rule: str, other: str) -> str:
        pair = paired_comparison(last(rule), last(other))
        if pair.low is None:
            return f"{pair.diverged[0]} of {pair.pairs} diverged: {'worse' if pair.decided else 'not decided'}"
        return f"{pair.difference:.1f} [{pair.low:.1f}, {pair.high:.1f}]"

    others = ("SGD", "momentum", "Adam")
    head = "| | against SGD | against momentum | against Adam |\n| --- | --- | --- | --- |"
    rules = [method for method in content["methods"] if method not in others]
    return "\n".join(
        [head, *(f"| {rule} | {' | '.join(against(rule, other) for other in others)} |" for rule in rules)]
    )


def draw(content: dict[str, Any], path: Path) -> None:
    """One dot a run, one row a method, the mean as a bar."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    names = list(content["methods"])
    for row, name in enumerate(names):
        runs = content["methods"][name]["runs"]
        values = [run["last"] for run in runs if run["last"] is not None]
        axes.plot(values, [row] * len(values), "o", color="#0072b2", alpha=0.7, label="run" if not row else None)
        axes.plot([content["methods"][name]["last"]["mean"]] * 2, [row - 0.3, row + 0.3], color="#d55e00", linewidth=2)
    axes.axvline(content["untrained"][0], color="0.5", linestyle=":", label="untrained generator")
    axes.plot([], [], color="#d55e00", linewidth=2, label="mean of the runs that did not diverge")
    lost = {name: content["methods"][name]["stopped"] for name in names}
    labels = [f"{name}, {lost[name]} of {POINTS} diverged" if lost[name] else name for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xticks([20, 30, 40, 50, 60, 80, 100], minor=False)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel(f"{content['metric']} after {content['num_real']:,.0f} real images, log scale; lower is better")
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize="small"
    )
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Ten optimizers on the DCGAN of CIFAR-10, ten points each.")
    parser.add_argument("--out", type=Path, default=Path("runs/optimizer-study"))
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--page", type=Path, default=Path("docs/notes/optimizer-study"), help="where the summary goes")
    options = parser.parse_args(arguments)
    results = compare(
        study(decoded(options.out)), options.out, LocalProcesses(options.jobs), say=lambda text: print(text, flush=True)
    )
    content = summary(results.content)
    options.page.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    draw(content, options.page.with_suffix(".png"))
    print(table(content))
    print(differences(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
