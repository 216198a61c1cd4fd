"""Runs and files measured against other images than the run's data: test sets, and mean and covariance in a file."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.for_each import for_each

import ganneal
from ganneal.cli import main
from ganneal.data import Folder, Reading
from ganneal.evaluation.real_side import statistics_of
from ganneal.evaluation.stored import Settings, evaluate_images, evaluate_run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics.extractors import Pixels
from ganneal.metrics.measures import METRICS
from ganneal.metrics.protocol import Record
from ganneal.models import DCGAN

FOUR = Pixels(4)
FITS: Any = ("crop", "pad", "stretch")


def settings(*metrics: str) -> Settings:
    return Settings(tuple(METRICS[name] for name in metrics), count=80, seeds=(0,))


def images(folder: Path, seed: int, width: int, height: int, count: int = 60) -> Path:
    random = np.random.default_rng(seed)
    for index in range(count):
        path = folder / f"c{index % 2}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (height, width), np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Grey images of 12 x 10 px, others of 20 x 30 px, and a run on the first, which it pads."""
    folder = tmp_path_factory.mktemp("project")
    images(folder / "photos", 0, 12, 10)
    images(folder / "test", 1, 20, 30)
    experiment = Experiment(
        "photos",
        Folder(path=str(folder / "photos"), size=8, fit="pad"),
        DCGAN(width=4, latent_size=4),
        batch_size=8,
        threads=1,
        budget=Budget(d_updates=1),
        records=Records(sample_count=4, evaluate_count=0, tensorboard=False),
    )
    before = torch.get_num_threads()
    ganneal.train(experiment, folder / "run")
    torch.set_num_threads(before)
    return folder


def against(project: Path, real: Path | None, *metrics: str, **more: Any) -> list[Record]:
    return evaluate_run(project / "run", checkpoints=["last"], settings=settings(*metrics), real=real, **more)


def values(records: Sequence[Record]) -> dict[str, float]:
    return {record.protocol.part: record.value for record in records}


def statistics(project: Path, out: Path, **reading: Any) -> Path:
    path, _ = statistics_of(project / "photos", out, extractor=FOUR, reading=Reading(size=8, **reading))
    return path


# Mean and covariance


def test_a_run_is_as_far_from_the_statistics_of_its_data_as_from_its_data(project: Path, tmp_path: Path) -> None:
    file = statistics(project, tmp_path / "stats.npz", fit="pad")
    [of_data] = against(project, None, "frechet", extractor=FOUR)
    [of_file] = against(project, file, "frechet")
    assert of_file.value == pytest.approx(of_data.value, rel=1e-9)
    of_file_reference, of_data_reference = of_file.protocol.reference, of_data.protocol.reference
    assert of_file_reference.sha256 == of_data_reference.sha256 and of_file_reference.n_real == 60
    assert of_file.protocol.extractor == "pixels4" and of_file.name == of_data.name


def test_what_needs_the_images_is_left_out_with_one_line(project: Path, tmp_path: Path) -> None:
    file = statistics(project, tmp_path / "stats.npz", fit="pad")
    said: list[str] = []
    found = against(project, file, "frechet", "kernel", "precision-recall", say=said.append)
    assert values(found).keys() == {"FD"}
    [line] = [line for line in said if "not measured" in line]
    assert "kernel, precision-recall; " in line and "stats.npz holds mu and sigma" in line
    with pytest.raises(ValueError, match="metrics must hold 'frechet'"):
        against(project, file, "kernel")


def test_files_of_others_need_the_name_of_their_network(project: Path, tmp_path: Path) -> None:
    with np.load(statistics(project, tmp_path / "own.npz", fit="pad")) as own:
        np.savez(tmp_path / "bare.npz", mu=own["mu"], sigma=own["sigma"])
    with pytest.raises(ValueError, match="does not say which network .* --extractor"):
        against(project, tmp_path / "bare.npz", "frechet")
    [bare] = against(project, tmp_path / "bare.npz", "frechet", extractor=FOUR)
    [own] = against(project, tmp_path / "own.npz", "frechet")
    assert bare.value == own.value
    assert bare.protocol.reference.n_real is None and bare.warnings == ("number of real samples unknown",)
    [counted] = against(project, tmp_path / "bare.npz", "frechet", extractor=FOUR, real_count=60)
    assert counted.protocol.reference.n_real == 60 and counted.warnings == own.warnings
    with pytest.raises(ValueError, match="are of 16 features, and the extractor pixels2 has 4"):
        against(project, tmp_path / "bare.npz", "frechet", extractor=Pixels(2))


