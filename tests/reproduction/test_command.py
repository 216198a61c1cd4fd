"""`ganneal reproduce` as a person meets it: lists, plans, runs that go on, mistakes that cost nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganneal.cli import main, reproduce
from ganneal.data import Ring
from ganneal.experiment import OPERATION
from ganneal.reproduction import SCALES, TABLES, Table, results
from ganneal.reproduction.page import reproduction_page
from ganneal.reproduction.plan import planned
from ganneal.reproduction.running import row_identity

Cli = Callable[..., tuple[int, str, str]]
STORED = Path(__file__).parents[2] / "results" / "table9-cpu-10min.json"


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["reproduce", *arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def here(cli: Cli, tiny: Table, inline: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs of the tiny table happen in this process."""
    monkeypatch.setattr(reproduce, "LocalProcesses", lambda jobs: inline)
    return inline


def test_tables_and_scales_are_listed(cli: Cli) -> None:
    status, out, err = cli()
    assert (status, err) == (0, "") and all(name in out for name in (*TABLES, *SCALES))


def test_a_plan_runs_nothing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path / "none"))
    status, out, _ = cli("fig4", "--scale", "cpu-10min", "--plan", "--rows", "wgan-*")
    assert status == 0 and out.count("not run: needs CIFAR-10, `ganneal data fetch cifar10`") == 8
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_is_reduced(cli: Cli, here: Any, tmp_path: Path) -> None:
    status, out, _ = cli("tiny", "--scale", "tiny", "--plan")
    assert status == 0 and "ring/nts  64 real images" in out
    assert "budget.num_real: 640 -> 64" in out and f"data.num_samples: {Ring().num_samples} -> 200" in out
    assert here.started == [] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("table99", "--scale", "cpu-10min"), "unknown table 'table99'. Did you mean 'table9'?"),
        (("table9",), "--scale must be one of paper, gpu-10min, cpu-10min"),
        (("table9", "--scale", "cpu"), "unknown scale 'cpu'. Did you mean 'cpu-10min'?"),
        (("table9", "--scale", "cpu-10min", "--rows", "orignal-cts"), "no row 'orignal-cts' in Table IX"),
        (("table9", "--scale", "cpu-10min", "--data", "cifar=x"), "unknown data set 'cifar'"),
        (("table9", "--scale", "cpu-10min", "--data", "cifar10"), "--data takes NAME=PATH"),
        (("table9", "--scale", "cpu-10min", "--data", "cifar10=nowhere"), "no data at nowhere"),
        (("table9", "--scale", "cpu-10min", "--seeds", "none"), "--seeds must be a number of seeds"),
        (("table9", "--scale", "cpu-10min", "--job", "2"), "unknown: --job 2"),
        (("--scale", "cpu-10min"), "the table comes first"),
    ],
)
def test_mistakes_are_named(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "") and said in err
    assert list(tmp_path.iterdir()) == []


def test_rows_without_data_are_no_run(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path / "none"))
    status, _, err = cli("table11", "--scale", "cpu-10min", "--rows", "imagenet64/*", "ddgan-*")
    assert status == 2 and "needs ImageNet 64x64, `--data imagenet64=PATH`" in err
    assert err.count("needs CIFAR-10") == 3


def test_a_table_runs_once_and_takes_more_seeds(cli: Cli, here: Any, tmp_path: Path) -> None:
    status, out, _ = cli("tiny", "--scale", "tiny")
    assert status == 0 and "results/tiny-tiny.json, results/reproduction.md" in out
    assert here.started == ["nts", "cts"]
    rows = results.read(tmp_path / "results" / "tiny-tiny.json")
    nts = rows["ring/nts"]
    assert list(rows) == ["ring/nts", "ring/cts"] and nts["names"] == {"FID": "FD-points@64"}
    assert nts["protocol"]["samples"] == 64 and nts["protocol"]["real_samples"] == 200
    assert nts["runs"][0]["num_real"] == 64 and nts["runs"][0]["last"]["FID"] > 0
    assert nts["provenance"]["torch"] and nts["command"] == "ganneal reproduce tiny --scale tiny"
    text = (tmp_path / "results" / "reproduction.md").read_text()
    assert text == reproduction_page(TABLES, results.read_all(tmp_path / "results"))
    assert "GAN, NTS better than GAN, CTS | FID | 5 / 7 | **undecided** | 1 seed" in text

    assert cli("tiny", "--scale", "tiny", "--rows", "cts", "--seeds", "3")[0] == 0
    assert here.started == ["nts", "cts", "cts", "cts"]
    rows = results.read(tmp_path / "results" / "tiny-tiny.json")
    assert [[run["seed"] for run in row["runs"]] for row in rows.values()] == [[0], [0, 1, 2]]
    assert cli("tiny", "--scale", "tiny")[0] == 0  # fewer seeds than the file has take none away
    assert len(results.read(tmp_path / "results" / "tiny-tiny.json")["ring/cts"]["runs"]) == 3


