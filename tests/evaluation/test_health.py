"""Verdicts on a run's record: silent where all is well, given exactly where they are due, each thing once."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from math import inf, nan, nextafter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.evaluation.health import (
    COLLAPSING,
    HEALTH_RULES,
    HealthRule,
    Verdict,
    Watch,
)
from ganneal.losses import LOSSES, output_of

COLUMNS = (
    *("d_accuracy", "coverage", "duplicates", "duplicates_expected", "compared", "distance"),
    *("d_grad_norm", "g_grad_norm", "d_updates"),
)


def judged(rule: HealthRule, values: Sequence[float], **others: Sequence[float]) -> Verdict | None:
    """What ``rule`` says of a record whose column, the rule's own, held ``values``."""
    series: dict[str, Sequence[float]] = dict.fromkeys(COLUMNS, ())
    return rule(series | {rule.key: values} | others)


def below(value: float) -> float:
    return nextafter(value, -inf)


def above(value: float) -> float:
    return nextafter(value, inf)


def severity(verdict: Verdict | None) -> str | None:
    return None if verdict is None else verdict.severity


# All of them


@for_each("name", HEALTH_RULES)
def test_nothing_is_said_of_an_empty_record(name: str) -> None:
    rule = HEALTH_RULES[name]
    assert isinstance(rule, HealthRule) and rule.name == name and rule.key in COLUMNS
    assert judged(rule, ()) is None


HEALTHY: dict[str, list[float]] = {
    "d_accuracy": [0.5, 0.97, 0.99, 0.985, 0.9, 0.88, 0.85, 0.86, 0.84, 0.8, 0.82, 0.79],
    "coverage": [0.0, 0.2, 0.4, 0.5, 0.45, 0.6, 0.5, 0.7, 0.8, 0.75, 0.78, 0.81],
    "duplicates": [1.0, 0.15, 0.05, 0.02, 0.01, 0.012, 0.009, 0.01, 0.02, 0.01, 0.01, 0.01],
    "FD-x": [90.0, 50.0, 30.0, 35.0, 22.0, 24.0, 15.0, 16.0, 12.0, 12.5, 11.0, 11.2],
    "d_grad_norm": [3.0, 2.0, 1.0, 2.5, 0.7, 1.0, 0.9, 4.0, 1.0, 0.8, 1.1, 0.6],
    "g_grad_norm": [1.0, 0.5, 0.4, 0.2, 0.3, 0.1, 0.2, 0.15, 0.1, 0.2, 0.1, 0.05],
}


def test_nothing_is_said_of_a_healthy_run() -> None:
    watch = Watch("FD-x")
    for values in zip(*HEALTHY.values(), strict=True):
        assert watch(dict(zip(HEALTHY, values, strict=True)) | {"num_real": 1, "stopped": "words"}) == []


GIVEN: list[tuple[HealthRule, Sequence[float]]] = [
    (HEALTH_RULES["discriminator-too-strong"], [0.995, 0.992, 0.994]),
    (HEALTH_RULES["vanishing-generator-gradient"], [2.0] * 5 + [1e-4] * 4 + [1.5e-4]),
    (HEALTH_RULES["mode-loss"], [0.8, 0.3]),
    (HEALTH_RULES["mode-loss"], [0.8, 0.04]),
    (HEALTH_RULES["duplicates"], [1.0, 0.42]),
    (HEALTH_RULES["duplicates"], [1.0, 0.93]),
    (HEALTH_RULES["oscillation"], [1.0, 2.0, 1.0, 2.0, 1.0, 2.5]),
    (HEALTH_RULES["nan-risk"], [1.0] * 5 + [4321.0]),
]


@for_each(("rule", "values"), GIVEN, ids=lambda x: getattr(x, "name", ""))
def test_every_verdict_says_what_is_wrong_what_helps_and_its_figure(rule: HealthRule, values: Sequence[float]) -> None:
    verdict = judged(rule, values)
    assert verdict is not None and verdict.name == rule.name
    expected = 2.5 if rule.name == "oscillation" else values[-1]  # largest over smallest
    assert verdict.figure == expected
    shown = {f"{verdict.figure:{form}}" for form in (".2f", ".2g", ".1f", "g")} | {
        f"{100 * verdict.figure:{form}} %" for form in (".1f", ".0f")
    }
    if not rule.name == "oscillation":
        assert any(figure in verdict.text for figure in shown), verdict.text
    assert verdict.figure_name and verdict.text.endswith(".") and len(verdict.text.split()) > 15
    assert json.loads(json.dumps(verdict.as_dict(), allow_nan=False)) == asdict(verdict)


