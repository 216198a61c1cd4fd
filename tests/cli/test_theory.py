"""`ganneal theory` as a person meets it: the list, measured statements, figures, mistakes."""

from pathlib import Path

import pytest
from PIL import Image

from ganneal.cli import main
from ganneal.theory import figures
from ganneal.theory.propositions import PROPOSITIONS


def test_every_statement_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["theory"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(name) for line, name in zip(lines, PROPOSITIONS, strict=False))


def test_statements_are_measured_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["theory", "T3.2 overshoots", "T2.2"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:6] == ["T3.2", "overshoots", "36.3", "≥", "1", "holds"] and second.startswith("T2.2 ")


def test_the_figures_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(figures, "FIGURE_SAMPLES", 50)
    monkeypatch.setattr(figures, "LANGEVIN_STEPS", 2)
    assert main(["theory", "--figures", str(tmp_path / "new"), "--steps", "2"]) == 0
    assert "After 2 steps" in capsys.readouterr().out
    for name, size in (("score-field", (768, 392)), ("langevin", (768, 400))):
        with Image.open(tmp_path / "new" / f"{name}.png") as picture:
            assert picture.size == size and len(picture.convert("L").getcolors() or ()) > 10


def test_mistakes_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["theory", "T2.3"]) == 2
    assert "unknown statement 'T2.3'" in capsys.readouterr().err
    assert main(["theory", "--steps", "0"]) == 2
    assert "steps must be at least 1, got 0" in capsys.readouterr().err
