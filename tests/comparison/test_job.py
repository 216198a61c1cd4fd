"""One run of a study: its outcome says what came of it, whatever came of it."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.for_each import for_each

from ganneal.comparison import job as jobs
from ganneal.comparison.job import FRESH_SEED, OUTCOME_FIELDS, Job, failed, read_outcome, run
from ganneal.engine import loop as engine
from ganneal.experiment import Budget, Experiment
from ganneal.inference import loading as sampling
from ganneal.models import ModelPair
from ganneal.optim import SGD
from ganneal.stop import Divergence, TrainingStopped
from ganneal.storage.run_directory import DirectoryInUse, RunDirectory
from ganneal.training.evaluator import Evaluator
from ganneal.training.interruption import Interrupted

Make = Callable[..., Any]
TIMES = ("seconds", "cpu_seconds")


def make_job(experiment: Experiment, path: Path) -> Job:
    return Job("nats", 0, experiment, path / "nats" / "seed0", command="ganneal compare")


def strictly(path: Path) -> dict[str, Any]:
    """The outcome on disk, as JSON without NaN and Infinity, and without its seal."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    found = json.loads((path / "outcome.json").read_text(), parse_constant=refuse)
    return {key: value for key, value in found.items() if key != "sha256"}


def rows(path: Path) -> list[dict[str, Any]]:
    return RunDirectory(path).rows()


def timeless(outcome: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in outcome.items() if key not in TIMES}


def with_budget(job: Job, **budget: Any) -> Job:
    return replace(job, experiment=replace(job.experiment, budget=Budget(**budget)))


# Runs that finish


def test_a_finished_run_is_measured_on_samples_that_chose_nothing(ring: Make, tmp_path: Path) -> None:
    job = make_job(ring(), tmp_path)
    found = run(job)
    assert found == strictly(job.path) == job.outcome() and found.keys() == OUTCOME_FIELDS | {"sampler"}
    assert (found["status"], found["error"], found["arm"], found["seed"]) == ("finished", None, "nats", 0)

    distances = [row["FD-points"] for row in rows(job.path) if "FD-points" in row]
    assert len(distances) == 5 and found["evaluations"] == 4
    assert (found["untrained"], found["last_seen"]) == (distances[0], distances[-1])
    assert found["best_seen"] == min(distances[1:])
    evaluator = Evaluator(job.experiment.data.load(), job.experiment.records)
    assert found["last"] == evaluator.distance(sampling.load(job.path), FRESH_SEED) != found["last_seen"]
    best = sampling.load(job.path, checkpoint="best")
    assert found["best"] == evaluator.distance(best, FRESH_SEED) != found["best_seen"]
    last = rows(job.path)[-1]
    assert all(found[clock] == last[clock] for clock in ("num_real", "d_updates", "g_updates", *TIMES))


