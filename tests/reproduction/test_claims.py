"""An order is decided by the paired interval over seeds, or not at all."""

from typing import Any

from ganneal.reproduction.claims import Claim, judge

CLAIM = Claim("a", "b", "FID", ("1", "2"))
SCORE = Claim("a", "b", "IS", ("2", "1"))


def entry(*values: float | None, score: str = "FID", protocol: str = "same") -> dict[str, Any]:
    """A row with a run for each seed; None is one that diverged."""
    runs = [
        {"seed": s, "status": "diverged" if v is None else "finished", "last": {} if v is None else {score: v}}
        for s, v in enumerate(values)
    ]
    return {"runs": runs, "protocol": {"is": protocol}}


def verdict(claim: Claim, a: dict[str, Any], b: dict[str, Any]) -> str:
    return judge(claim, {"a": a, "b": b}).verdict


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
    found = judge(CLAIM, {"a": entry(1.0), "b": entry(9.0)})
    assert found.verdict == "undecided" and "1 seed, as reported" in found.why
    assert "the other way round" in judge(CLAIM, {"a": entry(9.0), "b": entry(1.0)}).why


def test_only_seeds_that_both_have_are_compared() -> None:
    a, b = entry(1.0, 1.1, 0.9), entry(5.0)
    assert "1 seed" in judge(CLAIM, {"a": a, "b": b}).why


def test_a_row_whose_runs_all_diverged_is_the_worse_one() -> None:
    assert verdict(CLAIM, entry(1.0), entry(None)) == "agrees"
    assert verdict(CLAIM, entry(None), entry(1.0)) == "disagrees"
    assert verdict(CLAIM, entry(None), entry(None)) == "undecided"


def test_values_measured_differently_are_not_compared() -> None:
    assert verdict(CLAIM, entry(1.0, 1.1), entry(5.0, 5.1, protocol="other")) == "undecided"


def test_a_row_that_is_missing_is_not_run() -> None:
    assert judge(CLAIM, {"a": entry(1.0)}).verdict == "not run"
