"""Do the three schemes train with the four classical losses? CIFAR-10, five minutes a run, against a coverage floor.

    OMP_NUM_THREADS=1 python examples/coverage_floor.py --out runs/coverage-floor --seconds 300

Twelve runs of ``cifar10-{cts,nts,nats}``, one thread each. A run that does not finish, or whose coverage is below the
floor, makes the command fail. The same command goes on where it was stopped, and ends by printing the table. ``--run
DIRECTORY`` measures one run that was trained otherwise.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from loss_study import WGAN_ADAM, decoded, measure, summary, table

from ganneal.comparison import Arm, LocalProcesses, Study, compare
from ganneal.data import Arrays
from ganneal.experiment import Records
from ganneal.experiments import EXPERIMENTS
from ganneal.losses import Hinge, LeastSquares, NonSaturating, Wasserstein
from ganneal.metrics.extractors import ResNet
from ganneal.models import DCGAN
from ganneal.regularizers import GradientPenalty
from ganneal.schemes import Alternating, Nested

FLOOR = 0.05
"""Least coverage of a run that did not collapse: ResNet-20's features, 5,000 real and 5,000 generated images, k = 5. On
that scale untrained generators have 0.0002 to 0.0008, ten training images repeated under a little noise 0.032, and
5,000 other training images 0.967."""
SAMPLES = 5_000

SCHEMES = ("cts", "nts", "nats")
LOSSES: dict[str, dict[str, Any]] = {
    "nonsaturating": {"loss": NonSaturating()},
    "lsgan": {"loss": LeastSquares()},
    "wgan-gp": {
        "loss": Wasserstein(),
        "regularizer": GradientPenalty(),
        "model": DCGAN(width=32, d_norm="layer"),
        "d_optimizer": WGAN_ADAM,
        "g_optimizer": WGAN_ADAM,
    },
    "hinge": {"loss": Hinge()},
}
"""The paper's four losses; WGAN-GP with the optimizer it was published with, and no batch norm under its penalty."""
D_STEPS = {"wgan-gp": 5}


def study(data: str, seconds: float, seeds: int, only: Sequence[str] = ()) -> Study:
    """Every scheme with every loss, or the arms that are named."""
    records = Records(
        log_every=2_000,
        sample_every=50_000,
        evaluate_every=25_000,
        evaluate_count=2_000,
        extractor=ResNet(20),
        tensorboard=False,
    )
    arms = []
    for scheme in SCHEMES:
        shared = replace(
            EXPERIMENTS[f"cifar10-{scheme}"](),
            data=Arrays(path=data),
            model=DCGAN(width=32),
            precision="bf16",
            threads=1,
            records=records,
        )
        assert isinstance(shared.scheme, Alternating | Nested)
        for loss, changes in LOSSES.items():
            steps = replace(shared.scheme, d_steps=D_STEPS.get(loss, 1))
            arms.append(Arm(f"{scheme}-{loss}", replace(shared, scheme=steps, **changes)))
    arms = [arm for arm in arms if not only or arm.name in only]
    return Study("coverage-floor", tuple(arms), tuple(range(seeds)), "seconds", seconds, arms[0].name)


def below(arms: dict[str, list[dict[str, Any]]], floor: float) -> list[str]:
    """The runs that did not finish or are below the floor, a line each."""
    lines = []
    for name, runs in arms.items():
        for run in runs:
            if run["status"] != "finished":
                lines.append(f"{name} seed {run['seed']}: {run['status']}")
            elif not run["coverage"] >= floor:
                lines.append(f"{name} seed {run['seed']}: coverage {run['coverage']:.3f}")
    return lines


def options_of(parser: argparse.ArgumentParser, out: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """What a study against the floor may be told."""
    parser.add_argument("--out", type=Path, default=Path(out))
    parser.add_argument("--seconds", type=float, default=300.0, help="training time of each run")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="generated samples of each run's measurement")
    parser.add_argument("--arms", nargs="+", default=(), help="these only; give them an --out of their own")
    return parser.parse_args(arguments)


def judged(study: Study, options: argparse.Namespace) -> int:
    """Run ``study`` and print its table; the exit status, 1 where a run did not finish or is below the floor."""
    results = compare(study, options.out, LocalProcesses(options.jobs), say=lambda text: print(text, flush=True))
    content = summary(results.content, options.out, options.samples)
    print(table(content))
    failed = below(content["arms"], FLOOR)
    print(f"below the floor of {FLOOR}: {'; '.join(failed) or 'none'}")
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Three schemes with four losses against a coverage floor.")
    parser.add_argument("--run", type=Path, help="train nothing: measure this run directory against the floor")
    options = options_of(parser, "runs/coverage-floor", arguments)
    if options.run is not None:
        found = measure(options.run, options.samples, ResNet(20))
        print(", ".join(f"{name} {value:.3g}" for name, value in found.items()) + f"; floor {FLOOR}")
        return int(not found["coverage"] >= FLOOR)
    return judged(study(decoded(options.out), options.seconds, options.seeds, options.arms), options)


if __name__ == "__main__":
    sys.exit(main())
