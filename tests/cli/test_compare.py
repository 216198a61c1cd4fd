"""`ganneal compare` as a person meets it: what it takes, what it refuses by name, the table, the frozen flags."""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import compare as command
from ganneal.cli import main
from ganneal.comparison import LocalProcesses, Study
from ganneal.comparison.job import Job, run
from ganneal.comparison.study import Like
from ganneal.data import Folder
from ganneal.experiments import EXPERIMENTS, named
from ganneal.losses import LOSSES
from ganneal.machine import Machine
from ganneal.storage.encoding import encode
from ganneal.training.interruption import Interrupted

pytestmark = pytest.mark.usefixtures("empty_pictures")

Cli = Callable[..., tuple[int, str, str]]

TINY = (
    *("--model.width", "8", "--data.num-samples", "200", "--batch-size", "16", "--threads", "1"),
    *("--records.log-every", "32", "--records.evaluate-every", "32", "--records.evaluate-count", "40"),
    *("--records.evaluate-share", "1", "--records.sample-count", "4", "--records.no-tensorboard"),
)
CLOCK = ("--num-real", "64")


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Run `ganneal compare` in an empty folder; the exit status, and both streams without the frames of errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(["compare", *arguments])
        except SystemExit as exit:
            assert exit.code is None or isinstance(exit.code, int)
            status = exit.code or 0
        out, err = capsys.readouterr()
        return status, out, re.sub(r"[\s│╭╮╰╯─]+", " ", err)

    return call


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Study, str, Any]]:
    """The studies that would be run, with folder and executor; none is."""
    asked: list[tuple[Study, str, Any]] = []

    class Nothing:
        def table(self) -> str:
            return "a table"

    def take(study: Study, folder: str, executor: Any, **options: Any) -> Nothing:
        asked.append((study, folder, executor))
        return Nothing()

    monkeypatch.setattr(command, "compare", take)
    return asked


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Jobs run in this process, one after the other; those that were."""
    done: list[Job] = []

    class Here:
        slots = threads = 1

        def __init__(self, jobs: int):
            self.waiting: list[Job] = []

        def start(self, job: Job) -> None:
            self.waiting.append(job)

        def ended(self) -> list[tuple[Job, str | None]]:
            job = self.waiting.pop(0)
            done.append(job)
            run(job)
            return [(job, None)]

        def stop(self) -> None:
            pass

    monkeypatch.setattr(command, "LocalProcesses", Here)
    return done


Studies = list[tuple[Study, str, Any]]


# What is asked for


def test_help_names_every_experiment_and_the_flags_are_the_frozen_ones(cli: Cli) -> None:
    status, out, err = cli("--help")
    assert (status, err) == (0, "") and set(EXPERIMENTS) <= set(re.findall(r"[\w-]+", out))
    assert cli() == cli("ring-cts", "--help") == (status, out, err)
    options = set(re.findall(r"(?m)^ +(--[a-z-]+)", out)) | set(re.findall(r"   (--[a-z-]+)", out))
    assert options == {
        *("--num-real", "--d-updates", "--seconds", "--cpu-seconds", "--g-updates"),
        *("--seeds", "--controls", "--baseline", "--jobs", "--cluster", "--out", "--help-all"),
    }


def test_arms_have_labels_changes_and_switches_of_their_own(cli: Cli, studies: Studies) -> None:
    arms = ("digits-nats", "a=digits-nats,loss=hinge,scheme.levels=3", "b=digits-cts,flip,no-keep-d-buffers")
    assert cli(*arms, "--seconds", "60", "--precision", "bf16")[0] == 0
    [(study, folder, _)] = studies
    plain, hinge, mirrored = (arm.experiment for arm in study.arms)
    assert [arm.name for arm in study.arms] == ["digits-nats", "a", "b"]
    assert hinge.loss == LOSSES["hinge"] and hinge.scheme.levels == 3  # type: ignore[attr-defined]
    assert (mirrored.flip, mirrored.keep_d_buffers) == (True, False)
    assert (plain.flip, plain.keep_d_buffers) == (False, True)
    assert {experiment.precision for experiment in (plain, hinge, mirrored)} == {"bf16"}
    assert (study.clock, study.amount, study.seeds, study.baseline) == ("seconds", 60.0, (0, 1, 2), "digits-nats")
    assert folder == "runs/compare-digits-nats"


def test_an_arms_own_change_wins_over_one_for_all(cli: Cli, studies: Studies) -> None:
    assert cli("a=ring-cts,batch-size=8", "b=ring-cts", *CLOCK, "--batch-size", "32")[0] == 0
    assert [arm.experiment.batch_size for arm in studies[0][0].arms] == [8, 32]


@pytest.mark.parametrize(("given", "seeds"), [("1", (0,)), ("4", (0, 1, 2, 3)), ("0,3,7", (0, 3, 7)), ("5,2", (5, 2))])
def test_seeds_are_a_number_or_a_list(given: str, seeds: tuple[int, ...], cli: Cli, studies: Studies) -> None:
    assert cli("ring-cts", *CLOCK, "--seeds", given)[0] == 0
    assert studies[0][0].seeds == seeds


@pytest.mark.parametrize("clock", ["num_real", "d_updates", "g_updates", "seconds"])
def test_every_clock_can_be_what_the_arms_are_equal_in(clock: str, cli: Cli, studies: Studies) -> None:
    assert cli("ring-cts", f"--{clock.replace('_', '-')}=1000")[0] == 0
    assert (studies[0][0].clock, studies[0][0].amount) == (clock, 1000.0)


def test_controls_come_with_common_training_as_baseline(cli: Cli, studies: Studies) -> None:
    assert cli("nats=ring-nats", "--controls", *CLOCK)[0] == 0
    assert cli("nats=ring-nats", "cts=ring-cts", "--controls", *CLOCK, "--baseline", "nats")[0] == 0
    first, second = (study for study, _, _ in studies)
    assert {arm.name for arm in first.arms} == {"nats", "cts", "cts-equal-seconds", "nts", "matched-step"}
    assert {arm.name for arm in second.arms} == {arm.name for arm in first.arms}
    assert (first.baseline, second.baseline) == ("cts", "nats")
    assert first.arm("cts-equal-seconds").like == Like("nats", "seconds")


def test_runs_at_once_share_the_threads_unless_an_arm_says(
    cli: Cli, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganneal.comparison.executors.cores", lambda: 8)
    assert EXPERIMENTS["cifar10-cts"]().threads is None
    assert cli("cifar10-cts", "b=cifar10-cts,threads=3", *CLOCK, "--jobs", "2", "--out", "here")[0] == 0
    [(study, folder, executor)] = studies
    assert isinstance(executor, LocalProcesses) and executor.slots == 2 and folder == "here"
    assert [arm.experiment.threads for arm in study.arms] == [4, 3]


# What is refused


@for_each(
    ("arguments", "message"),
    [
        (("--num-real", "64"), "the arms must come first"),
        (("ring-ctss", *CLOCK), "Did you mean 'ring-cts'?"),
        (("a=ring-ctss", *CLOCK), "unknown experiment 'ring-ctss'"),
        (("a/b=ring-cts", *CLOCK), "the name of an arm must be usable as a folder"),
        (("=ring-cts", *CLOCK), "the name of an arm must be usable as a folder"),
        (("results.json=ring-cts", *CLOCK), "be one of study.json, results.json"),
        (("ring-cts", "ring-cts", *CLOCK), "arms must be one or more with different names"),
        (("ring-cts,--flip", *CLOCK), "changes of an arm are OPTION=VALUE, or a SWITCH such as flip, without dashes"),
        (("ring-cts,", *CLOCK), "changes of an arm are OPTION=VALUE"),
        (("ring-cts,loss=hing", *CLOCK), "Did you mean 'hinge'?"),
        (("ring-cts,flipp", *CLOCK), "--flipp"),
        (("ring-cts", *CLOCK, "--scheme.levels", "3"), "--scheme.levels"),
        (("ring-cts,seed=3", *CLOCK), "--seed is the study's to set"),
        (("ring-cts", *CLOCK, "--seed", "3"), "--seed is the study's to set"),
        (("ring-cts,budget.g_updates=3", *CLOCK), "give --g-updates AMOUNT"),
        (("ring-cts", "--budget.num-real", "3", *CLOCK), "give --num-real AMOUNT"),
        (("ring-cts",), "in which the arms are equal, got 0"),
        (("ring-cts", *CLOCK, "--seconds", "3"), "in which the arms are equal, got 2"),
        (("ring-cts", "--num-real", "many"), "--num-real must be a number, got 'many'"),
        (("ring-cts", "--num-real", "1.5"), "whole but for times, got 1.5 num_real"),
        (("ring-cts", "--seconds", "nan"), "amount must be above 0, finite"),
        (("ring-cts", "--seconds", "-1"), "amount must be above 0, finite"),
        (("ring-cts", *CLOCK, "--seeds", "0"), "--seeds must be a number of seeds of at least 1"),
        (("ring-cts", *CLOCK, "--seeds", "0,x"), "--seeds must be a number of seeds"),
        (("ring-cts", *CLOCK, "--seeds", "3,3"), "seeds must be one or more different numbers"),
        (("ring-cts", *CLOCK, "--jobs", "two"), "--jobs must be a whole number, got 'two'"),
        (("ring-cts", *CLOCK, "--jobs", "0"), "jobs must be at least 1, got 0"),
        (("ring-cts", *CLOCK, "--out", "--jobs", "2"), "--out needs a value"),
        (("ring-cts", *CLOCK, "--jobs", "--out", "x"), "--jobs needs a value"),
        (("ring-cts", *CLOCK, "--out"), "--out needs a value"),
        (("ring-cts", "--num-real", "--seeds", "2"), "--num-real needs a value"),
        (("ring-cts", *CLOCK, "--jobs", "2", "--cluster", "auto"), "--jobs is for this machine alone"),
        (("ring-cts", *CLOCK, "--baseline", "ring-ct"), "Did you mean 'ring-cts'?"),
        (
            ("ring-cts", *CLOCK, "--baseline", "zoo:digits-nats"),
            "one that starts there is LABEL=EXPERIMENT,init-from=zoo:digits-nats",
        ),
        (
            ("ring-cts", *CLOCK, "--controls"),
            "--controls needs one arm with a nested annealed scheme or annealed functional gradients, got []",
        ),
        (("a=ring-nats", "b=ring-nats", *CLOCK, "--controls"), "got ['a', 'b']"),
        (("a=ring-nats,scheme.weights=matched-constant", *CLOCK, "--controls"), "got []"),
        (("nats=ring-nats", "cts=ring-cts,flip", *CLOCK, "--controls"), "has the name of a control and is another"),
        (("ring-cts", "b=ring-cts,data.num-samples=9", *CLOCK), "arms must be measured alike"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_explained_and_nothing_is_written(
    arguments: tuple[str, ...], message: str, cli: Cli, tmp_path: Path
) -> None:
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "") and message in err and "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_the_directory_of_a_run_is_refused(cli: Cli, here: list[Job], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "experiment.json").write_text("{}")
    status, _, err = cli("ring-cts", *CLOCK, "--out", "run")
    assert status == 2 and "out must be a new directory or one of a comparison" in err and here == []


# What comes out


@pytest.mark.runs
def test_the_table_is_printed_and_the_same_command_repeats_nothing(cli: Cli, here: list[Job], tmp_path: Path) -> None:
    arguments = ("a=ring-nats,scheme.levels=2", "b=ring-cts", *CLOCK, "--seeds", "2", *TINY, "--out", "out")
    status, out, err = cli(*arguments)
    assert status == 0 and len(here) == 4
    head, rule, *rows = out.splitlines()[:4]
    assert head == (
        "| arm | runs | FD-points, last | best | last/best, geometric | num real | d updates | g updates | seconds "
        "| CPU seconds | G step per D update |"
    )
    assert [row.split(" | ")[:2] for row in rows] == [["| a", "2 of 2"], ["| b", "2 of 2"]]
    assert [row.split(" | ")[5:8] for row in rows] == [["64", "4", "4"], ["64", "4", "3"]]
    assert re.search(r"^- (no difference shown: b minus a is|b better than a|b worse than a)", out, re.MULTILINE)
    assert out.splitlines()[-1] == "out/table.md, out/results.json"
    assert (tmp_path / "out" / "table.md").read_text() + "\nout/table.md, out/results.json\n" == out
    assert "a seed 0: begins" in err and "b seed 1: finished, FD-points" in err

    command_line = json.loads((tmp_path / "out" / "results.json").read_text())["command"]
    assert command_line == " ".join(["ganneal", "compare", *arguments])
    again = cli(*arguments)
    assert again == (0, out, "") and len(here) == 4
    status, other, _ = cli(*arguments, "--baseline", "b")
    assert status == 0 and other != out and len(here) == 4


@pytest.mark.runs
def test_all_arms_on_a_path_share_choices_that_the_study_keeps(
    cli: Cli, here: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "mine.npz", images=images)
    asked: list[str] = []
    choose = named.image_choices
    monkeypatch.setattr(named, "image_choices", lambda path, _: asked.append(path) or choose(path))
    tiny = [option for option in TINY if option not in ("--data.num-samples", "200", "--batch-size", "16")]
    arguments = ("a=mine.npz,recipe=nats,scheme.levels=2", "mine.npz,loss=hinge", *CLOCK, "--seeds", "1", *tiny)
    status, out, err = cli(*arguments)
    assert status == 0 and asked == ["mine.npz"] and "mine.npz: chosen from the data" in err
    kept = json.loads((tmp_path / "runs/compare-a/study.json").read_text())["chosen"]["mine.npz"]
    assert (kept["recipe"]["value"], kept["count"]["value"]) == ("dcgan", 40)

    other = {"count": replace(choose("mine.npz")["count"], value=4)}
    monkeypatch.setattr(named, "image_choices", lambda path, _: choose(path) | other)
    assert cli(*arguments)[:2] == (0, out) and len(here) == 2
    status, _, err = cli(*arguments[:1], "b=mine.npz", *arguments[1:])
    assert status == 0, err
    assert len(here) == 3 and here[-1].experiment.batch_size == 8


def test_a_folder_keeps_what_was_chosen_though_its_images_and_the_machine_change(
    cli: Cli, studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(accelerator=False, bfloat16=False)
    monkeypatch.setattr(sys.modules["ganneal.experiments.images"], "this_machine", lambda: machine)
    (tmp_path / "mine").mkdir()

    def draw(count: int, side: int) -> None:
        for index in range(count):
            Image.new("RGB", (side, side), (index, 0, 0)).save(tmp_path / "mine" / f"{index:03}.png")

    def settings(*arguments: str) -> Any:
        assert cli("mine", *CLOCK, "--seeds", "1", *arguments)[0] == 0
        experiment = studies[-1][0].arms[-1].experiment
        source = experiment.data
        assert isinstance(source, Folder)
        return source.size, source.channels, experiment.batch_size, experiment.precision, experiment.flip

    draw(40, 8)
    before = settings()
    (tmp_path / "runs" / "compare-mine").mkdir(parents=True)
    chosen_then = encode({"mine": named.image_choices("mine")})
    study = {"format": 1, "chosen": chosen_then}
    (tmp_path / "runs" / "compare-mine" / "study.json").write_text(json.dumps(study))
    draw(600, 32)
    machine = Machine(accelerator=False, bfloat16=True)
    assert settings() == before == (8, 3, 8, "float32", True)
    assert settings("--data.size", "16") == (16, *before[1:])
    assert settings("--out", "other") == (32, 3, 16, "bf16", True)


def test_a_stopped_comparison_says_where_it_is_kept_and_how_it_ended(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*arguments: Any, **options: Any) -> None:
        raise Interrupted(15, "stopped by a signal.")

    monkeypatch.setattr(command, "compare", stop)
    status, out, err = cli("ring-cts", *CLOCK, "--out", "kept")
    assert (status, out) == (143, "")
    assert err.strip() == "stopped; finished runs are kept in kept. The same command goes on."
