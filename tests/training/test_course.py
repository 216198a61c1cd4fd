"""The course of a run: how long it still takes, a limit on all of its time, and an early stop."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import ganneal
from ganneal.comparison.study import Arm, Study
from ganneal.data import Ring
from ganneal.engine import loop
from ganneal.engine.pace import Pace
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import MLP
from ganneal.schemes import SCHEMES, Alternating, Nested, Scheme
from ganneal.steps import StoreDiscriminator, UpdateDiscriminator, UpdateGenerator
from ganneal.stop import Row
from ganneal.training.estimate import Costs, Estimate, fraction_done
from ganneal.training.evaluator import Evaluator

BATCH = 8
QUIET = Records(BATCH, 10**6, 8, BATCH, 20, 1.0, checkpoint_seconds=1e9, tensorboard=False)


def ring(**changes: Any) -> Experiment:
    small = Experiment("ring", Ring(num_samples=64), MLP(width=4, depth=1), scheme=Alternating(), batch_size=BATCH)
    return replace(small, records=QUIET, budget=Budget(d_updates=12), threads=1, **changes)


@pytest.fixture
def distances(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The distance found at each evaluation, the last one from then on."""

    def arrange(*values: float) -> None:
        def found(evaluator: Evaluator, run: Run) -> Row:
            number = run.counters.d_updates
            return {evaluator.name: values[min(number, len(values) - 1)]}

        monkeypatch.setattr(Evaluator, "__call__", found)

    return arrange


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


# How long it takes


@pytest.mark.parametrize("scheme", [Alternating(), Nested(4), Nested(10), SCHEMES["cfg"], SCHEMES["cts"]])
def test_a_round_takes_what_its_moves_take_whichever_of_them_came_first(scheme: Scheme) -> None:
    costs = {UpdateDiscriminator: 2.0, UpdateGenerator: 3.0, StoreDiscriminator: 0.5}
    pace, moves = Pace(scheme), list(scheme(1))
    for number, step in enumerate(moves * (1 + 40 // len(moves))):
        warm_up = 100.0 if number < 2 and isinstance(scheme, Nested) else 0.0
        pace.add(step, costs.get(type(step), 1.0) + warm_up)
    assert pace.round_seconds() == pytest.approx(sum(costs.get(type(step), 1.0) for step in moves))


def test_a_speed_is_not_said_before_twenty_moves_or_before_every_kind_was_made() -> None:
    pace = Pace(Alternating())
    for _ in range(30):
        pace.add(UpdateDiscriminator(), 1.0)
    assert pace.round_seconds() is None
    pace.add(UpdateGenerator(), 4.0)
    assert pace.round_seconds() == 5.0
    few = Pace(Alternating())
    for step in list(Alternating()(0)) * 9:
        few.add(step, 1.0)
    assert few.round_seconds() is None


def estimated(experiment: Experiment, d: float, g: float, costs: Costs | None = None) -> float | None:
    """The seconds left after the first moves, of so many seconds each."""
    run = Run(experiment)
    for step in [step for round in range(30) for step in experiment.scheme(round)][:40]:
        run.pace.add(step, d if isinstance(step, UpdateDiscriminator) else g)
    run.counters.seconds = run.counters.cpu_seconds = 1e-9
    return Estimate(run, costs or Costs()).seconds()


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [
        (Budget(d_updates=40), 10 * (4 * 2.0 + 10 * 3.0)),
        (Budget(num_real=40 * BATCH), 10 * (4 * 2.0 + 10 * 3.0)),
        (Budget(g_updates=100), 10 * (4 * 2.0 + 10 * 3.0)),
        (Budget(seconds=50.0), 50.0),
        (Budget(cpu_seconds=50.0), 50.0),
        (Budget(d_updates=40, seconds=50.0), 50.0),
        (Budget(), None),
    ],
)
def test_the_estimate_of_a_nested_scheme_is_exact_where_every_move_takes_its_time(
    budget: Budget, seconds: float | None
) -> None:
    quiet = replace(QUIET, evaluate_every=0)
    found = estimated(replace(ring(scheme=Nested(4)), budget=budget, records=quiet), 2.0, 3.0)
    assert found == (None if seconds is None else pytest.approx(seconds))


def test_evaluations_pictures_and_checkpoints_are_in_it() -> None:
    records = replace(QUIET, evaluate_every=4 * BATCH, sample_every=10 * BATCH, checkpoint_seconds=20.0)
    experiment = replace(ring(), budget=Budget(d_updates=40), records=records)
    alone = 40 * 2.0
    assert estimated(experiment, 1.0, 1.0) == pytest.approx(alone)
    evaluated = estimated(experiment, 1.0, 1.0, Costs(evaluation=0.5))
    assert evaluated == pytest.approx(alone + 11 * 0.5)
    assert estimated(experiment, 1.0, 1.0, Costs(picture=3.0)) == pytest.approx(alone + 5 * 3.0)
    assert estimated(experiment, 1.0, 1.0, Costs(save=2.0)) == pytest.approx(alone + 5 * 2.0)
    shared = replace(experiment, records=replace(records, evaluate_share=0.1))
    assert estimated(shared, 1.0, 1.0, Costs(evaluation=9.0)) == pytest.approx(alone + alone / 9 + 9.0)


def test_later_the_pace_is_that_of_all_moves_so_far() -> None:
    run = Run(replace(ring(), budget=Budget(d_updates=1_000), records=replace(QUIET, evaluate_every=0)))
    for step in list(Alternating()(0)) * 20:
        run.pace.add(step, 1.0)
    run.counters.seconds = 40.0
    estimate = Estimate(run, Costs())
    run.counters.d_updates = 20
    assert estimate.seconds() == pytest.approx(980 * 2)
    run.counters.d_updates, run.counters.seconds = 120, 90.0  # half a second each
    assert estimate.seconds() == pytest.approx(880 * 0.5)


def test_the_start_and_every_line_say_how_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], distances: Callable[..., None]
) -> None:
    distances(1.0)
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop, "perf_counter", lambda: 15.0 * next(ticks))
    monkeypatch.setattr("ganneal.training.display.SECONDS_PER_LINE", 0.0)
    ganneal.train(replace(ring(), budget=Budget(d_updates=40)), tmp_path, progress=True)
    said = capsys.readouterr().err.splitlines()
    assert "this budget takes about 15 min here; stop at any time, the same command goes on" in said
    lefts = [line.rpartition("  ")[2] for line in said if "% " in line and "images" in line]
    assert lefts[-1] == "done" and lefts[-11] == "about 5 min left" and lefts[0].startswith(" ") is False
    ganneal.train(replace(ring(), budget=Budget(d_updates=60)), tmp_path, progress=True)
    assert "the rest of this budget takes about" in capsys.readouterr().err


