"""The study of divergences: its exact part against closed forms, its files, its table and figure."""

import json
import math
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
import torch

from ganneal.divergences import DIVERGENCES

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = spec_from_file_location("divergence_study", ROOT / "examples" / "divergence_study.py")
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_best_normal_for_kl_has_the_moments_of_the_mixture(example: ModuleType) -> None:
    mean = -0.3 * 1.5  # 0.65 on the left, 0.35 on the right
    std = math.sqrt(0.6**2 + 1.5**2 - mean**2)
    best, descended = example.best_normal(DIVERGENCES["kl"]), example.descended_normal(DIVERGENCES["kl"], 300)
    assert (best["mean"], best["std"]) == (pytest.approx(mean, abs=0.0126), pytest.approx(std, abs=0.0101))
    assert (descended["mean"], descended["std"]) == (pytest.approx(mean, abs=5e-3), pytest.approx(std, abs=5e-3))


def test_the_best_normal_for_a_mode_seeking_divergence_keeps_the_heavier_mode(example: ModuleType) -> None:
    best = example.best_normal(DIVERGENCES["neyman_chi2"])
    assert (best["mean"], best["std"]) == (pytest.approx(-1.5, abs=0.05), pytest.approx(0.6, abs=0.05))
    assert example.descended_normal(DIVERGENCES["neyman_chi2"]) == {}  # infinite from a wide start


def test_a_mixture_is_no_further_from_itself_than_any_normal(example: ModuleType) -> None:
    x = torch.linspace(-10, 10, 801, dtype=torch.float64)
    assert torch.trapezoid(example.log_data(x).exp(), x).item() == pytest.approx(1, abs=1e-12)


def test_finished_runs_are_read_and_not_repeated(example: ModuleType, tmp_path: Path) -> None:
    calls = []

    def make() -> dict[str, float]:
        calls.append(1)
        return {"std": 1.5}

    first, again = (example.kept(tmp_path / "line-kl-0.json", make) for _ in range(2))
    assert first == again and first["std"] == 1.5 and "cpu_seconds" in first and len(calls) == 1


@pytest.mark.runs
def test_short_games_give_what_the_table_shows(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example, "LINE_STEPS", 25)
    monkeypatch.setattr(example, "PLANE_STEPS", 25)
    monkeypatch.setattr(example, "POWERS", [1.0, 2.0])
    monkeypatch.setattr(example, "ordered", lambda: ["kl", "neyman_chi2"])
    page = tmp_path / "page"
    assert example.main(["--out", str(tmp_path / "runs"), "--seeds", "1", "--page", str(page)]) == 0
    content = json.loads(page.with_suffix(".json").read_text())
    assert list(content["rows"]) == ["kl", "neyman_chi2"] and page.with_suffix(".png").stat().st_size > 10_000
    for row in content["rows"].values():
        assert row["line"][0]["std"] > 0 and 0 <= row["plane"][0]["on_modes"] <= 1
    lines = example.table(content).splitlines()
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1 and "| – |" in lines[3]