def test_a_damaged_results_file_is_named_before_anything_runs(cli: Cli, here: Any, tmp_path: Path) -> None:
    file = tmp_path / "results" / "tiny-tiny.json"
    file.parent.mkdir()
    for content in ("{", "[]", '{"format": 1, "rows": {"ring/nts": {}}}'):
        file.write_text(content)
        status, _, err = cli("tiny", "--scale", "tiny")
        assert status == 2 and "tiny-tiny.json is" in err and "move it away" in err
        assert file.read_text() == content and here.started == []


def test_results_of_another_experiment_are_kept(cli: Cli, here: Any, tmp_path: Path) -> None:
    assert cli("tiny", "--scale", "tiny")[0] == 0
    file = tmp_path / "results" / "tiny-tiny.json"
    content = json.loads(file.read_text())
    content["rows"]["ring/nts"]["experiment"]["batch_size"] = 999
    file.write_text(json.dumps(content))
    status, _, err = cli("tiny", "--scale", "tiny")
    assert status == 2 and "batch_size: 999 -> 16" in err
    assert json.loads(file.read_text()) == content


def test_results_from_before_a_field_was_there_go_on(cli: Cli, here: Any, tmp_path: Path) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "cts")[0] == 0
    file = tmp_path / "results" / "tiny-tiny.json"
    content = json.loads(file.read_text())
    del content["rows"]["ring/cts"]["experiment"]["averaging"]["start"]
    file.write_text(json.dumps(content))
    assert cli("tiny", "--scale", "tiny", "--rows", "cts", "--seeds", "0,1")[0] == 0
    assert len(results.read(file)["ring/cts"]["runs"]) == 2


def test_the_page_alone_is_written_from_the_results(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    assert cli("page") == (0, "docs/reproduction.md\n", "")
    assert (tmp_path / "docs" / "reproduction.md").read_text() == reproduction_page(TABLES, {})


def test_results_of_another_machine_or_stop_rule_go_on(cli: Cli, here: Any, tmp_path: Path) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "cts")[0] == 0
    file = tmp_path / "results" / "tiny-tiny.json"
    content = json.loads(file.read_text())
    experiment = content["rows"]["ring/cts"]["experiment"]
    assert OPERATION.isdisjoint(experiment)
    experiment["divergence"] = {"type": "Divergence", "limit": 40.0, "on_diverge": "stop"}
    experiment |= {"devices": 2, "capture": "all"}
    file.write_text(json.dumps(content))
    assert cli("tiny", "--scale", "tiny", "--rows", "cts", "--seeds", "0,1")[0] == 0
    assert len(results.read(file)["ring/cts"]["runs"]) == 2


def test_results_of_another_budget_are_kept(cli: Cli, here: Any, tmp_path: Path) -> None:
    assert cli("tiny", "--scale", "tiny")[0] == 0
    file = tmp_path / "results" / "tiny-tiny.json"
    content = json.loads(file.read_text())
    content["rows"]["ring/nts"]["budget"]["num_real"] = 32
    file.write_text(json.dumps(content))
    status, _, err = cli("tiny", "--scale", "tiny")
    assert status == 2 and "budget.num_real: 32 -> 64" in err


def test_the_stored_rows_of_table_nine_can_be_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cifar10-train.zip").touch()
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path))
    for name, old in results.read(STORED).items():
        one = planned(TABLES["table9"].row(name), SCALES["cpu-10min"], {})
        assert one.experiment is not None
        results.check_same(name, old, row_identity(one), one.experiment, STORED)
