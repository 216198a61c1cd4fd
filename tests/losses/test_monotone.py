"""Losses from increasing functions: values, the divergences they descend, and what is refused."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.divergences import DIVERGENCES
from ganneal.logits import softplus
from ganneal.losses import (
    LOSSES,
    MONOTONE,
    Arcsinh,
    FromMonotone,
    Minimax,
    MonotoneFunction,
    NonSaturating,
    PowerOfRatio,
    ShiftedSoftplus,
    check_increases,
)
from ganneal.theory.normals import Normal1D, generator_gradient, nodes, normal_log_ratio

FAKE = torch.tensor([-1.5, 0.25, 3.0], dtype=torch.float64)
U = torch.logspace(-4, 4, 81, base=math.e, dtype=torch.float64)


@pytest.mark.parametrize(
    ("h", "value"), [(Arcsinh(), -0.290383234497), (ShiftedSoftplus(5.0), -5.59510654093)], ids=lambda h: str(h)
)
def test_generator_loss_on_the_check_batch(h: MonotoneFunction, value: float) -> None:
    assert FromMonotone(h).generator(FAKE).mean().item() == pytest.approx(value, rel=1e-11)


def test_exponential_is_minus_the_power_of_the_ratio() -> None:
    expected = -torch.exp(1.5 * FAKE)
    torch.testing.assert_close(FromMonotone(PowerOfRatio()).generator(FAKE), expected, rtol=1e-14, atol=0)


def test_every_registered_h_is_a_loss_and_increases() -> None:
    for h in MONOTONE.values():
        check_increases(h)
    assert {loss.h for loss in LOSSES.values() if isinstance(loss, FromMonotone)} == set(MONOTONE.values())


@for_each("name", [name for name in LOSSES if not LOSSES[name].needs_real])
def test_every_registered_generator_loss_is_minus_an_increasing_function_of_its_output(name: str) -> None:
    # up to its target or margin, the best output there is: 1 for least squares and the hinge
    top = 1.0 if name in ("lsgan", "hinge-hinged") else 15.0
    d = torch.linspace(-15, top, 2001, dtype=torch.float64)
    assert (LOSSES[name].generator(d).diff() < 0).all()


@for_each("name", DIVERGENCES)
def test_the_fake_term_of_every_divergence_increases_and_gives_back_its_second_derivative(name: str) -> None:
    row = DIVERGENCES[name]
    slope = row.fake_slope(torch.linspace(-20, 20, 401, dtype=torch.float64))
    assert (slope > 0).all()
    d = torch.linspace(-8, 8, 161, dtype=torch.float64)
    assert (row.fake_term(d).diff() > 0).all()


CANONICAL: list[tuple[str, MonotoneFunction, Callable[[Tensor], Tensor]]] = [
    ("logit", lambda d: d, lambda u: 1 / u**2),
    ("non-saturating", lambda d: -softplus(-d), lambda u: 2 / (u**2 * (1 + u))),
    ("saturating", softplus, lambda u: 2 / (u * (1 + u))),
    (
        "shifted",
        ShiftedSoftplus(5.0),
        lambda u: torch.sigmoid(u.log() + 5) / (torch.sigmoid(torch.tensor(5.0, dtype=u.dtype)) * u**2),
    ),
    ("arcsinh", Arcsinh(), lambda u: 1 / (u**2 * (1 + u.log() ** 2).sqrt())),
    ("KL", PowerOfRatio(1.0), lambda u: 1 / u),
    ("Hellinger", PowerOfRatio(0.5), lambda u: u**-1.5),
    ("Pearson", PowerOfRatio(2.0), lambda u: torch.ones_like(u)),
    ("exponential", PowerOfRatio(1.5), lambda u: u**-0.5),
    ("least squares", lambda d: -0.5 * torch.sigmoid(-d) ** 2, lambda u: 8 / (u * (1 + u) ** 3)),
    ("half tanh", lambda d: 0.5 * torch.tanh(d / 2), lambda u: 4 / (u * (1 + u) ** 2)),
]


@for_each(("name", "h", "expected"), CANONICAL, ids=[name for name, *_ in CANONICAL])
def test_an_increasing_function_descends_the_divergence_of_the_table(
    name: str, h: MonotoneFunction, expected: Callable[[Tensor], Tensor]
) -> None:
    torch.testing.assert_close(FromMonotone(h).f_second(U), expected(U), rtol=1e-12, atol=0)


def test_the_logistic_losses_are_cases_of_it() -> None:
    d = torch.linspace(-30, 30, 301)
    assert torch.equal(FromMonotone(lambda d: -softplus(-d)).generator(d), NonSaturating().generator(d))
    assert torch.equal(FromMonotone(softplus).generator(d), Minimax().generator(d))
    assert torch.equal(FromMonotone().discriminator(d, -d), NonSaturating().discriminator(d, -d))


@dataclass(frozen=True)
class Dip:
    """Increasing but for a dip of a tenth around ``at``."""

    at: float

    def __call__(self, d: Tensor) -> Tensor:
        return d - 0.5 * torch.exp(-0.5 * ((d - self.at) / 0.1) ** 2)


@given(at=st.floats(-19, 19))
def test_a_dip_anywhere_is_refused_naming_where(at: float) -> None:
    with pytest.raises(ValueError, match=r"h must increase everywhere from -20 to 20, got Dip\(at=") as error:
        FromMonotone(Dip(at))
    place = float(str(error.value).split(" at ")[1].split()[0])
    assert abs(place - at) < 0.3


@for_each(
    ("h", "place"),
    [
        (torch.sin, r"-17\.28"),
        (torch.neg, r"-20\.00"),
        (torch.abs, r"-20\.00"),
        (lambda d: d.clamp(max=1), r"1\.00"),
        (lambda d: F.relu(d), r"-20\.00"),
        (lambda d: d.log(), r"-20\.00"),
        (torch.zeros_like, r"-20\.00"),
    ],
)
def test_flat_falling_and_undefined_functions_are_refused(h: MonotoneFunction, place: str) -> None:
    with pytest.raises(ValueError, match=rf"at {place} to .*left alone or pushed away.*use|Use"):
        FromMonotone(h)


@for_each("name", DIVERGENCES)
def test_f_itself_at_a_frozen_ratio_is_refused(name: str) -> None:
    # h(d) = -f(e^d) turns at u = 1, for f has its minimum there
    with pytest.raises(ValueError, match=r" at 0\.00 to "):
        FromMonotone(lambda d: -DIVERGENCES[name].f(d.exp()))


def test_f_at_a_frozen_ratio_pushes_samples_away_from_the_data() -> None:
    # f = u log u: pushed away from the data where u > 1/e, towards them below
    d = torch.tensor([-0.9, 0.0, 2.0, -1.1, -3.0], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad((d.exp() * d).sum(), d)
    assert (slope > 0).tolist() == [True, True, True, False, False]
    p, q = Normal1D(0, 1), Normal1D(0.2, 1)
    assert generator_gradient(lambda d: d.exp() * d, p, q).mean < 0 < generator_gradient(lambda d: -d, p, q).mean


FLOWS: dict[str, MonotoneFunction] = {
    **MONOTONE,
    **{name: row.fake_term for name, row in DIVERGENCES.items()},
    "f of kl, frozen": lambda d: -DIVERGENCES["kl"].f(d.exp()),
}


@for_each("name", FLOWS)
def test_samples_that_follow_an_increasing_function_never_raise_reverse_kl(name: str) -> None:
    # x' = v = h'(log r) grad log r with r = p/q; d/dt KL(q || p) = -E_q[v' + v grad log p] = -E_q[h' |grad log r|^2]
    p, q = Normal1D(0, 1), Normal1D(0.6, 0.9)
    x = nodes(p, q).requires_grad_()

    def slope(value: Tensor) -> Tensor:
        return torch.autograd.grad(value.sum(), x, create_graph=True)[0]

    ratio = normal_log_ratio(p, q)(x)
    d = ratio.detach().requires_grad_()
    pull = torch.autograd.grad(FLOWS[name](d).sum(), d)[0]
    velocity = torch.autograd.grad(FLOWS[name](ratio).sum(), x, create_graph=True)[0]
    density = q.log_prob(x).exp().detach()
    rate = -torch.trapezoid(density * (slope(velocity) + velocity * slope(p.log_prob(x))), x).item()
    expected = -torch.trapezoid(density * pull * slope(ratio).square(), x).item()
    assert rate == pytest.approx(expected, rel=1e-9)
    assert (rate < 0) == (name != "f of kl, frozen")


def test_beyond_the_cap_the_exponential_goes_on_along_its_tangent() -> None:
    d = torch.tensor([-3.0, 1.0, 1.9, 2.0, 2.5, 4.0, 1e4], dtype=torch.float64)
    expected = torch.where(d < 2, torch.exp(1.5 * d), math.exp(3) * (1 + 1.5 * d - 3))
    torch.testing.assert_close(PowerOfRatio(1.5, exp_cap=3.0)(d), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("cap", [None, 15.0])
def test_exponential_pulls_at_every_output_it_can_represent(cap: float | None) -> None:
    far = torch.tensor([-40.0, -20.0, 0.0, 20.0, 1e4 if cap else 50.0], requires_grad=True)
    loss = FromMonotone(PowerOfRatio(exp_cap=cap)).generator(far)
    (slope,) = torch.autograd.grad(loss.sum(), far)
    assert loss.isfinite().all() and slope.isfinite().all() and (slope < 0).all()


@for_each(
    ("part", "message"),
    [
        (lambda: ShiftedSoftplus(0.0), "shift must be above 0, got 0.0; use the loss 'minimax'"),
        (lambda: PowerOfRatio(-1.0), "rate must be above 0, got -1.0"),
        (lambda: PowerOfRatio(exp_cap=-1.0), "exp_cap must be above 0, got -1.0; use 15"),
    ],
)
def test_fields_out_of_range_are_refused(part: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        part()
