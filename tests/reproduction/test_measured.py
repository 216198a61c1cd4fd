"""What a run is measured by: both scores of one network, or the Inception Score of a network of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.experiments import EXPERIMENTS
from ganneal.metrics.extractors import ExtractorConfig, Inception, InceptionTorchvision
from ganneal.metrics.protocol import MetricProtocol, Place, Record, Reference
from ganneal.reproduction import SCALES, TABLES, measured
from ganneal.reproduction.distances import DISTANCE_ROWS
from ganneal.reproduction.plan import Planned
from ganneal.reproduction.results import known_outcomes
from ganneal.reproduction.running import check_extractor, score_extractor
from ganneal.schemes import FunctionalGradient


def test_the_paper_scale_has_the_papers_protocol_of_both_scores() -> None:
    scale = SCALES["paper"]
    assert scale.extractors[32] == Inception(resize="pytorch-fid") and scale.samples == 50_000
    assert isinstance(scale.score, InceptionTorchvision) and scale.score.resize == "pytorch-fid"
    assert all(other.score is None for name, other in SCALES.items() if name != "paper")


def test_missing_weights_of_the_score_are_said_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path))
    rows = {name: Planned(TABLES[name].rows[0], TABLES[name].rows[0].experiment) for name in ("table7", "table8")}
    with pytest.raises(FileNotFoundError, match="download https://download.pytorch.org/models/inception_v3_google-0cc"):
        check_extractor([rows["table7"]], SCALES["paper"])
    (tmp_path / "inception_v3_google-0cc3c7bd.pth").touch()
    found = score_extractor([rows["table7"]], SCALES["paper"])
    assert isinstance(found, InceptionTorchvision)
    assert found.path == str(tmp_path / "inception_v3_google-0cc3c7bd.pth")


@pytest.mark.parametrize("score", [None, InceptionTorchvision(path="weights")])
def test_the_inception_score_is_measured_by_its_own_network(
    score: ExtractorConfig | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[list[str], ExtractorConfig | None]] = []

    def evaluated(run: Path, *, settings: Any, extractor: ExtractorConfig | None) -> list[Record]:
        parts = [{"Frechet": "FD", "Score": "exp-mean-KL"}[type(metric).__name__] for metric in settings.metrics]
        asked.append((parts, extractor))
        return [record(part, "own" if extractor is None else "inception-torchvision") for part in parts]

    monkeypatch.setattr(measured, "evaluate_run", evaluated)
    first = measured.measure(tmp_path, 64, {"FID"}, score)
    both = measured.measure(tmp_path, 64, {"FID", "IS"}, score)
    if score is None:
        assert asked == 2 * [(["FD", "exp-mean-KL"], None)] and first == both
    else:
        assert [parts for parts, _ in asked] == [["FD"], ["FD"], ["exp-mean-KL"]] and asked[-1][1] == score
        assert both["protocol"]["score"]["extractor"] == "inception-torchvision" and "IS" not in first["last"]
        assert both["names"]["IS"].startswith("IS-torchvision(resize=bilinear,splits=1)@")
    assert both["last"].keys() == both["names"].keys() == {"FID", "IS"}


@for_each(
    ("status", "last", "scores", "samples", "known"),
    [
        ("finished", {"FID": 2.0}, {"FID"}, 64, True),
        ("finished", {"FID": 2.0}, set(), 64, True),
        ("finished", {"FID": 2.0}, {"FID", "IS"}, 64, False),  # a score that was not measured
        ("finished", {"FID": 2.0}, {"FID"}, 128, False),
        ("diverged", {}, {"FID"}, 64, True),
        ("finished", {}, {"FID"}, 64, True),  # samples that are no numbers
        ("failed", {}, {"FID"}, 64, False),
    ],
)
def test_what_the_ledger_knows_needs_no_other_run(
    status: str, last: dict[str, float], scores: set[str], samples: int, known: bool
) -> None:
    run = {"outcome": {"seed": 7, "status": status}, "last": last}
    names = {"FID": "FD"} if last else {}
    entry = {"names": names, "protocol": {"samples": 64} if last else {}, "runs": [run]}
    assert known_outcomes(entry, scores, samples) == ({7: run["outcome"]} if known else {})
    assert known_outcomes(None, scores, samples) == {}


def record(part: str, extractor: str) -> Record:
    reference = Reference("data", "train", "0" * 64, 100)
    protocol = MetricProtocol(
        part, "M", {"splits": 1}, extractor, "1" * 64, "2048", True, "bilinear", "[-1, 1]", reference, n_fake=64
    )
    return Record(protocol, 1.0, "lower", place=Place("last"))


def test_learning_rates_and_discriminator_updates_are_those_of_the_papers_tables() -> None:
    for row in TABLES["table11"].rows:
        one = row.experiment
        rate = 1.25e-4 if row.family == "ddgan" else 2e-4
        assert {one.d_optimizer.lr, one.g_optimizer.lr} == {rate}, row.name
    rows = [row for table in ("table9", "table11") for row in TABLES[table].rows]
    steps = {row.arm: getattr(row.experiment.scheme, "d_steps", 1) for row in rows}
    assert {arm for arm, count in steps.items() if count != 1} == {"biggan-cts", "biggan-nts-4", "biggan-nats-4"}
    assert steps["biggan-nats-4"] == 4


@pytest.mark.parametrize("name", ["celeba256-cfg-annealed", "lsun256-cfg-annealed"])
def test_presets_of_256_pixels_are_those_of_table_five(name: str) -> None:
    experiment = EXPERIMENTS[name]()
    scheme = experiment.scheme
    assert isinstance(scheme, FunctionalGradient)
    weights = list(scheme.weights(range(1, 16), 0))
    assert (weights[0], weights[-1], len(weights), scheme.step_size) == (20.0, 1.0, scheme.steps, 1.0)
    assert weights[1] / weights[0] == pytest.approx(0.8074, abs=5e-5)
    assert experiment.d_optimizer.lr == experiment.g_optimizer.lr == 2.5e-4
    assert getattr(experiment.data, "size", None) == 256
    with torch.device("meta"):
        experiment.model.build((3, 256, 256))


def test_table_one_is_measured_on_the_data_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[1] = 255  # -1 and 1 everywhere: 2 apart in each of 3072 numbers
    np.savez(tmp_path / "two.npz", images=images)
    assert main(["reproduce", "table1", "--data", f"cifar10={tmp_path / 'two.npz'}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cifar = next(line for line in lines if "CIFAR-10" in line)
    d1, d2 = float(cifar.split(" | ")[3]), float(cifar.split(" | ")[5].rstrip(" |"))
    assert d1 == pytest.approx(2 * 3072**0.5, rel=0.01) and d2 == pytest.approx((2 * 3072) ** 0.5, rel=0.03)
    assert cifar.split(" | ")[2::2] == ["38", "62"] and sum("not run: needs" in line for line in lines) == 6


def test_table_one_has_the_papers_numbers() -> None:
    found = {(row.dataset, row.size): (row.d1.text, row.d2.text) for row in DISTANCE_ROWS}
    assert len(found) == 7
    assert found["lsun-church", 256] == ("330", "515") and found["celeba", 64] == ("80", "130")
