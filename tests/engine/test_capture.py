"""Recorded passes give what the plain ones give, in one recording for every weight of a schedule."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.for_each import for_each
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from ganneal import checks
from ganneal.augment import AUGMENTATIONS, Adaptive, Transforms
from ganneal.data import Dataset
from ganneal.engine import loop as engine
from ganneal.engine.capture import Recording, passes_of
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Records
from ganneal.experiments import ring_cts
from ganneal.losses import LOSSES, RelativisticPaired
from ganneal.models import DCGAN, DDGAN, MLP, SNGAN, Pair, Projected
from ganneal.normalization import NORMALIZATIONS
from ganneal.regularizers import GradientPenalty
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.weights import Geometric

# In a process of its own: the shape checker of the tests wraps every function, which nothing can compile through.
SCRIPT = """
import json, sys, warnings
from dataclasses import replace
import torch
from ganneal.engine import capture
from ganneal.engine import loop as engine
from ganneal.augment import DiffAugment
from ganneal.data import Dataset
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import cifar10_cts, ring_cfg, ring_cts, ring_ddgan
from ganneal.losses import RelativisticPaired
from ganneal.models import DCGAN, MLP
from ganneal.normalization import Spectral
from ganneal.optim import SGD
from ganneal.regularizers import GradientPenalty
from ganneal.engine.run import Run
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.weights import Geometric
from torch._dynamo.utils import counters

