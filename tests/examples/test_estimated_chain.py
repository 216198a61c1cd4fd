"""Chains of pushes by discriminators that are trained on the way."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganneal.theory.pushes import pushes

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def estimated_chain(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return import_module("estimated_chain").estimated_chain


def away(count: int, random: torch.Generator) -> Tensor:
    return torch.tensor([3.0, 0.0]) + 0.5 * torch.randn(count, 2, generator=random)


START = 0.5 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))


def test_samples_end_where_the_stored_discriminators_push_them(estimated_chain: Callable[..., Any]) -> None:
    sizes = [0.5, 0.25]
    chain = estimated_chain(away, START, sizes, updates=3)
    trail = pushes(START, chain.discriminators, sizes)
    torch.testing.assert_close(chain.samples, trail[-1].samples)
    assert chain.norms == tuple(push.norms.mean().item() for push in trail)


@pytest.mark.runs
def test_it_goes_to_the_data_and_depends_on_its_seed_alone(estimated_chain: Callable[..., Any]) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    chain, same, other = (estimated_chain(away, START, [0.5] * 5, updates=40, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(chain.samples, same.samples) and not torch.equal(chain.samples, other.samples)
    middle = torch.tensor([3.0, 0.0])
    assert (chain.samples.mean(0) - middle).norm() < 0.5 * (START.mean(0) - middle).norm()


@pytest.mark.runs
def test_a_penalty_brings_the_norm_to_its_centre(estimated_chain: Callable[..., Any]) -> None:
    for center in (0.2, 1.5):
        chain = estimated_chain(away, START, [0.0], updates=300, center=center, coefficient=100.0)
        assert abs(chain.norms[0] - center) < 0.25 * center