def test_a_file_of_another_network_size_or_crop_is_refused(project: Path, tmp_path: Path) -> None:
    file = statistics(project, tmp_path / "stats.npz", fit="pad")
    with pytest.raises(ValueError, match="name: pixels4 there, pixels2 here.*leave --extractor out"):
        against(project, file, "frechet", extractor=Pixels(2))
    larger, _ = statistics_of(project / "photos", tmp_path / "l.npz", extractor=FOUR, reading=Reading(size=16))
    with pytest.raises(
        ValueError, match=r"\(1, 8, 8\), got \(1, 16, 16\) in .*l\.npz; write it again with .* --size 8 --channels 1`"
    ):
        against(project, larger, "frechet")
    cropped = statistics(project, tmp_path / "c.npz", fit="crop")
    with pytest.raises(ValueError, match="'pad', got 'centre crop, Lanczos to 8'.*--fit pad"):
        against(project, cropped, "frechet")


def test_two_places_are_measured_by_a_file_too(project: Path, tmp_path: Path) -> None:
    file = statistics(project, tmp_path / "stats.npz")
    how = Reading(size=8)
    [by_file] = evaluate_images(file, project / "test", settings=settings("frechet"), reading=how)
    [by_images] = evaluate_images(
        project / "photos", project / "test", settings=settings("frechet"), extractor=FOUR, reading=how
    )
    assert by_file.value == pytest.approx(by_images.value, rel=1e-9)
    with pytest.raises(ValueError, match="real_count is for a file of mu and sigma"):
        evaluate_images(project / "photos", project / "test", reading=how, real_count=60)


# Images and statistics in one file, as ADM has them


def adm(project: Path, path: Path, shift: float = 0) -> Path:
    data = Folder(path=str(project / "photos"), size=8, fit="pad").load()
    with np.load(statistics(project, path.with_name("own.npz"), fit="pad")) as own:
        rows = np.asarray(data.samples[np.arange(len(data))]).transpose(0, 2, 3, 1)
        np.savez(path, arr_0=rows, mu=own["mu"] + shift, sigma=own["sigma"], mu_s=np.zeros(3), sigma_s=np.eye(3))
    return path


def test_beside_images_statistics_serve_where_their_network_is_named(project: Path, tmp_path: Path) -> None:
    file = adm(project, tmp_path / "adm.npz", shift=0.01)
    by_data = values(against(project, None, "frechet", "kernel", extractor=FOUR))
    said: list[str] = []
    unnamed = values(against(project, file, "frechet", "kernel", say=said.append))
    assert any("mu and sigma" in line and "--extractor" in line for line in said)
    assert unnamed == pytest.approx(by_data)
    named = values(against(project, file, "frechet", "kernel", extractor=FOUR))
    assert named["KD"] == pytest.approx(by_data["KD"])
    with np.load(file) as held:
        np.savez(tmp_path / "bare.npz", mu=held["mu"], sigma=held["sigma"])
    bare = values(against(project, tmp_path / "bare.npz", "frechet", extractor=FOUR))
    assert named["FD"] == bare["FD"] != by_data["FD"]
    others = values(against(project, file, "frechet", extractor=Pixels(2), say=said.append))
    assert any("they are of 16 features, and pixels2 has 4" in line for line in said)
    assert others == pytest.approx(values(against(project, None, "frechet", extractor=Pixels(2))))


def test_statistics_that_the_images_beside_them_contradict_are_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mu and sigma in .* are not of pixels4: .* above their whole variance"):
        against(project, adm(project, tmp_path / "adm.npz", shift=2), "frechet", extractor=FOUR)


