"""Learning-rate rules at their corners and at given values, on every clock."""

import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from math import cos, pi
from typing import Any, get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.clocks import Clock, Counters, RuleClock
from ganneal.optim import (
    LR_RULES,
    Constant,
    Cosine,
    ExponentialDecay,
    LinearDecay,
    LRRule,
    Power,
    Rise,
    StepDecay,
    two_time_scale,
)

CLOCKS: list[RuleClock] = list(get_args(RuleClock))
SHAPED = [LinearDecay, Cosine]

every_rule = for_each("name", LR_RULES)
every_clock = for_each("clock", CLOCKS)


@for_each(
    ("ticks", "factor"), [(0, 1.0), (20, 1.0), (21, 1 - 0.9 / 80), (60, 0.55), (100, 0.1), (101, 0.1), (10**9, 0.1)]
)
def test_linear_decay_waits_falls_evenly_and_stays(ticks: int, factor: float) -> None:
    rule = LinearDecay(end=100, start=20, final=0.1)
    assert rule.at(ticks) == pytest.approx(factor, rel=1e-14)


@for_each(
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
def test_cosine_warms_up_and_falls_by_half_a_cosine(ticks: int, factor: float) -> None:
    rule = Cosine(end=100, start=20, final=0.1)
    assert rule.at(ticks) == pytest.approx(factor, rel=1e-14)


@for_each(
    ("ticks", "factor"),
    [(0, 0.2), (20, 0.2), (40, 0.2 + 0.8 * (1 - 0.5**0.5) / 2), (60, 0.6), (100, 1.0), (10**9, 1.0)],
)
def test_rise_waits_rises_by_half_a_cosine_and_stays(ticks: int, factor: float) -> None:
    assert Rise(end=100, start=20, initial=0.2).at(ticks) == pytest.approx(factor, rel=1e-14)


def test_rise_is_r3gans_schedule() -> None:
    # v(n) = v0 + (1 - (1 + cos(pi n / N)) / 2) (v1 - v0), from 0 to 1
    for n in (0, 3, 7, 10):
        assert Rise(end=10).at(n) == pytest.approx(1 - (1 + cos(pi * n / 10)) / 2)


@pytest.mark.parametrize("initial", [-0.1, float("nan")])
def test_a_rise_from_below_nothing_is_refused(initial: float) -> None:
    with pytest.raises(ValueError, match=f"initial must be a finite factor >= 0, got {initial}"):
        Rise(initial=initial)


def test_cosine_without_warm_up_starts_at_the_base_rate() -> None:
    assert Cosine(end=100).at(0) == 1.0


def test_rules_reach_zero_exactly_by_default() -> None:
    assert LinearDecay(end=100).at(100) == Cosine(end=100).at(100) == 0.0


def test_constant_never_changes() -> None:
    assert {Constant().at(n) for n in (0, 1, 10**9)} == {1.0}


@every_clock
@for_each(("own", "ticks"), [("d_updates", 2), ("g_updates", 3)])
def test_a_players_own_updates_are_its_own(clock: RuleClock, own: Clock, ticks: int) -> None:
    counters = Counters(num_real=1, d_updates=2, g_updates=3, seconds=4.0)
    expected = {"num_real": 1, "d_updates": 2, "g_updates": 3, "own_updates": ticks}
    assert counters.read(clock, own) == expected[clock]


S = (0, 1, 99, 9999)


@for_each(
    ("rule", "factors"),
    [
        (Constant(), (1, 1, 1, 1)),
        (Power(0.5), (1, 0.5**0.5, 0.1, 0.01)),
        (Power(0.75), (1, 2**-0.75, 100**-0.75, 0.001)),
        (StepDecay(), (1, 1, 1, 1)),
        (StepDecay(every=50, factor=0.5), (1, 1, 0.5, 0.5**199)),
        (ExponentialDecay(), (1, 0.99999, 0.99999**99, 0.99999**9999)),
        (LinearDecay(end=100, clock="own_updates"), (1, 0.99, 0.01, 0)),
        (Cosine(end=100, clock="own_updates"), (1, (1 + cos(pi / 100)) / 2, (1 + cos(0.99 * pi)) / 2, 0)),
    ],
    ids=repr,
)
def test_factors_after_0_1_99_and_9999_updates(rule: LRRule, factors: tuple[float, ...]) -> None:
    assert [rule.at(s) for s in S] == pytest.approx(factors, rel=1e-12, abs=1e-15)


def test_step_decay_falls_exactly_at_its_steps() -> None:
    assert [StepDecay().at(s) for s in (9_999, 10_000, 19_999, 20_000)] == pytest.approx([1, 0.9, 0.9, 0.81])


@for_each("rule", [Power(0.75), StepDecay(every=2), ExponentialDecay(0.9), Cosine(end=8, start=2)], ids=repr)
def test_torchs_scheduler_takes_a_rule(rule: LRRule) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.25)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rule.at)
    seen = []
    for _ in range(6):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert seen == [0.25 * rule.at(s) for s in range(6)]


def test_two_time_scales_are_named_by_player() -> None:
    assert two_time_scale(d_eta=0.6, g_eta=0.9) == (Power(0.6), Power(0.9))
    d_rule, g_rule = two_time_scale()
    assert d_rule == g_rule == Power(0.75)


@for_each(
    ("make", "message"),
    [
        (lambda: two_time_scale(d_eta=0.5), "d_eta must be above 0.5 and below 1, got 0.5"),
        (lambda: two_time_scale(g_eta=1.0), "g_eta must be above 0.5 and below 1, got 1.0"),
        (lambda: Power(0.0), "eta must be above 0 and below 1, got 0.0"),
        (lambda: Power(1.0), "eta must be above 0 and below 1, got 1.0"),
        (lambda: Power(float("nan")), "eta must be above 0 and below 1, got nan"),
        (lambda: StepDecay(every=0), "every must be at least 1 tick, got 0"),
        (lambda: StepDecay(factor=1.5), "factor must be above 0 and at most 1, got 1.5"),
        (lambda: ExponentialDecay(0.0), "factor must be above 0 and at most 1, got 0.0"),
    ],
)
def test_bad_fields_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


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
    earlier, later = (shaped.at(start + offset) for offset in sorted(ticks))
    rounding = 1e-15
    assert final - rounding <= later <= earlier + rounding <= 1 + 2 * rounding


@for_each("rule", SHAPED)
@for_each(("start", "end"), [(-1, 10), (10, 10), (11, 10), (0, 0), (0, -5)])
def test_bad_spans_are_refused(rule: type[LinearDecay] | type[Cosine], start: int, end: int) -> None:
    with pytest.raises(ValueError, match=f"0 <= start < end, got start={start}, end={end}"):
        rule(start=start, end=end)


@for_each("rule", SHAPED)
@for_each("final", [-0.5, float("nan")])
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
def test_registered_rules_are_pure_and_give_factors(name: str) -> None:
    rule = LR_RULES[name]
    assert all(0 <= rule.at(s) == rule.at(s) <= 1 for s in (*S, 500_000))
    assert rule.clock in get_args(RuleClock)
