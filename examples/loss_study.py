"""Nine losses on CIFAR-10 at a fixed time: distance, precision, recall and coverage of a small DCGAN.

    OMP_NUM_THREADS=1 python examples/loss_study.py --out runs/loss-study --seconds 300 --seeds 3

Every arm is a loss with the companions it was published with (penalty, discriminator steps, optimizer), and otherwise
the same: DCGAN of width 32 in bf16 on one thread, with layer norm in the discriminator, for batch norm falsifies
penalties by sample. Equal in training seconds: keep other work off the machine, or the slower runs get less. The same
command goes on where it was stopped, and ends by writing ``docs/notes/loss-study.json`` and
``.png`` and printing the table.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from ganneal.comparison import Arm, LocalProcesses, Study, compare
from ganneal.data import Arrays, Cifar10
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Experiment, Records
from ganneal.experiments import EXPERIMENTS
from ganneal.losses import Hinge, Hybrid, LeastSquares, NonSaturating, RelativisticPaired, Wasserstein
from ganneal.metrics.extractors import ExtractorConfig, ResNet
from ganneal.metrics.measures import DensityCoverage, Frechet, PrecisionRecall
from ganneal.models import DCGAN
from ganneal.normalization import GradientNormalization
from ganneal.optim import Adam
from ganneal.regularizers import Generated, GradientPenalty, Reals, Sum
from ganneal.schemes import Alternating
from ganneal.storage.atomic import write_bytes

SAMPLES = 5_000
MEASURED = "loss-study.json"
NAMES = {"FD": "distance", "precision": "precision", "recall": "recall", "coverage": "coverage"}
"""What is read from the records, by the part of the protocol."""

GAMMA = 0.05
"""Of R1 and R2 beside RpGAN: where R3GAN starts on CIFAR-10."""
WGAN_ADAM = Adam(lr=1e-4, beta1=0.0, beta2=0.9)

ARMS: dict[str, dict[str, Any]] = {
    "non-saturating": {"loss": NonSaturating()},
    "hinge": {"loss": Hinge()},
    "lsgan": {"loss": LeastSquares()},
    "wgan-gp": {
        "loss": Wasserstein(),
        "regularizer": GradientPenalty(),
        "scheme": Alternating(d_steps=5),
        "d_optimizer": WGAN_ADAM,
        "g_optimizer": WGAN_ADAM,
    },
    "rpgan-r1-r2": {
        "loss": RelativisticPaired(),
        "regularizer": Sum(
            (
                GradientPenalty(center=0.0, points=Reals(), coefficient=GAMMA / 2),
                GradientPenalty(center=0.0, points=Generated(), coefficient=GAMMA / 2),
            )
        ),
    },
    "hybrid-reverse-kl": {"loss": Hybrid("js", "reverse_kl")},
    "hybrid-kl": {"loss": Hybrid("js", "kl", exp_cap=15.0)},
    "hybrid-srkl": {"loss": Hybrid("js", "srkl")},
    "gn-hinge": {"loss": Hinge(), "normalization": GradientNormalization()},
}
"""The fields that make each arm; another arm is another line. hybrid-srkl is non-saturating with both losses doubled,
which Adam cancels but for its epsilon: how far the two lie apart is what rounding and the clock do."""


def base(data: str) -> Experiment:
    """What all runs share."""
    return replace(
        EXPERIMENTS["cifar10-cts"](),
        data=Arrays(path=data),
        model=DCGAN(width=32, d_norm="layer"),
        precision="bf16",
        threads=1,
        records=Records(
            log_every=4_000,
            sample_every=100_000,
            evaluate_every=25_000,
            evaluate_count=2_000,
            extractor=ResNet(20),
            tensorboard=False,
        ),
    )


def study(data: str, seconds: float, seeds: int) -> Study:
    """Every arm under every seed."""
    arms = tuple(Arm(name, replace(base(data), **changes)) for name, changes in ARMS.items())
    return Study("losses", arms, tuple(range(seeds)), "seconds", seconds, arms[0].name)


def decoded(folder: Path) -> str:
    """CIFAR-10's training images as one array that every run maps into memory."""
    path = folder.with_name(f"{folder.name}-cifar10.npy")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, Cifar10().load().samples)
    return str(path.resolve())


