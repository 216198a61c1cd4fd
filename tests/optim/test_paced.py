"""Steps as long as under other weights: exact where lengths can be worked out, and resumed to the bit."""

import copy
import io
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor
from torch.nn import Parameter

from ganneal.optim import CG, SGD, Paced, PacedCG
from ganneal.optim.beta_rules import BETA_RULES
from ganneal.weights import Geometric, MatchedConstant

LEVELS = 3


def gradients(steps: int, agreement: float, seed: int = 0) -> list[Tensor]:
    """Gradients of equal size, a share of each of which is common to all."""
    random = torch.Generator().manual_seed(seed)
    common = torch.randn(400, generator=random, dtype=torch.float64)
    return [
        agreement**0.5 * common + (1 - agreement) ** 0.5 * torch.randn(400, generator=random, dtype=torch.float64)
        for _ in range(steps)
    ]


def lengths(
    optimizer: torch.optim.Optimizer, parameter: Parameter, grads: list[Tensor], weights: list[float]
) -> Tensor:
    """Length of every step."""
    found = []
    for index, grad in enumerate(grads):
        before = parameter.detach().clone()
        parameter.grad = weights[index % len(weights)] * grad
        optimizer.step()
        found.append((parameter.detach() - before).norm())
    return torch.stack(found)


def start() -> Parameter:
    return Parameter(torch.zeros(400, dtype=torch.float64))


@pytest.mark.runs
@pytest.mark.parametrize("agreement", [0.3, *(pytest.param(share, marks=pytest.mark.slow) for share in (0.0, 1.0))])
@for_each("rule", BETA_RULES)
def test_under_a_constant_weight_it_walks_as_far_as_under_the_annealed_ones(rule: Any, agreement: float) -> None:
    config = PacedCG(CG(lr=0.1, beta_rule=rule, beta_min=-0.5), LEVELS, Geometric())
    counts = range(1, LEVELS + 1)
    annealed = [w for n, w in zip(counts, Geometric()(counts, 0), strict=True) for _ in range(n)]
    constant = list(MatchedConstant(Geometric())(counts, 0))[:1]
    grads = gradients(40 * len(annealed), agreement)
    ours, theirs = start(), start()
    walked = lengths(config.build([ours]), ours, grads, constant)
    aim = lengths(config.optimizer.build([theirs]), theirs, grads, annealed)
    torch.testing.assert_close(walked[: len(annealed)], aim[: len(annealed)], rtol=1e-9, atol=0)  # of the first round
    assert float(walked.sum() / aim.sum()) == pytest.approx(1, abs=0.03)


def test_plain_steps_need_no_scale() -> None:
    ours, theirs, grads = start(), start(), gradients(60, 0.5)
    shadowed = Paced(SGD(lr=0.1).build([ours]), SGD(lr=0.1).build([start()]), (1.0, 1.0, 1.0))
    lengths(shadowed, ours, grads, [1.0])
    lengths(SGD(lr=0.1).build([theirs]), theirs, grads, [1.0])
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


def test_a_round_counts_a_tenth_less_with_every_round_after_it() -> None:
    ours, (grad,) = start(), gradients(1, 1.0)
    paced = Paced(SGD(lr=0.1).build([ours]), SGD(lr=0.1, momentum=0.5).build([start()]), (1.0,))
    ratios = [2 * (1 - 0.5**n) for n in range(1, 6)]  # of momentum's steps to plain ones under a constant gradient
    scales = [1.0]
    for made in range(1, 6):
        shares = [0.9 ** (made - 1 - k) for k in range(made)]
        scales.append(sum(s * r for s, r in zip(shares, ratios, strict=False)) / sum(shares))
    walked = lengths(paced, ours, [grad] * 6, [1.0])
    torch.testing.assert_close(walked, 0.1 * grad.norm() * torch.tensor(scales, dtype=torch.float64))


def test_it_goes_on_from_its_state_to_the_bit() -> None:
    grads, config = gradients(50, 0.3), PacedCG(CG(lr=0.1), LEVELS, Geometric())
    whole, half = start(), start()
    lengths(config.build([whole]), whole, grads, [1.0])
    first = config.build([half])
    lengths(first, half, grads[:23], [1.0])
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    again = config.build([half])
    again.load_state_dict(copy.deepcopy(torch.load(buffer, weights_only=True)))
    lengths(again, half, grads[23:], [1.0])
    assert torch.equal(whole, half)


def test_a_rate_that_is_set_reaches_both() -> None:
    ours, grads = start(), gradients(2, 1.0)
    optimizer = PacedCG(CG(lr=0.1), 1, Geometric()).build([ours])
    walked = lengths(optimizer, ours, grads[:1], [1.0])
    optimizer.param_groups[0]["lr"] = 0.0
    assert float(walked[0]) > 0 and float(lengths(optimizer, ours, grads[1:], [1.0])[0]) == 0.0
