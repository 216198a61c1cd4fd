"""A regularizer with one term is a class with one method."""

import re
from dataclasses import dataclass
from inspect import isfunction
from pathlib import Path
from typing import Any

import torch

from ganneal.clocks import Counters
from ganneal.models import MLP
from ganneal.regularizers import REGULARIZERS, Context, GeneratorContext, Regularizer, Sum, WeightClipping

ADDING = Path(__file__).parents[2] / "docs" / "adding.md"


def example() -> str:
    """The first block of the section on regularizers."""
    section = ADDING.read_text(encoding="utf-8").partition("\n## A regularizer\n")[2]
    block = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1]


def test_the_example_of_the_docs_is_eight_lines_with_one_method() -> None:
    assert len([line for line in example().splitlines() if line.strip()]) <= 8
    names: dict[str, Any] = {"dataclass": dataclass, "__name__": "documentation"}
    kept = dict(REGULARIZERS)
    try:
        exec(example(), names)
        drift = REGULARIZERS["drift"]
    finally:
        REGULARIZERS.clear()
        REGULARIZERS.update(kept)
    own = [name for name, value in vars(type(drift)).items() if isfunction(value) and not name.startswith("__")]
    assert isinstance(drift, Regularizer) and own == ["discriminator_term"]


@dataclass(frozen=True)
class Silent(Regularizer):
    """No method at all."""


def test_a_method_that_is_left_out_does_nothing() -> None:
    silent, pair = Silent(), MLP(width=8, depth=2, latent_size=2).build((2,))
    samples, random = torch.rand(4, 2), torch.Generator()
    logits = pair.discriminator(samples)
    before = [parameter.detach().clone() for parameter in pair.discriminator.parameters()]
    seen = Context(pair.discriminator, samples, samples, logits, logits, Counters(), random)
    made = GeneratorContext(pair.generator, samples, samples, Counters(), random)
    assert silent.build(pair) is None and silent.init_state() == {}
    assert silent.discriminator_term(seen, {}) is None and silent.generator_term(made, {}) is None
    silent.constrain(pair.discriminator)
    assert all(map(torch.equal, pair.discriminator.parameters(), before))
    flags = (silent.per_sample_gradients, silent.on_lines, silent.needs_latents, silent.needs_generator_updates)
    assert flags == (False, False, False, False)


def test_terms_are_prepared_for_where_one_may_come() -> None:
    assert Silent().has_terms and Sum((WeightClipping(), Silent())).has_terms
    assert not Sum().has_terms and not Sum((WeightClipping(), Sum())).has_terms
