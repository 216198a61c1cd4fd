"""Divergences of normal distributions: twelve-digit values, closed forms, and the lower bound."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.divergences import DIVERGENCES, total_variation_term
from ganneal.theory.normals import (
    CLOSED_FORMS,
    Normal1D,
    divergence,
    lower_bound,
    nodes,
    normal_log_ratio,
    pearson_chi2,
)

PAIRS = {
    "A": (Normal1D(0, 1), Normal1D(1, 1)),
    "B": (Normal1D(0, 1), Normal1D(0.5, 1.2)),
    "C": (Normal1D(-0.3, 0.9), Normal1D(0.4, 1.1)),
    "E": (Normal1D(0, 0.5), Normal1D(0, 1)),
}
VALUES = {
    "kl": (0.5, 0.116349334572, 0.237860778107, 0.318147180560),
    "reverse_kl": (0.5, 0.162678443206, 0.348712020587, 0.806852819440),
    "js": (0.445685928739, 0.128387567898, 0.258494726859, 0.370933526666),
    "squared_hellinger": (0.470012389662, 0.133247698858, 0.272825412374, 0.422291236000),
    "pearson_chi2": (0.859140914230, 0.0997986688525, 0.218251445421, 0.255928946018),
    "neyman_chi2": (0.859140914230, 0.370114107143, 1.39978860448, math.inf),
    "jeffreys": (0.5, 0.139513888889, 0.293286399347, 0.5625),
    "srkl": (0.554314071261, 0.196969318514, 0.438929314315, 1.24277211221),
    "skl": (0.554314071261, 0.104311101245, 0.217226829354, 0.265360834454),
}
FINITE = [
    (name, pair, value)
    for name, column in VALUES.items()
    for pair, value in zip(PAIRS, column, strict=True)
    if math.isfinite(value)
]


@for_each(("name", "pair", "value"), FINITE)
def test_quadrature_gives_the_values_of_the_table(name: str, pair: str, value: float) -> None:
    assert divergence(DIVERGENCES[name], *PAIRS[pair]) == pytest.approx(value, rel=1e-11)


@for_each("name", CLOSED_FORMS)
@for_each("pair", PAIRS)
def test_closed_forms_agree_with_quadrature_where_they_are_finite(name: str, pair: str) -> None:
    exact = CLOSED_FORMS[name](*PAIRS[pair])
    assert exact == pytest.approx(VALUES[name][list(PAIRS).index(pair)], rel=1e-11)
    if math.isfinite(exact):
        assert divergence(DIVERGENCES[name], *PAIRS[pair]) == pytest.approx(exact, rel=1e-12, abs=1e-12)


@for_each("p_std", [math.sqrt(2), 1.5, 3.0])
def test_chi_squared_is_infinite_where_the_model_is_too_narrow(p_std: float) -> None:
    assert pearson_chi2(Normal1D(0, p_std), Normal1D(0, 1)) == math.inf
    assert CLOSED_FORMS["neyman_chi2"](Normal1D(0, 1), Normal1D(0, p_std)) == math.inf
    assert math.isfinite(pearson_chi2(Normal1D(0, 1.41), Normal1D(0, 1)))


@for_each(
    ("pair", "value"), [("A", 0.382924922548), ("B", 0.192988495556), ("C", 0.283809098234), ("E", 0.322674568835)]
)
def test_total_variation_and_its_bound(pair: str, value: float) -> None:
    p, q = PAIRS[pair]
    x = nodes(p, q, 100_001)
    difference = p.log_prob(x).exp() - q.log_prob(x).exp()
    assert 0.5 * torch.trapezoid(difference.abs(), x).item() == pytest.approx(value, abs=1e-8)
    for critic, tight in ((1.0, False), (1e6, True)):  # the best raw output runs off to infinity
        bound = torch.trapezoid(difference * total_variation_term(critic * normal_log_ratio(p, q)(x)), x).item()
        assert bound == pytest.approx(value, abs=1e-6) if tight else bound < value - 1e-3


@for_each(
    ("name", "pair", "value"),
    [
        ("kl", "A", 0.479798659973),
        ("reverse_kl", "A", 0.464729788589),
        ("js", "A", 0.427410808325),
        ("srkl", "A", 0.502048768852),
        ("kl", "B", 0.109497860541),
        ("reverse_kl", "B", 0.146841191624),
        ("js", "B", 0.119728749387),
        ("srkl", "B", 0.173953633862),
    ],
)
def test_bound_of_a_wrong_critic_has_its_known_value(name: str, pair: str, value: float) -> None:
    best = normal_log_ratio(*PAIRS[pair])
    bound = lower_bound(DIVERGENCES[name], *PAIRS[pair], lambda x: 0.8 * best(x) + 0.1)
    assert bound == pytest.approx(value, rel=1e-11)
    assert bound < divergence(DIVERGENCES[name], *PAIRS[pair])


WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "shrunk": lambda d: 0.8 * d + 0.1,
    "steep": lambda d: 1.2 * d,
    "bounded": torch.tanh,
    "blind": torch.zeros_like,
    "reversed": lambda d: -0.3 * d,
}


@for_each("name", DIVERGENCES)
@for_each("pair", ["A", "B", "C"])
@for_each("wrong", WRONG)
def test_no_critic_exceeds_the_divergence(name: str, pair: str, wrong: str) -> None:
    best = normal_log_ratio(*PAIRS[pair])
    bound = lower_bound(DIVERGENCES[name], *PAIRS[pair], lambda x: WRONG[wrong](best(x)))
    assert bound < divergence(DIVERGENCES[name], *PAIRS[pair]) - 1e-4
    if wrong == "blind":
        assert bound == 0


@settings(max_examples=20)
@given(mean=st.floats(-1, 1), std=st.floats(0.8, 1.25), scale=st.floats(-1, 1.2), shift=st.floats(-1, 1))
def test_the_bound_holds_for_any_two_normals_and_affine_change_of_the_optimum(
    mean: float, std: float, scale: float, shift: float
) -> None:
    p, q = Normal1D(0, 1), Normal1D(mean, std)
    for name in ("kl", "reverse_kl", "js", "squared_hellinger", "jeffreys", "srkl", "skl"):
        row = DIVERGENCES[name]
        bound = lower_bound(row, p, q, lambda x: scale * normal_log_ratio(p, q)(x) + shift)
        assert bound <= divergence(row, p, q) + 1e-12


@for_each("name", DIVERGENCES)
def test_all_canonical_divergences_agree_near_identity(name: str) -> None:
    # D(N(0, 1), N(e, 1)) = e^2/2 + O(e^4)
    for distance in (0.1, 0.05):
        value = divergence(DIVERGENCES[name], Normal1D(0, 1), Normal1D(distance, 1))
        assert value == pytest.approx(distance**2 / 2, abs=distance**4)