warnings.simplefilter("error", UserWarning)
backend, *names = sys.argv[1:]
capture.COMPILE = {"backend": backend}
# SGD: Adam makes a whole step of the rounding in a gradient that is zero, as of biases before batch norm.
ring = replace(
    ring_cts(), scheme=Nested(3, weights=Geometric(1, 0.3)), batch_size=16, model=MLP(width=8, depth=2),
    d_optimizer=SGD(lr=0.05), g_optimizer=SGD(lr=0.05), budget=Budget(g_updates=9), threads=1,
    records=Records(log_every=10**9),
)
pixels = torch.randint(0, 256, (32, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
CASES = {
    "spectral": replace(ring, normalization=Spectral()),
    "penalty": replace(ring, regularizer=GradientPenalty()),
    "denoising": replace(ring, model=ring_ddgan().model, task=ring_ddgan().task),
    "pushed": replace(
        ring, normalization=Spectral(), budget=Budget(d_updates=5),
        scheme=FunctionalGradient(steps=2, step_size=0.1, pool_size=32, epochs=1),
    ),
    "accumulated": replace(ring, accumulate=2),
    "images": replace(
        ring, data=cifar10_cts().data, model=DCGAN(width=4, d_norm="layer"), loss=RelativisticPaired(), batch_size=4
    ),
}
CASES["augmented"] = replace(CASES["images"], augmentation=DiffAugment(color=False))

def states(run):
    tensors = [tensor for module in run.modules for tensor in module.state_dict().values()]
    return [tensor for tensor in tensors if tensor.is_floating_point()]

found = {}
for name in names:
    torch._dynamo.reset()
    counters.clear()
    data = Dataset(pixels.numpy()) if isinstance(CASES[name].model, DCGAN) else None
    plain, recorded = (Run(replace(CASES[name], capture=how), data) for how in ("none", "compile"))
    before = [tensor.clone() for tensor in states(plain)]
    (row,), (other,) = (list(engine.training_rows(run)) for run in (plain, recorded))
    found[name] = {
        "differs": max((a.double() - b.double()).abs().max().item() for a, b in zip(states(plain), states(recorded))),
        "moved": max((a.double() - b.double()).abs().max().item() for a, b in zip(states(plain), before)),
        "rows": max(abs(row[key] - other[key]) for key in row if "loss" in key or key in ("d_real", "d_fake")),
        "recordings": counters["stats"]["unique_graphs"],
        "breaks": sum(counters["graph_break"].values()),
    }
print(json.dumps(found))
"""


def measured(backend: str, *names: str) -> dict[str, dict[str, Any]]:
    environment = os.environ | {"TORCHINDUCTOR_FX_GRAPH_CACHE": "0"}
    command = [sys.executable, "-c", SCRIPT, backend, *names]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def check(found: dict[str, Any]) -> None:
    assert found["differs"] < 1e-5 and found["rows"] < 1e-5
    assert found["moved"] > 1e-3
    assert found["breaks"] == 0


@pytest.mark.runs
def test_moves_of_every_weight_are_one_recording_and_the_plain_moves() -> None:
    found = measured("eager", "spectral")["spectral"]
    check(found)
    assert found["recordings"] == 3  # fakes, the discriminator's move, the generator's


@pytest.mark.slow
@pytest.mark.parametrize("name", ["spectral", "penalty", "denoising", "accumulated", "images", "augmented"])
def test_other_moves_are_the_plain_ones(name: str) -> None:
    found = measured("aot_eager", name)[name]
    check(found)
    assert found["recordings"] == 3 + (name == "augmented")  # the generator's pass in two halves


@pytest.mark.slow
def test_stored_discriminators_share_a_recording() -> None:
    found = measured("aot_eager", "pushed")["pushed"]
    check(found)
    assert found["recordings"] == 3  # judged batches, pushes and fits; drawn samples are not recorded


@pytest.mark.slow
def test_compiled_kernels_are_the_plain_moves() -> None:
    check(measured("inductor", "spectral")["spectral"])


def graphed_here(module: Any, examples: tuple[Any, ...], allow_unused_input: bool) -> Any:
    """What `torch.cuda.make_graphed_callables` does as far as a CPU can: warm-up passes, and outputs and gradients in
    places that the next replay writes over."""
    assert allow_unused_input
    for _ in range(3):
        module(*examples)
    structure = tree_flatten(examples)[1]
    parameters = [p for p in module.parameters() if p.requires_grad]
    last: list[Tensor] = []
    places: dict[int, Tensor] = {}

    class Replay(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Tensor) -> Any:
            for output in last:
                output.fill_(torch.nan)
            leaves = [each.detach().requires_grad_(each.requires_grad) for each in tensors[: structure.num_leaves]]
            with torch.enable_grad():
                outputs = module(*tree_unflatten(leaves, structure))
            ctx.passed = [leaf for leaf in leaves if leaf.requires_grad] + parameters, outputs
            last[:] = [output.detach() for output in outputs]
            return tuple(last)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> Any:  # type: ignore[override]
            inputs, outputs = ctx.passed
            found = iter(torch.autograd.grad(outputs, inputs, gradients, allow_unused=True))
            given: list[Tensor | None] = []
            for place, needed in enumerate(ctx.needs_input_grad):
                gradient = next(found) if needed else None
                if gradient is not None:
                    gradient = places.setdefault(place, torch.empty_like(gradient)).copy_(gradient).detach()
                given.append(gradient)
            return tuple(given)

    return lambda *inputs: Replay.apply(*tree_leaves(inputs), *parameters)


class Whole:
    """A rule whose weights are whole numbers."""

    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        return (3,) * (len(counts) - 1) + (1,)


PUSHED = FunctionalGradient(steps=2, pool_size=24, epochs=1)
ADA = Transforms(probability=Adaptive(target=-0.5, speed=64, every=8, boundary=0.0), cutout=True)


@pytest.mark.runs
@for_each(
    "changes",
    [
        {"model": MLP(width=8, depth=2), "normalization": NORMALIZATIONS["spectral"], "regularizer": GradientPenalty()},
        {"model": DCGAN(width=2), "batch_size": 4},
        {"model": MLP(width=8, depth=2), "scheme": PUSHED},
        {"model": MLP(width=8, depth=2), "accumulate": 2},
        {"model": MLP(width=8, depth=2), "scheme": PUSHED, "accumulate": 2},
        {"model": DCGAN(width=2), "batch_size": 4, "augmentation": ADA, "loss": RelativisticPaired()},
        {"model": DCGAN(width=2), "scheme": PUSHED, "batch_size": 8, "augmentation": AUGMENTATIONS["diffaugment"]},
        {"model": MLP(width=8, depth=2), "scheme": Nested(2, weights=Whole())},
    ],
    ids=[
        "spectral, penalty",
        "batch norm",
        "pushed",
        "accumulated",
        "pushed, accumulated",
        "augmented",
        "pushed, augmented",
        "whole weights",
    ],
)
def test_graphs_leave_no_trace_of_their_warm_up(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    monkeypatch.setattr("torch.cuda.make_graphed_callables", graphed_here)
    scheme, records = Nested(2, weights=Geometric(1, 0.3)), Records(log_every=10**9)
    experiment = replace(ring_cts(), **{"scheme": scheme, "batch_size": 16, "records": records} | changes)
    experiment = replace(experiment, budget=Budget(d_updates=4))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 3, 32, 32), np.uint8)
    data = Dataset(pixels) if isinstance(experiment.model, DCGAN) else experiment.data.load()
    plain, graphed = Run(experiment, data), Run(experiment, data)
    graphed.passes = passes_of(
        replace(experiment, capture="graph"), graphed.pair, graphed.random["task"], graphed.sight
    )
    rows = [list(engine.training_rows(run))[-1] for run in (plain, graphed)]
    assert graphed.digest() == plain.digest()
    assert rows[1]["d_loss"] == rows[0]["d_loss"]
    assert isinstance(graphed.passes.loss_of_discriminator, Recording)
    assert graphed.passes.loss_of_discriminator.graphs


@for_each(
    ("changes", "message"),
    [
        ({"capture": "graph"}, "capture 'graph' needs device='cuda', got device='cpu'; use capture='none'"),
        ({"normalization": NORMALIZATIONS["gradient"]}, "capture cannot record second derivatives"),
        (
            {"devices": 2, "loss": LOSSES["ragan"]},
            "capture with several processes needs a loss of single samples",
        ),
        ({"model": SNGAN(recompute=True)}, "capture keeps activations"),
        ({"model": DDGAN(checkpointing=True)}, "capture keeps activations"),
        ({"model": Pair(Projected(SNGAN(recompute=True)))}, "capture keeps activations"),
    ],
)
def test_what_cannot_be_recorded_is_refused(changes: dict[str, Any], message: str) -> None:
    experiment = replace(ring_cts(), **{"capture": "compile"} | changes)
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        checks.check(experiment)
    checks.check(replace(experiment, capture="none"))


@for_each("name", [name for name in LOSSES if name not in ("ragan", "rahinge")])
def test_losses_of_single_samples_are_recorded_on_every_process(name: str) -> None:
    checks.check(replace(ring_cts(), capture="compile", devices=2, loss=LOSSES[name]))
