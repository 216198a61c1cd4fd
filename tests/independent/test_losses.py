"""Losses, divergences and weight rules against formulas written out in NumPy from the papers, on random numbers.

Nothing of ganneal is in the formulas: sp(x) is written as log(1 + e^x), and f-divergences come from f'' by quadrature.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from tests.for_each import for_each

from ganneal.divergences import DIVERGENCES
from ganneal.losses import LOSSES, Hybrid
from ganneal.weights import Explicit, Geometric, Linear, MatchedConstant, Ones, Reversed

Array = np.ndarray
random = np.random.default_rng(20)
REAL, FAKE = 2 * random.standard_normal(7), 2 * random.standard_normal(7)
W = 0.37


def sp(x: Array) -> Array:
    return np.log(1 + np.exp(x))


def sigma(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Array:
    return np.where(x > 0, x, 0.0)


Discriminator = Callable[[Array, Array], Array]
LOGISTIC: Discriminator = lambda r, f: sp(-r) + sp(f)  # noqa: E731

D_LOSSES: dict[str, Discriminator] = {
    "nonsaturating": LOGISTIC,
    "minimax": LOGISTIC,
    "minimax-probability": LOGISTIC,
    "lsgan": lambda r, f: 0.5 * (r - 1) ** 2 + 0.5 * f**2,
    "wgan": lambda r, f: f - r,
    "hinge": lambda r, f: relu(1 - r) + relu(1 + f),
    "hinge-hinged": lambda r, f: relu(1 - r) + relu(1 + f),
    "hybrid": lambda r, f: 2 * (sp(-r) + sp(f)) - 4 * np.log(2),
    "total-variation": lambda r, f: (np.tanh(f) - np.tanh(r)) / 2,
    "arcsinh": LOGISTIC,
    "shifted-minimax": LOGISTIC,
    "exponential": LOGISTIC,
    "rpgan": lambda r, f: sp(-(r - f)),
    "rplsgan": lambda r, f: (r - f - 1) ** 2,
    "ragan": lambda r, f: sp(-(r - f.mean())) + sp(f - r.mean()),
    "rahinge": lambda r, f: relu(1 - (r - f.mean())) + relu(1 + (f - r.mean())),
}

G_LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "nonsaturating": lambda f, r: sp(-f),
    "minimax": lambda f, r: -sp(f),
    "lsgan": lambda f, r: 0.5 * (f - 1) ** 2,
    "wgan": lambda f, r: -f,
    "hinge": lambda f, r: -f,
    "hinge-hinged": lambda f, r: relu(1 - f),
    "hybrid": lambda f, r: 2 * sp(-f) - 2 * np.log(2),
    "total-variation": lambda f, r: -np.tanh(f) / 2,
    "arcsinh": lambda f, r: -np.log(f + np.sqrt(1 + f**2)),
    "shifted-minimax": lambda f, r: -sp(f + 5),
    "exponential": lambda f, r: -np.exp(1.5 * f),
    "rpgan": lambda f, r: sp(-(f - r)),
    "rplsgan": lambda f, r: (f - r - 1) ** 2,
    "ragan": lambda f, r: sp(-(f - r.mean())) + sp(r - f.mean()),
    "rahinge": lambda f, r: relu(1 + (r - f.mean())) + relu(1 - (f - r.mean())),
}
"""Without a weight; with it on the output the raw outputs of both sides are multiplied first."""


def tensor(x: Array) -> torch.Tensor:
    return torch.from_numpy(np.array(x))


def test_every_registered_loss_is_in_the_tables() -> None:
    assert set(D_LOSSES) == set(LOSSES) and set(G_LOSSES) | {"minimax-probability"} == set(LOSSES)


@for_each("name", D_LOSSES)
def test_discriminator_losses(name: str) -> None:
    found = LOSSES[name].discriminator(tensor(REAL), tensor(FAKE)).mean().item()
    assert found == pytest.approx(D_LOSSES[name](REAL, FAKE).mean(), rel=1e-12)


@for_each("weight", [1.0, W])
@for_each("name", G_LOSSES)
def test_generator_losses(name: str, weight: float) -> None:
    found = LOSSES[name].generator(tensor(FAKE), tensor(REAL), weight=weight).mean().item()
    assert found == pytest.approx(G_LOSSES[name](weight * FAKE, weight * REAL).mean(), rel=1e-12)


def test_minimax_on_the_probability() -> None:
    found = LOSSES["minimax-probability"].generator(tensor(FAKE), weight=W).mean().item()
    assert found == pytest.approx(np.log(1 - W * sigma(FAKE)).mean(), rel=1e-12)


# f-divergences, from f'' alone

SECOND: dict[str, Callable[[Array], Array]] = {
    "kl": lambda u: 1 / u,
    "reverse_kl": lambda u: u**-2,
    "js": lambda u: 2 / (u * (1 + u)),
    "squared_hellinger": lambda u: u**-1.5,
    "pearson_chi2": lambda u: np.ones_like(u),
    "neyman_chi2": lambda u: u**-3,
    "jeffreys": lambda u: 0.5 * (1 / u + u**-2),
    "srkl": lambda u: 2 / (u**2 * (1 + u)),
    "skl": lambda u: 2 / (1 + u),
}
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(60)


def integral(function: Callable[[Array], Array], end: float) -> float:
    """From 1 to ``end``, of a function that is smooth in log u."""
    half = np.log(end) / 2
    t = half * (NODES + 1)
    return float((NODE_WEIGHTS * half * function(np.exp(t)) * np.exp(t)).sum())


@for_each("d", [-2.1, -0.4, 0.9, 2.3])
@for_each("name", SECOND)
def test_divergences_from_their_second_derivative(name: str, d: float) -> None:
    """f'(u) is the integral of f'' from 1, f(u) of (u - v) f''(v); a(d) = f'(e^d), b(d) = e^d f'(e^d) - f(e^d)."""
    row, second, u = DIVERGENCES[name], SECOND[name], np.exp(d)
    slope = integral(second, u)
    value = integral(lambda v: (u - v) * second(v), u)
    at = torch.tensor([u], dtype=torch.float64)
    assert row.f_second(at).item() == pytest.approx(second(np.array([u]))[0], rel=1e-12)
    assert row.f_prime(at).item() == pytest.approx(slope, rel=1e-10)
    assert row.f(at).item() == pytest.approx(value, rel=1e-10)
    logits = torch.tensor([d], dtype=torch.float64)
    assert row.real_term(logits).item() == pytest.approx(slope, rel=1e-10)
    assert row.fake_term(logits).item() == pytest.approx(u * slope - value, rel=1e-10)
    assert row.fake_slope(logits).item() == pytest.approx(u**2 * second(np.array([u]))[0], rel=1e-12)