def test_a_run_that_is_done_is_measured_again_without_training(
    ring: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(ring(), tmp_path)
    found, written = run(job), rows(job.path)
    monkeypatch.setattr(engine, "apply", lambda step, run: pytest.fail("it was trained on"))
    assert run(job) == found and rows(job.path) == written


def test_a_larger_budget_goes_on_and_an_outcome_of_another_one_does_not_hold(ring: Make, tmp_path: Path) -> None:
    job = make_job(ring(), tmp_path)
    run(job)
    larger = with_budget(job, num_real=192)
    assert larger.outcome() is None and with_budget(job, d_updates=8).outcome() is None
    assert run(larger)["num_real"] == 192 and larger.outcome() is not None and job.outcome() is None


def test_the_mean_step_is_that_of_the_log(ring: Make, tmp_path: Path) -> None:
    job = make_job(ring(), tmp_path)
    found = run(job)["g_step_per_d_update"]
    logged = [row["g_step_per_d_update"] for row in rows(job.path) if "g_step_per_d_update" in row]
    assert logged and found == sum(logged) / len(logged)


def test_a_run_that_is_not_evaluated_has_clocks_and_no_values(ring: Make, tmp_path: Path) -> None:
    experiment = ring()
    found = run(make_job(replace(experiment, records=replace(experiment.records, evaluate_count=0)), tmp_path))
    assert found["status"] == "finished" and found["num_real"] == 128
    assert all(found[key] is None for key in ("metric", "last", "best", "last_seen", "best_seen", "untrained"))


def test_too_few_samples_for_a_distance_are_no_failure(ring: Make, tmp_path: Path) -> None:
    experiment = ring()
    found = run(make_job(replace(experiment, records=replace(experiment.records, evaluate_count=1)), tmp_path))
    assert (found["status"], found["metric"], found["last"], found["best"]) == ("finished", None, None, None)


def test_too_few_samples_for_a_covariance_are_judged_by_the_kernel_distance(ring: Make, tmp_path: Path) -> None:
    experiment = ring()
    found = run(make_job(replace(experiment, records=replace(experiment.records, evaluate_count=2)), tmp_path))
    assert (found["status"], found["metric"]) == ("finished", "KD-points")
    assert all(isfinite(found[key]) for key in ("last", "best", "last_seen", "best_seen"))


# Runs that diverge


def at_once(ring: Make) -> Experiment:
    """Diverges at its second row, at 64 images."""
    return ring(divergence=Divergence(limit=1e-9))


def test_a_diverged_run_has_no_value_neither_its_last_one_nor_that_of_its_best_weights(
    ring: Make, tmp_path: Path
) -> None:
    job = make_job(at_once(ring), tmp_path)
    found = run(job)
    assert found == strictly(job.path) and found["status"] == "diverged"
    assert "divergence.limit" in found["error"] and found["num_real"] == 32
    assert (job.path / "best" / "card.json").exists() and found["best_seen"] is not None
    assert found["last"] is None and found["best"] is None
    assert found["last_seen"] == rows(job.path)[-1]["FD-points"]


def test_a_run_that_was_stopped_as_collapsed_counts_as_diverged(
    ring: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collapses(*arguments: Any, **options: Any) -> None:
        raise TrainingStopped("training stopped: coverage fell (records.on-collapse stop)")

    job = make_job(ring(), tmp_path)
    monkeypatch.setattr(jobs, "train", collapses)
    found = run(job)
    assert (found["status"], found["last"], found["best"]) == ("diverged", None, None)


def test_what_has_diverged_has_diverged_under_a_larger_budget_too(ring: Make, tmp_path: Path) -> None:
    job = make_job(at_once(ring), tmp_path)
    found = run(job)
    for budget in ({"num_real": 1280}, {"d_updates": 100}, {"seconds": 1e6}):
        assert with_budget(job, **budget).outcome() == found
    assert with_budget(job, num_real=16).outcome() is None  # there it would have ended before


def test_a_diverged_run_killed_before_its_outcome_is_not_trained_on(ring: Make, tmp_path: Path) -> None:
    job = make_job(at_once(ring), tmp_path)
    found = run(job)
    (job.path / "outcome.json").unlink()
    again = run(job)
    assert again["status"] == "diverged" and again["num_real"] == found["num_real"]
    assert (again["last"], again["best"]) == (found["last"], found["best"])
    further = run(replace(job, experiment=replace(job.experiment, divergence=Divergence())))  # by its own wish
    assert further["status"] == "finished" and further["num_real"] == 128


def test_lengths_beyond_any_number_make_an_outcome_that_is_json(ring: Make, tmp_path: Path) -> None:
    experiment = ring(g_optimizer=SGD(lr=1e38))
    job = make_job(replace(experiment, records=replace(experiment.records, log_every=64)), tmp_path)
    found = run(job)
    lengths = [row["g_step_per_d_update"] for row in rows(job.path) if "g_step_per_d_update" in row]
    assert lengths and not all(map(isfinite, lengths))
    assert found["status"] == "diverged" and found == strictly(job.path)


# Runs that fail


@dataclass(frozen=True)
class Broken:
    """A model of somebody's own with a fault in it."""

    def build(self, shape: tuple[int, ...], num_classes: int = 0) -> ModelPair:
        raise TypeError("no such layer")


def test_any_error_of_a_run_is_its_outcome(ring: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = make_job(ring(model=Broken()), tmp_path)
    found = run(job)
    assert (found["status"], found["error"]) == ("failed", "TypeError: no such layer")
    assert found == strictly(job.path) and found["num_real"] == 0 and found["last"] is None
    assert job.outcome() is None and read_outcome(job.path) == found  # it is to be tried again
    assert 'raise TypeError("no such layer")' in capsys.readouterr().err


def test_a_refused_setting_is_told_without_its_place_in_the_source(
    ring: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(make_job(ring(batch_size=1_000), tmp_path))
    assert found["status"] == "failed" and "batch_size must not exceed the data" in found["error"]
    assert capsys.readouterr().err == ""


def test_an_error_while_measuring_is_told_and_training_is_not_repeated(
    ring: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, measure = make_job(ring(), tmp_path), Evaluator.distance

    def fail(*arguments: Any) -> None:
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(Evaluator, "distance", fail)
    found = run(job)
    assert found == strictly(job.path) and found["status"] == "failed"
    assert found["error"] == "It could not be measured: RuntimeError: not enough memory"
    assert found["num_real"] == 128 and found["last_seen"] is not None and found["last"] is None
    monkeypatch.setattr(Evaluator, "distance", measure)
    monkeypatch.setattr(engine, "apply", lambda step, run: pytest.fail("it was trained again"))
    again = run(job)
    assert again["status"] == "finished" and again["last"] is not None


def test_a_diverged_run_stays_diverged_whatever_became_of_its_best_weights(ring: Make, tmp_path: Path) -> None:
    job = make_job(at_once(ring), tmp_path)
    run(job)
    (job.path / "best" / "generator.safetensors").write_bytes(b"damaged")
    found = run(job)
    assert found["status"] == "diverged" and "divergence.limit" in found["error"]


def test_a_damaged_record_is_the_error_of_its_run(ring: Make, tmp_path: Path) -> None:
    job = make_job(ring(), tmp_path)
    run(job)
    record = job.path / "metrics.jsonl"
    record.write_text("{damaged\n" + record.read_text())
    found = run(with_budget(job, num_real=256))
    assert found["status"] == "failed" and "metrics.jsonl is damaged in line 1" in found["error"]


def test_a_job_whose_process_died_has_its_records_figures(ring: Make, tmp_path: Path) -> None:
    job = make_job(ring(), tmp_path)
    done = run(job)
    lost = failed(job, "its process was killed by SIGKILL")
    assert lost == strictly(job.path) and lost["error"] == "its process was killed by SIGKILL"
    kept = ("num_real", "seconds", "last_seen", "best_seen", "untrained", "metric")
    assert all(lost[key] == done[key] for key in kept) and lost["last"] is None
    nothing = failed(replace(job, path=tmp_path / "elsewhere"), "it never began")
    assert nothing["num_real"] == 0 and nothing["metric"] is None


def test_an_interruption_is_passed_on_and_the_job_goes_on_later(
    ring: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, train = make_job(ring(), tmp_path), jobs.train

    def stop(*arguments: Any, **options: Any) -> None:
        raise Interrupted(15, "stopped by a signal")

    monkeypatch.setattr(jobs, "train", stop)
    with pytest.raises(Interrupted):
        run(job)
    assert read_outcome(job.path) is None
    monkeypatch.setattr(jobs, "train", train)
    assert run(job)["status"] == "finished"


# Damage and company


@for_each("content", ["", "{", "[]", "null", '{"status": "finished"}', "\x00\x00"])
def test_a_damaged_outcome_is_named(content: str, ring: Make, tmp_path: Path) -> None:
    job = make_job(ring(), tmp_path)
    assert job.outcome() is None
    job.path.mkdir(parents=True)
    (job.path / "outcome.json").write_text(content)
    with pytest.raises(ValueError, match=r"nats/seed0/outcome.json is damaged"):
        job.outcome()


def test_a_digit_of_an_outcome_that_changed_is_noticed(ring: Make, tmp_path: Path) -> None:
    job = make_job(at_once(ring), tmp_path)
    found = run(job)
    assert job.outcome() == found
    file = job.path / "outcome.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"num_real": content["num_real"] + 1}))
    with pytest.raises(ValueError, match=r"nats/seed0/outcome.json is damaged: its content has changed"):
        job.outcome()
    file.write_text(json.dumps({key: value for key, value in content.items() if key != "sha256"}))
    with pytest.raises(ValueError, match=r"outcome.json is damaged: its content has changed"):
        job.outcome()


def test_a_process_that_is_still_saving_is_waited_for(
    ring: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(ring(), tmp_path)
    held = RunDirectory(job.path).locked()
    held.__enter__()
    waits = []

    def let_go(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            held.__exit__(None, None, None)

    monkeypatch.setattr(jobs, "sleep", let_go)
    assert run(job)["status"] == "finished" and len(waits) == 2


def test_a_directory_that_is_not_let_go_of_is_a_failure(
    ring: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_SECONDS_TO_LET_GO", -1.0)
    job = make_job(ring(), tmp_path)
    with RunDirectory(job.path).locked():
        found = run(job)
    assert found["status"] == "failed" and DirectoryInUse.__name__ in found["error"]


@pytest.mark.runs
def test_training_uses_the_threads_of_the_experiment(ring: Make, tmp_path: Path) -> None:
    run(make_job(ring(threads=2, budget=Budget(num_real=16)), tmp_path))
    assert torch.get_num_threads() == 2
