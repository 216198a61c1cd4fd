"""Running a study: every job once, whatever becomes of its processes; a scripted executor stands for them."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganneal.comparison import schedule
from ganneal.comparison.executors import Executor
from ganneal.comparison.job import Job, seal
from ganneal.comparison.results import Results
from ganneal.comparison.study import Arm, Like, Study
from ganneal.data import Arrays
from ganneal.experiment import Budget
from ganneal.schemes import Alternating, Nested
from ganneal.storage.run_directory import DirectoryInUse, RunDirectory
from ganneal.training import forewarning
from ganneal.training.interruption import Interrupted

Make = Callable[..., Any]
Key = tuple[str, int]
Act = Callable[[Job], str | None]
"""What becomes of a process: it may write an outcome, and says how it died if it did."""
KILLED = "its process was killed by SIGKILL"


def writes(outcome: Make, **changes: Any) -> Act:
    """A process that ends as it should, with an outcome for the job's budget."""

    def act(job: Job) -> None:
        budget = job.experiment.budget
        limits = {field.name: getattr(budget, field.name) for field in fields(budget)}
        used = {clock: limit for clock, limit in limits.items() if limit is not None}
        put(job.path, outcome(job.arm, job.seed, **({"budget": limits} | used | changes)))

    return act


def dies(job: Job) -> str:
    return KILLED


def put(path: Path, content: dict[str, Any]) -> None:
    path.mkdir(parents=True, exist_ok=True)
    (path / "outcome.json").write_text(json.dumps(content | {"sha256": seal(content)}))


class Script:
    """An executor whose jobs end one by one, in the order they began, as is written for them; else they finish."""

    threads = 1

    def __init__(self, outcome: Make, slots: int = 1, **acts: Sequence[Act]):
        self.slots, self.otherwise = slots, writes(outcome)
        self.acts = {name: list(given) for name, given in acts.items()}
        self.started: list[Key] = []
        self.jobs: list[Job] = []
        self.running: list[Job] = []
        self.most = 0
        self.stopped = False
        self.meanwhile: Callable[[], None] = lambda: None

    def start(self, job: Job) -> None:
        self.started.append(job.key)
        self.jobs.append(job)
        self.running.append(job)
        self.most = max(self.most, len(self.running))

    def ended(self) -> list[tuple[Job, str | None]]:
        self.meanwhile()
        job = self.running.pop(0)
        script = self.acts.get(f"{job.arm}{job.seed}")
        return [(job, (script.pop(0) if script else self.otherwise)(job))]

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def script(outcome: Make) -> Callable[..., Script]:
    return lambda *arguments, **acts: Script(outcome, *arguments, **acts)


def compare(study: Study, out: Path, executor: Script) -> tuple[Results, list[str]]:
    assert isinstance(executor, Executor)
    said: list[str] = []
    return schedule.compare(study, out, executor, say=said.append, command="ganneal compare"), said


def statuses(results: Results) -> dict[Key, str]:
    return {(arm["name"], run["seed"]): run["status"] for arm in results.content["arms"] for run in arm["runs"]}


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}


ALL = [("nats", 0), ("cts", 0), ("nats", 1), ("cts", 1)]


# In order, and once


def test_every_job_runs_once_seed_by_seed_and_the_results_are_written(
    study: Make, script: Make, tmp_path: Path
) -> None:
    executor = script()
    results, said = compare(study(), tmp_path, executor)
    assert executor.started == ALL and statuses(results) == dict.fromkeys(ALL, "finished")
    assert json.loads((tmp_path / "results.json").read_text())["arms"] == results.content["arms"]
    assert (tmp_path / "table.md").read_text() == results.table()
    assert said[0] == "nats seed 0: begins"
    assert said[1] == "nats seed 0: finished, FD-points 3, 128 images, 2 s; 1 of 4 done"
    assert said[-1].endswith("; 4 of 4 done")
    assert [job.experiment.seed for job in executor.jobs] == [0, 0, 1, 1]
    assert {job.experiment.budget.num_real for job in executor.jobs} == {128}