@for_each("name", SECOND)
def test_tails_from_the_second_derivative(name: str) -> None:
    """u^-L at 1e-8 and 1e-9, u^(R - 3) at 1e8 and 1e9."""
    slopes = [
        np.log10(SECOND[name](np.array([b]))[0] / SECOND[name](np.array([a]))[0]) for a, b in ((1e-8, 1e-9), (1e8, 1e9))
    ]
    left, right = DIVERGENCES[name].tail_weights
    assert (left, right - 3) == pytest.approx((slopes[0], slopes[1]), abs=1e-6)


@for_each(("f", "g"), [("kl", "neyman_chi2"), ("skl", "jeffreys"), ("pearson_chi2", "squared_hellinger")])
def test_hybrids(f: str, g: str) -> None:
    loss, small_real, small_fake = Hybrid(discriminator=f, generator=g), REAL / 3, FAKE / 3
    u, v = np.exp(small_real), np.exp(small_fake)
    a = np.array([integral(SECOND[f], end) for end in u])
    b = {h: np.array([integral(lambda t, h=h: t * SECOND[h](t), end) for end in v]) for h in (f, g)}
    found = loss.discriminator(tensor(small_real), tensor(small_fake)).mean().item()
    assert found == pytest.approx((b[f] - a).mean(), rel=1e-10)
    assert loss.generator(tensor(small_fake)).mean().item() == pytest.approx(-b[g].mean(), rel=1e-10)


# Weight rules


def test_weight_rules() -> None:
    counts = (1, 2, 3, 4, 5, 6, 7)
    falling = np.array([3.0 * (0.06 / 3.0) ** (k / 6) for k in range(7)])
    mass = (falling * counts).sum() / sum(counts)
    rules = {
        Geometric(3.0, 0.06): falling,
        Reversed(Geometric(3.0, 0.06)): falling[::-1],
        MatchedConstant(Geometric(3.0, 0.06)): np.full(7, mass),
        MatchedConstant(Reversed(Geometric(3.0, 0.06))): np.full(7, (falling[::-1] * counts).sum() / 28),
        Linear(3.0, 0.06): np.array([3.0 - k * 2.94 / 6 for k in range(7)]),
        Ones(): np.ones(7),
        Explicit((1.0, 5.0, 2.0, 4.0, 3.0, 0.5, 0.25)): np.array([1.0, 5.0, 2.0, 4.0, 3.0, 0.5, 0.25]),
    }
    for rule, expected in rules.items():
        np.testing.assert_allclose(rule(counts, 3), expected, rtol=1e-12, err_msg=str(rule))
    np.testing.assert_allclose(MatchedConstant(Geometric(3.0, 0.06))((1,) * 7, 0), falling.mean(), rtol=1e-12)