# A limit on all of the time


def test_the_time_limit_counts_evaluations_and_leaves_room_for_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now = 0.0

    def evaluate(evaluator: Evaluator, run: Run) -> Row:
        Clock.now += 10.0
        return {evaluator.name: 1.0}

    def step(*_: Any) -> None:
        Clock.now += 1.0
        apply(*_)

    apply = loop.apply
    monkeypatch.setattr(loop, "apply", step)
    monkeypatch.setattr(Evaluator, "__call__", evaluate)
    for module in ("ganneal.training.course.monotonic", "ganneal.training.session.monotonic"):
        monkeypatch.setattr(module, lambda: Clock.now)
    for module in ("ganneal.engine.loop.perf_counter", "ganneal.training.evaluations.perf_counter"):
        monkeypatch.setattr(module, lambda: Clock.now)
    records = replace(QUIET, evaluate_every=20 * BATCH)
    ganneal.train(replace(ring(), budget=Budget(), time_limit=100.0, records=records), tmp_path)
    last = rows(tmp_path)[-1]
    assert last["stopped"] == "time_limit reached 100 s" and "FD-points" in last
    assert 99.0 <= Clock.now <= 102.0
    before = Clock.now
    ganneal.train(replace(ring(), budget=Budget(), time_limit=100.0, records=records), tmp_path)
    assert rows(tmp_path)[-1] == last and Clock.now == before  # nothing is left of it
    ganneal.train(replace(ring(), budget=Budget(), time_limit=150.0, records=records), tmp_path)
    assert 149.0 <= Clock.now <= 152.0


