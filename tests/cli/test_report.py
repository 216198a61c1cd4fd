"""`ganneal report` as a person meets it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from ganneal import cli
from ganneal.cli.report import ReportCommand


def main(arguments: list[str]) -> None:
    ReportCommand.parse(arguments, "report")("")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that was stopped before it had weights to keep."""
    folder = tmp_path / "runs" / "mine"
    (folder / "samples").mkdir(parents=True)
    description = {"experiment": {"name": "mine"}, "data": {"shape": [1, 8, 8]}, "provenance": {}}
    (folder / "experiment.json").write_text(json.dumps(description))
    (folder / "metrics.jsonl").write_text(
        '{"num_real": 0, "FD-pixels16": 100.0}\n{"num_real": 64, "FD-pixels16": 40}\n'
    )
    Image.new("L", (16, 16)).save(folder / "samples" / "000000000.png")
    return folder


def test_the_page_is_put_into_the_run_and_its_place_is_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(run)])
    page = run / "report.html"
    assert capsys.readouterr().out.endswith(f"MB: {page}\n")
    assert "FD-pixels16 fell from 100 to 40" in page.read_text()
    assert "No weights could be read" in page.read_text()


def test_out_names_the_page_and_a_second_page_takes_the_place_of_the_first(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "mine.html"
    main([str(run), "--out", str(page)])
    first = page.read_text()
    (run / "metrics.jsonl").write_text('{"num_real": 0, "FD-pixels16": 9.0}\n')
    main([str(run), "--out", str(page)])
    assert page.read_text() != first and not (run / "report.html").exists()
    assert [path.name for path in page.parent.iterdir()] == ["mine.html"]


def test_several_runs_are_put_side_by_side(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "runs" / "other"
    run.rename(other)
    other.parent.joinpath("mine").mkdir()
    for file in ("experiment.json", "metrics.jsonl"):
        (run / file).write_bytes((other / file).read_bytes())
    (run / "samples").mkdir()
    Image.new("L", (16, 16)).save(run / "samples" / "000000064.png")
    main([str(run), str(other), "--out", str(tmp_path / "both.html")])
    assert "2 runs side by side" in (tmp_path / "both.html").read_text()


def test_directories_without_a_run_or_without_samples_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no run at"):
        main([str(tmp_path)])
    (run / "samples" / "000000000.png").unlink()
    with pytest.raises(FileNotFoundError, match="a run without samples"):
        main([str(run)])
    assert not (run / "report.html").exists()


def test_help_says_what_comes_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "ganneal report" in out and "one HTML file" in out and "--out" in out
