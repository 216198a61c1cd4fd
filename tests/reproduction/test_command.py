"""`ganneal reproduce` as a person meets it: lists, plans, runs that go on, mistakes that cost nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.for_each import for_each

from ganneal.cli import main, reproduce
from ganneal.data import Ring
from ganneal.experiment import OPERATION
from ganneal.reproduction import SCALES, TABLES, Table, results
from ganneal.reproduction.page import reproduction_page
from ganneal.reproduction.plan import planned
from ganneal.reproduction.running import row_identity

Cli = Callable[..., tuple[int, str, str]]
LEDGER = Path(__file__).parents[2] / "results"


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
    status, out, _ = cli("fig4", "--scale", "cpu", "--plan", "--rows", "wgan-*")
    assert status == 0 and out.count("not run: needs CIFAR-10, `ganneal data fetch cifar10`") == 12
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_what_is_reduced(cli: Cli, here: Any, tmp_path: Path) -> None:
    status, out, _ = cli("tiny", "--scale", "tiny", "--plan")
    assert (
        status == 0 and "ring/nts       64 real images" in out and "ring/cts-time  the processor seconds of nts" in out
    )
    assert "budget.num_real: 640 -> 64" in out and f"data.num_samples: {Ring().num_samples} -> 200" in out
    assert here.started == [] and list(tmp_path.iterdir()) == []


@for_each(
    ("arguments", "said"),
    [
        (("table99", "--scale", "cpu"), "unknown table 'table99'. Did you mean 'table9'?"),
        (("table9",), "--scale must be one of paper, gpu-10min, cpu"),
        (("table9", "--scale", "cpus"), "unknown scale 'cpus'. Did you mean 'cpu'?"),
        (("table9", "--scale", "cpu", "--rows", "orignal-cts"), "no row 'orignal-cts' in Table IX"),
        (("table9", "--scale", "cpu", "--data", "cifar=x"), "unknown data set 'cifar'"),
        (("table9", "--scale", "cpu", "--data", "cifar10"), "--data takes NAME=PATH"),
        (("table9", "--scale", "cpu", "--data", "cifar10=nowhere"), "no data at nowhere"),
        (("table9", "--scale", "cpu", "--seeds", "none"), "--seeds must be a number of seeds"),
        (("table9", "--scale", "cpu", "--job", "2"), "unknown option --job. Did you mean '--jobs'?"),
        (("--scale", "cpu"), "the table must come first"),
    ],
)
def test_mistakes_are_named(cli: Cli, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "") and said in err
    assert list(tmp_path.iterdir()) == []


def test_rows_without_data_are_no_run(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path / "none"))
    status, _, err = cli("table11", "--scale", "cpu", "--rows", "imagenet64/*", "ddgan-*")
    assert status == 2 and "needs ImageNet 64x64, `--data imagenet64=PATH`" in err
    assert err.count("needs CIFAR-10") == 3


FILE = Path("results", "tiny-ring-classical.json")


def sealed(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the entries of a ledger as an honest writer would."""
    rows = results.read(file)
    change(rows)
    results.write_results(file, rows)


@pytest.mark.runs
def test_a_table_runs_once_and_takes_more_seeds(cli: Cli, here: Any, tmp_path: Path) -> None:
    status, out, _ = cli("tiny", "--scale", "tiny")
    assert status == 0 and f"{FILE}, results/reproduction.md" in out
    assert here.started == ["nts", "cts", "cts-time"]
    rows = results.read(FILE)
    nts = rows["ring/nts"]
    assert set(rows) == {"ring/nts", "ring/cts", "ring/cts-time"} and nts["names"] == {"FID": "FD-points@64"}
    assert nts["protocol"]["samples"] == 64 and nts["protocol"]["real_samples"] == 200
    (run,) = nts["runs"]
    assert run["outcome"]["num_real"] == 64 and run["last"]["FID"] > 0
    assert run["provenance"]["torch"] and run["command"] == "ganneal reproduce tiny --scale tiny"
    text = (tmp_path / "results" / "reproduction.md").read_text()
    assert text == reproduction_page(TABLES, results.read_all(tmp_path / "results"))
    assert "GAN, NTS better than GAN, CTS | FID | 5 / 7 | **undecided** | one seed, not decided" in text

    assert cli("tiny", "--scale", "tiny", "--rows", "cts", "--seeds", "3")[0] == 0
    assert here.started == ["nts", "cts", "cts-time", "cts", "cts"]
    rows = results.read(FILE)
    assert [len(rows[name]["runs"]) for name in ("ring/nts", "ring/cts")] == [1, 3]
    assert cli("tiny", "--scale", "tiny")[0] == 0  # fewer seeds than the file has take none away
    assert len(results.read(FILE)["ring/cts"]["runs"]) == 3


@pytest.mark.runs
def test_the_ledger_alone_is_gone_on_from(cli: Cli, here: Any, tmp_path: Path) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "nts", "cts")[0] == 0
    before = FILE.read_bytes()
    shutil.rmtree(tmp_path / "runs")
    assert cli("tiny", "--scale", "tiny", "--rows", "nts", "cts")[0] == 0
    assert (here.started, FILE.read_bytes()) == (["nts", "cts"], before)
    assert not (tmp_path / "runs").exists()
    assert cli("tiny", "--scale", "tiny", "--rows", "nts", "cts", "--seeds", "2")[0] == 0
    assert here.started == ["nts", "cts", "nts", "cts"]  # those of seed 1


@pytest.mark.runs
def test_each_run_is_in_the_ledger_as_soon_as_it_has_ended(cli: Cli, here: Any) -> None:
    known: list[int] = []
    start = here.start
    here.start = lambda job: (known.append(len(results.read(FILE))), start(job))
    assert cli("tiny", "--scale", "tiny")[0] == 0
    assert known == [0, 1, 2]


