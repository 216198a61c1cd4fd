"""The measurements for a GPU at a toy size on a CPU: every job writes its file, and needs nothing but the core."""

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
ABSENT = ("rich", "matplotlib", "tensorboard", "jaxtyping")
# In a process of its own, where none of the packages that such a machine lacks can be imported.
SCRIPT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.path.insert(0, {folder!r})
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {absent} else found(name, package)
import gpu
sys.exit(gpu.main())
"""


def job(out: Path, *arguments: str) -> dict[str, Any]:
    """What the job wrote, run at its smallest on the CPU."""
    script = SCRIPT.format(absent=ABSENT, folder=str(BENCHMARKS))
    command = [sys.executable, "-c", script, *arguments, "--device", "cpu", "--smoke", "--out", str(out)]
    command += ["--seconds", "0.05", "--seeds", "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, env=os.environ | {"CI": "1"})
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
    (file,) = out.iterdir()
    return json.loads(file.read_text())


@pytest.mark.slow
def test_step_times_need_the_core_alone(tmp_path: Path) -> None:
    content = job(tmp_path, "step", "--arms", "dcgan")
    assert content["job"] == "step" and content["about"]["command"].startswith("python benchmarks/gpu.py step")
    rows = content["figures"]["rows"]
    ways = [("float32", "D"), ("float32", "G"), ("float32", "NATS round"), ("bf16", "D"), ("bf16", "G")]
    assert [(row["precision"], row["move"]) for row in rows] == [*ways, ("bf16", "NATS round")]
    assert all(row["milliseconds"] > 0 and row["over_bare"] > 0 and row["gflop"] > 0 for row in rows)
    by_move = {row["move"]: row["gflop"] for row in rows}
    assert by_move["NATS round"] == pytest.approx(2 * by_move["D"] + 3 * by_move["G"])


@pytest.mark.slow
def test_every_network_has_step_times(tmp_path: Path) -> None:
    figures = job(tmp_path, "1")["figures"]
    assert {row["network"] for row in figures["rows"]} == {"dcgan-2", "sngan-2", "biggan-2", "ddgan-2"}
    assert figures["failures"] == [] and len(figures["rows"]) == 24


@pytest.mark.slow
def test_answers_are_the_same_where_the_device_is_the_same(tmp_path: Path) -> None:
    figures = job(tmp_path, "same")["figures"]
    assert figures["failed"] == 0 and all(check["passed"] for check in figures["checks"])
    assert len(figures["checks"]) > 60


@pytest.mark.slow
def test_recorded_answers_are_compared_with_plain_ones(tmp_path: Path) -> None:
    figures = job(tmp_path, "same", "--captures", "none", "compile", "--arms", "points")["figures"]
    assert [check["check"] for check in figures["checks"]] == ["points: as on the CPU", "points: compile as plain"]
    assert figures["failed"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arms"),
    [
        ("losses", 20),
        ("levels", 8),
        ("functional", 6),
        ("biggan", 3),
        ("ddgan", 3),
        ("gradients", 10),
        ("stability", 4),
    ],
)
def test_every_study_trains_and_measures_every_arm(tmp_path: Path, name: str, arms: int) -> None:
    figures = job(tmp_path, name)["figures"]
    assert len(figures["runs"]) == arms and figures["failed"] == 0
    assert all(run["status"] == "finished" and len(run["measured"]) == 4 for run in figures["runs"])
    assert all(row["fd_at_equal_seconds"] > 0 for row in figures["table"].values())
    assert {"ema", "num_real", "d_updates", "g_updates", "seconds"} <= figures["runs"][0]["measured"][0].keys()


@pytest.mark.slow
def test_folders_of_pictures_train_with_the_core_alone(tmp_path: Path) -> None:
    runs = job(tmp_path, "paths")["figures"]["runs"]
    assert [(run["side"], run["status"]) for run in runs] == [(16, 0), (24, 0)]
    assert all(run["images_per_second"] > 0 and "d_accuracy" in run["last"] for run in runs)


@pytest.mark.slow
def test_one_command_runs_the_four_jobs_in_their_order(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), "--device", "cpu", "--smoke", "--out", str(tmp_path)]
    command += ["--seconds", "0.05", "--seeds", "1", "--minutes", "30"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=1_800, env=os.environ | {"CI": "1"})
    assert result.returncode == 0, result.stderr[-3000:] + result.stdout[-3000:]
    written = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime)
    contents = [json.loads(path.read_text()) for path in written]
    assert [content["job"] for content in contents] == ["same", "step", "losses", "paths"]
    assert all(content["whole"] for content in contents)
    assert len(contents[2]["figures"]["table"]) == 5 and contents[2]["figures"]["images_a_run"] == 64
    assert [run["side"] for run in contents[3]["figures"]["runs"]] == [16, 24]


@pytest.mark.runs
def test_a_job_whose_time_is_over_keeps_what_it_has(tmp_path: Path) -> None:
    content = job(tmp_path, "same", "--job-seconds", "0")
    assert not content["whole"] and [check["check"] for check in content["figures"]["checks"]] == [
        "points: as on the CPU"
    ]


def test_studies_record_as_was_fastest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    fastest_capture = import_module("gpu").fastest_capture

    assert fastest_capture(tmp_path) == "none"
    row = {"network": "dcgan-64", "move": "NATS round", "precision": "bf16"}
    rows = [row | {"capture": "none", "milliseconds": 3.0}, row | {"capture": "graph", "milliseconds": 2.0}]
    rows += [row | {"capture": "compile", "milliseconds": 1.0, "precision": "float32"}]
    (tmp_path / "step-2026-01-01-000000.json").write_text(json.dumps({"figures": {"rows": rows}}))
    assert fastest_capture(tmp_path) == "graph"
