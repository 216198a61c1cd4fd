"""Schemes step by step. Algorithms 1 (common) and 3 (nested, annealed) of NATS, arXiv 2501.11318."""

from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganneal import steps
from ganneal.schemes import SCHEMES, Alternating, FunctionalGradient, Nested, Scheme
from ganneal.steps import (
    DrawPool,
    FitGenerator,
    Fresh,
    Pool,
    PushPool,
    Replay,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)
from ganneal.weights import Explicit, Geometric, Linear, MatchedConstant, Ones, Reversed, Weights
from tests.for_each import for_each

D = UpdateDiscriminator
G = UpdateGenerator


def flat(scheme: Scheme, round: int = 0) -> list[Step]:
    return list(scheme(round))


def kinds(scheme: Scheme, round: int = 0) -> str:
    return "".join({D: "D", G: "G"}[type(step)] for step in scheme(round))


@pytest.mark.parametrize("k", [1, 4])
def test_alternating_is_k_discriminator_updates_and_one_generator_update(k: int) -> None:
    assert flat(Alternating(d_steps=k)) == [D(level=1, fakes=Fresh())] * k + [G(weight=1.0, level=1)]


def test_two_nested_annealed_levels_step_by_step() -> None:
    assert flat(Nested(levels=2, d_steps=2, weights=Geometric(1, 0.01))) == [
        D(level=1),
        D(level=1),
        G(weight=1.0, level=1),
        D(level=2),
        D(level=2),
        G(weight=0.01, level=2),
        G(weight=0.01, level=2),
    ]


def test_four_levels_make_the_papers_worked_example() -> None:
    assert kinds(Nested(levels=4)) == "DGDGGDGGGDGGGG"


@for_each(("levels", "g_updates"), [(4, 10), (5, 15), (10, 55), (15, 120), (20, 210)])
def test_generator_updates_per_round_are_triangular_numbers(levels: int, g_updates: int) -> None:
    sequence = kinds(Nested(levels=levels, weights=Geometric()))
    assert (sequence.count("D"), sequence.count("G")) == (levels, g_updates)


@given(levels=st.integers(1, 30), k=st.integers(1, 5), annealed=st.booleans(), round=st.integers(0, 1000))
def test_level_j_is_k_discriminator_updates_then_j_generator_updates_at_weight_j(
    levels: int, k: int, annealed: bool, round: int
) -> None:
    rule = Geometric() if annealed else Ones()
    w = rule(range(1, levels + 1), round)
    expected: list[Step] = []
    for j in range(1, levels + 1):
        expected += [D(level=j, fakes=Fresh())] * k
        expected += [G(weight=w[j - 1], level=j)] * j
    assert flat(Nested(levels=levels, d_steps=k, weights=rule), round) == expected


@pytest.mark.parametrize("levels", [50, 100])
def test_many_levels_are_legal(levels: int) -> None:
    sequence = flat(Nested(levels=levels, weights=Geometric()))
    assert len(sequence) == levels + levels * (levels + 1) // 2
    assert sequence[-1] == G(weight=0.01, level=levels)


@for_each("k", [1, 4])
@for_each("rule", [Geometric(), Ones(), Linear(), Reversed(), MatchedConstant(), Explicit((1.0,))], ids=str)
def test_one_nested_level_is_the_common_scheme(rule: Weights, k: int) -> None:
    assert flat(Nested(levels=1, d_steps=k, weights=rule)) == flat(Alternating(d_steps=k))


@given(levels=st.integers(1, 20), k=st.integers(1, 4))
def test_unit_weights_make_nested_annealed_training_plain_nested(levels: int, k: int) -> None:
    annealed = Nested(levels=levels, d_steps=k, weights=Geometric(1.0, 1.0))
    assert flat(annealed) == flat(Nested(levels=levels, d_steps=k))


def test_weights_are_asked_with_how_often_each_level_acts_and_the_round() -> None:
    asked: list[tuple[tuple[int, ...], int]] = []

    def rule(counts: Sequence[int], round: int) -> tuple[float, ...]:
        asked.append((tuple(counts), round))
        return tuple(1.0 / (1 + round) for _ in counts)

    scheme = Nested(levels=3, weights=rule)
    asked.clear()
    assert [step.weight for step in scheme(9) if isinstance(step, G)] == [0.1] * 6
    assert asked == [((1, 2, 3), 9)]


