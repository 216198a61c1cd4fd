"""A sum of regularizers: each part's own state, the empty sum neutral."""

import io
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.clocks import Counters
from ganneal.regularizers import (
    REGULARIZERS,
    Context,
    GeneratorContext,
    GradientPenalty,
    Reals,
    Regularizer,
    RegularizerState,
    Sum,
    WeightClipping,
)

CALLS: list[str] = []
"""Constraints in the order in which they were called."""


@dataclass(frozen=True)
class Counting(Regularizer):
    """Adds ``size`` to the terms, and counts how often in its state."""

    name: str = "one"
    size: float = 1.0

    def init_state(self) -> RegularizerState:
        return {"calls": torch.zeros(()), "name": self.name}

    def discriminator_term(self, context: Context, state: RegularizerState) -> Tensor:
        assert state["name"] == self.name
        state["calls"] += 1
        return torch.tensor(self.size)

    def generator_term(self, context: GeneratorContext, state: RegularizerState) -> Tensor:
        assert state["name"] == self.name
        return torch.tensor(10 * self.size)

    def constrain(self, discriminator: nn.Module) -> None:
        CALLS.append(self.name)


def context(d_updates: int = 0) -> Context:
    real, fake = torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4)
    logits = torch.zeros(2)
    random = torch.Generator().manual_seed(0)
    return Context(
        lambda x: x.square().flatten(1).sum(1),
        real,
        fake,
        logits,
        logits,
        Counters(d_updates=d_updates),
        random,
        latents=torch.zeros(2, 3),
        generate=lambda z: z.sum(1).view(-1, 1, 1, 1).expand(-1, 1, 4, 4),
    )


def generator_context() -> GeneratorContext:
    latents = torch.zeros(2, 3)
    return GeneratorContext(lambda z: z, latents, latents, Counters(), torch.Generator())


def test_terms_are_added() -> None:
    both = Sum((Counting("one", 1.0), Counting("two", 0.25)))
    state = both.init_state()
    assert both.discriminator_term(context(), state) == 1.25
    assert both.generator_term(generator_context(), state) == 12.5


def test_equal_parts_keep_separate_states() -> None:
    twice = Sum((Counting(), Counting(), Sum((Counting(),))))
    state = twice.init_state()
    assert twice.discriminator_term(context(), state) == 3
    assert calls(state) == [1, 1, 1]
    twice.terms[0].discriminator_term(context(), state["0"])
    assert calls(state) == [2, 1, 1]


def calls(state: Any) -> list[float]:
    """The counts in a nested state, in order."""
    if "calls" in state:
        return [state["calls"].item()]
    return [count for inner in state.values() for count in calls(inner)]


def test_two_runs_share_no_state() -> None:
    regularizer = Sum((Counting(),))
    one, other = regularizer.init_state(), regularizer.init_state()
    regularizer.discriminator_term(context(), one)
    assert (calls(one), calls(other)) == ([1], [0])


def test_state_survives_a_checkpoint() -> None:
    regularizer = Sum((Counting("one"), Sum((Counting("two"),))))
    state = regularizer.init_state()
    regularizer.discriminator_term(context(), state)
    file = io.BytesIO()
    torch.save(state, file)
    loaded = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    assert regularizer.discriminator_term(context(), loaded) == 2
    assert (calls(loaded), calls(state)) == ([2, 2], [1, 1])


@pytest.mark.parametrize("empty", [Sum(), Sum((Sum(), Sum()))], ids=["none", "nothing-nested"])
def test_the_empty_sum_does_nothing(empty: Sum) -> None:
    state = empty.init_state()
    assert empty.discriminator_term(context(), state) is None
    assert empty.generator_term(generator_context(), state) is None
    assert not empty.per_sample_gradients and not empty.on_lines
    network = nn.Linear(2, 1)
    before = network.weight.detach().clone()
    empty.constrain(network)
    assert torch.equal(network.weight, before)


@for_each("name", REGULARIZERS)
def test_a_sum_with_nothing_else_is_the_part_itself(name: str) -> None:
    part = REGULARIZERS[name]
    for padded in (Sum((part,)), Sum((Sum(), part)), Sum((part, Sum()))):
        alone = part.discriminator_term(context(), part.init_state())
        together = padded.discriminator_term(context(), padded.init_state())
        assert (alone is None and together is None) or (alone is not None and torch.equal(alone, together))  # type: ignore[arg-type]
        assert (padded.per_sample_gradients, padded.on_lines) == (part.per_sample_gradients, part.on_lines)


def test_a_part_that_is_not_due_leaves_the_others() -> None:
    lazy, every = GradientPenalty(points=Reals(), interval=2), GradientPenalty(points=Reals(), center=0.0)
    both = Sum((lazy, every))

    def value(regularizer: Regularizer, d_updates: int) -> Tensor | None:
        return regularizer.discriminator_term(context(d_updates), regularizer.init_state())

    alone, due, skipped = value(every, 1), value(both, 0), value(both, 1)
    lazily = value(lazy, 0)
    assert alone is not None and due is not None and skipped is not None and lazily is not None
    assert torch.equal(skipped, alone)
    torch.testing.assert_close(due, alone + lazily)
    assert value(Sum((lazy, lazy)), 1) is None


def test_parts_draw_from_the_shared_generator_in_turn() -> None:
    line = GradientPenalty()
    drawn = context()
    first = line.discriminator_term(drawn, {})
    second = line.discriminator_term(drawn, {})
    both = Sum((line, line))
    together = both.discriminator_term(context(), both.init_state())
    assert first is not None and second is not None and together is not None
    assert not torch.equal(first, second) and torch.equal(together, first + second)


def test_constraints_are_all_applied_in_order() -> None:
    CALLS.clear()
    network = nn.Linear(8, 1)
    Sum((Counting("one"), WeightClipping(0.1), Sum((Counting("two"), WeightClipping(0.01))))).constrain(network)
    assert CALLS == ["one", "two"]
    assert network.weight.abs().max() <= 0.01


def test_flags_are_those_of_any_part() -> None:
    clipping, on_reals, on_lines = WeightClipping(), GradientPenalty(points=Reals()), GradientPenalty()
    assert [Sum((clipping, part)).per_sample_gradients for part in (clipping, on_reals, on_lines)] == [
        False,
        True,
        True,
    ]
    assert [Sum((clipping, part)).on_lines for part in (clipping, on_reals, on_lines)] == [False, False, True]
