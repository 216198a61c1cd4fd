"""A run and its data: other data are refused in words, the same data are found wherever they lie by now."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import ganneal
from ganneal.cli import main
from ganneal.data import Arrays, Folder, Ring
from ganneal.data.identity import identify
from ganneal.data.messages import Remark
from ganneal.evaluation.read_again import training_data
from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics.extractors import Pixels, ResNet
from ganneal.metrics.measures import METRICS
from ganneal.models import DCGAN
from ganneal.ranks import Ranks
from ganneal.report.records import read_run
from ganneal.report.run_page import draw_sections
from ganneal.reproduction.results import check_same
from ganneal.storage.encoding import encode
from ganneal.storage.run_directory import RunDirectory
from ganneal.training import followers as following

SIZE = 8


def write(root: Path, counts: dict[str, int], level: int = 0) -> Path:
    """Bitmaps, all of one size in bytes, in a folder for each class."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = np.full((SIZE, SIZE), level + 10 * number + index, np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.bmp")
    return root


def experiment(data: Any, updates: int = 1, **changes: Any) -> Experiment:
    records = Records(evaluate_count=0, tensorboard=False, sample_count=4, log_every=8)
    return Experiment(
        name="tiny",
        data=data,
        model=DCGAN(width=2),
        batch_size=8,
        budget=Budget(d_updates=updates),
        records=changes.pop("records", records),
        threads=1,
        **changes,
    )


@pytest.fixture(autouse=True)
def same_threads() -> Any:
    """An experiment's threads are set for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Data and a run of one update beside each other."""
    write(tmp_path / "data", {"cat": 4, "dog": 8})
    ganneal.train(experiment(Folder(str(tmp_path / "data"))), tmp_path / "run")
    return tmp_path


def resumed(project: Path, updates: int = 2, **options: Any) -> Any:
    return ganneal.train(experiment(Folder(str(project / "data")), updates), project / "run", **options)


def described(run: Path) -> dict[str, Any]:
    return json.loads((run / "experiment.json").read_text())


def changed(project: Path, kind: str) -> str:
    """Change the data, and what the refusal has to say of it."""
    data = project / "data"
    match kind:
        case "removed":
            (data / "dog" / "7.bmp").unlink()
            return "12 images when the run began, 11 now\n  samples of a class: dog 8, now 7"
        case "added":
            write(data, {"cat": 4, "dog": 9})
            return "12 images when the run began, 13 now"
        case "replaced":
            write(data, {"cat": 4, "dog": 8}, level=100)
            return "as many images, but other bytes of the files: SHA-256 [0-9a-f]{12} when the run began"
        case "renamed":
            (data / "cat").rename(data / "zebra")
            return r"classes renamed: cat is zebra now \(4\)"
        case "new class":
            write(data, {"emu": 1})
            return r"classes added: emu \(1\)"
        case "other colours":
            for file in data.rglob("*.bmp"):
                Image.open(file).convert("RGB").save(file)
            return "shape 1x8x8 when the run began, 3x8x8 now"
    raise AssertionError(kind)


@pytest.mark.parametrize("kind", ["removed", "added", "replaced", "renamed", "new class", "other colours"])
def test_a_run_goes_on_with_its_own_data_only(kind: str, project: Path) -> None:
    said = changed(project, kind)
    before = {file: file.read_bytes() for file in (project / "run").rglob("*") if file.is_file()}
    with pytest.raises(ValueError, match=f"(?s)the data of .*run are not those that .*{said}.*--accept-changed-data"):
        resumed(project)
    assert {file: file.read_bytes() for file in (project / "run").rglob("*") if file.is_file()} == before


def test_changed_data_are_accepted_on_demand_and_that_is_recorded(project: Path) -> None:
    assert described(project / "run")["data"]["accepted_changes"] == []
    changed(project, "removed")
    assert resumed(project, accept_changed_data=True).counters.d_updates == 2
    (accepted,) = described(project / "run")["data"]["accepted_changes"]
    assert accepted["num_real"] == 8
    assert accepted["changes"][0] == "12 images when the run began, 11 now"
    resumed(project, updates=3)  # they are the run's own from then on
    assert described(project / "run")["data"]["accepted_changes"] == [accepted]
    assert json.loads((project / "run/final/card.json").read_text())["data"]["accepted_changes"] == [accepted]


