"""Refusals of combinations: each is made by the one entry, and by no dataclass, engine or session before it."""

import ast
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import ganneal
from ganneal import checks
from ganneal.augment import AUGMENTATIONS
from ganneal.checks import DataAndPlayers, ThisMachine, check
from ganneal.data import Dataset, Ring
from ganneal.experiment import Experiment, Records
from ganneal.losses import EVERY_LOSS, LOSSES
from ganneal.models import DCGAN, MLP, MODELS, SNGAN, DenoisingMLP
from ganneal.normalization import NORMALIZATIONS
from ganneal.push import DELTAS, Push
from ganneal.regularizers import REGULARIZERS
from ganneal.schemes import SCHEMES, FunctionalGradient
from ganneal.stop import Divergence
from ganneal.task import TASKS, Labelled
from tests.for_each import for_each

PACKAGE = Path(ganneal.__file__).parent
CFG = FunctionalGradient(steps=2, pool_size=16, epochs=1)
IMAGES = Dataset(torch.zeros(16, 1, 32, 32, dtype=torch.uint8).numpy())
POINTS = Dataset(torch.zeros(16, 2).numpy())


def points(**changes: Any) -> Experiment:
    """Points and perceptrons; made without a complaint, whatever does not go together."""
    return replace(Experiment("points", Ring(), MLP(width=8, latent_size=2), batch_size=8), **changes)


def images(**changes: Any) -> Experiment:
    return points(**{"model": DCGAN(width=4, latent_size=4), **changes})


def met(experiment: Experiment, dataset: Dataset = POINTS, num_classes: int = 0) -> DataAndPlayers:
    return DataAndPlayers(dataset, experiment.model.build(dataset.shape, num_classes))


FIELDS = {
    "_batches": [
        (points(accumulate=3), "batch_size must be a multiple of accumulate, got 8 and accumulate=3"),
        (points(g_batch_size=9, accumulate=2), "g_batch_size must be a multiple of accumulate"),
        (points(devices=3), "must be a multiple of accumulate x devices x nodes = 3, got 8; use 6"),
    ],
    "_pools": [
        (points(scheme=replace(CFG, pool_size=17), devices=2), "the pool's size must be a multiple of devices x nodes"),
        (points(scheme=replace(CFG, pool_size=4)), "pool_size must be at least batch_size=8, got 4; use ten batches"),
    ],
    "_steps_that_are_made": [
        (points(divergence=Divergence(on_diverge="skip")), "leaves out fits of the generator, but Alternating"),
        (points(records=Records(sampler="pushed")), "stores no discriminators, got 'pushed'"),
        (points(regularizer=REGULARIZERS["orthogonal"], scheme=CFG), "has a term of generator updates, but Functional"),
    ],
    "_pushed_samples": [
        (points(regularizer=REGULARIZERS["zcr"], scheme=CFG), "needs the latents of the discriminator's fakes"),
        (points(loss=LOSSES["rpgan"], push=Push(DELTAS["loss"]), scheme=CFG), "compares fakes with reals"),
        (points(loss=LOSSES["wgan"], push=Push(DELTAS["kl"]), scheme=CFG), "as a log ratio, but under the loss"),
    ],
    "_gradients_of_samples": [
        (
            points(regularizer=REGULARIZERS["r1"], normalization=NORMALIZATIONS["gradient"]),
            "bounds the slope already",
        ),
        (points(regularizer=REGULARIZERS["wgan-gp"], task=Labelled(paired=False)), "task.paired=False gives them"),
    ],
    "_signs_of_outputs": [
        (images(augmentation=AUGMENTATIONS["ada"], loss=LOSSES["wgan"]), "is meaningless under the loss Wasserstein"),
    ],
    "_capture": [
        (points(capture="graph"), "capture 'graph' needs device='cuda', got device='cpu'"),
        (points(capture="compile", normalization=NORMALIZATIONS["gradient"]), "cannot record second derivatives"),
        (points(capture="compile", model=SNGAN(recompute=True)), "capture keeps activations"),
        (points(capture="compile", devices=2, loss=LOSSES["ragan"]), "needs a loss of single samples"),
    ],
    "_kind_of_device": [(points(devices=2, device="cuda:1"), "device must be 'cpu' or 'cuda' for several processes")],
}
MACHINE = {
    "_processes": [(points(), "that torchrun has started, 4, got 1; use --devices 4")],
    "_devices": [
        (points(device="nowhere"), "device must be one that torch has here, as 'cpu', got 'nowhere'"),
        (points(device="cuda", devices=2, batch_size=8), "at most the GPUs of this machine, 0, got 2"),
    ],
}
LABELLED = points(task=Labelled(), regularizer=REGULARIZERS["wgan-gp"], scheme=replace(CFG, fakes="pool"))
LAYERS = images(capture="compile", devices=2)
PLAYERS: dict[str, list[tuple[Experiment, Callable[[Experiment], DataAndPlayers], str]]] = {
    "_data": [
        (points(batch_size=17), met, "batch_size must not exceed the data, got 17 with 16 samples"),
        (points(augmentation=AUGMENTATIONS["ada"]), met, "images"),
        (points(records=Records(classes="uniform")), met, "records.classes must be 'data' for a run without classes"),
        (LABELLED, lambda e: met(e, num_classes=2), "fakes of a pool keep their own labels"),
    ],
    "_times": [
        (points(task=TASKS["denoising"]), met, "task Denoising needs players that take a time"),
        (points(model=DenoisingMLP(width=8)), met, "model DenoisingMLP takes a time and a noisier sample"),
        (
            points(model=DenoisingMLP(width=8), task=TASKS["denoising"], scheme=CFG),
            met,
            "judge one step of a diffusion",
        ),
    ],
    "_pairs": [
        (points(loss=EVERY_LOSS["triplet"]), met, "loss Triplet compares pairs of samples"),
        (images(model=MODELS["relation"]), lambda e: met(e, IMAGES), "has a discriminator of pairs, but the loss"),
        (
            images(model=MODELS["relation"], loss=EVERY_LOSS["triplet"], scheme=CFG),
            lambda e: met(e, IMAGES),
            "scheme pushes single samples",
        ),
        (
            images(model=MODELS["relation"], loss=EVERY_LOSS["triplet"], devices=2),
            lambda e: met(e, IMAGES),
            "kept in one process only, got devices x nodes = 2",
        ),
    ],
    "_samples_compared": [
        (
            points(batch_size=9, g_batch_size=9),
            lambda e: DataAndPlayers(POINTS, replace(e.model.build((2,), 0), judged_together=4)),
            "batch_size must be below 4 or a multiple of it",
        ),
    ],
    "_batch_norm": [
        (images(regularizer=REGULARIZERS["r1"]), lambda e: met(e, IMAGES), "batch norm mixes the samples"),
        (
            images(normalization=NORMALIZATIONS["gradient"]),
            lambda e: met(e, IMAGES),
            "normalization needs the discriminator's gradient sample by sample",
        ),
    ],
    "_network_of_regularizer": [
        (points(regularizer=REGULARIZERS["ver"], scheme=CFG), met, "network that learns in generator updates"),
    ],
    "_draws_of_layers": [
        (
            LAYERS,
            lambda e: DataAndPlayers(IMAGES, with_dropout(met(e, IMAGES).pair)),
            r"cannot record a layer that draws random numbers, got Dropout\(p=0.5",
        ),
    ],
}