@pytest.mark.parametrize("slots", [1, 2, 3, 9])
def test_as_many_run_at_once_as_there_are_slots(slots: int, study: Make, script: Make, tmp_path: Path) -> None:
    executor = script(slots)
    compare(study(), tmp_path, executor)
    assert executor.most == min(slots, 4) and sorted(executor.started) == sorted(ALL)


def test_a_study_whose_directory_was_removed_meanwhile_goes_on_by_the_same_call(
    study: Make, script: Make, tmp_path: Path
) -> None:
    executor, out = script(), tmp_path / "out"

    def remove() -> None:
        if len(executor.started) == 2:
            shutil.rmtree(out)

    executor.meanwhile = remove
    compare(study(), out, executor)
    again = script()
    results, _ = compare(study(), out, again)
    assert again.started == ALL[:1] and statuses(results) == dict.fromkeys(ALL, "finished")


def test_what_is_foretold_of_arms_is_said_before_they_begin(
    study: Make, script: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forewarning, "processor_computes_bfloat16", lambda: False)
    both = study()
    mixed = tuple(replace(arm, experiment=replace(arm.experiment, precision="bf16")) for arm in both.arms)
    for arms, named in ((mixed, "all"), ((both.arms[0], mixed[1]), mixed[1].name)):
        _, said = compare(replace(both, arms=arms), tmp_path / named, script())
        assert said[0].startswith(f"warning for {named}: This processor has no arithmetic for bfloat16")
        assert said[1] == "nats seed 0: begins"


def test_an_outcome_known_from_elsewhere_is_no_run_and_the_others_are_told_of_as_they_end(
    study: Make, script: Make, outcome: Make, tmp_path: Path
) -> None:
    known, told, executor = {("nats", 0): outcome(last=7.0)}, [], script()
    results = schedule.compare(
        study(), tmp_path, executor, known=known, ended=lambda job, outcome: told.append((job.key, outcome["last"]))
    )
    assert executor.started == ALL[1:] and told == [(key, 3.0) for key in ALL[1:]]
    assert [run["last"] for run in results.content["arms"][0]["runs"]] == [7.0, 3.0]
    told.clear()
    schedule.compare(study(), tmp_path, script(), ended=lambda job, outcome: told.append(job.key))
    assert told == [*ALL[1:], ALL[0]]  # those of the call before are told of again; the other one is run now


def test_an_arm_like_an_outcome_known_from_elsewhere_takes_its_processor_seconds(
    study: Make, script: Make, ring: Make, outcome: Make, tmp_path: Path
) -> None:
    arms = (Arm("nats", ring()), Arm("cts", ring(), Like("nats", "cpu_seconds")))
    executor = script()
    known = {("nats", 0): outcome(cpu_seconds=2.25)}
    schedule.compare(study(arms=arms, seeds=(0,), baseline="nats"), tmp_path, executor, known=known)
    assert [job.experiment.budget for job in executor.jobs] == [Budget(cpu_seconds=2.25)]


def test_the_same_call_repeats_nothing(study: Make, script: Make, tmp_path: Path) -> None:
    first, _ = compare(study(), tmp_path, script())
    before = files(tmp_path)
    again = script()
    results, said = compare(study(), tmp_path, again)
    assert again.started == [] and said == [] and results.content["arms"] == first.content["arms"]
    assert files(tmp_path) == before


def test_more_seeds_and_arms_run_alone(study: Make, ring: Make, script: Make, tmp_path: Path) -> None:
    compare(study(), tmp_path, script())
    more = study(seeds=(2, 0, 1), arms=(*study().arms, Arm("nts", ring(scheme=Nested(2)))))
    executor = script()
    results, _ = compare(more, tmp_path, executor)
    assert executor.started == [("nats", 2), ("cts", 2), ("nts", 2), ("nts", 0), ("nts", 1)]
    assert len(statuses(results)) == 9


def test_a_larger_amount_goes_on_with_every_run(study: Make, script: Make, tmp_path: Path) -> None:
    compare(study(), tmp_path, script())
    executor = script()
    results, said = compare(study(amount=256), tmp_path, executor)
    assert executor.started == ALL and said[0] == "nats seed 0: going on"
    assert {run["num_real"] for arm in results.content["arms"] for run in arm["runs"]} == {256}