def test_discriminator_updates_carry_no_weight() -> None:
    assert "weight" not in {field.name for field in fields(D)}


def test_registered_names_are_the_papers_schemes_and_its_controls() -> None:
    expected = {
        "cts": Alternating(d_steps=1),
        "nts": Nested(levels=5, d_steps=1, weights=Ones()),
        "nats": Nested(levels=5, d_steps=1, weights=Geometric(1.0, 0.01)),
        "nats-reversed": Nested(levels=5, d_steps=1, weights=Reversed(Geometric(1.0, 0.01))),
        "nats-matched": Nested(levels=5, d_steps=1, weights=MatchedConstant(Geometric(1.0, 0.01))),
        "cfg": FunctionalGradient(15, 1, 1.0, 640, 10, Ones(), "replay"),
        "cfg-pool": FunctionalGradient(15, 1, 1.0, 640, 10, Ones(), "pool"),
        "cfg-annealed": FunctionalGradient(15, 1, 1.0, 640, 10, Geometric(1.0, 0.01), "replay"),
        "cfg-reversed": FunctionalGradient(15, 1, 1.0, 640, 10, Reversed(Geometric(1.0, 0.01)), "replay"),
        "cfg-matched": FunctionalGradient(15, 1, 1.0, 640, 10, MatchedConstant(Geometric(1.0, 0.01)), "replay"),
        "icfg": FunctionalGradient(15, 1, 1.0, 640, 0, Ones(), "replay"),
    }
    assert {name: SCHEMES[name] for name in expected} == expected


A_FIX = r"\b(use|give|choose|pass|set)\b"


a_count = for_each(
    ("argument", "make"),
    [
        ("levels", lambda bad: Nested(levels=bad)),
        ("d_steps", lambda bad: Nested(d_steps=bad)),
        ("d_steps", lambda bad: Alternating(d_steps=bad)),
        ("d_steps", lambda bad: FunctionalGradient(d_steps=bad)),
        ("pool_size", lambda bad: FunctionalGradient(pool_size=bad)),
    ],
    ids=["Nested.levels", "Nested.d_steps", "Alternating.d_steps", "CFG.d_steps", "CFG.pool_size"],
)


@a_count
@for_each("bad", [0, -1, -100])
def test_a_count_below_one_is_refused(argument: str, make: Callable[[int], Scheme], bad: int) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} must be at least 1, got {bad}; "):
        make(bad)


@a_count
def test_a_refused_count_comes_with_a_fix(argument: str, make: Callable[[int], Scheme]) -> None:
    with pytest.raises(ValueError, match=A_FIX):
        make(0)


@for_each("levels", [1, 2, 4])
def test_weights_that_do_not_fit_the_levels_are_refused_before_the_first_round(levels: int) -> None:
    with pytest.raises(ValueError, match=rf"values has 3 weights.* {levels} levels.*{A_FIX}"):
        Nested(levels=levels, weights=Explicit((1.0, 0.5, 0.25)))


STEPS: list[Step | Fresh | Pool | Replay] = [
    steps.UpdateDiscriminator(),
    steps.UpdateGenerator(),
    steps.DrawPool(size=1),
    steps.PushPool(step_size=1.0),
    steps.StoreDiscriminator(step_size=1.0),
    steps.FitGenerator(),
    Fresh(),
    Pool(),
    Replay(pushes=1),
]


@for_each("step", STEPS, ids=lambda step: type(step).__name__)
def test_every_step_is_a_frozen_hashable_value(step: Step) -> None:
    assert step == type(step)(**{field.name: getattr(step, field.name) for field in fields(step)})
    assert len({step, step}) == 1
    for field in fields(step):
        with pytest.raises(FrozenInstanceError):
            setattr(step, field.name, getattr(step, field.name))


def test_steps_of_different_kinds_are_never_equal() -> None:
    assert len(set(STEPS)) == len(STEPS)
    assert G(level=1) != steps.FitGenerator(level=1)


def test_the_steps_that_move_the_generator_are_updates_and_fits() -> None:
    assert set(steps.MOVES_GENERATOR) == {steps.UpdateGenerator, steps.FitGenerator}


