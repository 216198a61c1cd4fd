"""What the generator descends at the optimal discriminator: the gradients of the table, the theorem, its failure."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.divergences import DIVERGENCES
from ganneal.logits import softplus
from ganneal.theory.normals import (
    Normal1D,
    PerSampleLoss,
    divergence_gradient,
    generator_gradient,
    nonsaturating_theorem,
)

PAIRS = {
    "A": (Normal1D(0, 1), Normal1D(1, 1)),
    "B": (Normal1D(0, 1), Normal1D(0.5, 1.2)),
    "C": (Normal1D(-0.3, 0.9), Normal1D(0.4, 1.1)),
}
GRADIENTS = {
    "kl": ((1, -1), (0.347222222222, 0.109953703704), (0.578512396694, -0.0676183320811)),
    "reverse_kl": ((1, 0), (0.5, 0.366666666667), (0.864197530864, 0.448933782267)),
    "js": (
        (0.795945734366, -0.397972867183),
        (0.376187259677, 0.163962397290),
        (0.597176305227, 0.0385554129172),
    ),
    "srkl": (
        (1.20405426563, 0.397972867183),
        (0.623812740323, 0.569370936044),
        (1.13121875650, 0.859312151617),
    ),
}


def loss_of(name: str) -> PerSampleLoss:
    return lambda d: -DIVERGENCES[name].fake_term(d)


@for_each("name", GRADIENTS)
@for_each("pair", PAIRS)
def test_generator_gradients_of_the_table(name: str, pair: str) -> None:
    expected = GRADIENTS[name][list(PAIRS).index(pair)]
    assert generator_gradient(loss_of(name), *PAIRS[pair]) == pytest.approx(expected, rel=1e-11, abs=1e-12)


@for_each("name", DIVERGENCES)
@for_each("pair", PAIRS)
def test_the_generator_of_every_divergence_descends_it(name: str, pair: str) -> None:
    followed = generator_gradient(loss_of(name), *PAIRS[pair])
    # a short step: Neyman's chi squared of pair C is close to where it becomes infinite, its derivatives are large
    descended = divergence_gradient(DIVERGENCES[name], *PAIRS[pair], step=2e-4)
    assert tuple(followed) == pytest.approx(tuple(descended), abs=1e-8, rel=1e-8)


@for_each("pair", PAIRS)
def test_nonsaturating_training_follows_half_the_gradient_of_softened_reverse_kl(pair: str) -> None:
    followed, half = nonsaturating_theorem(*PAIRS[pair])
    assert tuple(followed) == pytest.approx(tuple(half), abs=1e-8)
    expected = GRADIENTS["srkl"][list(PAIRS).index(pair)]
    assert followed == pytest.approx([value / 2 for value in expected], rel=1e-11)


@settings(max_examples=15)
@given(mean=st.floats(-2, 2), std=st.floats(0.6, 1.6))
def test_the_theorem_holds_for_any_normal_model(mean: float, std: float) -> None:
    followed, half = nonsaturating_theorem(Normal1D(0, 1), Normal1D(mean, std))
    assert tuple(followed) == pytest.approx(tuple(half), abs=1e-7, rel=1e-7)


@for_each("pair", PAIRS)
def test_the_saturating_loss_follows_half_the_gradient_of_jensen_shannon(pair: str) -> None:
    expected = [value / 2 for value in GRADIENTS["js"][list(PAIRS).index(pair)]]
    assert generator_gradient(lambda d: -softplus(d), *PAIRS[pair]) == pytest.approx(expected, rel=1e-11)


def test_a_discriminator_that_follows_the_generator_gives_another_gradient() -> None:
    wrong = generator_gradient(lambda d: softplus(-d), *PAIRS["C"], frozen=False)
    assert wrong == pytest.approx((0.7315890969, 0.4714302177), abs=1e-10)
    assert math.dist(wrong, nonsaturating_theorem(*PAIRS["C"])[1]) > 0.1


def test_the_expectation_of_f_at_a_fixed_ratio_is_no_generator_loss() -> None:
    # E_q[u log u] at a frozen ratio u: it falls where samples leave the data's mass, wherever u > 1/e
    p, near = Normal1D(0, 1), Normal1D(0.2, 1)
    wrong = generator_gradient(lambda d: torch.exp(d) * d, p, near)
    assert wrong.mean < 0 < divergence_gradient(DIVERGENCES["kl"], p, near).mean