def test_results_on_the_way_hold_the_runs_of_earlier_processes(
    study: Make, script: Make, outcome: Make, tmp_path: Path
) -> None:
    compare(study(), tmp_path, script())
    executor, seen = script(), []
    more = study(seeds=(5, 0, 1))  # the new seed comes first and fills the only slot

    def look(job: Job) -> None:
        writes(outcome)(job)
        seen.append({(a["name"], r["seed"]) for a in read(tmp_path)["arms"] for r in a["runs"]})

    executor.acts = {"cts5": [look]}
    compare(more, tmp_path, executor)
    assert seen == [{*ALL, ("nats", 5)}]


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / "results.json").read_text())


# An arm like another


def like_nats(study: Make, ring: Make, clock: str = "seconds") -> Study:
    arms = (Arm("equal", ring(scheme=Alternating()), Like("nats", clock)), Arm("nats", ring()))  # type: ignore[arg-type]
    return study(arms=arms, baseline="nats")


def test_an_arm_like_another_waits_for_it_and_has_what_it_used(
    study: Make, ring: Make, script: Make, outcome: Make, tmp_path: Path
) -> None:
    executor = script(9, nats0=[writes(outcome, seconds=2.5)], nats1=[writes(outcome, seconds=3.5)])
    results, _ = compare(like_nats(study, ring), tmp_path, executor)
    assert executor.started == [("nats", 0), ("nats", 1), ("equal", 0), ("equal", 1)]
    assert [job.experiment.budget.seconds for job in executor.jobs] == [None, None, 2.5, 3.5]
    assert executor.jobs[2].experiment.budget.num_real is None and len(statuses(results)) == 4


def test_an_arm_like_a_failed_run_fails_with_it_and_is_tried_again_with_it(
    study: Make, ring: Make, script: Make, outcome: Make, tmp_path: Path
) -> None:
    half = writes(outcome, status="failed", error="OSError: no space", num_real=64, seconds=0.5, last=None, best=None)
    executor = script(nats0=[half])
    results, _ = compare(like_nats(study, ring), tmp_path, executor)
    assert ("equal", 0) not in executor.started and statuses(results)["equal", 0] == "failed"
    equal = read(tmp_path)["arms"][0]["runs"][0]
    assert equal["error"] == "nats seed 0 failed, so there are no seconds to be equal to"
    again = script()
    results, _ = compare(like_nats(study, ring), tmp_path, again)
    assert again.started == [("nats", 0), ("equal", 0)] and set(statuses(results).values()) == {"finished"}


def test_an_arm_like_a_diverged_run_has_what_that_used(
    study: Make, ring: Make, script: Make, outcome: Make, tmp_path: Path
) -> None:
    early = writes(outcome, status="diverged", error="d_loss is nan", d_updates=3, num_real=48)
    nothing = writes(outcome, status="diverged", error="d_loss is nan", d_updates=0, num_real=0)
    executor = script(nats0=[early], nats1=[nothing])
    results, _ = compare(like_nats(study, ring, "d_updates"), tmp_path, executor)
    assert [job.experiment.budget.d_updates for job in executor.jobs if job.arm == "equal"] == [3]
    assert statuses(results)["equal", 1] == "failed"
    assert "nats seed 1 did nothing, so there are no D updates" in read(tmp_path)["arms"][0]["runs"][1]["error"]


# Processes that die


def test_a_process_that_died_goes_on_once_more(study: Make, script: Make, tmp_path: Path) -> None:
    executor = script(nats0=[dies])
    results, said = compare(study(), tmp_path, executor)
    assert executor.started == [("nats", 0), *ALL] and set(statuses(results).values()) == {"finished"}
    assert f"nats seed 0: {KILLED}; once more" in said


def test_a_process_that_died_twice_failed_and_is_tried_again_by_the_next_call(
    study: Make, script: Make, tmp_path: Path
) -> None:
    results, said = compare(study(), tmp_path, script(nats0=[dies, dies]))
    assert statuses(results) == dict.fromkeys(ALL, "finished") | {("nats", 0): "failed"}
    assert f"- nats seed 0 failed: {KILLED}" in results.table() and f"nats seed 0: failed ({KILLED})" in said[3]
    again = script()
    results, _ = compare(study(), tmp_path, again)
    assert again.started == [("nats", 0)] and set(statuses(results).values()) == {"finished"}


