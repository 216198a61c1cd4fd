"""Small runs that the tests of the engine make, and everything that two of them may differ in."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganneal.data import Digits, Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import DCGAN, MLP
from ganneal.optim import Adam, Averaging
from ganneal.stop import Row

BATCH = 16


def ring(**changes: Any) -> Experiment:
    """Points and perceptrons: no buffers."""
    experiment = Experiment(
        name="ring",
        data=Ring(num_samples=200),  # no multiple of the batch: some batches span two passes
        model=MLP(width=8, depth=2, latent_size=2),
        d_optimizer=Adam(lr=1e-2),
        g_optimizer=Adam(lr=1e-2),
        averaging=Averaging(half_life=64),
        batch_size=BATCH,
        budget=Budget(d_updates=6),
        records=Records(log_every=10**9),
    )
    return replace(experiment, **changes)


def digits(**changes: Any) -> Experiment:
    """Images and a DCGAN with batch norm in both players."""
    return replace(ring(data=Digits(), model=DCGAN(width=4, latent_size=4)), **changes)


def rows(run: Run, interrupted: Callable[[], bool] = lambda: False) -> list[Row]:
    """Train, and give the log rows without the time they took."""
    return [
        {k: v for k, v in row.items() if k not in ("seconds", "cpu_seconds")}
        for row in engine.training_rows(run, interrupted)
    ]


def trained(experiment: Experiment) -> Run:
    run = Run(experiment)
    rows(run)
    return run


def timeless(state: dict[str, Any]) -> dict[str, Any]:
    """A run's state but for the time it took."""
    counters = {name: count for name, count in state["counters"].items() if name not in ("seconds", "cpu_seconds")}
    return state | {"counters": counters}


def through_disk(run: Run) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(run.state_dict(), buffer)
    return torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)


def state_of(run: Run) -> dict[str, Any]:
    """Everything about ``run`` but the time it took, through the bytes of a checkpoint."""
    return timeless(through_disk(run))


def same_bits(left: list[Tensor], right: list[Tensor]) -> bool:
    return len(left) == len(right) and all(torch.equal(a, b) for a, b in zip(left, right, strict=True))


def differences(left: Any, right: Any, path: str = "") -> list[str]:
    """Where two nested states of tensors and plain values differ in a bit."""
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        return [] if left.dtype == right.dtype and torch.equal(left, right) else [path]
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return [f"{path} {sorted(map(str, left.keys() ^ right.keys()))}"]
        return [found for key in left for found in differences(left[key], right[key], f"{path}.{key}")]
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return [f"{path} has {len(left)} and {len(right)}"]
        pairs = enumerate(zip(left, right, strict=True))
        return [found for i, (a, b) in pairs for found in differences(a, b, f"{path}.{i}")]
    return [] if left == right else [path]