@for_each("rule", [HEALTH_RULES["mode-loss"], HEALTH_RULES["duplicates"]], ids=lambda rule: rule.name)
@for_each(("updates", "said"), [(5.0, False), (99.0, False), (100.0, True), (1e6, True), (None, True)])
def test_of_variety_nothing_is_said_before_the_players_have_moved(
    rule: HealthRule, updates: float | None, said: bool
) -> None:
    values = next(values for other, values in GIVEN if other.name == rule.name)
    counted = () if updates is None else (0.0, updates)
    assert (judged(rule, values, d_updates=counted) is not None) == said


def test_a_collapse_at_the_very_start_is_said_once_the_players_have_moved_and_it_lasts() -> None:
    watch = Watch("FD-x")
    rows = [(0, 0.1), (5, 0.95), (60, 0.95), (120, 0.95), (200, 0.95), (300, 0.01)]
    said = [[v.severity for v in watch({"d_updates": updates, "duplicates": share})] for updates, share in rows]
    assert said == [[], [], [], ["alarm"], [], ["good"]]


def test_only_a_collapse_is_acted_upon() -> None:
    assert COLLAPSING == {"mode-loss", "duplicates"} <= HEALTH_RULES.keys()


# One by one


@for_each(
    ("values", "said"),
    [
        ([0.99, 0.99, 0.99], True),
        ([1.0, 1.0, 1.0], True),
        ([0.2, 0.5, 0.99, 0.99, 0.99], True),
        ([1.0, 1.0], False),
        ([below(0.99), 1.0, 1.0], False),
        ([1.0, below(0.99), 1.0], False),
        ([1.0, 1.0, below(0.99)], False),
        ([1.0, 1.0, 1.0, 0.5], False),
        ([0.0, 0.0, 0.0], False),
    ],
)
def test_a_discriminator_is_too_strong_at_three_evaluations_in_a_row(values: list[float], said: bool) -> None:
    assert (judged(HEALTH_RULES["discriminator-too-strong"], values) is not None) == said


@for_each("name", LOSSES)
def test_a_strong_critic_of_distances_is_no_fault(name: str) -> None:
    watch = Watch("FD-x", output=output_of(LOSSES[name]))
    said = [verdict.name for _ in range(4) for verdict in watch({"d_accuracy": 1.0, "FD-x": 3.0})]
    assert said == ([] if name == "wgan" else ["discriminator-too-strong"])


@for_each(
    ("distance", "said"),
    [
        ([9.0, 4.0, 3.0], "the distance to the data still fell at this point"),
        ([9.0, 3.0, 3.0], "the generator learns little from it"),
        ([9.0, 3.0, 4.0], "the generator learns little from it"),
        ([], "the generator learns little from it"),
    ],
)
def test_a_strong_discriminator_is_not_said_to_teach_little_while_the_distance_falls(
    distance: list[float], said: str
) -> None:
    verdict = judged(HEALTH_RULES["discriminator-too-strong"], [1.0, 1.0, 1.0], distance=distance)
    assert verdict is not None and said in verdict.text


@for_each(
    ("values", "said"),
    [
        ([1.0] * 5 + [below(1e-3)] * 5, True),
        ([1.0] * 5 + [0.0] * 5, True),
        ([1e-6] * 3 + [1.0] + [1e-6] * 9, True),
        ([1.0] * 5 + [1e-3] * 5, False),
        ([1.0] * 5 + [1e-6] * 4, False),
        ([1.0] * 4 + [1e-6] * 5, False),
        ([1.0] * 5 + [1e-6] * 4 + [0.1], False),
        ([1.0] * 5 + [1e-3] + [1e-6] * 4, False),
        ([0.0] * 12, False),
        ([1e-9] * 12, False),
    ],
)
def test_a_gradient_has_vanished_when_five_rows_are_below_a_thousandth_of_the_largest(
    values: list[float], said: bool
) -> None:
    assert severity(judged(HEALTH_RULES["vanishing-generator-gradient"], values)) == ("warning" if said else None)


@for_each(
    ("values", "expected"),
    [
        ([0.8], None),
        ([0.8, 0.4], None),
        ([0.8, below(0.4)], "warning"),
        ([1.0, 0.1], "warning"),
        ([1.0, below(0.1)], "alarm"),
        ([0.8, 0.0], "alarm"),
        ([0.5, 0.8, 0.6, 0.3], "warning"),
        ([0.8, 0.01, 0.5], None),
        ([0.1, 0.04], "warning"),
        ([below(0.1), 0.0], None),
        ([0.0, 0.0, 0.0], None),
        ([0.02, 0.3, 0.9], None),
    ],
)
def test_modes_are_lost_below_half_the_best_coverage_and_collapsed_below_a_tenth(
    values: list[float], expected: str | None
) -> None:
    assert severity(judged(HEALTH_RULES["mode-loss"], values)) == expected


