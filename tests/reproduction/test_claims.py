"""An order is decided by the paired interval over seeds, or not at all."""

from typing import Any

import pytest
from tests.for_each import for_each

from ganneal.metrics.intervals import paired_comparison
from ganneal.reproduction.claims import CheckedClaim, Claim, check_claims
from ganneal.reproduction.running import makes_numbers

CLAIM = Claim("a", "b", "FID", ("1", "2"))
SCORE = Claim("a", "b", "IS", ("2", "1"))


def entry(*values: float | None, score: str = "FID", protocol: str = "same") -> dict[str, Any]:
    """A row with a run for each seed; None is one that diverged."""
    runs = [
        {
            "outcome": {"seed": s, "status": "diverged" if v is None else "finished"},
            "last": {} if v is None else {score: v},
        }
        for s, v in enumerate(values)
    ]
    return {"runs": runs, "protocol": {"is": protocol}}


def check_claim(claim: Claim, rows: dict[str, Any]) -> CheckedClaim:
    return check_claims([claim], rows)[0]


def verdict(claim: Claim, a: dict[str, Any], b: dict[str, Any]) -> str:
    return check_claim(claim, {"a": a, "b": b}).verdict


def test_three_clear_seeds_decide_either_way() -> None:
    low, high = entry(1.0, 1.1, 0.9), entry(5.0, 5.2, 4.9)
    assert verdict(CLAIM, low, high) == "agrees"
    assert verdict(CLAIM, high, low) == "disagrees"


def test_higher_is_better_for_a_score() -> None:
    low, high = entry(1.0, 1.1, 0.9, score="IS"), entry(5.0, 5.2, 4.9, score="IS")
    assert verdict(SCORE, high, low) == "agrees"
    assert verdict(SCORE, low, high) == "disagrees"


def test_differences_around_zero_decide_nothing() -> None:
    assert verdict(CLAIM, entry(1.0, 5.0, 3.0), entry(3.0, 3.0, 3.2)) == "undecided"


def test_one_seed_decides_nothing_and_says_which_way() -> None:
    found = check_claim(CLAIM, {"a": entry(1.0), "b": entry(9.0)})
    assert found.verdict == "undecided" and found.why == "one seed, not decided: difference -8, as reported"
    assert "the other way round" in check_claim(CLAIM, {"a": entry(9.0), "b": entry(1.0)}).why


def test_only_seeds_that_both_have_are_compared() -> None:
    a, b = entry(1.0, 1.1, 0.9), entry(5.0)
    assert "one seed" in check_claim(CLAIM, {"a": a, "b": b}).why


@pytest.mark.parametrize(("claim", "score"), [(CLAIM, "FID"), (SCORE, "IS")])
def test_a_row_whose_runs_all_diverged_is_the_worse_one_from_two_seeds_on(claim: Claim, score: str) -> None:
    good, none = entry(1.0, 1.2, score=score), entry(None, None) | {"protocol": {}}
    assert verdict(claim, good, none) == "agrees"
    assert verdict(claim, none, good) == "disagrees"
    assert verdict(claim, none, none) == "undecided"
    one = check_claim(claim, {"a": entry(1.0, score=score), "b": entry(None)})
    assert (one.verdict, one.why) == (
        "undecided",
        "one seed, not decided: of 1 runs each 0 and 1 diverged, as reported",
    )


def test_a_winner_with_diverged_seeds_is_no_winner() -> None:
    winner, loser = entry(None, 1.1, 0.9, None, 1.0), entry(5.0, 5.2, 4.9, 5.1, 5.0)
    found = check_claim(CLAIM, {"a": winner, "b": loser})
    assert found.verdict == "undecided" and found.why.startswith("of 5 runs each 2 and 0 diverged; p ")
    assert verdict(CLAIM, loser, winner) == "undecided"
    assert verdict(CLAIM, entry(1.0, 1.1, 0.9, 1.2, 1.0), loser) == "agrees"


