"""The papers' tables as studies on one device: plain runs of equal training time, measured as they go.

A run is measured at a quarter, a half, three quarters and the end of its time, its averaged generator and the one as
trained: FD-ResNet56 and, at the end, precision and recall. Beside the values at equal seconds stand those at equal
updates of the discriminator: of each arm the last measurement with no more of them than the slowest arm made in all.
"""

import argparse
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import partial
from math import inf
from time import monotonic
from typing import Any

import numpy as np
import torch

from ganneal.comparison.study import matched_control
from ganneal.data import Dataset, source_at
from ganneal.data.finding import find_data
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.evaluation.suited import as_stored
from ganneal.experiment import Budget, Experiment, Records
from ganneal.inference.generator import TrainedGenerator
from ganneal.metrics import Moments, frechet_distance, precision_recall
from ganneal.metrics.extractors import Extractor, Pixels, ResNet
from ganneal.models import DDGAN, SNGAN, BigGAN, DCGANExt, ResNet4
from ganneal.optim import Averaging, Constant
from ganneal.reproduction.recipes import biggan, classical, conjugate_gradient, ddgan, functional
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.stop import TrainingStopped
from ganneal.weights import Geometric, Reversed

Arms = dict[str, Experiment]
AVERAGING = Averaging(half_life=50_000)
QUARTERS = (0.25, 0.5, 0.75, 1.0)
SAMPLES, NEIGHBOURS = 10_000, 5_000
TRAINING_SHARE = 0.6
"""Of a run's part of the time, where there is an end to all: measuring takes the rest."""
LONGER = 10
"""Times the runs of the stability job are longer."""


def losses() -> Arms:
    """Table IX, beside NATS with N_d 5 the control of the same total step; the original loss first."""
    arms: Arms = {}
    for loss in ("original", "lsgan", "wgan", "hinge"):
        nats = classical("cifar10", loss, "nats", 5)
        assert isinstance(nats.scheme, Nested)
        arms[f"{loss}-cts"] = classical("cifar10", loss, "cts")
        arms[f"{loss}-nts-5"] = classical("cifar10", loss, "nts", 5)
        arms[f"{loss}-nats-5"] = nats
        arms[f"{loss}-matched-5"] = matched_control(nats, nats.scheme)
        arms[f"{loss}-nats-10"] = classical("cifar10", loss, "nats", 10)
    return arms


def levels() -> Arms:
    """Table XII and Fig. 4."""
    return {
        f"{scheme}-{count}": classical("cifar10", "original", scheme, count)
        for count in (5, 10, 15, 20)
        for scheme in ("nts", "nats")
    }


def functional_gradients() -> Arms:
    """Tables VII, VIII and X."""
    kinds = {"plain": None, "annealed": Geometric(), "reversed": Reversed()}
    arms = {f"resnet4-{kind}": functional("cifar10", "resnet", weights) for kind, weights in kinds.items()}
    return arms | {
        arm.replace("resnet4", "dcgan-ext"): replace(trained, model=DCGANExt()) for arm, trained in arms.items()
    }


def gradients() -> Arms:
    """The conjugate-gradient rules and what they are compared with, at a constant rate."""
    names = ("Adam", "SGD", "momentum", "FR", "PRP", "HS", "DY", "HZ", "FR_PRP", "HS_DY")
    return {name: conjugate_gradient(name, Constant()) for name in names}


def stability() -> Arms:
    """CTS and NATS of the two losses whose published runs collapsed."""
    arms = losses()
    return {name: arms[name] for name in ("original-cts", "original-nats-5", "lsgan-cts", "lsgan-nats-5")}


