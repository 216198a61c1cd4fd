"""The engine's answers on a device are those on the CPU, and recorded passes give what the plain ones give."""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any, get_args

import torch
from gpu_step import Capture, noise_images
from torch import Tensor

from ganneal.augment import AUGMENTATIONS
from ganneal.data import Dataset, Ring, Sampler
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import ring_cts
from ganneal.losses import Hinge
from ganneal.models import DCGAN, MLP, SNGAN, Latent
from ganneal.normalization import Spectral
from ganneal.optim import CG, SGD
from ganneal.optim.optimizers import BetaRule
from ganneal.ranks import ALONE
from ganneal.regularizers import REGULARIZERS, GradientPenalty, Reals
from ganneal.schemes import SCHEMES, FunctionalGradient, Nested
from ganneal.steps import Step, UpdateDiscriminator, UpdateGenerator
from ganneal.task import Labelled
from ganneal.weights import Geometric, Reversed

TOLERANCE = 2e-4
"""Of weights after some updates by SGD, relative to how far they moved: float32 summed in another order."""
NATS = Nested(3, weights=Geometric(1, 0.3))
POINTS, IMAGES = 32, 8
"""Batch sizes."""


@dataclass(frozen=True)
class SameEverywhere:
    """Latents from a random generator on the CPU, so that both devices see the same."""

    latent: Latent
    random: torch.Generator

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        return self.latent.sample(count, self.random).to(generator.device)


def built(experiment: Experiment, data: Dataset, device: str, capture: Capture = "none") -> Run:
    """A run whose draws are the same on every device."""
    run = Run(replace(experiment, device=device, capture=capture, records=Records(log_every=10**9)), data)
    run.pair.latent = SameEverywhere(run.pair.latent, torch.Generator().manual_seed(0))
    return run


def weights(run: Run) -> list[Tensor]:
    tensors = [tensor for module in run.modules for tensor in module.state_dict().values()]
    return [tensor.detach().double().cpu() for tensor in tensors if tensor.is_floating_point()]


def distance(a: list[Tensor], b: list[Tensor]) -> float:
    return torch.stack([(x - y).square().sum() for x, y in zip(a, b, strict=True)]).sum().sqrt().item()


def trained(run: Run, **budget: int) -> Run:
    run.experiment = replace(run.experiment, budget=Budget(**budget))
    for _ in engine.training_rows(run):
        pass
    return run


def apart(one: Run, other: Run, start: list[Tensor]) -> float:
    """How far the weights of two runs differ, relative to how far they moved from ``start``."""
    return distance(weights(one), weights(other)) / max(distance(weights(one), start), 1e-12)


def cases() -> dict[str, tuple[Experiment, Dataset]]:
    """Small experiments under SGD: Adam makes a whole step of the rounding in a gradient that is zero."""
    sgd = SGD(lr=0.02)
    ring = replace(ring_cts(), scheme=NATS, batch_size=POINTS, model=MLP(width=16), d_optimizer=sgd, g_optimizer=sgd)
    points, images = Ring().load(), noise_images(64)
    dcgan = replace(ring, model=DCGAN(width=8), batch_size=IMAGES, data=Ring())
    sngan = replace(dcgan, model=SNGAN(g_width=8, d_width=8), normalization=Spectral(), loss=Hinge())
    pushed = FunctionalGradient(steps=3, step_size=0.1, pool_size=POINTS, epochs=2)
    return {
        "points": (ring, points),
        "points, common training": (replace(ring, scheme=SCHEMES["cts"]), points),
        "points, nested": (replace(ring, scheme=Nested(3)), points),
        "points, annealed in reverse": (replace(ring, scheme=Nested(3, weights=Reversed())), points),
        "points, labelled": (replace(ring, task=Labelled()), points),
        "points, in two parts": (replace(ring, accumulate=2), points),
        "points, R1": (replace(ring, regularizer=GradientPenalty(center=0.0, points=Reals())), points),
        "points, conjugate gradients": (replace(ring, d_optimizer=CG(lr=0.02), g_optimizer=CG(lr=0.02)), points),
        "points, pushed from the pool": (replace(ring, scheme=replace(pushed, fakes="pool")), points),
        "points, pushed by replay": (replace(ring, scheme=pushed), points),
        "points, pushes annealed": (replace(ring, scheme=replace(pushed, weights=Geometric(1, 0.3))), points),
        "points, pushes in reverse": (replace(ring, scheme=replace(pushed, weights=Reversed())), points),
        "DCGAN": (dcgan, images),
        "SNGAN, spectral": (sngan, images),
    }