@for_each(
    ("values", "expected"),
    [
        ([1.0], None),
        ([1.0, 0.2], None),
        ([1.0, above(0.2)], "warning"),
        ([0.0, 0.8], "warning"),
        ([0.0, above(0.8)], "alarm"),
        ([1.0, 1.0], "warning"),  # it never was better: no collapse
        ([1.0, above(0.2), 1.0], "warning"),
        ([1.0, 0.2, 1.0, above(0.8)], "alarm"),
        ([1.0, 1.0, 0.01], None),
    ],
)
def test_duplicates_are_named_beyond_a_fifth_after_the_untrained_generator(
    values: list[float], expected: str | None
) -> None:
    assert severity(judged(HEALTH_RULES["duplicates"], values)) == expected


@for_each(
    ("values", "said"),
    [
        ([2.0, 3.0, 2.0, 3.0, 2.0, 3.0], True),
        ([3.0, 2.0, 3.0, 2.0, 3.0, 2.0], True),
        ([99.0, 50.0, 10.0, 20.0, 8.0, 16.0, 5.0, 30.0], True),
        ([2.0, 3.0, 2.0, 3.0, 2.0], False),
        ([2.0, 3.0, 2.0, 3.0, 2.0, below(3.0)], False),
        ([1.0, 2.0, 4.0, 2.0, 4.0, 2.0], False),
        ([64.0, 32.0, 16.0, 8.0, 4.0, 2.0], False),
        ([2.0, 3.0, 2.0, 3.0, 2.0, 3.0, 3.0], False),
        ([5.0] * 9, False),
        ([0.0] * 6, False),
        ([5.0, 0.0, 0.0, 0.0, 0.0, 0.0], False),
        ([4.0, 1.0, 4.0, 1.0, 4.0, 0.0], False),
        ([0.0, 4.0, 1.0, 4.0, 1.0, 4.0], False),
    ],
)
def test_five_swings_in_a_row_up_and_down_by_half_again_are_an_oscillation(values: list[float], said: bool) -> None:
    assert (judged(HEALTH_RULES["oscillation"], values) is not None) == said


@for_each("key", ["d_grad_norm", "g_grad_norm"])
@for_each(
    ("values", "said"),
    [
        ([1.0] * 5 + [above(1e3)], True),
        ([1.0] * 5 + [1e3], False),
        ([1.0] * 4 + [1e9], False),
        ([1.0] * 5 + [1e9, 1.0], False),
        ([1.0, 1.0, 1.0, 900.0, 900.0, 2e3], True),
        ([1.0, 1.0, 900.0, 900.0, 900.0, 2e3], False),
        ([0.0] * 5 + [1.0], False),
    ],
)
def test_not_a_number_is_near_when_a_gradient_is_a_thousand_times_its_median(
    key: str, values: list[float], said: bool
) -> None:
    healthy = {"d_grad_norm": [1.0] * 9, "g_grad_norm": [1.0] * 9}
    verdict = HEALTH_RULES["nan-risk"](dict.fromkeys(COLUMNS, ()) | healthy | {key: values})
    assert severity(verdict) == ("alarm" if said else None)
    if verdict is not None:
        assert verdict.figure == values[-1] and ("generator" in verdict.figure_name) == (key == "g_grad_norm")


@pytest.mark.runs
@for_each("rule", HEALTH_RULES.values(), ids=list(HEALTH_RULES))
@settings(max_examples=50)
@given(values=st.lists(st.just(0.0) | st.floats(1e-30, 1e30), max_size=14), power=st.integers(-20, 20))
def test_verdicts_on_norms_and_distances_do_not_depend_on_their_unit(
    rule: HealthRule, values: list[float], power: int
) -> None:
    verdict = judged(rule, values)  # there is one, or none, for any finite numbers
    if rule.key in ("g_grad_norm", "d_grad_norm", "distance"):
        assert severity(judged(rule, [2.0**power * value for value in values])) == severity(verdict)


# Watching


def said(watch: Watch, **row: Any) -> list[tuple[str, str]]:
    return [(verdict.name, verdict.severity) for verdict in watch(row)]