def toy(trained: Experiment) -> Experiment:
    """The same with a network that a CPU trains in no time."""
    sizes: dict[type, Any] = {
        BigGAN: BigGAN(width=2),
        SNGAN: SNGAN(g_width=2, d_width=2),
        DCGANExt: DCGANExt(width=2),
        ResNet4: ResNet4(width=2),
        DDGAN: DDGAN(width=16, attention=16, latent_size=16, style_size=32, d_width=8, d_time_size=32),
    }
    model = sizes.get(type(trained.model)) or replace(trained.model, width=2)  # type: ignore[type-var]
    scheme = trained.scheme
    if isinstance(scheme, FunctionalGradient):
        scheme = replace(scheme, steps=2, pool_size=4, epochs=1)
    return replace(trained, model=model, scheme=scheme, batch_size=4, averaging=replace(trained.averaging, start=0))


def images(options: argparse.Namespace) -> Dataset:
    """The first ``options.images`` of the data; noise at toy size."""
    if options.smoke:
        random = np.random.default_rng(0)
        return Dataset(random.integers(0, 256, (32, 3, 32, 32), np.uint8), random.integers(0, 10, 32), 10)
    data = source_at(find_data(options.data)).load()
    part = slice(options.images)
    labels = None if data.labels is None else data.labels[part]
    return Dataset(np.ascontiguousarray(data.samples[part]), labels, data.num_classes)


