"""The rows of the table: laws, identities, tails, and what the check of a row finds."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.divergences import DIVERGENCES, FDivergence, TailWeights, power, total_variation_term, verify_divergence
from ganneal.logits import growth

GRID = torch.linspace(-6, 6, 97, dtype=torch.float64)
every_row = for_each("name", DIVERGENCES)

LOG2 = math.log(2)
TABLE: dict[str, tuple[float, float, float, float]] = {
    "kl": (1, 2, 1, math.inf),
    "reverse_kl": (2, 1, math.inf, 1),
    "js": (1, 1, 2 * LOG2, 2 * LOG2),
    "squared_hellinger": (1.5, 1.5, 2, 2),
    "pearson_chi2": (0, 3, 0.5, math.inf),
    "neyman_chi2": (3, 0, math.inf, 0.5),
    "jeffreys": (2, 2, math.inf, math.inf),
    "srkl": (2, 0, math.inf, 2 - 2 * LOG2),
    "skl": (0, 2, 2 - 2 * LOG2, math.inf),
}
"""Left and right tail weight, f(0), the limit of f(u)/u."""

WRITTEN: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "kl": (lambda u: u * u.log() - u + 1, lambda u: 1 / u),
    "reverse_kl": (lambda u: -u.log() + u - 1, lambda u: 1 / u**2),
    "js": (lambda u: 2 * (u * (2 * u / (1 + u)).log() + (2 / (1 + u)).log()), lambda u: 2 / (u * (1 + u))),
    "squared_hellinger": (lambda u: 2 * (u.sqrt() - 1) ** 2, lambda u: u**-1.5),
    "pearson_chi2": (lambda u: 0.5 * (u - 1) ** 2, lambda u: torch.ones_like(u)),
    "neyman_chi2": (lambda u: (u - 1) ** 2 / (2 * u), lambda u: u**-3),
    "jeffreys": (lambda u: 0.5 * (u - 1) * u.log(), lambda u: 0.5 * (1 / u + 1 / u**2)),
    "srkl": (lambda u: 2 * (u + 1) * ((u + 1) / (2 * u)).log() + 2 * (u - 1), lambda u: 2 / (u**2 * (1 + u))),
    "skl": (lambda u: 2 * (u + 1) * ((u + 1) / 2).log() - 2 * (u - 1), lambda u: 2 / (1 + u)),
}
"""f and f'' as they are printed."""


def values(row: FDivergence, d: Tensor = GRID) -> list[Tensor]:
    u = d.exp()
    return [row.f(u), row.f_prime(u), row.f_second(u), row.real_term(d), row.fake_term(d), row.fake_slope(d)]


def assert_same(left: FDivergence, right: FDivergence, rtol: float = 1e-11) -> None:
    for got, expected in zip(values(left), values(right), strict=True):
        torch.testing.assert_close(got, expected, rtol=rtol, atol=1e-12)


def combined(*terms: tuple[float, str]) -> list[Tensor]:
    return [
        sum((c * value for c, value in zip([c for c, _ in terms], column, strict=True)), torch.zeros_like(GRID))
        for column in zip(*(values(DIVERGENCES[name]) for _, name in terms), strict=True)
    ]


def test_the_public_names() -> None:
    assert list(DIVERGENCES) == list(TABLE)


@every_row
def test_every_row_is_verified(name: str) -> None:
    verify_divergence(DIVERGENCES[name])
    verify_divergence(DIVERGENCES[name].reversed())


@every_row
def test_f_and_its_second_derivative_are_the_printed_ones(name: str) -> None:
    f, f_second = WRITTEN[name]
    u = GRID.exp()
    torch.testing.assert_close(DIVERGENCES[name].f(u), f(u), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(DIVERGENCES[name].f_second(u), f_second(u), rtol=1e-13, atol=0)


@every_row
def test_tails_and_limits_are_those_of_the_table(name: str) -> None:
    row = DIVERGENCES[name]
    assert (*row.tail_weights, row.at_zero, row.at_infinity) == pytest.approx(TABLE[name], rel=1e-15)
    assert row.tail_weights.mode_seeking == TABLE[name][0] - TABLE[name][1]
    assert row.disjoint == pytest.approx(TABLE[name][2] + TABLE[name][3])


@every_row
def test_the_slope_of_the_fake_term_in_the_tails_is_the_tail_weights(name: str) -> None:
    row = DIVERGENCES[name]
    for d, expected in ((-30.0, 2 - TABLE[name][0]), (30.0, TABLE[name][1] - 1)):
        at = torch.tensor([d], dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(row.fake_slope(at).log().sum(), at)
        assert slope.item() == pytest.approx(expected, abs=1e-6)


@for_each(
    ("name", "other"),
    [
        ("kl", "reverse_kl"),
        ("pearson_chi2", "neyman_chi2"),
        ("srkl", "skl"),
        ("js", "js"),
        ("squared_hellinger", "squared_hellinger"),
        ("jeffreys", "jeffreys"),
    ],
)
def test_exchanging_data_and_model_leads_to_the_reversed_row(name: str, other: str) -> None:
    row, expected = DIVERGENCES[name].reversed(), DIVERGENCES[other]
    assert_same(row, expected, rtol=1e-9)
    assert row.tail_weights == expected.tail_weights
    assert (row.at_zero, row.at_infinity) == pytest.approx((expected.at_zero, expected.at_infinity))
    assert_same(row.reversed(), DIVERGENCES[name], rtol=1e-9)


@every_row
def test_curvature_of_the_reversed_row_is_mirrored(name: str) -> None:
    row = DIVERGENCES[name]
    torch.testing.assert_close(row.reversed().curvature(GRID), row.curvature(-GRID), rtol=1e-12, atol=0)


def test_curvature_of_jensen_shannon_is_one_over_the_hyperbolic_cosine() -> None:
    torch.testing.assert_close(DIVERGENCES["js"].curvature(GRID), 1 / torch.cosh(GRID / 2), rtol=1e-14, atol=0)


@for_each(
    ("name", "terms"),
    [
        ("srkl", ((2.0, "reverse_kl"), (-1.0, "js"))),
        ("skl", ((2.0, "kl"), (-1.0, "js"))),
        ("jeffreys", ((0.5, "kl"), (0.5, "reverse_kl"))),
    ],
)
def test_softened_and_symmetrised_rows_are_combinations(name: str, terms: tuple[tuple[float, str], ...]) -> None:
    for got, expected in zip(values(DIVERGENCES[name]), combined(*terms), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.runs
@given(k=st.floats(-2, 5))
def test_every_power_is_a_divergence_and_reverses_into_one(k: float) -> None:
    verify_divergence(power(k))
    assert_same(power(k).reversed(), power(3 - k), rtol=1e-8)


@pytest.mark.parametrize("k", [1.0, 2.0])
def test_the_power_family_is_continuous_where_it_becomes_a_logarithm(k: float) -> None:
    assert_same(power(k + 1e-13), power(k), rtol=1e-11)


@every_row
def test_terms_vanish_like_d_without_cancellation(name: str) -> None:
    row = DIVERGENCES[name]
    d = torch.tensor([1e-6, -1e-6])  # float32, whose unit at 2 log 2 is 1.2e-7
    for term in (row.real_term, row.fake_term):
        torch.testing.assert_close(term(d), d, rtol=0, atol=1.3e-7)


@every_row
@given(logits=st.lists(st.floats(-25, 25), min_size=2, max_size=2, unique=True))
def test_terms_increase_with_the_raw_output(name: str, logits: list[float]) -> None:
    low, high = sorted(logits)
    d = torch.tensor([low, max(high, low + 1e-3)], dtype=torch.float64)
    for term in (DIVERGENCES[name].real_term, DIVERGENCES[name].fake_term):
        before, after = term(d).tolist()
        assert before <= after


@every_row
def test_capped_terms_agree_below_the_cap_and_go_on_finite_above(name: str) -> None:
    row, limit = DIVERGENCES[name], 15.0
    near = torch.linspace(-7.5, 7.5, 61, dtype=torch.float64)  # the steepest exponent is 2 d
    far = torch.linspace(-1e4, 1e4, 4001)
    for term in (row.real_term, row.fake_term):
        assert torch.equal(term(near, limit), term(near))
        capped = term(far, limit)
        assert capped.isfinite().all() and (capped.diff() >= 0).all()


@for_each("rate", [1.0, 2.0])
def test_the_slope_of_growth_is_the_exponential_far_below_zero_too(rate: float) -> None:
    d = torch.tensor([-80.0, -40.0, -20.0, -5.0, -0.5, 0.0, 3.0]) / rate
    d.requires_grad_()
    (slope,) = torch.autograd.grad(growth(d, rate).sum(), d)
    torch.testing.assert_close(slope, (rate * d.detach()).exp(), rtol=1e-5, atol=0)


def test_growth_beyond_its_cap_is_the_tangent() -> None:
    d = torch.tensor([1.0, 2.0, 3.0, 1e4], dtype=torch.float64, requires_grad=True)
    value = growth(d, 1, 2.0)
    (slope,) = torch.autograd.grad(value.sum(), d)
    e2 = math.e**2
    assert value.tolist() == pytest.approx([math.e - 1, e2 - 1, 2 * e2 - 1, e2 * (1e4 - 1) - 1])
    assert slope.tolist() == pytest.approx([math.e, e2, e2, e2])


def test_total_variation_is_bounded_by_a_half_and_saturates() -> None:
    term = total_variation_term(torch.tensor([-1e4, 0.0, 1e4]))
    assert term.tolist() == [-0.5, 0.0, 0.5] and "total_variation" not in DIVERGENCES


@for_each(
    ("change", "message"),
    [
        (
            {"f": lambda u: u.log() ** 2},
            r"f_prime is the derivative of f fails at d = -8: got .*, expected .*; correct",
        ),
        ({"f": lambda u: u * u.log() - u}, r"f\(1\) = 0 fails at d = 0: got -1, expected 0"),
        ({"f_second": lambda u: 2 / u}, r"f''\(1\) = 1 fails at d = 0: got 2, expected 1; .*scale it"),
        ({"f_second": lambda u: 1 - u}, r"f_second of .* must be above 0, it is not at d = 0; f must be convex"),
        ({"real_term": lambda d, cap=None, /: d + 1e-6}, r"real_term\(d\) = f'\(e\^d\) fails at d = -8"),
        ({"fake_term": lambda d, cap=None, /: d}, r"fake_term\(d\) = e\^d f'\(e\^d\) - f\(e\^d\) fails"),
        ({"fake_slope": lambda d: torch.exp(d) * (1 + 1e-6)}, r"fake_slope\(d\) = e\^\(2d\) f''\(e\^d\) fails"),
        ({"tail_weights": TailWeights(1.5, 2)}, r"2 - left of tail_weights fails at d = -30: got 1, expected 0.5"),
        ({"tail_weights": TailWeights(1, 2.5)}, r"right - 1 of tail_weights fails at d = 30: got 1, expected 1.5"),
        ({"at_zero": 0.5}, r"at_zero = lim -fake_term\(d\) fails at d = -80: got 0.5, expected 1"),
        ({"at_zero": math.inf}, r"at_zero of .* finite exactly if its tail weight is below 2, got inf with .* 1;"),
        ({"at_infinity": 1.0}, r"at_infinity of .* finite exactly if its tail weight is below 2, got 1.0 with .* 2;"),
        ({"real_term": lambda d, cap=None, /: d * math.nan}, r"real_term\(d\) = .* got nan"),
    ],
)
def test_a_wrong_row_is_refused_naming_the_law_and_the_place(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        verify_divergence(replace(DIVERGENCES["kl"], **change))


def test_a_row_of_your_own_is_verified() -> None:
    # what the generator of least squares descends at the optimal discriminator: f''(u) = 8 / (u (1 + u)^3)
    def fake_term(d: Tensor, exp_cap: float | None = None, /) -> Tensor:
        return 1 - 4 * torch.sigmoid(-d) ** 2

    def real_term(d: Tensor, exp_cap: float | None = None, /) -> Tensor:
        s = torch.sigmoid(-d)  # the slope is 8 s^3
        return 8 * (s**2 / 2 + s + torch.nn.functional.logsigmoid(d) - 5 / 8 + LOG2)

    row = FDivergence(
        symbol="least squares",
        f=lambda u: u * real_term(u.log()) - fake_term(u.log()),
        f_prime=lambda u: real_term(u.log()),
        f_second=lambda u: 8 / (u * (1 + u) ** 3),
        real_term=real_term,
        fake_term=fake_term,
        fake_slope=lambda d: 8 * torch.sigmoid(d) * torch.sigmoid(-d) ** 2,
        tail_weights=TailWeights(1, -1),
        at_zero=3.0,
        at_infinity=8 * LOG2 - 5,
    )
    verify_divergence(row)