def test_each_thing_is_said_once_again_when_it_gets_worse_and_when_it_is_over() -> None:
    watch = Watch("FD-x")
    course = [
        (0.8, []),
        (0.3, [("mode-loss", "warning")]),
        (0.25, []),
        (0.01, [("mode-loss", "alarm")]),
        (0.02, []),
        (0.3, [("mode-loss", "warning")]),
        (0.7, [("mode-loss", "good")]),
        (0.7, []),
        (0.01, [("mode-loss", "alarm")]),
    ]
    for coverage, expected in course:
        assert said(watch, coverage=coverage) == expected
        assert said(watch, d_loss=1.0, d_grad_norm=1.0) == []  # a row without an evaluation


def test_what_is_over_comes_with_the_figure_of_now() -> None:
    watch = Watch("FD-x")
    for coverage in (0.8, 0.1):
        watch({"coverage": coverage})
    (verdict,) = watch({"coverage": 0.6})
    assert (verdict.severity, verdict.figure, verdict.figure_name) == ("good", 0.6, "coverage")
    assert verdict.text == "mode-loss: no longer."


def test_the_distance_is_known_by_the_name_of_its_column() -> None:
    swings = [2.0, 3.0, 2.0, 3.0, 2.0, 3.0]
    ours, another = Watch("FD-points"), Watch("FD-pixels16")
    assert [said(ours, **{"FD-points": value}) for value in swings] == [[]] * 5 + [[("oscillation", "warning")]]
    assert [said(another, **{"FD-points": value}) for value in swings] == [[]] * 6


def test_what_is_no_finite_number_is_left_out() -> None:
    watch = Watch("FD-x")
    for value in (1.0, nan, 1.0, inf, 1.0, None, 1.0, "words", 1.0, -inf):
        assert said(watch, d_grad_norm=value) == []
    assert watch.series["d_grad_norm"] == [1.0] * 5
    assert said(watch, d_grad_norm=2e3) == [("nan-risk", "alarm")]


def test_a_risk_that_only_the_generator_ran_is_over_too() -> None:
    watch = Watch("FD-x")
    for norm in (1.0, 1.0, 1.0, 1.0, 1.0, 1e6):
        watch({"g_grad_norm": norm, "d_grad_norm": inf})
    assert said(watch, g_grad_norm=1.0) == [("nan-risk", "good")]


ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "d_accuracy": st.sampled_from([0.5, 0.99, 1.0]),
            "coverage": st.sampled_from([0.0, 0.05, 0.3, 0.9]),
            "duplicates": st.sampled_from([0.01, 0.5, 0.9]),
            "FD-x": st.sampled_from([0.0, 1.0, 2.0, nan]),
            "d_grad_norm": st.sampled_from([0.0, 1.0, 1e4, inf]),
            "g_grad_norm": st.sampled_from([1e-5, 1.0, 1e4, nan]),
        },
    ),
    max_size=30,
)


@given(ROWS, st.integers(0, 30))
def test_a_record_taken_up_again_goes_on_saying_what_it_would_have_said(rows: list[dict[str, Any]], cut: int) -> None:
    whole = Watch("FD-x")
    expected = [whole(row) for row in rows]
    resumed = Watch("FD-x", rows[:cut])
    assert [resumed(row) for row in rows[cut:]] == expected[cut:]


@given(ROWS)
def test_every_verdict_changes_what_stands(rows: list[dict[str, Any]]) -> None:
    watch = Watch("FD-x")
    standing = dict.fromkeys(HEALTH_RULES, "good")
    for row in rows:
        for verdict in watch(row):
            assert verdict.severity != standing[verdict.name]
            standing[verdict.name] = verdict.severity
    assert {name: verdict.severity for name, verdict in watch.standing.items()} == {
        name: kind for name, kind in standing.items() if kind != "good"
    }


def test_an_alarm_of_a_collapse_stands_at_each_evaluation_until_it_is_over() -> None:
    watch = Watch("FD-x")
    assert watch.collapse({"coverage": 0.0}) is None
    course = [
        ({"coverage": 0.9}, None),
        ({"coverage": 0.01}, 0.01),
        ({"d_loss": 1.0}, None),
        ({"coverage": 0.02}, 0.02),
    ]
    for row, figure in [*course, ({"coverage": 0.3}, None), ({"coverage": 0.0}, 0.0)]:
        watch(row)
        found = watch.collapse(row)
        assert (found.figure if found is not None else None) == figure


def test_an_alarm_that_is_no_collapse_is_none() -> None:
    watch = Watch("FD-x")
    for norm in (1.0, 1.0, 1.0, 1.0, 1.0, 1e6):
        watch(row := {"d_grad_norm": norm})
    assert watch.standing["nan-risk"].severity == "alarm" and watch.collapse(row) is None