def test_more_levels_than_a_round_could_ever_finish_are_refused() -> None:
    with pytest.raises(ValueError, match="levels must be at most 1000, got 100000"):
        Nested(levels=100_000)


# Functional gradients

TWO = FunctionalGradient(steps=2, d_steps=2, step_size=0.5, pool_size=32, epochs=2, weights=Explicit((1.0, 0.1)))


def test_two_functional_steps_with_replayed_fakes_step_by_step() -> None:
    assert flat(TWO, round=1) == [
        FitGenerator(level=1),
        FitGenerator(level=2),
        D(level=1, fakes=Replay(0)),
        D(level=1, fakes=Replay(0)),
        StoreDiscriminator(0.5, level=1),
        D(level=2, fakes=Replay(1)),
        D(level=2, fakes=Replay(1)),
        StoreDiscriminator(0.05, level=2),
        DrawPool(32, level=2),
        PushPool(0.5, level=1),
        PushPool(0.05, level=2),
    ]


def test_two_functional_steps_with_a_moving_pool_step_by_step() -> None:
    assert flat(replace(TWO, fakes="pool", d_steps=1), round=1) == [
        FitGenerator(level=1),
        FitGenerator(level=2),
        DrawPool(32, level=1),
        D(level=1, fakes=Pool()),
        StoreDiscriminator(0.5, level=1),
        PushPool(0.5, level=1),
        D(level=2, fakes=Pool()),
        StoreDiscriminator(0.05, level=2),
        PushPool(0.05, level=2),
    ]


def test_the_first_round_fits_to_random_projections_or_not_at_all() -> None:
    assert flat(TWO, round=0) == [DrawPool(32, projected=True), *flat(TWO, round=1)]
    assert flat(replace(TWO, projected_start=False), round=0) == flat(TWO, round=1)[2:]
    assert flat(replace(TWO, projected_start=False), round=1) == flat(TWO, round=1)


def test_without_epochs_the_generator_never_moves_and_replays_need_no_pool() -> None:
    kinds_of = [{type(step) for step in replace(TWO, epochs=0)(round)} for round in (0, 1)]
    assert kinds_of == [{UpdateDiscriminator, StoreDiscriminator}] * 2


@given(
    steps=st.integers(1, 20),
    k=st.integers(1, 3),
    epochs=st.integers(0, 4),
    fakes=st.sampled_from(["replay", "pool"]),
    size=st.floats(0.01, 3.0),
)
def test_every_level_stores_once_and_its_push_has_the_stored_step(
    steps: int, k: int, epochs: int, fakes: Any, size: float
) -> None:
    rule = Geometric(20.0, 1.0)
    round = flat(FunctionalGradient(steps, k, size, 64, epochs, rule, fakes), round=3)
    stored = {step.level: step.step_size for step in round if isinstance(step, StoreDiscriminator)}
    pushed = {step.level: step.step_size for step in round if isinstance(step, PushPool)}
    assert list(stored.values()) == [size * w for w in rule((1,) * steps, 3)]
    assert pushed == (stored if epochs or fakes == "pool" else {})
    assert sum(isinstance(step, D) for step in round) == k * steps
    assert sum(isinstance(step, FitGenerator) for step in round) == epochs


def test_unit_weights_are_functional_gradients_without_weights() -> None:
    for fakes in ("replay", "pool"):
        plain = replace(TWO, weights=Ones(), fakes=fakes)
        assert flat(replace(plain, weights=Explicit((1.0, 1.0)))) == flat(plain)


@for_each(
    ("argument", "bad"),
    [
        ("steps", 0),
        ("steps", 100_000),
        ("step_size", 0.0),
        ("step_size", -1.0),
        ("step_size", float("nan")),
        ("step_size", float("inf")),
        ("epochs", -1),
    ],
)
def test_functional_gradients_refuse_what_they_cannot_do(argument: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{argument} must be .*got {bad}; {A_FIX}"):
        FunctionalGradient(**{argument: bad})


def test_functional_gradients_refuse_weights_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=rf"values has 2 weights.* 15 levels.*{A_FIX}"):
        FunctionalGradient(weights=Explicit((1.0, 0.5)))
