"""The smallest experiment that trains and is measured, and outcomes of runs that never took place."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from ganneal.comparison.study import Arm, Study
from ganneal.data import Ring
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import MLP
from ganneal.optim import Adam
from ganneal.schemes import Alternating, Nested
from ganneal.weights import Geometric

RECORDS = Records(
    log_every=32,
    sample_every=10**9,
    sample_count=4,
    evaluate_every=32,
    evaluate_count=40,
    evaluate_share=1.0,
    checkpoint_seconds=1e9,
    tensorboard=False,
)

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def no_pictures(empty_pictures: None) -> None:
    """Nothing here looks at a run's pictures."""


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def make_ring(**changes: Any) -> Experiment:
    experiment = Experiment(
        name="ring",
        data=Ring(num_samples=200),
        model=MLP(width=8, depth=2, latent_size=2),
        scheme=Nested(levels=2, weights=Geometric()),
        d_optimizer=Adam(lr=1e-2),
        g_optimizer=Adam(lr=1e-2),
        batch_size=16,
        budget=Budget(num_real=128),
        records=RECORDS,
        threads=1,
    )
    return replace(experiment, **changes)


def make_study(**changes: Any) -> Study:
    """Two arms, two seeds, nothing that takes time to describe."""
    arms = (Arm("nats", make_ring()), Arm("cts", make_ring(scheme=Alternating())))
    fields = {"name": "ring", "arms": arms, "seeds": (0, 1), "clock": "num_real", "amount": 128, "baseline": "cts"}
    return Study(**(fields | changes))


def make_outcome(arm: str = "nats", seed: int = 0, status: str = "finished", **changes: Any) -> dict[str, Any]:
    """What a run leaves that ended at 128 real images."""
    outcome = {
        "status": status,
        "error": None if status == "finished" else f"{status}, as was to be",
        "arm": arm,
        "seed": seed,
        "budget": {"num_real": 128, "d_updates": None, "g_updates": None, "seconds": None, "cpu_seconds": None},
        "metric": "FD-points",
        "untrained": 8.0,
        "last_seen": 3.0,
        "best_seen": 2.0,
        "evaluations": 4,
        "last": None if status == "failed" else 3.0,
        "best": None if status == "failed" else 2.0,
        "g_step_per_d_update": 0.25,
        "num_real": 128,
        "g_num_real": 0,
        "d_updates": 8,
        "g_updates": 12,
        "seconds": 1.5,
        "cpu_seconds": 1.25,
    }
    return outcome | changes


@pytest.fixture
def ring() -> Make:
    return make_ring


@pytest.fixture
def study() -> Make:
    return make_study


@pytest.fixture
def outcome() -> Make:
    return make_outcome