def on_both(name: str, device: str, captures: list[Capture]) -> Iterator[tuple[str, float, float]]:
    """Against the CPU, then each way to record against the plain passes on the device."""
    experiment, data = cases()[name]
    pushed = isinstance(experiment.scheme, FunctionalGradient)
    budget = {"d_updates": 6 if pushed else 9}
    start = weights(built(experiment, data, "cpu"))
    here = trained(built(experiment, data, "cpu"), **budget)
    there = trained(built(experiment, data, device), **budget)
    yield f"{name}: as on the CPU", apart(here, there, start), TOLERANCE
    if pushed:
        assert here.pool is not None and there.pool is not None
        difference = (here.pool.samples - there.pool.samples.cpu()).abs().max().item()
        yield f"{name}: the pool", difference, TOLERANCE * here.pool.samples.abs().max().item()
    for capture in captures:
        if capture != "none":
            recorded = trained(built(experiment, data, device, capture), **budget)
            yield f"{name}: {capture} as plain", apart(there, recorded, start), TOLERANCE


def augmented(device: str, captures: list[Capture]) -> Iterator[tuple[str, float, float]]:
    """Recorded passes with augmentation between them, against the plain ones of the same draws."""
    experiment, data = cases()["DCGAN"]
    experiment = replace(experiment, augmentation=AUGMENTATIONS["diffaugment"])
    start, plain = weights(built(experiment, data, device)), trained(built(experiment, data, device), d_updates=3)
    for capture in captures:
        recorded = trained(built(experiment, data, device, capture), d_updates=3)
        yield f"DCGAN, augmented: {capture} as plain", apart(plain, recorded, start), TOLERANCE


def resumed(device: str) -> Iterator[tuple[str, float, float]]:
    """A run saved on disk, mostly within a round, and one that goes on from it, against one that was never stopped."""
    for name, (experiment, data) in cases().items():
        pushed = isinstance(experiment.scheme, FunctionalGradient)
        half, all_of_it = ({"d_updates": 3}, {"d_updates": 6}) if pushed else ({"g_updates": 4}, {"g_updates": 9})
        start = weights(built(experiment, data, device))
        whole = trained(built(experiment, data, device), **all_of_it)
        first, second = built(experiment, data, device), built(experiment, data, device)
        first.experiment = replace(first.experiment, budget=Budget(**half))
        rows = engine.training_rows(first)
        first.meters.read = lambda ranks=ALONE: {}  # a row would read what is to be saved unread
        list(rows)
        second.load_state_dict(torch.load(saved(first), map_location="cpu", weights_only=True))
        second.pair.latent = first.pair.latent
        trained(second, **all_of_it)
        yield f"{name}: resumed as never stopped", apart(whole, second, start), TOLERANCE


def saved(run: Run) -> BytesIO:
    """The run's state as a checkpoint holds it."""
    content = BytesIO()
    torch.save(run.state_dict(), content)
    content.seek(0)
    return content


def players_apart(device: str, captures: list[Capture]) -> Iterator[tuple[str, float, float]]:
    """A player's move changes the other's weights by nothing, the generator's the discriminator's buffers neither."""
    experiment, data = cases()["SNGAN, spectral"]
    for capture in captures:
        run = built(experiment, data, device, capture)
        for step, players in ((UpdateDiscriminator(), "generator's weights"), (UpdateGenerator(), "discriminator")):
            for _ in range(2):
                yield f"{capture}: {step} leaves the {players}", _changed(step, run), 0.0


