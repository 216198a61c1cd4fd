"""`ganneal compare --cluster local`: a Ray cluster of this machine's processors, and one of its workers killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'ganneal[cluster]'")
if not Path("/proc/self/fd").exists():
    pytest.skip("finding the workers of a cluster needs /proc", allow_module_level=True)
pytestmark = pytest.mark.slow

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
TIMES = frozenset({"seconds", "cpu_seconds", "sha256"})
"""And the seal, which covers them."""
OPTIONS = (
    *("--model.width", "8", "--data.num-samples", "500", "--batch-size", "32", "--threads", "1"),
    *("--records.log-every", "320", "--records.evaluate-every", "3200", "--records.evaluate-count", "100"),
    *("--records.evaluate-share", "1", "--records.checkpoint-seconds", "0", "--records.sample-count", "4"),
    "--records.no-tensorboard",
)


def study(out: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ganneal.cli", "compare", *arguments, *OPTIONS, "--out", str(out)]


def compared(out: Path, *arguments: str) -> str:
    result = subprocess.run(study(out, *arguments), capture_output=True, text=True, env=ENVIRONMENT, timeout=900)
    assert result.returncode == 0, result.stderr
    return result.stderr


def outcomes(out: Path) -> dict[str, dict[str, Any]]:
    """What each run left, without the time it took."""
    files = sorted(out.glob("*/seed*/outcome.json"))
    contents = {str(file.parent.relative_to(out)): json.loads(file.read_text()) for file in files}
    return {name: {k: v for k, v in content.items() if k not in TIMES} for name, content in contents.items()}


def trainer(run: Path) -> int | None:
    """The process that trains in ``run``: it holds the lock file open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == str(run / ".lock"):
                return int(link.parts[2])
        except OSError:  # it ended while we looked
            continue
    return None


def test_workers_come_to_the_outcomes_of_processes(tmp_path: Path) -> None:
    arguments = ("nats=ring-nats", "cts=ring-cts", "--num-real", "6400", "--seeds", "2")
    compared(tmp_path / "ray", *arguments, "--cluster", "local")
    compared(tmp_path / "here", *arguments)
    assert outcomes(tmp_path / "ray") == outcomes(tmp_path / "here")
    assert [run["status"] for run in outcomes(tmp_path / "ray").values()] == ["finished"] * 4


def test_a_run_whose_worker_is_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    arguments = ("cts=ring-cts", "--num-real", "64000", "--seeds", "1")
    out = tmp_path / "ray"
    run = out / "cts" / "seed0"
    process = subprocess.Popen(
        study(out, *arguments, "--cluster", "local"), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    killed = None
    try:
        while killed is None and process.poll() is None:
            if list(run.glob("checkpoints/*.pt")) and (killed := trainer(run)):
                os.kill(killed, signal.SIGKILL)
            time.sleep(0.01)
        _, said = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert killed, "the run was over too soon; give it a larger budget"
    assert trainer(run) is None
    compared(tmp_path / "here", *arguments)
    assert outcomes(out) == outcomes(tmp_path / "here")
