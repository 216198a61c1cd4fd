"""Step lengths of optimizers that divide by their gradient's size: against the optimizers themselves."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ganneal.moments import MomentDecays
from ganneal.optim import CG, OPTIMIZERS, SGD, Adam, Constant, LRRule, RMSProp, moment_decays
from ganneal.plan import plan
from ganneal.schemes import Nested
from ganneal.weights import Geometric
from tests.for_each import for_each

WEIGHTS = [weight for level, weight in enumerate(Geometric()((1, 2, 3), 0), start=1) for _ in range(level)]
DIVIDING = [
    Adam(lr=1e-3, beta1=0.0, beta2=0.9),
    Adam(lr=1e-3, beta1=0.5, beta2=0.9),
    Adam(lr=1e-3, beta1=0.9, beta2=0.99),
    RMSProp(lr=1e-3),
    RMSProp(lr=1e-3, smoothing=0.5),
    OPTIMIZERS["rmsprop-cfg"],
]


@dataclass(frozen=True)
class Unsaid:
    """An optimizer of somebody's own."""

    lr: float = 1.0
    rule: LRRule = Constant()

    def build(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)


def walked(config: Any, weights: list[float], rounds: int) -> list[float]:
    """Lengths of the last round's steps of the real optimizer, for a gradient of 1 times the weights."""
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer, places = config.build([parameter]), [0.0]
    for weight in weights * rounds:
        parameter.grad = torch.full((1,), weight, dtype=torch.float64)
        optimizer.step()
        places.append(parameter.item())
    steps = [abs(after - before) for before, after in zip(places, places[1:], strict=False)]
    return steps[-len(weights) :]


@for_each("config", DIVIDING, ids=str)
def test_lengths_are_those_of_the_optimizer_after_many_rounds(config: Any) -> None:
    moments = moment_decays(config)
    assert moments is not None
    found = [config.lr * length for length in moments.lengths(WEIGHTS)]
    assert found == pytest.approx(walked(config, WEIGHTS, rounds=300), rel=1e-3)


@given(st.floats(0, 0.99), st.floats(0, 0.9999), st.floats(1e-3, 1e3), st.integers(1, 30))
def test_a_constant_weight_cancels(beta1: float, beta2: float, weight: float, steps: int) -> None:
    assert MomentDecays(beta1, beta2).lengths([weight] * steps) == pytest.approx([1.0] * steps, rel=1e-6)


def test_a_long_memory_divides_by_the_root_mean_square_and_none_by_the_weight() -> None:
    rms = sqrt(sum(weight * weight for weight in WEIGHTS) / len(WEIGHTS))
    long = MomentDecays(0.0, 1 - 1e-7).lengths(WEIGHTS)
    assert long == pytest.approx([weight / rms for weight in WEIGHTS], rel=1e-5)
    assert MomentDecays(0.0, 0.0).lengths(WEIGHTS) == pytest.approx([1.0] * len(WEIGHTS))


@for_each("name", OPTIMIZERS)
def test_every_registered_optimizer_says_whether_it_divides(name: str) -> None:
    divides = moment_decays(OPTIMIZERS[name]) is not None
    tripled, plain = (sum(walked(OPTIMIZERS[name], [weight], 50)) for weight in (3.0, 1.0))
    assert tripled == pytest.approx(plain if divides else 3 * plain, rel=1e-2)


def test_an_optimizer_that_does_not_say_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="Unsaid does not say how its steps depend on the size of gradients. Give it"):
        moment_decays(Unsaid())


def test_a_plan_walks_by_the_moments_it_is_given() -> None:
    moments = MomentDecays(0.5, 0.9)
    figures, scheme = plan(Nested(3, weights=Geometric()), moments=moments), Nested(3, weights=Geometric())
    lengths = moments.lengths(WEIGHTS)
    assert figures.nominal_steps_per_d_update == pytest.approx(sum(lengths) / 3)
    assert [level.nominal_step for level in figures.levels] == pytest.approx(
        [lengths[0], sum(lengths[1:3]) / 2, sum(lengths[3:]) / 3]
    )
    assert plan(scheme).nominal_steps_per_d_update != pytest.approx(figures.nominal_steps_per_d_update, rel=0.01)
    assert moment_decays(SGD()) is None and moment_decays(CG()) is None