def test_a_process_that_died_after_its_outcome_has_it(study: Make, script: Make, outcome: Make, tmp_path: Path) -> None:
    def at_the_end(job: Job) -> str:
        writes(outcome)(job)
        return KILLED

    executor = script(nats0=[at_the_end], cts0=[dies, at_the_end])
    results, _ = compare(study(), tmp_path, executor)
    assert set(statuses(results).values()) == {"finished"}
    assert executor.started == [("nats", 0), ("cts", 0), ("cts", 0), ("nats", 1), ("cts", 1)]


@pytest.mark.parametrize("stale", ["failed", "of a smaller budget", "diverged at a larger"])
def test_a_process_that_died_without_an_outcome_does_not_get_an_old_one(
    stale: str, study: Make, script: Make, outcome: Make, tmp_path: Path
) -> None:
    old = {
        "failed": outcome(status="failed", error="OSError: no space"),
        "of a smaller budget": outcome(
            budget={"num_real": 64, "d_updates": None, "g_updates": None, "seconds": None, "cpu_seconds": None}
        ),
        "diverged at a larger": outcome(status="diverged", budget={"num_real": 999}, num_real=512),
    }[stale]
    put(tmp_path / "nats" / "seed0", old)
    (tmp_path / "study.json").write_text(json.dumps(study().describe() | {"format": 1, "amount": 64, "seeds": [0]}))
    results, _ = compare(study(), tmp_path, script(nats0=[dies, dies]))
    run = read(tmp_path)["arms"][0]["runs"][0]
    assert (run["status"], run["error"]) == ("failed", KILLED) and statuses(results)["cts", 0] == "finished"


def test_a_process_that_ends_well_without_an_outcome_is_no_success(study: Make, script: Make, tmp_path: Path) -> None:
    def forgets(job: Job) -> None:
        return None

    results, said = compare(study(seeds=(0,)), tmp_path, script(nats0=[forgets, forgets]))
    assert statuses(results)["nats", 0] == "failed" and "its process ended without an outcome" in results.table()
    assert "nats seed 0: its process ended without an outcome; once more" in said


def test_failures_and_divergence_are_rows_and_the_others_run(
    study: Make, script: Make, outcome: Make, tmp_path: Path
) -> None:
    fails = writes(outcome, status="failed", error="ValueError: no such file\nat all", last=None, best=None)
    diverges = writes(outcome, status="diverged", error="d_loss is nan")
    results, said = compare(study(), tmp_path, script(nats0=[fails], cts1=[diverges]))
    assert statuses(results) == dict(zip(ALL, ["failed", "finished", "finished", "diverged"], strict=True))
    assert any(
        line.startswith("nats seed 0: failed (ValueError: no such file), no value, 128 images, 2 s") for line in said
    )


# Damage


@pytest.mark.parametrize("content", ["{", "[]", '{"status": "finished"}'])
def test_a_damaged_outcome_is_named_and_its_run_alone_is_made_again(
    content: str, study: Make, script: Make, tmp_path: Path
) -> None:
    compare(study(), tmp_path, script())
    (tmp_path / "cts" / "seed1" / "outcome.json").write_text(content)
    executor = script()
    results, said = compare(study(), tmp_path, executor)
    assert executor.started == [("cts", 1)] and set(statuses(results).values()) == {"finished"}
    assert said[0].startswith("cts seed 1: passing over its outcome, which is made again: ")
    assert f"{tmp_path}/cts/seed1/outcome.json is damaged" in said[0]


def test_an_outcome_that_is_damaged_as_it_comes_is_made_once_more(study: Make, script: Make, tmp_path: Path) -> None:
    def garbles(job: Job) -> None:
        job.path.mkdir(parents=True, exist_ok=True)
        (job.path / "outcome.json").write_text("{")

    results, _ = compare(study(), tmp_path, script(nats0=[garbles], cts0=[garbles, garbles]))
    assert statuses(results) == dict.fromkeys(ALL, "finished") | {("cts", 0): "failed"}