class Measure:
    """Distances of generators to the data."""

    def __init__(self, data: Dataset, options: argparse.Namespace):
        self.count, self.neighbours = (40, 20) if options.smoke else (SAMPLES, NEIGHBOURS)
        self.extractor: Extractor = Pixels(4).build(data.shape)
        if not options.smoke:
            self.extractor = ResNet(56).build(data.shape).to(options.device)
        step = max(1, len(data) // self.count)  # over all of the data, whose order may be that of the classes
        real = torch.from_numpy(np.ascontiguousarray(data.samples[::step][: self.count]))
        self.real = self.extractor(real).features.double()
        self.moments = Moments.of(self.real)

    def __call__(self, run: Run, neighbours: bool) -> dict[str, Any]:
        """Of the averaged generator and of the one as trained; pushes follow the latter, which then stands as `ema`."""
        generators = {"ema": run.sampler()}
        if run.experiment.sampler == "generator":
            generators["raw"] = run.drawing_from(deepcopy(run.generator))
        return {name: self._of(generator, neighbours) for name, generator in generators.items()}

    def _of(self, generator: TrainedGenerator, neighbours: bool) -> dict[str, float | None]:
        samples = generator.sample(self.count, 0)
        if not samples.isfinite().all():
            return {"fd": None}
        fake = self.extractor(as_stored(samples)).features.double()
        distance = frechet_distance(self.moments, Moments.of(fake), allow_singular=True)
        if not neighbours:
            return {"fd": distance}
        found = precision_recall(self.real[: self.neighbours], fake[: self.neighbours])
        return {"fd": distance, "precision": found.precision, "recall": found.recall}


def trained(
    experiment: Experiment, data: Dataset, measure: Measure, seconds: float, images_seen: int | None = None
) -> dict[str, Any]:
    """One run, with what was measured on the way; a run that stops early keeps what it had."""
    run = Run(experiment, data)
    measured: list[dict[str, Any]] = []
    status = "finished"
    for share in QUARTERS:
        images = None if images_seen is None else int(share * images_seen)
        run.experiment = replace(run.experiment, budget=Budget(seconds=share * seconds, num_real=images))
        try:
            rows = list(engine.training_rows(run))
        except TrainingStopped as stopped:
            status = str(stopped)
            break
        if not run.is_finite():
            status = "a weight is NaN or infinite"
            break
        last = {k: v for k, v in (rows[-1] if rows else {}).items() if k in ("d_loss", "g_loss", "g_step_per_d_update")}
        measured.append(run.counters.as_dict() | last | measure(run, neighbours=share == QUARTERS[-1]))
    return {"status": status, "measured": measured}


def study(arms: Callable[[], Arms], options: argparse.Namespace, *, longer: int = 1) -> Iterator[dict[str, Any]]:
    """Every arm under every seed, and the table of what is known so far."""
    chosen = {name: arm for name, arm in arms().items() if not options.arms or name in options.arms}
    if not chosen:
        raise ValueError(f"arms must be some of {', '.join(arms())}, got {options.arms}.")
    data, seconds = images(options), inf if options.images_seen else options.seconds * longer
    measure = Measure(data, options)
    runs: list[dict[str, Any]] = []
    images_seen = 64 if options.smoke and options.images_seen else options.images_seen
    ends = f"{seconds:g} s" if images_seen is None else f"{images_seen:,} images or their part of the time"
    print(f"{len(chosen)} arms, {options.seeds} seeds, {ends} each, on {len(data):,} images", flush=True)
    for seed in range(options.seeds):  # whole tables first: cut off, fewer seeds are left
        for name, arm in chosen.items():
            ready = toy(arm) if options.smoke else arm
            ready = replace(
                ready,
                seed=seed,
                device=options.device,
                precision=options.precision,
                capture=options.capture,
                averaging=AVERAGING if ready.averaging.half_life == 0 else ready.averaging,
                records=Records(log_every=20_000),
            )
            left = max(1.0, options.ends_at - monotonic()) / (options.seeds * len(chosen) - len(runs))
            try:
                found = trained(ready, data, measure, min(seconds, TRAINING_SHARE * left), images_seen)
            except (ValueError, RuntimeError) as error:  # an arm that cannot be run leaves the others
                found = {"status": f"{type(error).__name__}: {' '.join(str(error).splitlines()[:3])}", "measured": []}
            runs.append({"arm": name, "seed": seed} | found)
            print(summary(runs[-1]), flush=True)
            failed = sum(not run["measured"] for run in runs)
            yield {
                "images": len(data),
                "extractor": measure.extractor.name,
                "samples": measure.count,
                "seconds_a_run": None if seconds == inf else seconds,
                "images_a_run": images_seen,
                "runs": runs,
                "table": table(runs, "the_end" if images_seen else "equal_seconds"),
                "failed": failed,
            }


def summary(run: dict[str, Any]) -> str:
    if not run["measured"]:
        return f"{run['arm']} seed {run['seed']}: {run['status']}"
    last = run["measured"][-1]
    values = ", ".join(f"{name} {part['fd']:.3f}" for name in ("ema", "raw") if (part := last.get(name)) and part["fd"])
    return f"{run['arm']} seed {run['seed']}: {last['num_real']:,} real images, FD {values}"


def table(runs: list[dict[str, Any]], end: str) -> dict[str, dict[str, Any]]:
    """Of each arm, means over seeds: at the end of its runs, at equal updates of D, and the last over the best."""
    ended = [run for run in runs if run["measured"]]
    if not ended:
        return {}
    fewest = min(run["measured"][-1]["d_updates"] for run in ended)
    rows: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(run["arm"] for run in ended):
        of_arm = [run["measured"] for run in ended if run["arm"] == name]
        within = [[row for row in rows if row["d_updates"] <= fewest] for rows in of_arm]
        rows[name] = {
            "seeds": len(of_arm),
            f"fd_at_{end}": mean(rows[-1]["ema"]["fd"] for rows in of_arm),
            "fd_at_equal_d_updates": mean(rows[-1]["ema"]["fd"] for rows in within if rows),
            "last_over_best": mean(
                rows[-1]["ema"]["fd"] / best
                for rows in of_arm
                if rows[-1]["ema"]["fd"] and (best := min(row["ema"]["fd"] or float("inf") for row in rows))
            ),
        }
    return rows


def mean(values: Iterator[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


STUDIES: dict[str, Callable[[argparse.Namespace], Iterator[dict[str, Any]]]] = {
    "losses": partial(study, losses),
    "levels": partial(study, levels),
    "functional": partial(study, functional_gradients),
    "biggan": partial(study, lambda: {f"biggan-{name}": biggan(name) for name in ("cts", "nts", "nats")}),
    "ddgan": partial(study, lambda: {f"ddgan-{name}": ddgan(name) for name in ("cts", "nts", "nats")}),
    "gradients": partial(study, gradients),
    "stability": partial(study, stability, longer=LONGER),
}
"""Jobs 3 to 9."""