@pytest.mark.runs
def test_equal_time_takes_the_processor_seconds_of_its_model_in_the_ledger(cli: Cli, here: Any, tmp_path: Path) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "nts")[0] == 0
    shutil.rmtree(tmp_path / "runs")
    assert cli("tiny", "--scale", "tiny", "--rows", "cts-time")[0] == 0
    assert here.started == ["nts", "cts-time"]
    rows = results.read(FILE)
    (model,), (timed,) = (rows[name]["runs"] for name in ("ring/nts", "ring/cts-time"))
    budget = timed["outcome"]["budget"]
    assert budget["cpu_seconds"] == model["outcome"]["cpu_seconds"] and budget["num_real"] is None
    assert timed["outcome"]["cpu_seconds"] >= budget["cpu_seconds"]


def test_a_run_keeps_its_curve_and_share_of_a_core(cli: Cli, here: Any) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "cts")[0] == 0
    (run,) = results.read(FILE)["ring/cts"]["runs"]
    assert [point["num_real"] for point in run["curve"]] == [0, 16, 32, 48, 64]  # at each of its few updates
    assert all(point["distance"] > 0 and point["coverage"] is not None for point in run["curve"])
    outcome = run["outcome"]
    assert run["core_share"] == outcome["cpu_seconds"] / outcome["seconds"]


def test_a_damaged_results_file_is_named_before_anything_runs(cli: Cli, here: Any, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.parent.mkdir()
    for content in ("{", "[]", '{"format": 1, "rows": {}}', '{"format": 2, "rows": {"ring/nts": {}}}'):
        file.write_text(content)
        status, _, err = cli("tiny", "--scale", "tiny")
        assert status == 2 and f"{FILE.name} is" in err and "move it away" in err
        assert file.read_text() == content and here.started == []


def test_a_digit_that_changed_in_the_ledger_is_no_figure(cli: Cli, here: Any) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "cts")[0] == 0
    content = json.loads(FILE.read_text())
    content["rows"]["ring/cts"]["runs"][0]["last"]["FID"] += 1e-9
    FILE.write_text(json.dumps(content))
    status, _, err = cli("tiny", "--scale", "tiny")
    assert status == 2 and "ring/cts is not what was written" in err


@pytest.mark.runs
def test_results_of_another_experiment_are_kept(cli: Cli, here: Any) -> None:
    assert cli("tiny", "--scale", "tiny")[0] == 0
    sealed(FILE, lambda rows: rows["ring/nts"]["experiment"].update(batch_size=999))
    before = FILE.read_bytes()
    status, _, err = cli("tiny", "--scale", "tiny")
    assert status == 2 and "batch_size: 999 -> 16" in err
    assert FILE.read_bytes() == before


@pytest.mark.parametrize("seeds", ["1", "2"])
def test_results_by_other_features_are_no_answer_and_cost_no_run(cli: Cli, here: Any, seeds: str) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "cts")[0] == 0
    sealed(FILE, lambda rows: rows["ring/cts"]["protocol"].update(extractor="pixels16", extractor_sha256="0"))
    before = FILE.read_bytes()
    status, _, err = cli("tiny", "--scale", "tiny", "--rows", "cts", "--seeds", seeds)
    assert status == 2 and "holds ring/cts measured by pixels16, got points; leave --extractor out" in err
    assert here.started == ["cts"] and FILE.read_bytes() == before


@pytest.mark.runs
def test_results_from_before_a_field_was_there_go_on(cli: Cli, here: Any) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "cts")[0] == 0
    sealed(FILE, lambda rows: rows["ring/cts"]["experiment"]["averaging"].pop("start"))
    assert cli("tiny", "--scale", "tiny", "--rows", "cts", "--seeds", "0,1")[0] == 0
    assert len(results.read(FILE)["ring/cts"]["runs"]) == 2


def test_the_page_alone_is_written_from_the_results(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    assert cli("page") == (0, "docs/reproduction.md\n", "")
    assert (tmp_path / "docs" / "reproduction.md").read_text() == reproduction_page(TABLES, {})


@pytest.mark.runs
def test_results_of_another_machine_or_stop_rule_go_on(cli: Cli, here: Any) -> None:
    assert cli("tiny", "--scale", "tiny", "--rows", "cts")[0] == 0

    def elsewhere(rows: dict[str, Any]) -> None:
        experiment = rows["ring/cts"]["experiment"]
        assert OPERATION.isdisjoint(experiment)
        experiment["divergence"] = {"type": "Divergence", "limit": 40.0, "on_diverge": "stop"}
        experiment |= {"devices": 2, "capture": "all"}

    sealed(FILE, elsewhere)
    assert cli("tiny", "--scale", "tiny", "--rows", "cts", "--seeds", "0,1")[0] == 0
    assert len(results.read(FILE)["ring/cts"]["runs"]) == 2


@pytest.mark.runs
def test_results_of_another_budget_are_kept(cli: Cli, here: Any) -> None:
    assert cli("tiny", "--scale", "tiny")[0] == 0
    sealed(FILE, lambda rows: rows["ring/nts"]["budget"].update(num_real=32))
    status, _, err = cli("tiny", "--scale", "tiny")
    assert status == 2 and "budget.num_real: 32 -> 64" in err


def test_the_stored_rows_can_be_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cifar10-train.zip", "celeba10k-64.zip"):
        (tmp_path / name).touch()
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path))
    rows = {row.name: row for table in TABLES.values() for row in table.all_rows}
    for scale, entries in results.read_all(LEDGER).items():
        for name, old in entries.items():
            one = planned(rows[name], SCALES[scale], {})
            assert one.experiment is not None
            results.check_same(name, old, row_identity(one), one.experiment, LEDGER)