@pytest.mark.parametrize("limit", range(20, 36, 2))
@pytest.mark.parametrize("every", [1, 3])
def test_the_last_row_is_evaluated_and_says_that_the_time_is_up_wherever_that_falls(
    limit: int, every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]

    def spend(seconds: float, result: Any) -> Any:
        clock[0] += seconds
        return result

    found = {"FD-points": 1.0}
    monkeypatch.setattr(loop, "apply", lambda step, run, move=loop.apply: spend(1.0, move(step, run)))
    monkeypatch.setattr(Evaluator, "__call__", lambda evaluator, run: spend(4.0, dict(found)))
    for module in ("course.monotonic", "session.monotonic", "evaluations.perf_counter"):
        monkeypatch.setattr(f"ganneal.training.{module}", lambda: clock[0])
    monkeypatch.setattr(loop, "perf_counter", lambda: clock[0])
    records = replace(QUIET, log_every=every * BATCH, evaluate_every=3 * BATCH)
    ganneal.train(replace(ring(), budget=Budget(), time_limit=float(limit), records=records), tmp_path)
    written = rows(tmp_path)
    assert [("stopped" in row) for row in written] == [False] * (len(written) - 1) + [True]
    assert "FD-points" in written[-1]
    assert len({(row["d_updates"], row["g_updates"]) for row in written}) == len(written)
    assert limit - 6 <= clock[0] <= limit + 1


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("inf"), float("nan")])
def test_a_limit_that_never_comes_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="time_limit must be finite and above 0"):
        ring(time_limit=wrong)


# An early stop


PATIENT = replace(QUIET, patience=0.25)


def test_a_run_whose_distance_has_not_fallen_stops_and_keeps_its_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], distances: Callable[..., None]
) -> None:
    distances(9, 5, 3, 2, 4, 2, 3)  # the best is the third of twenty updates; five are a quarter
    experiment = replace(ring(), budget=Budget(d_updates=20), records=PATIENT)
    run = ganneal.train(experiment, tmp_path, progress=True)
    said = capsys.readouterr().err
    reason = "FD-points has not fallen below 2 since 24 real images, for 25 % of the budget"
    assert run.counters.d_updates == 8 and rows(tmp_path)[-1]["stopped"] == reason
    assert f"stopped early: {reason}. The best weights are kept: `ganneal sample {tmp_path} --checkpoint best`" in said
    assert ganneal.load(tmp_path, checkpoint="best").card["counters"]["d_updates"] == 3
    assert ganneal.load(tmp_path).card["counters"]["d_updates"] == 8
    ganneal.train(experiment, tmp_path, progress=True)  # says so again, and trains nothing
    assert len(rows(tmp_path)) == 9 and "stopped early" in capsys.readouterr().err
    again = ganneal.train(replace(experiment, budget=Budget(d_updates=32)), tmp_path)
    assert again.counters.d_updates == 11  # a quarter of 32 after the third
    assert ganneal.train(replace(ring(), budget=Budget(d_updates=13)), tmp_path).counters.d_updates == 13


def test_a_distance_that_falls_now_and_then_goes_on(tmp_path: Path, distances: Callable[..., None]) -> None:
    distances(9, 8, 9, 9, 9, 7, 9, 9, 9, 6, 9, 9, 9)
    assert ganneal.train(replace(ring(), records=replace(PATIENT, patience=0.4)), tmp_path).counters.d_updates == 12


def test_a_few_rare_evaluations_stop_nothing(tmp_path: Path, distances: Callable[..., None]) -> None:
    distances(1, 1, 2)
    records = replace(PATIENT, evaluate_every=4 * BATCH)
    assert ganneal.train(replace(ring(), records=records), tmp_path).counters.d_updates == 12


def test_experiments_and_studies_do_not_stop_early() -> None:
    assert Records().patience is None
    arm = Arm("ring", replace(ring(), records=PATIENT, time_limit=9.0))
    found = Study("ring", (arm,), (0,), "num_real", 100, "ring").experiment(arm, 0, None)
    assert (found.records.patience, found.time_limit) == (None, None)


@pytest.mark.parametrize("wrong", [0.0, -0.1, 1.1, float("nan")])
def test_a_patience_that_is_no_part_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"records\.patience must be above 0, at most 1"):
        Records(patience=wrong)


def test_the_part_that_is_done_is_that_of_the_clock_furthest() -> None:
    clocks = {"num_real": 50, "d_updates": 6, "seconds": 20.0, "evaluating_seconds": 10.0}
    assert fraction_done(clocks, replace(ring(), budget=Budget(num_real=100, d_updates=10))) == 0.6
    assert fraction_done(clocks, replace(ring(time_limit=40.0), budget=Budget())) == 0.75
    assert fraction_done(clocks, replace(ring(), budget=Budget())) == 0