# Test sets


@for_each("fit", FITS)
def test_a_test_set_is_cropped_and_resized_as_the_data_of_the_run(project: Path, tmp_path: Path, fit: Any) -> None:
    converted = str(tmp_path / "test.zip")
    assert main(["data", "convert", str(project / "test"), converted, "--size", "8", "--fit", fit]) == 0
    as_is = values(against(project, project / "test", "frechet", "kernel", extractor=FOUR))
    by_hand = values(against(project, Path(converted), "frechet", "kernel", extractor=FOUR))
    assert (as_is == pytest.approx(by_hand)) == (fit == "pad")
    given = None if fit == "crop" else Reading(fit=fit)  # what `Reading` has anyway is not otherwise
    if given is not None:
        assert values(against(project, project / "test", "frechet", "kernel", extractor=FOUR, reading=given)) == by_hand


def test_a_record_says_what_it_was_measured_against(project: Path) -> None:
    [record] = against(project, project / "test", "frechet", extractor=FOUR)
    reference = record.protocol.reference
    assert (reference.dataset, reference.split, reference.n_real) == ("test", "test", 60)
    assert reference.transform == "pad, Lanczos to 8" and reference.changed == ()


def test_size_and_channels_are_the_runs(project: Path) -> None:
    with pytest.raises(ValueError, match="size and channels are those of the run's images, got size=4"):
        against(project, project / "test", "frechet", reading=Reading(size=4))


# The commands


def test_statistics_and_evaluate_as_commands(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    photos, run = str(project / "photos"), str(project / "run")
    extractor = ["--extractor", "pixels", "--extractor.size", "4"]
    read = ["--size", "8", "--fit", "pad"]
    assert main(["data", "statistics", photos, "--out", "stats.npz", *extractor, *read]) == 0
    assert (
        "stats.npz: mu and sigma of 60 images of shape (1, 8, 8) through pixels4, 16 features"
        in capsys.readouterr().out
    )
    evaluate = ["evaluate", run, "--count", "80", "--seeds", "0", "--out", "values.jsonl"]
    for real in ([], ["--real", "stats.npz"], ["--real", str(project / "test")], ["--real", str(project / "test")]):
        assert main([*evaluate, *(extractor if real != ["--real", "stats.npz"] else []), *real]) == 0
    lines = [json.loads(line) for line in Path("values.jsonl").read_text().splitlines()]
    frechet = [line for line in lines if line["part"] == "FD"]
    # the data and its statistics are the same samples; the test set's values stand beside them
    assert sorted(line["reference"]["split"] for line in frechet) == ["stats", "test"]


@for_each(
    ("arguments", "said"),
    [
        (["data", "statistics", "{photos}", "--size", "8", "--out", "a.zip"], "out must end in .npz"),
        (
            ["data", "statistics", "{photos}", "--size", "8", "--extractor", "pixels", "--extractor.size", "8"],
            r"more images than pixels8 has features, 64, got 60.*--extractor.size 4",
        ),
        (["data", "statistics", "--out", "a.npz"], "PATH is missing"),
        (
            ["evaluate", "{run}", "--fake", "{photos}"],
            r"give a run .with or without --real., or both --real and --fake",
        ),
        (["evaluate", "--real", "{photos}"], "give a run"),
        (["evaluate", "{run}", "--size", "8"], "are for --real, not for a run alone"),
        (["evaluate", "{run}", "--real-count", "8"], "are for --real, not for a run alone"),
        (["evaluate", "{run}", "--real", "{photos}", "--data.path", "x"], "against its own data; leave them out"),
        (["evaluate", "{run}", "--real", "nowhere.npz"], "no data at nowhere.npz"),
    ],
)
def test_wrong_calls_say_what_to_do(
    arguments: list[str],
    said: str,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"photos": str(project / "photos"), "run": str(project / "run")}
    assert main([argument.format(**places) for argument in arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error:") and re.search(said, err), err
    assert list(tmp_path.iterdir()) == []
