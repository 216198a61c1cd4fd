"""What follows from the outcomes of a study: given values, every run counted, strict JSON, a readable table."""

import json
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganneal.comparison.paired import FAILURE_RULE
from ganneal.comparison.results import Results
from ganneal.comparison.study import Arm, Study
from ganneal.metrics.p_values import holm
from ganneal.schemes import Nested

Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def known_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganneal.comparison.results.provenance", lambda: {"ganneal": "0", "accelerator": None})


def collected(study: Study, *outcomes: dict[str, Any]) -> Results:
    return Results.collect(study, {(o["arm"], o["seed"]): o for o in outcomes})


def arm(results: Results, name: str) -> dict[str, Any]:
    return next(arm for arm in results.content["arms"] if arm["name"] == name)


def cells(results: Results, name: str) -> dict[str, str]:
    """The row of an arm by the names of the columns."""
    head, _, *rows = [line.strip("| ").split(" | ") for line in results.table().splitlines() if line.startswith("|")]
    return dict(zip(head, next(row for row in rows if row[0] == name), strict=True))


def strictly(text: str) -> Any:
    """JSON as the standard has it: no NaN and no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


# Figures


def test_means_and_intervals_over_seeds_are_the_given_ones(study: Make, outcome: Make) -> None:
    found = collected(
        study(seeds=(0, 1, 2)), *(outcome(seed=seed, last=value) for seed, value in enumerate([1.0, 2.0, 4.0]))
    )
    last = arm(found, "nats")["last"]
    assert last["n"] == 3 and last["mean"] == pytest.approx(7 / 3) and last["sd"] == pytest.approx(1.5275252)
    assert (last["low"], last["high"]) == pytest.approx((-1.4612497, 6.1279164))
    assert cells(found, "nats")["FD-points, last"] == "2.33 [-1.46, 6.13]"


def test_last_over_best_is_a_geometric_mean_of_trainings_own_evaluations(study: Make, outcome: Make) -> None:
    # ratios 1, 2, 4: geometric mean 2, interval of the logarithms [0.3574621, 11.1899967]
    runs = [outcome(seed=seed, last_seen=3.0 * ratio, best_seen=3.0) for seed, ratio in enumerate([1, 2, 4])]
    found = arm(results := collected(study(seeds=(0, 1, 2)), *runs), "nats")
    assert found["decay"] == pytest.approx(2) and found["decay_interval"] == pytest.approx([0.3574621, 11.1899967])
    assert cells(results, "nats")["last/best, geometric"] == "2.00 [0.36, 11.19]"


def test_a_distance_of_zero_has_no_ratio(study: Make, outcome: Make) -> None:
    found = arm(collected(study(), outcome(last_seen=0.0, best_seen=0.0)), "nats")
    assert found["decay"] is None and found["last"]["n"] == 1


def test_clocks_and_step_are_means_of_the_runs_that_did_not_fail(study: Make, outcome: Make) -> None:
    clocks = {"num_real": 64, "d_updates": 4, "g_updates": 6, "seconds": 0.5, "cpu_seconds": 0.25, "g_num_real": 0}
    found = arm(
        collected(
            study(seeds=(0, 1, 2)),
            outcome(seed=0, g_step_per_d_update=0.5),
            outcome(seed=1, status="diverged", **clocks),
            outcome(seed=2, status="failed", num_real=0, d_updates=0, g_updates=0, seconds=0.0, cpu_seconds=0.0)
            | {"g_step_per_d_update": 9.0},
        ),
        "nats",
    )
    expected = {"num_real": 96, "d_updates": 6, "g_updates": 9, "seconds": 1.0, "cpu_seconds": 0.75, "g_num_real": 0}
    assert found["clocks"] == expected
    assert found["g_step_per_d_update"] == 0.375


def test_reals_of_generator_updates_stand_beside_what_the_arms_are_equal_in(study: Make, outcome: Make) -> None:
    results = collected(study(), outcome(arm="cts"), outcome(seed=0, g_num_real=192), outcome(seed=1, g_num_real=320))
    beside = "128 real images and 256 more real images in its G updates, which no clock counts"
    assert arm(results, "nats")["equal_in"] == beside and arm(results, "nats")["clocks"]["g_num_real"] == 256
    assert f"Equal in: nats, {beside}; cts, 128 real images." in results.table()


# Every run counted


def test_a_diverged_run_is_in_no_mean_and_a_failed_one_is_a_row(study: Make, outcome: Make) -> None:
    found = collected(
        study(seeds=(0, 1, 2)),
        outcome(seed=0, last=2.0),
        outcome(seed=1, status="diverged", last=0.1, best=0.1, error="d_loss is nan\nlonger"),
        outcome(seed=2, status="failed", error="OSError: no space"),
    )
    nats = arm(found, "nats")
    assert (nats["last"]["mean"], nats["last"]["n"], nats["last"]["diverged"], nats["finished"]) == (2.0, 1, 1, 1)
    assert nats["best"]["mean"] == 2.0 and nats["best"]["diverged"] == 1
    assert [run["status"] for run in nats["runs"]] == ["finished", "diverged", "failed"]
    assert [run["path"] for run in nats["runs"]] == ["nats/seed0", "nats/seed1", "nats/seed2"]
    row = cells(found, "nats")
    assert row["runs"] == "1 of 3" and row["FD-points, last"] == "1 of 2 diverged, others 2 (1 seed)"
    assert row["best"] == "1 of 2 diverged, others 2 (1 seed)"
    lines = found.table().splitlines()
    assert "- nats seed 1 diverged: d_loss is nan" in lines and "- nats seed 2 failed: OSError: no space" in lines
    assert f"\n{FAILURE_RULE}\n" in found.table()


def test_runs_that_have_not_ended_are_missing_not_zero(study: Make, outcome: Make) -> None:
    found = collected(study(), outcome(seed=1))
    assert arm(found, "cts")["last"] is None and arm(found, "nats")["last"]["n"] == 1
    row = cells(found, "cts")
    assert row["runs"] == "0 of 2" and set(list(row.values())[2:]) == {"–"}
    assert cells(found, "nats")["FD-points, last"] == "3 (1 seed)"
    assert " failed: " not in found.table()


def test_an_error_without_words_is_no_error(study: Make, outcome: Make) -> None:
    assert "- nats seed 0 failed: \n" in collected(study(), outcome(status="failed", error="")).table()


def test_a_study_that_measured_nothing_has_a_table(study: Make, outcome: Make) -> None:
    nothing = dict.fromkeys(("metric", "last", "best", "untrained", "last_seen", "best_seen"))
    found = collected(study(), outcome(**nothing))
    assert found.content["metric"] is None and cells(found, "nats")["value, last"] == "–"
    assert found.table().count("no run has a value: it takes at least two images, and two samples by --records") == 1


def test_values_of_two_metrics_are_not_put_in_one_column(study: Make, outcome: Make) -> None:
    with pytest.raises(ValueError, match="measured by one metric, got FD-pixels4, FD-points"):
        collected(study(), outcome(), outcome(arm="cts", metric="FD-pixels4"))


# Verdicts


def test_verdicts_pair_the_seeds_that_both_arms_have(study: Make, outcome: Make) -> None:
    ours = [outcome(seed=seed, last=value) for seed, value in enumerate([1.0, 2.0, 3.0, 4.0])]
    theirs = [outcome(arm="cts", seed=seed, last=value) for seed, value in [(0, 2.0), (2, 4.5), (3, 5.0)]]
    theirs.append(outcome(arm="cts", seed=1, status="failed"))
    found = collected(study(seeds=(0, 1, 2, 3)), *ours, *theirs)
    verdict = arm(found, "nats")["verdict"]
    assert verdict["pairs"] == 3 and verdict["difference"] == pytest.approx((-1 - 1.5 - 1) / 3)
    assert verdict["against"] == "cts" and verdict["p"] == 0.25 and verdict["decided"]
    assert arm(found, "cts")["verdict"] is None
    assert (
        "- nats better than cts by 1.17 [0.45, 1.88] over 3 seeds, by the t interval alone (sign-flip p = 0.25, the "
        "smallest 3 seeds can reach: too few seeds for 0.05)" in found.table()
    )


def series(outcome: Make, name: str, *values: float | None) -> list[dict[str, Any]]:
    """A run for each seed; None is one that diverged right after the best evaluation of all."""
    died = {"status": "diverged", "last": None, "best": None, "last_seen": 0.01, "best_seen": 0.01}
    return [outcome(name, seed, **(died if value is None else {"last": value})) for seed, value in enumerate(values)]


def judged(study: Make, outcome: Make, ours: list[float | None], theirs: list[float | None]) -> dict[str, Any]:
    found = collected(
        study(seeds=tuple(range(len(ours)))), *series(outcome, "nats", *ours), *series(outcome, "cts", *theirs)
    )
    return arm(found, "nats")["verdict"]


CLEAR: list[float | None] = [5.0, 5.2, 4.9, 5.1, 5.0]


def test_a_winner_with_diverged_seeds_is_no_winner(study: Make, outcome: Make) -> None:
    assert judged(study, outcome, [1.0, 1.1, 0.9, 1.2, 1.0], CLEAR)["text"].startswith("nats better than cts")
    verdict = judged(study, outcome, [None, 1.1, 0.9, None, 1.0], CLEAR)
    assert not verdict["decided"] and verdict["diverged"] == [2, 0] and verdict["difference"] == inf
    assert verdict["text"].startswith("no difference shown: nats diverged at 2 of 5 seeds, cts at 0 (")


def test_all_diverged_is_worse_and_both_diverged_is_equal(study: Make, outcome: Make) -> None:
    verdict = judged(study, outcome, [None] * 5, CLEAR)
    assert verdict["text"].startswith("nats worse than cts: nats diverged at 5 of 5 seeds") and verdict["decided"]
    assert not judged(study, outcome, [None] * 5, [None] * 5)["decided"]
    both = judged(study, outcome, [None, 1.0, 1.1, 0.9, 1.0], [None, 9.0, 9.1, 9.2, 9.0])
    assert both["text"].startswith("nats better than cts by") and both["pairs"] == 5


def test_an_arm_whose_runs_all_diverged_has_no_mean(study: Make, outcome: Make, tmp_path: Path) -> None:
    found = collected(study(), *series(outcome, "nats", None, None), *series(outcome, "cts", 1.0, 2.0))
    assert arm(found, "nats")["last"]["mean"] is None and arm(found, "nats")["decay"] is None
    assert cells(found, "nats")["FD-points, last"] == "2 of 2 diverged" == cells(found, "nats")["best"]
    found.write(tmp_path)
    assert strictly((tmp_path / "results.json").read_text())["arms"][0]["verdict"]["difference"] is None


@pytest.mark.parametrize("status", ["failed", "not ended"])
def test_an_arm_is_not_called_better_while_a_run_of_it_has_no_value(status: str, study: Make, outcome: Make) -> None:
    ours, theirs = series(outcome, "nats", 1.0, 1.1, 0.9), series(outcome, "cts", 5.0, 5.2, 4.9, 5.1)
    lost = [outcome("nats", 3, "failed")] if status == "failed" else []
    found = collected(study(seeds=(0, 1, 2, 3)), *ours, *lost, *theirs)
    verdict = arm(found, "nats")["verdict"]
    assert verdict["text"].startswith("no verdict, nats has no value at seed 3: nats minus cts is -4.0")
    assert not verdict["decided"]


def test_a_finished_run_without_a_number_counts_as_diverged(study: Make, outcome: Make) -> None:
    ours = series(outcome, "nats", 1.0, 1.1, 0.9)
    ours[1]["last"] = None
    found = collected(study(seeds=(0, 1, 2)), *ours, *series(outcome, "cts", 5.0, 5.2, 4.9))
    assert not arm(found, "nats")["verdict"]["decided"]
    assert cells(found, "nats")["FD-points, last"].startswith("1 of 3 diverged, others 0.95")


@pytest.mark.parametrize(("walked", "off"), [(0.26, ""), (0.5, ", more than 5 % from its match")])
def test_the_table_says_how_far_the_matched_control_walked(
    walked: float, off: str, study: Make, ring: Make, outcome: Make
) -> None:
    arms = (Arm("nats", ring()), Arm("matched-step", ring(scheme=Nested(2))))
    runs = [outcome("nats", seed) for seed in (0, 1)]
    runs += [outcome("matched-step", 0, g_step_per_d_update=walked), outcome("matched-step", 1, "diverged")]
    found = collected(study(arms=arms, baseline="nats"), *runs)
    said = f"Measured, matched-step walked {walked / 0.25:.2f} times the generator step of nats{off}."
    assert f"\n{said}\n" in found.table()


def test_several_arms_against_one_baseline_are_corrected(study: Make, ring: Make, outcome: Make) -> None:
    arms = tuple(Arm(name, ring(seed=0)) for name in ("cts", "a", "b", "c"))
    values = {"cts": [2.0, 3.0, 4.0], "a": [1.1, 2.2, 3.0], "b": [1.7, 2.5, 3.3], "c": [2.0, 3.1, 4.2]}
    outcomes = [run for name, own in values.items() for run in series(outcome, name, *own)]
    found = collected(study(arms=arms, seeds=(0, 1, 2), baseline="cts"), *outcomes)
    verdicts = [arm(found, name)["verdict"] for name in ("a", "b", "c")]
    assert [v["p_corrected"] for v in verdicts] == pytest.approx(holm([v["p_t"] for v in verdicts]))
    assert all(v["comparisons"] == 3 for v in verdicts)
    assert verdicts[0]["decided"] and "corrected for 3 comparisons" in verdicts[0]["text"]
    assert verdicts[1]["p_t"] < 0.05 < verdicts[1]["p_corrected"] and verdicts[1]["high"] < 0
    assert (
        verdicts[1]["text"].startswith("no difference shown after correction: b minus cts is")
        and not verdicts[1]["decided"]
    )


def test_another_baseline_gives_the_opposite_verdict(study: Make, outcome: Make) -> None:
    outcomes = [
        outcome(a, seed, last=value + seed / 8) for a, value in (("nats", 1.0), ("cts", 2.0)) for seed in (0, 1)
    ]
    forward = arm(collected(study(), *outcomes), "nats")["verdict"]
    back = arm(collected(study(baseline="nats"), *outcomes), "cts")["verdict"]
    assert back["difference"] == -forward["difference"] and "worse than nats" in back["text"]


def test_no_common_seed_no_verdict(study: Make, outcome: Make) -> None:
    found = collected(study(), outcome(seed=0), outcome(arm="cts", seed=1))
    assert arm(found, "nats")["verdict"] is None


# On paper and on disk


def test_numbers_are_written_out(study: Make, outcome: Make) -> None:
    runs = [outcome(seed=s, num_real=1_000_000, seconds=12_345.6, last=1234.5 + s, best=-0.0) for s in (0, 1)]
    found = collected(study(amount=1e6), *runs)
    row = cells(found, "nats")
    assert (row["num real"], row["seconds"], row["CPU seconds"]) == ("1,000,000", "12,346", "1.25")
    assert row["FD-points, last"] == "1,235 [1,229, 1,241]" and row["best"] == "0 [0, 0]"
    assert "Equal in: nats, 1,000,000 real images; cts, 1,000,000 real images." in found.table()
    assert "e+" not in found.table() and "-0" not in found.table()


def test_one_seed_has_no_interval_and_says_so(study: Make, outcome: Make) -> None:
    table = collected(study(seeds=(0,)), outcome()).table()
    assert "1 seed, so no interval; lower is better." in table and "95 %" not in table


def test_results_on_disk_are_strict_json_whatever_a_run_left(study: Make, outcome: Make, tmp_path: Path) -> None:
    wild = [outcome(seed=0, g_step_per_d_update=float("nan"), last=float("inf"), last_seen=1e150, best_seen=1e-150)]
    wild.append(outcome(seed=1, g_step_per_d_update=0.5, last=2.0))
    collected(study(), *wild).write(tmp_path)
    nats = strictly((tmp_path / "results.json").read_text())["arms"][0]
    assert nats["g_step_per_d_update"] == 0.5 and nats["last"]["mean"] == 2.0
    assert nats["decay"] is not None and nats["decay_interval"][1] is None  # beyond the largest float
    assert (tmp_path / "table.md").read_text().startswith("| arm | runs | FD-points, last | best |")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["results.json", "table.md"]


VALUES = st.one_of(st.none(), st.floats(0, 1e6, allow_subnormal=False), st.just(float("nan")))
STATUS = st.sampled_from(["finished", "diverged", "failed"])


@pytest.mark.runs
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    ended=st.dictionaries(
        st.tuples(st.sampled_from(["nats", "cts"]), st.integers(0, 2)), st.tuples(STATUS, VALUES, VALUES), max_size=6
    )
)
def test_any_outcomes_make_a_table_and_no_run_is_lost(
    ended: dict[tuple[str, int], tuple[str, Any, Any]], study: Make, outcome: Make, tmp_path: Path
) -> None:
    runs = [outcome(*key, status, last=last, best=best) for key, (status, last, best) in ended.items()]
    found = collected(study(seeds=(0, 1, 2)), *runs)
    found.write(tmp_path)
    content = strictly((tmp_path / "results.json").read_text())
    assert sum(len(arm["runs"]) for arm in content["arms"]) == len(ended)
    lines = [line for line in found.table().splitlines() if line.startswith("|")]
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1
    told = sum(" seed " in line and line.startswith("- ") for line in found.table().splitlines())
    assert told >= sum(status != "finished" for status, _, _ in ended.values())
