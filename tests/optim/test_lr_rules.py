"""Learning-rate rules at their corners, on every clock."""

import pickle
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganneal.clocks import Clock, Counters
from ganneal.optim import LR_RULES, Constant, Cosine, LinearDecay, LRRule

CLOCKS: list[Clock] = list(get_args(Clock))
SHAPED = [LinearDecay, Cosine]

every_rule = pytest.mark.parametrize("name", LR_RULES)
every_clock = pytest.mark.parametrize("clock", CLOCKS)


def at(rule: LRRule, ticks: int, clock: Clock = "num_real") -> float:
    return rule(Counters(**{clock: ticks}))


@every_clock
@pytest.mark.parametrize(
    ("ticks", "factor"), [(0, 1.0), (20, 1.0), (21, 1 - 0.9 / 80), (60, 0.55), (100, 0.1), (101, 0.1), (10**9, 0.1)]
)
def test_linear_decay_waits_falls_evenly_and_stays(clock: Clock, ticks: int, factor: float) -> None:
    rule = LinearDecay(end=100, start=20, final=0.1, clock=clock)
    assert at(rule, ticks, clock) == pytest.approx(factor, rel=1e-14)


@every_clock
@pytest.mark.parametrize(
    ("ticks", "factor"),
    [
        (0, 0.0),
        (10, 0.5),
        (20, 1.0),
        (40, 0.1 + 0.9 * (1 + 0.5**0.5) / 2),  # a quarter of the way, cos(pi / 4)
        (60, 0.55),
        (80, 0.1 + 0.9 * (1 - 0.5**0.5) / 2),
        (100, 0.1),
        (10**9, 0.1),
    ],
)
def test_cosine_warms_up_and_falls_by_half_a_cosine(clock: Clock, ticks: int, factor: float) -> None:
    rule = Cosine(end=100, start=20, final=0.1, clock=clock)
    assert at(rule, ticks, clock) == pytest.approx(factor, rel=1e-14)


def test_cosine_without_warm_up_starts_at_the_base_rate() -> None:
    assert at(Cosine(end=100), 0) == 1.0


def test_rules_reach_zero_exactly_by_default() -> None:
    assert at(LinearDecay(end=100), 100) == at(Cosine(end=100), 100) == 0.0


def test_constant_never_changes() -> None:
    assert {Constant()(Counters(n, n, n, float(n))) for n in (0, 1, 10**9)} == {1.0}


@pytest.mark.parametrize("rule", SHAPED)
@every_clock
def test_only_the_named_clock_counts(rule: type[LinearDecay] | type[Cosine], clock: Clock) -> None:
    chosen = rule(end=100, start=20, clock=clock)
    still = Counters(num_real=60, d_updates=60, g_updates=60, seconds=60.0)
    setattr(still, clock, 0)
    assert chosen(still) == at(chosen, 0, clock)
    assert chosen(Counters(**{clock: 60})) == pytest.approx(0.5)


@pytest.mark.parametrize("rule", SHAPED)
@given(
    start=st.integers(0, 1000),
    span=st.integers(1, 1000),
    final=st.floats(0, 1),
    ticks=st.tuples(st.integers(0, 3000), st.integers(0, 3000)),
)
def test_factors_stay_between_final_and_one_and_never_rise_after_the_start(
    rule: type[LinearDecay] | type[Cosine], start: int, span: int, final: float, ticks: tuple[int, int]
) -> None:
    shaped = rule(end=start + span, start=start, final=final)
    earlier, later = (at(shaped, start + offset) for offset in sorted(ticks))
    rounding = 1e-15
    assert final - rounding <= later <= earlier + rounding <= 1 + 2 * rounding


@pytest.mark.parametrize("rule", SHAPED)
@pytest.mark.parametrize(("start", "end"), [(-1, 10), (10, 10), (11, 10), (0, 0), (0, -5)])
def test_bad_spans_are_refused(rule: type[LinearDecay] | type[Cosine], start: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"0 <= start < end, got start={start}, end={end}"):
        rule(start=start, end=end)


@pytest.mark.parametrize("rule", SHAPED)
@pytest.mark.parametrize("final", [-0.5, float("nan")])
def test_a_final_factor_below_zero_or_undefined_is_refused(
    rule: type[LinearDecay] | type[Cosine], final: float
) -> None:
    with pytest.raises(ValueError, match="final"):
        rule(final=final)


@every_rule
def test_registered_rules_are_frozen_values(name: str) -> None:
    rule: Any = LR_RULES[name]
    assert pickle.loads(pickle.dumps(rule)) == replace(rule) == rule and isinstance(hash(rule), int)
    for field in fields(rule):
        with pytest.raises(FrozenInstanceError):
            setattr(rule, field.name, getattr(rule, field.name))
    assert isinstance(rule, LRRule)


@every_rule
def test_registered_rules_only_read_the_counters(name: str) -> None:
    counters = Counters(500_000, 8_000, 16_000, 12.5)
    before = counters.as_dict()
    assert LR_RULES[name](counters) == LR_RULES[name](counters) >= 0
    assert counters.as_dict() == before