def test_a_damaged_description_of_one_run_does_not_keep_the_others_from_running(
    study: Make, script: Make, tmp_path: Path
) -> None:
    compare(study(seeds=(0,)), tmp_path, script())
    (tmp_path / "nats" / "seed0" / "experiment.json").write_text("{")
    executor = script()
    compare(study(), tmp_path, executor)
    assert executor.started == [("nats", 1), ("cts", 1)]


def test_a_damaged_study_is_refused_by_name(study: Make, script: Make, tmp_path: Path) -> None:
    compare(study(), tmp_path, script())
    for content, said in (("{", "study.json is damaged"), ("[]", "is damaged"), ("{}", "is no comparison of format 1")):
        (tmp_path / "study.json").write_text(content)
        before = files(tmp_path)
        with pytest.raises(ValueError, match=said):
            compare(study(), tmp_path, script())
        assert files(tmp_path) == before


# Another study


def test_another_baseline_and_name_run_nothing_and_change_the_verdicts(
    study: Make, script: Make, tmp_path: Path
) -> None:
    compare(study(), tmp_path, script())
    executor = script()
    results, _ = compare(study(baseline="nats", name="other"), tmp_path, executor)
    assert executor.started == [] and results.content["baseline"] == "nats"
    assert [arm["verdict"] is None for arm in results.content["arms"]] == [True, False]
    assert json.loads((tmp_path / "study.json").read_text())["baseline"] == "nats"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"clock": "seconds"}, "clock: num_real -> seconds"),
        ({"amount": 1_000_000}, "amount: 1,000,001 -> 1,000,000"),
        ({"arms": "wider"}, r"arms.nats.experiment.model.width: 8 -> 16"),
        ({"arms": "like"}, r"arms.cts.like"),
    ],
)
def test_a_study_that_would_mix_runs_is_refused_and_nothing_changes(
    changes: dict[str, Any], said: str, study: Make, ring: Make, script: Make, tmp_path: Path
) -> None:
    from ganneal.models import MLP

    compare(study(amount=1_000_001), tmp_path, script())
    arms = {
        "wider": (Arm("nats", ring(model=MLP(width=16, depth=2, latent_size=2))), study().arms[1]),
        "like": (study().arms[0], Arm("cts", study().arms[1].experiment, Like("nats", "seconds"))),
    }
    changes = {"amount": 1_000_001} | changes
    before = files(tmp_path)
    with pytest.raises(ValueError, match=f"holds another study:(.|\n)*{said}"):
        compare(study(**(changes | {"arms": arms.get(changes.get("arms", ""), study().arms)})), tmp_path, script())
    assert files(tmp_path) == before


def test_a_run_of_another_experiment_at_an_arms_place_is_refused(
    study: Make, ring: Make, script: Make, tmp_path: Path
) -> None:
    compare(study(), tmp_path, script())
    description = {"experiment": json.loads(json.dumps(ring(seed=1, flip=True).identity()))}
    (tmp_path / "nats" / "seed1" / "experiment.json").write_text(json.dumps(description))
    with pytest.raises(ValueError, match=r"nats/seed1 holds a run of another experiment:\n  flip: True -> False"):
        compare(study(), tmp_path, script())


@pytest.mark.parametrize("left", ["experiment.json", "notes.txt"])
def test_a_directory_of_something_else_is_refused(left: str, study: Make, script: Make, tmp_path: Path) -> None:
    (tmp_path / left).write_text("{}")
    with pytest.raises(ValueError, match="out must be a new directory or one of a comparison"):
        compare(study(), tmp_path, script())
    assert [file.name for file in tmp_path.iterdir()] == [left]


def test_what_a_comparison_leaves_that_was_killed_at_once_is_no_hindrance(
    study: Make, script: Make, tmp_path: Path
) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".study.json.tmp").write_text('{"form')
    compare(study(), tmp_path, script())
    assert not list(tmp_path.rglob("*.tmp"))


# One at a time


