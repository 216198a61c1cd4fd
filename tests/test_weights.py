"""Weight rules against closed forms; NATS, arXiv 2501.11318, has w_j = w_1 (w_N / w_1)^((j-1)/(N-1))."""

import math
import pickle
from collections.abc import Callable, Sequence
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganneal.weights import WEIGHTS, Explicit, Geometric, Linear, MatchedConstant, Ones, Reversed, Weights
from tests.for_each import for_each

endpoints = st.floats(min_value=1e-6, max_value=1e6)
counts_of = st.one_of(
    st.integers(1, 40).map(lambda n: list(range(1, n + 1))),  # nested schemes: level j acts j times
    st.integers(1, 40).map(lambda n: [1] * n),  # functional gradients: each level acts once
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
)
written_out = st.lists(endpoints, min_size=1, max_size=12).map(tuple)

# A few rounded operations, 1e-16 each; exponents up to ln(1e12) = 28 amplify that to 3e-15.
RELATIVE = 1e-12


def levels(n: int) -> range:
    return range(1, n + 1)


@pytest.mark.parametrize(
    ("n", "printed"),
    [(5, ["1", "0.316228", "0.1", "0.0316228", "0.01"]), (4, ["1", "0.215443", "0.0464159", "0.01"])],
)
def test_geometric_has_the_published_values(n: int, printed: list[str]) -> None:
    assert [f"{w:.6g}" for w in Geometric()(levels(n), 0)] == printed


@pytest.mark.parametrize(("first", "last", "ratio"), [(1.0, 0.01, "0.7197"), (20.0, 1.0, "0.8074")])
def test_geometric_has_the_published_ratio_at_fifteen_levels(first: float, last: float, ratio: str) -> None:
    w = Geometric(first, last)(levels(15), 0)
    assert f"{w[1] / w[0]:.4f}" == ratio


@given(first=endpoints, last=endpoints, n=st.integers(3, 40))
def test_geometric_has_one_common_ratio(first: float, last: float, n: int) -> None:
    w = Geometric(first, last)(levels(n), 0)
    ratio = math.exp(math.log(last / first) / (n - 1))
    assert [b / a for a, b in zip(w, w[1:], strict=False)] == pytest.approx([ratio] * (n - 1), rel=RELATIVE)


@pytest.mark.runs
@given(first=endpoints, last=endpoints, n=st.integers(3, 40))
def test_linear_is_evenly_spaced(first: float, last: float, n: int) -> None:
    w = Linear(first, last)(levels(n), 0)
    # differences of neighbours lose what their size has over them, hence the absolute tolerance
    spacing = [(last - first) / (n - 1)] * (n - 1)
    assert [b - a for a, b in zip(w, w[1:], strict=False)] == pytest.approx(spacing, abs=1e-14 * max(first, last))


@pytest.mark.parametrize("rule", [Geometric, Linear])
@given(first=endpoints, last=endpoints, n=st.integers(2, 40))
def test_both_endpoints_are_reached_to_the_last_bit(
    rule: type[Geometric] | type[Linear], first: float, last: float, n: int
) -> None:
    w = rule(first, last)(levels(n), 0)
    assert (w[0], w[-1]) == (first, last)


@given(n=st.integers(2, 40))
def test_annealed_weights_fall_at_every_level(n: int) -> None:
    for rule in (Geometric(), Linear()):
        w = rule(levels(n), 0)
        assert all(a > b for a, b in zip(w, w[1:], strict=False))


@for_each("rule", [Geometric(20.0, 1.0), Linear(20.0, 1.0), Reversed(Geometric(20.0, 1.0))])
def test_a_single_level_gets_the_first_weight(rule: Weights) -> None:
    assert rule([1], 0) == (20.0,)


def test_a_single_level_is_not_annealed_by_default() -> None:
    assert {name: rule([1], 0) for name, rule in WEIGHTS.items()} == dict.fromkeys(WEIGHTS, (1.0,))


@given(counts=counts_of)
def test_ones_is_one_at_every_level(counts: list[int]) -> None:
    assert Ones()(counts, 0) == (1.0,) * len(counts)


@given(values=written_out)
def test_explicit_returns_its_values_unchanged(values: tuple[float, ...]) -> None:
    assert Explicit(values)(levels(len(values)), 0) == values


def test_reversed_default_is_the_published_ablation() -> None:
    assert [f"{w:.6g}" for w in Reversed()(levels(4), 0)] == ["0.01", "0.0464159", "0.215443", "1"]


@given(values=written_out)
def test_reversed_reads_its_rule_backwards(values: tuple[float, ...]) -> None:
    assert Reversed(Explicit(values))(levels(len(values)), 0) == tuple(reversed(values))


@given(counts=counts_of, first=endpoints, last=endpoints)
def test_reversing_twice_is_the_identity(counts: list[int], first: float, last: float) -> None:
    for rule in (Geometric(first, last), Linear(first, last), Explicit(Geometric(first, last)(counts, 0))):
        assert Reversed(Reversed(rule))(counts, 0) == rule(counts, 0)