def test_a_loser_whose_runs_diverge_stays_the_loser() -> None:
    winner = entry(1.0, 1.1, 0.9, 1.2, 1.0)
    for loser in (entry(5.0, 5.2, 4.9, None, None), entry(None, None, None, None, 5.0), entry(*[None] * 5)):
        assert verdict(CLAIM, winner, loser) == "agrees"
        assert verdict(CLAIM, loser, winner) == "disagrees"


def test_rows_that_both_diverged_at_a_seed_are_equal_there() -> None:
    assert verdict(CLAIM, entry(None, 1.0, 1.1, 0.9, 1.0), entry(None, 9.0, 9.1, 9.2, 9.0)) == "agrees"
    assert verdict(CLAIM, entry(None, None, None, None, 1.0), entry(None, None, None, None, 9.0)) == "undecided"


def test_a_run_that_diverged_at_a_seed_of_its_own_bars_its_row() -> None:
    low, high = entry(1.0, 1.1, 0.9, None), entry(5.0, 5.2, 4.9)
    found = check_claim(CLAIM, {"a": low, "b": high})
    assert found.verdict == "undecided" and found.why.endswith("a diverged at seed 3")
    assert verdict(CLAIM, entry(1.0, 1.1, 0.9, 1.0), high) == "agrees"
    assert verdict(CLAIM, entry(1.0, 1.1, 0.9), entry(5.0, 5.2, 4.9, None)) == "agrees"


def test_a_failed_run_bars_its_row_from_being_better() -> None:
    low, high = entry(1.0, 1.1, 0.9), entry(5.0, 5.2, 4.9)
    failed = {"outcome": {"seed": 3, "status": "failed"}, "last": {}}
    hidden = low | {"runs": [*low["runs"], failed]}
    found = check_claim(CLAIM, {"a": hidden, "b": high})
    assert found.verdict == "undecided" and found.why.endswith("a has no value at seed 3")
    assert verdict(CLAIM, low, high | {"runs": [*high["runs"], failed]}) == "agrees"


def test_a_finished_run_without_a_finite_value_counts_as_diverged() -> None:
    low, high = entry(1.0, 1.1, 0.9), entry(5.0, 5.2, 4.9)
    low["runs"][1]["last"] = {}
    assert verdict(CLAIM, low, high) == "undecided"
    low["runs"][1]["last"] = {"FID": float("nan")}
    assert verdict(CLAIM, low, high) == "undecided"


def test_p_is_corrected_for_the_orders_of_one_score() -> None:
    rows = {"a": entry(1.0, 1.4, 0.9, 1.1), "b": entry(1.2, 1.55, 1.15, 1.25), "c": entry(1.0, 1.1, 1.4, 0.9)}
    pairs = [CLAIM, Claim("a", "c", "FID", ("1", "2")), Claim("b", "c", "FID", ("1", "2")), SCORE]
    alone, together = check_claim(CLAIM, rows), check_claims(pairs, rows)
    assert "corrected" not in alone.why and "corrected for 3 orders" in together[0].why
    assert [judgement.claim for judgement in together] == pairs
    p = paired_comparison([1.0, 1.4, 0.9, 1.1], [1.2, 1.55, 1.15, 1.25]).p_t
    assert f"p {p:.2g}, corrected for 3 orders {3 * p:.2g}" in together[0].why


def test_values_measured_differently_are_not_compared() -> None:
    assert verdict(CLAIM, entry(1.0, 1.1), entry(5.0, 5.1, protocol="other")) == "undecided"


def test_a_row_that_is_missing_is_not_run() -> None:
    assert check_claim(CLAIM, {"a": entry(1.0)}).verdict == "not run"


@for_each(
    ("outcome", "numbers"),
    [
        ({"status": "finished", "metric": "FD-x", "last": 1.0}, True),
        ({"status": "finished", "metric": "FD-x", "last": None}, False),
        ({"status": "finished", "metric": None, "last": None}, True),
        ({"status": "diverged", "metric": "FD-x", "last": None}, False),
    ],
)
def test_a_finished_run_whose_samples_are_no_numbers_is_not_measured(outcome: dict[str, Any], numbers: bool) -> None:
    assert makes_numbers(outcome) == numbers
