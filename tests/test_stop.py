"""Stop rules on log rows: values that are no numbers, players that have lost touch."""

import math
from dataclasses import replace

import pytest

from ganneal.experiments import ring_cts
from ganneal.losses import LOSSES, output_of
from ganneal.schemes import SCHEMES
from ganneal.stop import Divergence, NonFinite, Row, StopRule
from tests.for_each import for_each

HEALTHY: Row = {"num_real": 64, "round": 1, "d_loss": 1.3, "g_loss": 0.7, "d_real": 0.2, "d_fake": -0.2, "d_lr": 2e-4}


@pytest.mark.parametrize("rule", [NonFinite(), Divergence()], ids=repr)
def test_a_healthy_row_and_a_row_without_measurements_go_on(rule: StopRule) -> None:
    assert isinstance(rule, StopRule)
    assert rule(HEALTHY) is None
    assert rule({"num_real": 0, "FD-pixels16": 12.3}) is None


@for_each("key", ["d_loss", "g_loss", "d_real", "d_fake"])
@for_each("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stops_without_saving_and_says_what_and_what_to_do(key: str, value: float) -> None:
    stop = NonFinite()(HEALTHY | {key: value})
    assert stop is not None and not stop.save
    assert stop.reason.startswith(f"{key} is {value}; ") and "learning rate" in stop.reason


def test_large_but_finite_values_go_on() -> None:
    assert NonFinite()(HEALTHY | {"d_loss": 1e300, "g_loss": -1e300}) is None


@for_each("sign", [1, -1])
@for_each("limit", [40.0, 0.5])
def test_divergence_stops_beyond_its_limit_on_either_side_and_saves(sign: int, limit: float) -> None:
    def row(gap: float) -> Row:
        return HEALTHY | {"d_real": sign * gap + 100, "d_fake": 100.0}

    rule = Divergence(limit)
    assert rule(row(limit)) is None
    stop = rule(row(limit + 0.25))
    assert stop is not None and stop.save
    assert f"{sign * (limit + 0.25):.1f}, beyond {limit:g}" in stop.reason and "divergence.limit" in stop.reason


def test_the_limit_is_the_losss_where_none_is_given() -> None:
    beyond = HEALTHY | {"d_real": 300.0, "d_fake": 259.0}
    assert Divergence()(beyond) is None  # nothing is known of the outputs
    assert Divergence().with_limit(40.0) == Divergence(limit=40.0)
    assert Divergence(limit=3.0).with_limit(40.0) == Divergence(limit=3.0)
    assert Divergence(limit=math.inf).with_limit(40.0)(beyond) is None
    assert Divergence(on_diverge="warn").with_limit(40.0) == Divergence(40.0, "warn")


@for_each("name", LOSSES)
def test_only_log_ratios_have_a_limit(name: str) -> None:
    experiment = replace(ring_cts(), loss=LOSSES[name])
    assert experiment.losing_touch.limit == (40.0 if output_of(LOSSES[name]).log_ratio else math.inf)


def test_functional_gradients_keep_their_limit_as_their_discriminator_is_logistic() -> None:
    assert replace(ring_cts(), scheme=SCHEMES["cfg-annealed"]).losing_touch.limit == 40.0


def test_an_infinite_limit_never_stops() -> None:
    never = Divergence(limit=math.inf)
    for value in (1e300, math.inf, -math.inf, math.nan):
        assert never(HEALTHY | {"d_real": value}) is None, value


@pytest.mark.parametrize("rule", [NonFinite(), Divergence()], ids=repr)
def test_no_rule_saves_a_state_that_is_no_number(rule: StopRule) -> None:
    stop = rule(HEALTHY | {"d_real": math.nan})
    assert stop is None or not stop.save


@for_each("limit", [0.0, -40.0, math.nan])
def test_limits_that_no_run_could_meet_are_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=f"limit must be above 0, got {limit}; use inf"):
        Divergence(limit)