def test_the_command_line_accepts_them_too(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(project)
    command = ["train", "data", "--out", "cli", "--model.width", "2", "--batch-size", "8", "--threads", "1"]
    command += ["--records.evaluate-count", "0", "--records.no-tensorboard", "--device", "cpu"]
    assert main([*command, "--budget.d-updates", "1"]) == 0
    changed(project, "removed")
    more = [*command, "--budget.d-updates", "2"]
    assert main(more) == 2
    assert main([*more, "--dry-run"]) == 2
    assert "it would be refused: the data of cli are not those that the run began with" in capsys.readouterr().out
    assert main([*more, "--accept-changed-data"]) == 0
    assert "warning: going on with other data than before: 12 images" in capsys.readouterr().err


def test_held_out_data_are_compared_too(project: Path) -> None:
    np.savez(project / "held.npz", x_train=np.zeros((6, SIZE, SIZE), np.uint8), y_train=np.arange(6) % 2)
    held_out = Arrays(str(project / "held.npz"))
    records = Records(evaluate_count=10, evaluate_every=0, tensorboard=False, sample_count=4, held_out=held_out)
    whole = experiment(Folder(str(project / "data")), records=records)
    ganneal.train(whole, project / "held")
    np.savez(project / "held.npz", x_train=np.ones((6, SIZE, SIZE), np.uint8), y_train=np.arange(6) % 2)
    longer = replace(whole, budget=Budget(d_updates=2))
    with pytest.raises(ValueError, match="(?s)the held-out data of .* as many images, but other bytes of the samples"):
        ganneal.train(longer, project / "held")
    ganneal.train(longer, project / "held", accept_changed_data=True)
    assert len(described(project / "held")["held_out"]["accepted_changes"]) == 1
    other = replace(records, held_out=Folder(str(project / "data")))
    ganneal.train(replace(longer, records=other), project / "held")  # another source was asked for


def test_the_same_data_by_any_path_are_the_same(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "link").symlink_to(project / "data")
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    for updates, path in enumerate(("../data", str(project / "link"), "../sub/../data"), 2):
        ganneal.train(experiment(Folder(path), updates, init_from=None), "../run")
    shutil.copytree(project / "data", project / "copy")
    assert ganneal.train(experiment(Folder(str(project / "copy")), 5), "../run").counters.d_updates == 5


def test_a_run_moved_with_its_data_finds_them(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.move(project, elsewhere)
    found = training_data(RunDirectory(elsewhere / "run"))
    assert found.changes == [] and len(found.dataset) == 12
    # the path that the run was begun with is not there any more: the same experiment finds it beside the run
    assert resumed_from(elsewhere, str(project / "data")).counters.d_updates == 2


def resumed_from(project: Path, path: str) -> Any:
    return ganneal.train(experiment(Folder(path), 2), project / "run")


def test_data_are_training_data_from_where_they_are_the_same(project: Path) -> None:
    run = RunDirectory(project / "run")
    shutil.move(project / "run", project / "moved")  # beside it lies nothing, and the old place has them
    (project / "sub").mkdir()
    shutil.move(project / "moved", project / "sub" / "run")
    moved = RunDirectory(project / "sub" / "run")
    write(project / "sub" / "data", {"cat": 1})  # at the same place from the run, other data
    found = training_data(moved)
    assert len(found.dataset) == 12
    shutil.rmtree(project / "data")
    with pytest.raises(ValueError, match=r"(?s)12 images when the run began, 1 now.*--data\.path"):
        training_data(moved)
    assert len(training_data(moved, accept=True).changes) > 0
    shutil.rmtree(project / "sub" / "data")
    with pytest.raises(FileNotFoundError, match=r"are not where they were, .*data, .*--data\.path PATH"):
        training_data(moved)
    write(project / "third", {"cat": 4, "dog": 8})
    found = training_data(moved, path=str(project / "third"))
    assert found.changes == []
    assert run.path != moved.path


def test_data_without_a_place_take_no_path(tmp_path: Path) -> None:
    from ganneal.models import MLP

    ganneal.train(
        replace(experiment(Ring(num_samples=20)), model=MLP(width=2, depth=1, latent_size=2)), tmp_path / "run"
    )
    assert len(training_data(RunDirectory(tmp_path / "run")).dataset) == 20
    with pytest.raises(ValueError, match=r"--data\.path must be left out"):
        training_data(RunDirectory(tmp_path / "run"), path="data")


@pytest.mark.parametrize("out", ["data", "data/cat", "."])
def test_a_run_does_not_write_into_its_data(out: str, project: Path) -> None:
    data = project / ("samples" if out == "." else "data")
    if out == ".":
        shutil.rmtree(project / "run")
        (project / "data").rename(data)
    before = sorted(project.rglob("*"))
    with pytest.raises(ValueError, match=r"out must (not be where the data lie|be a new folder where it lies within)"):
        ganneal.train(experiment(Folder(str(data))), project / out)
    assert sorted(project.rglob("*")) == before


def test_a_run_below_its_data_and_data_below_their_run_go_on(project: Path) -> None:
    below = experiment(Folder(str(project / "data")))
    ganneal.train(below, project / "data" / "run")
    with pytest.warns(Remark, match="passed over in .*: the folder run/ of a run"):
        run = ganneal.train(replace(below, budget=Budget(d_updates=2)), project / "data" / "run")
    assert len(run.data.dataset) == 12 and run.data.dataset.description["classes"] == ["cat", "dog"]
    shutil.rmtree(project / "data" / "run")
    (project / "mine").mkdir()
    shutil.move(project / "data", project / "mine" / "images")
    for updates in (1, 2):
        inside = experiment(Folder(str(project / "mine" / "images")), updates)
        assert len(ganneal.train(inside, project / "mine").data.dataset) == 12


def test_a_run_is_named_by_what_it_is_not_by_where_it_started(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(project)
    started = experiment(Folder("data"), init_from="run")
    ganneal.train(started, "second")
    ganneal.train(replace(started, budget=Budget(d_updates=2), init_from=str(project / "run")), "second")
    shutil.copytree("run", "third")
    with pytest.raises(ValueError, match="init_from: .*run -> .*third"):
        ganneal.train(replace(started, budget=Budget(d_updates=3), init_from="third"), "second")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.move(project, elsewhere)
    monkeypatch.chdir(elsewhere)
    assert ganneal.train(replace(started, budget=Budget(d_updates=4)), "second").counters.d_updates == 4


def test_every_process_reads_the_same_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here, there = (write(tmp_path / name, {"cat": count}) for name, count in (("here", 9), ("there", 8)))
    first = identify(Folder(str(there)).load())
    own = experiment(Folder(str(here)), devices=2)
    monkeypatch.setattr(following, "receive", lambda ranks: following.initial_state(own, first, {}))
    with pytest.raises(ValueError, match="than the first: 8 images in the first process, 9 in rank 1"):
        following.follow(own, Ranks(1, 2))


def test_checkpoints_without_their_description_are_not_taken_up(project: Path) -> None:
    (project / "run" / "experiment.json").unlink()
    with pytest.raises(ValueError, match="has checkpoints and no experiment.json"):
        resumed(project)


def test_an_empty_directory_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="path must name a file or a folder"):
        ganneal.train(experiment(Folder(str(project / "data"))), "")
    for command in (["train", ""], ["train", "digits-cts", "--out", ""], ["report", ""], ["data", "inspect", ""]):
        assert main(command) == 2, command
        assert "empty" in capsys.readouterr().err


def test_an_extractor_with_other_weights_does_not_continue_a_column(project: Path) -> None:
    (project / "weights.npz").write_bytes(b"first")
    extractor = ResNet(20, path=str(project / "weights.npz"))
    records = Records(evaluate_count=0, tensorboard=False, sample_count=4, extractor=extractor)
    followed = experiment(Folder(str(project / "data")), records=records)
    ganneal.train(followed, project / "other")
    places = described(project / "other")["places"]
    assert places["data.path"]["relative"] == "../data"
    assert places["records.extractor.path"]["absolute"] == str((project / "weights.npz").resolve())
    (project / "weights.npz").rename(project / "moved.npz")
    moved = replace(records, extractor=replace(extractor, path=str(project / "moved.npz")))
    longer = replace(followed, budget=Budget(d_updates=2), records=moved)
    ganneal.train(longer, project / "other")
    (project / "moved.npz").write_bytes(b"other")
    with pytest.raises(ValueError, match="the weights of the extractor are not those that .*SHA-256 [0-9a-f]{12} when"):
        ganneal.train(longer, project / "other")
    ganneal.train(replace(longer, records=replace(moved, extractor=Pixels())), project / "other")


SETTINGS = Settings((METRICS["precision-recall"],), count=20, seeds=(0,))


def test_a_run_is_measured_against_its_own_data_only(project: Path) -> None:
    changed(project, "removed")
    with pytest.raises(
        ValueError, match=r"(?s)12 images when the run began, 11 now.*Or measure.*--accept-changed-data"
    ):
        evaluate_run(project / "run", settings=SETTINGS)
    said: list[str] = []
    records = evaluate_run(project / "run", settings=SETTINGS, accept_changed_data=True, say=said.append)
    assert "warning: not what the run was trained on: 12 images when the run began, 11 now" in said
    for record in records:
        assert record.protocol.reference.changed[0] == "12 images when the run began, 11 now"
        assert "not the run's data" in record.warnings
    write(project / "data", {"cat": 4, "dog": 8})
    (same, *_) = evaluate_run(project / "run", settings=SETTINGS)
    assert same.protocol.reference.changed == () and same.protocol != records[0].protocol


def test_values_against_other_data_do_not_take_the_place_of_the_runs(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "sub").mkdir()
    monkeypatch.chdir(project / "sub")
    command = ["evaluate", "../run", "--count", "20", "--seeds", "0", "--metrics", "precision-recall"]
    assert main(command) == 0
    once = (project / "run" / "evaluation.jsonl").read_text().splitlines()
    changed(project, "removed")
    assert main([*command, "--accept-changed-data"]) == 0
    assert "warning: not what the run was trained on: 12 images" in capsys.readouterr().err
    lines = (project / "run" / "evaluation.jsonl").read_text().splitlines()
    assert lines[: len(once)] == once and len(lines) == 2 * len(once)
    write(project / "there", {"cat": 4, "dog": 8})
    shutil.rmtree(project / "data")
    assert main(command) == 2
    assert "are not where they were" in capsys.readouterr().err
    assert main([*command, "--data.path", "../there"]) == 0
    assert len((project / "run" / "evaluation.jsonl").read_text().splitlines()) == len(lines)
    assert main(["evaluate", "--real", "a", "--fake", "b", "--data.path", "c"]) == 2


def test_held_out_data_that_moved_are_named(project: Path) -> None:
    held_out = Arrays(str(project / "held.npz"))
    np.savez(project / "held.npz", x_train=np.zeros((6, SIZE, SIZE), np.uint8), y_train=np.arange(6) % 2)
    records = Records(evaluate_count=0, tensorboard=False, sample_count=4, held_out=held_out)
    ganneal.train(experiment(Folder(str(project / "data")), records=records), project / "other")
    (project / "held.npz").rename(project / "elsewhere.npz")
    with pytest.raises(FileNotFoundError, match=r"the held-out data of .*--held-out\.path PATH"):
        evaluate_run(project / "other", settings=SETTINGS)
    there = str(project / "elsewhere.npz")
    assert evaluate_run(project / "other", settings=SETTINGS, held_out_path=there)[0].protocol.reference.changed == ()


@pytest.mark.runs
def test_a_report_shows_neighbours_among_the_data_of_the_run_only(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganneal.report.run_page.interpolation", lambda generator: None)  # seconds, and not looked at

    def note(**options: Any) -> str:
        return draw_sections(read_run(project / "run"), **options).neighbours_note

    assert note() == ""
    changed(project, "removed")
    assert "was not read, so its nearest images are not shown" in note() and "12 images when the run began" in note()
    write(project / "there", {"cat": 4, "dog": 8})
    assert note(data_path=str(project / "there")) == ""
    pages = []
    monkeypatch.setattr("ganneal.report.write.run_page", lambda path, data: pages.append(data) or "<html></html>")
    assert main(["report", str(project / "run"), "--data.path", "there"]) == 0
    assert pages == ["there"]
    assert main(["report", str(project / "run"), "run", "--out", "page.html", "--data.path", "there"]) == 2


def test_data_found_through_the_environment_are_found_without_it(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(project))
    ganneal.train(experiment(Folder("data")), tmp_path / "other")
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path / "nowhere"))
    assert training_data(RunDirectory(tmp_path / "other")).changes == []
    assert ganneal.train(experiment(Folder("data"), 2), tmp_path / "other").counters.d_updates == 2
    # a name that is found is meant as it is found
    write(tmp_path / "nowhere" / "data", {"cat": 9})
    with pytest.raises(ValueError, match="12 images when the run began, 9 now"):
        ganneal.train(experiment(Folder("data"), 3), tmp_path / "other")


def test_rows_of_a_reproduced_table_are_told_by_their_data_not_by_its_place(tmp_path: Path) -> None:
    here, there = (experiment(Folder(str(tmp_path / name))) for name in ("here", "there"))
    entries = [
        {
            "experiment": encode(one),
            "budget": {},
            "protocol": {"reference": name, "reference_sha256": "a"},
        }
        for one, name in ((here, "here"), (there, "there"))
    ]
    check_same("row", entries[0], entries[1], there, tmp_path)
    entries[1]["protocol"]["reference_sha256"] = "b"
    with pytest.raises(ValueError, match="reference_sha256: a -> b"):
        check_same("row", entries[0], entries[1], there, tmp_path)
