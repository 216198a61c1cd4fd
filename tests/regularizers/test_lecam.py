"""LeCam against the check set D(x) = w.x + x'Mx/2 + 0.2, and its moving averages by hand."""

from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor

from ganneal.clocks import Counters
from ganneal.optim import LinearDecay
from ganneal.regularizers import REGULARIZERS, Context, LeCam, RegularizerState, lecam

W = torch.tensor([0.6, -0.8], dtype=torch.float64)
M = torch.tensor([[0.5, 0.1], [0.1, -0.3]], dtype=torch.float64)
REAL = torch.tensor([[1.0, 0.5], [-0.5, 2.0]], dtype=torch.float64)
FAKE = torch.tensor([[0.2, -1.0], [1.5, 1.0]], dtype=torch.float64)


def quadratic(x: Tensor) -> Tensor:
    return x @ W + 0.5 * ((x @ M) * x).sum(1) + 0.2


def context(real: Tensor, fake: Tensor, **counters: int) -> Context:
    return Context(quadratic, real, fake, real, fake, Counters(**counters), torch.Generator())


@pytest.mark.parametrize(("one_sided", "value"), [(True, 0.371953125), (False, 3.032409375)])
def test_the_check_set(one_sided: bool, value: float) -> None:
    terms = lecam(quadratic(REAL), quadratic(FAKE), real_average=0.3, fake_average=-0.2, one_sided=one_sided)
    assert terms.shape == (2,) and terms.mean().item() == pytest.approx(value, rel=1e-11)


def test_averages_move_before_they_are_used_and_carry_no_gradient() -> None:
    part, state = LeCam(decay=0.9, start=0, one_sided=False), LeCam().init_state()
    means = {"real": 1.0, "fake": -1.0}
    for step in range(4):
        real = torch.tensor([step + 2.0, step + 4.0], requires_grad=True)
        fake = torch.tensor([-step - 1.0, 0.5])
        for name, logits in (("real", real), ("fake", fake)):
            mean = logits.mean().item()
            means[name] = mean if step == 0 else 0.9 * means[name] + 0.1 * mean
        value = part.discriminator_term(context(real, fake, d_updates=step), state)
        expected = (real - means["fake"]).square().mean() + (means["real"] - fake).square().mean()
        assert value is not None
        torch.testing.assert_close(value, 0.3 * expected)
        (gradient,) = torch.autograd.grad(value, real)
        torch.testing.assert_close(gradient, 0.3 * (real.detach() - means["fake"]))
    assert {name: float(state[name]) for name in state} == pytest.approx(means)
    assert not state["real"].requires_grad


def test_up_to_its_start_the_averages_are_the_latest_batchs_and_nothing_is_added() -> None:
    part: LeCam = REGULARIZERS["lecam"]  # type: ignore[assignment]
    state: RegularizerState = part.init_state()
    for step in (0, 1, part.start - 1):
        logits = torch.full((3,), float(step))
        assert part.discriminator_term(context(logits, -logits, d_updates=step), state) is None
        assert (state["real"], state["fake"]) == (step, -step)
    later = torch.full((3,), 1.0)
    assert part.discriminator_term(context(later, later, d_updates=part.start), state) is not None
    assert float(state["real"]) == pytest.approx(0.99 * (part.start - 1) + 0.01)


def test_averages_move_at_updates_where_the_term_is_not_due() -> None:
    part, state = LeCam(decay=0.5, start=0, interval=4), LeCam().init_state()
    terms = [
        part.discriminator_term(context(torch.full((2,), float(n)), torch.zeros(2), d_updates=n), state)
        for n in range(3)
    ]
    assert [term is None for term in terms] == [False, True, True]
    assert float(state["real"]) == 1.25  # 0, then 0.5, then 1.25


def test_half_precision_logits_are_raised() -> None:
    part = LeCam(start=0)
    logits = torch.tensor([0.5, 2.0], dtype=torch.bfloat16)
    state = part.init_state()
    value = part.discriminator_term(context(logits, -logits), state)
    assert value is not None and value.dtype == state["real"].dtype == torch.float32


def test_the_coefficient_follows_its_rule_on_images_shown() -> None:
    part = LeCam(start=0, rule=LinearDecay(end=100))

    def term(num_real: int) -> Tensor | None:
        return part.discriminator_term(context(torch.ones(2), torch.zeros(2), num_real=num_real), part.init_state())

    full, half = term(0), term(50)
    assert full is not None and half is not None and half.item() == pytest.approx(full.item() / 2)
    assert term(100) is None


@for_each(("field", "value"), [("decay", 1.0), ("decay", -0.1), ("start", -1), ("coefficient", -1.0)])
def test_bad_numbers_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*got {value}"):
        LeCam(**{field: value})