def test_a_second_comparison_is_refused_and_takes_nothing_from_the_first(
    study: Make, script: Make, tmp_path: Path
) -> None:
    executor, refused = script(), []

    def knock() -> None:
        with pytest.raises(DirectoryInUse) as error:
            compare(study(), tmp_path / "out", script())
        refused.append(error.value)
        assert (tmp_path / "out" / ".lock").exists()

    executor.meanwhile = knock
    results, _ = compare(study(), tmp_path / "out", executor)
    assert len(refused) == 4 and len(statuses(results)) == 4


def test_the_lock_of_a_study_in_which_nothing_is_written_yet_stands(
    study: Make, script: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, refusals = schedule._begin, []

    def knock(*arguments: Any) -> bytes:
        for _ in range(2):
            monkeypatch.setattr(schedule, "_begin", lambda *_: pytest.fail("two comparisons in one directory"))
            with pytest.raises(DirectoryInUse) as error:
                compare(study(), tmp_path / "out", script())
            refusals.append(error.value)
        return begin(*arguments)

    monkeypatch.setattr(schedule, "_begin", knock)
    compare(study(), tmp_path / "out", script())
    assert len(refusals) == 2


# Stopped


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("no space"), ValueError("a fault")])
def test_whatever_ends_a_comparison_its_jobs_are_told_to_save(
    error: BaseException, study: Make, script: Make, tmp_path: Path
) -> None:
    executor = script(2)

    def fail() -> None:
        raise error

    executor.meanwhile = fail
    with pytest.raises(type(error)):
        compare(study(), tmp_path, executor)
    assert executor.stopped
    with RunDirectory(tmp_path).locked():  # it is free
        pass
    again = script()
    compare(study(), tmp_path, again)
    assert again.started == ALL and not again.stopped


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_comparison_that_waits(signum: int, study: Make, script: Make, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    executor = script()
    executor.meanwhile = lambda: os.kill(os.getpid(), signum)
    with pytest.raises(Interrupted) as stopped:
        compare(study(), tmp_path, executor)
    assert stopped.value.signum == signum and executor.stopped
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_while_the_jobs_save_another_sigterm_changes_nothing_and_another_sigint_insists(
    study: Make, script: Make, tmp_path: Path
) -> None:
    class Slow(Script):
        def stop(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)
            self.stopped = True
            os.kill(os.getpid(), signal.SIGINT)

    executor = Slow(lambda *_: {})
    executor.meanwhile = lambda: os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted, match="at once") as insisted:
        compare(study(), tmp_path, executor)
    assert executor.stopped and insisted.value.signum == signal.SIGINT


def test_a_study_goes_on_with_its_own_data_only_wherever_they_lie(
    study: Make, ring: Make, script: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8)
    np.savez(tmp_path / "data.npz", x_train=images)

    def on(path: str, **changes: Any) -> Study:
        own = ring(data=Arrays(path, labels=None), batch_size=8)
        return study(arms=(Arm("nats", own), Arm("cts", replace(own, scheme=Alternating()))), **changes)

    out = tmp_path / "study"
    compare(on(str(tmp_path / "data.npz")), out, script())
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    (tmp_path / "data.npz").rename(tmp_path / "moved.npz")
    compare(on("../moved.npz", seeds=(0, 1, 2)), out, script())
    before = files(out)
    np.savez(tmp_path / "moved.npz", x_train=images[:-3])
    with pytest.raises(ValueError, match="holds a study on other data(.|\n)*20 images when the run began, 17 now"):
        compare(on("../moved.npz", seeds=(0, 1, 2, 3)), out, script())
    assert files(out) == before
    (tmp_path / "moved.npz").unlink()
    assert compare(on("../moved.npz", seeds=(0, 1, 2)), out, script())[0].content["arms"]  # every run had ended


def test_arms_that_read_their_data_at_two_places_are_refused(study: Make, ring: Make) -> None:
    arms = (Arm("a", ring(data=Arrays("a.npz"))), Arm("b", ring(data=Arrays("b.npz"))))
    with pytest.raises(ValueError, match="place of the data.path: a.npz -> b.npz"):
        study(arms=arms, baseline="a")