def with_dropout(pair: Any) -> Any:
    pair.discriminator.dropped = torch.nn.Dropout()
    return pair


def named(table: tuple[Callable[..., Any], ...]) -> list[str]:
    return [refusals.__name__ for refusals in table]


def test_the_cases_below_reach_every_refusal() -> None:
    assert (list(FIELDS), list(MACHINE), list(PLAYERS)) == (
        named(checks.OF_FIELDS),
        named(checks.OF_MACHINE),
        named(checks.OF_DATA_AND_PLAYERS),
    )


@for_each(("experiment", "message"), [case for cases in FIELDS.values() for case in cases])
def test_what_the_fields_decide_is_refused_whatever_is_met(experiment: Experiment, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(experiment)
    with pytest.raises(ValueError, match=message):
        check(experiment, ThisMachine())


@for_each(("experiment", "message"), [case for cases in MACHINE.values() for case in cases])
def test_what_the_machine_decides_is_refused_where_it_is_met(
    experiment: Experiment, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    if "torchrun" in message:
        for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4"}.items():
            monkeypatch.setenv(name, value)
    check(experiment)
    with pytest.raises(ValueError, match=message):
        check(experiment, ThisMachine())


@for_each(
    ("experiment", "meet", "message"), [case for cases in PLAYERS.values() for case in cases], ids=lambda case: ""
)
def test_what_data_and_players_decide_is_refused_where_they_are_met(
    experiment: Experiment, meet: Callable[[Experiment], DataAndPlayers], message: str
) -> None:
    check(experiment)
    with pytest.raises(ValueError, match=message):
        check(experiment, meet(experiment))


def test_what_goes_together_is_let_through() -> None:
    for scheme in ("cts", "nats"):
        check(points(scheme=SCHEMES[scheme]), met(points()))
    check(points(scheme=CFG, regularizer=REGULARIZERS["r1"], records=Records(sampler="pushed")), met(points()))


def test_several_processes_need_a_program_that_can_be_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    check(points(devices=2), ThisMachine())
    monkeypatch.setattr(sys, "argv", [""])
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    with pytest.raises(ValueError, match="devices must be 1 in a notebook or an interactive session, got 2"):
        check(points(devices=2), ThisMachine())


def test_an_experiment_refuses_single_fields_alone() -> None:
    """Its own checks, and those of engine and launch, read no two parts."""
    tree = ast.parse((PACKAGE / "experiment.py").read_text(encoding="utf-8"))
    [made] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Experiment"]
    [own] = [node for node in made.body if isinstance(node, ast.FunctionDef) and node.name == "__post_init__"]
    for test in (node.test for node in ast.walk(own) if isinstance(node, ast.If)):
        read = {node.attr for node in ast.walk(test) if isinstance(node, ast.Attribute)}
        assert len(read) <= 1, ast.unparse(test)
    for module in (
        "engine/capture.py",
        "engine/passes.py",
        "engine/loop.py",
        "engine/updates.py",
        "training/launch.py",
    ):
        source = (PACKAGE / module).read_text(encoding="utf-8")
        assert "raise ValueError" not in source, module