@given(counts=counts_of, first=endpoints, last=endpoints)
def test_matched_constant_is_constant_and_keeps_the_mass(counts: list[int], first: float, last: float) -> None:
    for rule in (Geometric(first, last), Reversed(Geometric(first, last)), Linear(first, last)):
        matched = MatchedConstant(rule)(counts, 0)
        assert len(matched) == len(counts) and len(set(matched)) == 1
        mass = math.fsum(n * w for n, w in zip(counts, rule(counts, 0), strict=True))
        assert math.fsum(n * w for n, w in zip(counts, matched, strict=True)) == pytest.approx(mass, rel=RELATIVE)


@given(counts=counts_of)
def test_the_constant_matched_to_a_constant_is_that_constant(counts: list[int]) -> None:
    assert MatchedConstant(Ones())(counts, 0) == (1.0,) * len(counts)


@given(n=st.integers(1, 40), first=endpoints, last=endpoints)
def test_order_changes_the_matched_constant_only_where_levels_act_unequally_often(
    n: int, first: float, last: float
) -> None:
    rule = Geometric(first, last)
    once = [MatchedConstant(of)([1] * n, 0)[0] for of in (rule, Reversed(rule))]
    assert once[0] == pytest.approx(once[1], rel=RELATIVE)
    if n > 1 and first > 2 * last:
        nested = [MatchedConstant(of)(levels(n), 0)[0] for of in (rule, Reversed(rule))]
        assert nested[0] < nested[1]


def test_wrapping_rules_hand_counts_and_round_to_their_rule() -> None:
    seen: list[tuple[tuple[int, ...], int]] = []

    def rule(counts: Sequence[int], round: int) -> tuple[float, ...]:
        seen.append((tuple(counts), round))
        return (1.0,) * len(counts)

    Reversed(rule)([1, 2], 3)
    MatchedConstant(rule)([4, 5], 6)
    assert seen == [((1, 2), 3), ((4, 5), 6)]


@pytest.mark.parametrize("rule", WEIGHTS.values(), ids=list(WEIGHTS))
class TestEveryRegisteredRule:
    @given(counts=counts_of, round=st.integers(0, 10**6))
    def test_gives_one_positive_finite_weight_per_level(self, rule: Weights, counts: list[int], round: int) -> None:
        w = rule(counts, round)
        assert isinstance(rule, Weights)
        assert isinstance(w, tuple) and len(w) == len(counts)
        assert all(math.isfinite(x) and x > 0 for x in w)

    def test_is_a_frozen_hashable_value(self, rule: Weights) -> None:
        with pytest.raises(FrozenInstanceError):
            rule.anything = 1  # pyright: ignore[reportAttributeAccessIssue]
        copied = pickle.loads(pickle.dumps(rule))
        assert copied == rule and hash(copied) == hash(rule)


def test_no_two_registered_rules_give_the_same_weights() -> None:
    assert len({rule(levels(5), 0) for rule in WEIGHTS.values()}) == len(WEIGHTS)


@for_each(
    "rule",
    [Geometric(1e200, 1e-200), Geometric(1e-200, 1e200), Linear(1e308, 1e-308), Linear(1e-308, 1e308)],
    ids=str,
)
def test_finite_positive_endpoints_give_finite_positive_weights_however_far_apart(rule: Weights) -> None:
    assert all(math.isfinite(w) and w > 0 for w in rule(levels(5), 0))


NOT_A_WEIGHT = [0.0, -0.0, -1.0, math.nan, math.inf, -math.inf]
A_FIX = r"\b(use|give|choose|pass|drop|replace)\b"

a_weight = for_each(
    ("argument", "make"),
    [
        ("first", lambda bad: Geometric(first=bad)),
        ("last", lambda bad: Geometric(last=bad)),
        ("first", lambda bad: Linear(first=bad)),
        ("last", lambda bad: Linear(last=bad)),
        ("values[1]", lambda bad: Explicit((1.0, bad, 0.5))),
    ],
    ids=["Geometric.first", "Geometric.last", "Linear.first", "Linear.last", "Explicit.values"],
)


@a_weight
@for_each("bad", NOT_A_WEIGHT)
def test_a_weight_that_is_not_positive_and_finite_is_refused(
    argument: str, make: Callable[[float], Weights], bad: float
) -> None:
    with pytest.raises(ValueError) as error:
        make(bad)
    assert str(error.value).startswith(f"{argument} must be a finite number above 0, got {bad}")


@a_weight
def test_a_refused_weight_comes_with_a_fix(argument: str, make: Callable[[float], Weights]) -> None:
    with pytest.raises(ValueError, match=A_FIX):
        make(0.0)


@for_each("n", [1, 2, 4, 50])
def test_an_explicit_list_of_another_length_is_refused_with_a_fix(n: int) -> None:
    with pytest.raises(ValueError, match=rf"values has 3 weights.* {n} levels.*{A_FIX}"):
        Explicit((1.0, 0.5, 0.25))(levels(n), 0)


def test_a_wrapped_explicit_list_of_another_length_is_refused_too() -> None:
    for rule in (Reversed(Explicit((1.0, 0.5))), MatchedConstant(Explicit((1.0, 0.5)))):
        with pytest.raises(ValueError, match="values has 2 weights"):
            rule(levels(3), 0)