def _changed(step: Step, run: Run) -> float:
    """How far a move changes what is not its own."""
    is_own = isinstance(step, UpdateDiscriminator)
    kept = list(run.g_parameters) if is_own else list(run.discriminator.state_dict().values())
    before = [tensor.detach().clone() for tensor in kept]
    engine.apply(step, run)
    now = list(run.g_parameters) if is_own else list(run.discriminator.state_dict().values())
    return distance([t.double() for t in before], [t.detach().double() for t in now])


def penalties(device: str) -> Iterator[tuple[str, float, float]]:
    """Every registered regularizer through an update of each player; those that draw are finite, the others equal."""
    experiment, data = cases()["DCGAN"]
    experiment = replace(experiment, model=DCGAN(width=4, d_norm="layer"))
    for name, regularizer in REGULARIZERS.items():
        runs = [built(replace(experiment, regularizer=regularizer), data, place) for place in ("cpu", device)]
        drawn = runs[0].random["penalty"].get_state()
        start = weights(runs[0])
        for run in runs:
            for step in (UpdateDiscriminator(), UpdateGenerator()):
                engine.apply(step, run)
        if torch.equal(drawn, runs[0].random["penalty"].get_state()) or device == "cpu":
            yield f"{name}: as on the CPU", apart(runs[0], runs[1], start), TOLERANCE
        else:
            yield f"{name}: finite", float(not all(t.isfinite().all() for t in weights(runs[1]))), 0.0


def conjugate_gradients(device: str) -> Iterator[tuple[str, float, float]]:
    """Every rule for beta on a quadratic."""
    curvature = torch.linspace(0.5, 3.0, 12)
    for rule in get_args(BetaRule):
        ends = []
        for place in ("cpu", device):
            point = torch.nn.Parameter(torch.linspace(-1, 1, 12, device=place))
            optimizer = CG(lr=0.1, beta_rule=rule).build([point])
            for _ in range(10):
                point.grad = curvature.to(place) * point.detach()
                optimizer.step()
            ends.append(point.detach().double().cpu())
        yield f"{rule}: as on the CPU", (ends[0] - ends[1]).abs().max().item(), 1e-5


def batches(device: str) -> Iterator[tuple[str, float, float]]:
    """Images that are chosen and changed on the device, and those that are brought there, against the CPU's."""
    changes = {"flip": True, "flip_vertical": True, "translate": 4}
    here = Sampler(noise_images(64), 0, **changes).batch(60, 70)
    assert here.labels is not None
    for where, resident in (("on the device", True), ("brought there", False)):
        there = Sampler(noise_images(64), 0, device=device, resident=resident, **changes).batch(60, 70)
        assert there.labels is not None
        yield f"labels {where}", float((here.labels != there.labels.cpu()).sum()), 0.0
        yield f"images {where}", (here.samples - there.samples.cpu()).abs().max().item(), 1e-6


def same_answers(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Every check with what it found and what is allowed; one that raises has failed."""
    torch.backends.cudnn.allow_tf32 = False  # ten bits of a product are no ground to compare on
    device, captures = options.device, options.captures
    groups: dict[str, Callable[[], Iterator[tuple[str, float, float]]]] = {
        name: (lambda name=name: on_both(name, device, captures)) for name in cases()
    }
    groups |= {
        "batches": lambda: batches(device),
        "augmented": lambda: augmented(device, captures),
        "resume": lambda: resumed(device),
        "players": lambda: players_apart(device, captures),
        "penalties": lambda: penalties(device),
        "conjugate gradients": lambda: conjugate_gradients(device),
    }
    if options.arms:
        groups = {name: make for name, make in groups.items() if name in options.arms}
    checks: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for group, make in groups.items():
        try:
            for name, found, allowed in make():
                checks.append({"check": name, "found": found, "allowed": allowed, "passed": found <= allowed})
        except Exception as error:  # the other groups are still worth knowing
            reason = f"{type(error).__name__}: {' '.join(str(error).splitlines()[:3])}"
            checks.append({"check": group, "passed": False, "why": reason})
        failed = [check for check in checks if not check["passed"]]
        print(f"{group}: {len(checks) - len(failed)} of {len(checks)} checks so far", flush=True)
        yield {"checks": checks, "failed": len(failed)}
    for check in failed:
        print("failed:", check, flush=True)