def measure(run: Path, samples: int, extractor: ExtractorConfig | None = None) -> dict[str, float]:
    """Distance, precision, recall and coverage of the run's last weights, with its own extractor if none is given.

    Both sides of the last three have as many samples as are generated: their values move with the number.
    """
    metrics = (Frechet(), PrecisionRecall(most=samples), DensityCoverage(most=samples))
    settings = Settings(metrics=metrics, count=samples, seeds=(1_000_003,))
    records = evaluate_run(run, checkpoints=("last",), settings=settings, extractor=extractor)
    return {NAMES[r.protocol.part]: r.value for r in records if r.protocol.part in NAMES}


def measured(run: Path, samples: int) -> dict[str, float]:
    """`measure`, kept in the run's directory."""
    path = run / MEASURED
    if path.exists() and (content := json.loads(path.read_text()))["samples"] == samples:
        return content
    found = measure(run, samples)
    write_bytes(path, json.dumps(found | {"samples": samples}).encode())
    return found


def summary(results: dict[str, Any], out: Path, samples: int) -> dict[str, Any]:
    """Each arm's runs with what was measured; a run that diverged or failed has its status alone."""
    arms = {}
    for arm in results["arms"]:
        runs = []
        for run in arm["runs"]:
            kept = {key: run[key] for key in ("seed", "status", "num_real", "d_updates", "g_updates", "cpu_seconds")}
            values = measured(out / run["path"], samples) if run["status"] == "finished" else {}
            runs.append(kept | {key: values[key] for key in NAMES.values() if key in values})
        arms[arm["name"]] = runs
    return {
        "metric": results["metric"],
        "samples": samples,
        "seconds": results["amount"],
        "hardware": results["hardware"],
        "arms": arms,
    }


def _mean(runs: Sequence[dict[str, Any]], key: str) -> str:
    values = [run[key] for run in runs if key in run]
    if not values:
        return "–"
    spread = f" ({min(values):.3g}–{max(values):.3g})" if len(values) > 1 else ""
    return f"{fmean(values):.3g}{spread}"


def table(content: dict[str, Any]) -> str:
    """The summary as Markdown: means over the seeds that finished, lowest and highest."""
    head = ["arm", "finished", content["metric"], "precision", "recall", "coverage", "real images", "CPU s"]
    lines = [head, ["---"] * len(head)]
    for name, runs in content["arms"].items():
        finished = sum(run["status"] == "finished" for run in runs)
        clocks = [f"{fmean(run['num_real'] for run in runs):,.0f}", f"{fmean(run['cpu_seconds'] for run in runs):.0f}"]
        lines.append([name, f"{finished} of {len(runs)}", *(_mean(runs, key) for key in NAMES.values()), *clocks])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def draw(content: dict[str, Any], path: Path) -> None:
    """One dot a run, one row an arm, one panel a value."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(NAMES), figsize=(12, 4), sharey=True, layout="constrained")
    arms = list(content["arms"])
    for axes, key in zip(panels, NAMES.values(), strict=True):
        for row, name in enumerate(arms):
            values = [run[key] for run in content["arms"][name] if key in run]
            axes.plot(values, [row] * len(values), "o", color="#0072b2", alpha=0.7)
            if len(values) > 1:
                axes.plot([fmean(values)] * 2, [row - 0.3, row + 0.3], color="#d55e00", linewidth=2)
        axes.set_xlabel(f"{content['metric']}, lower is better" if key == "distance" else f"{key}, higher is better")
    panels[0].set_yticks(range(len(arms)), arms)
    panels[0].invert_yaxis()
    figure.suptitle(
        f"{content['seconds']:g} training seconds each; a dot is a seed, a bar their mean", fontsize="medium"
    )
    figure.savefig(path, dpi=110)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Nine losses on CIFAR-10 at a fixed time.")
    parser.add_argument("--out", type=Path, default=Path("runs/loss-study"))
    parser.add_argument("--seconds", type=float, default=300.0, help="training time of each run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="generated samples of each run's measurement")
    parser.add_argument("--page", type=Path, default=Path("docs/notes/loss-study"), help="where the summary goes")
    options = parser.parse_args(arguments)
    results = compare(
        study(decoded(options.out), options.seconds, options.seeds),
        options.out,
        LocalProcesses(options.jobs),
        say=lambda text: print(text, flush=True),
    )
    content = summary(results.content, options.out, options.samples)
    options.page.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    draw(content, options.page.with_suffix(".png"))
    print(table(content))
    return 0


if __name__ == "__main__":
    sys.exit(main())
