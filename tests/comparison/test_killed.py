"""A study ended at any moment, by whatever means, comes to the outcomes of one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
TIMES = frozenset({"seconds", "cpu_seconds", "sha256"})
OPTIONS = (
    *("--model.width", "8", "--data.num-samples", "500", "--batch-size", "32", "--threads", "1"),
    *("--records.log-every", "320", "--records.evaluate-every", "3200", "--records.evaluate-count", "100"),
    *("--records.evaluate-share", "1", "--records.checkpoint-seconds", "0", "--records.sample-count", "4"),
    *("--records.no-tensorboard", "--jobs", "2"),
)

if not Path("/proc/self/fd").exists():
    pytest.skip("finding the processes of a study needs /proc", allow_module_level=True)


def command(out: Path, arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "ganneal.cli", "compare", *arguments, *OPTIONS, "--out", str(out)]


def outcomes(out: Path) -> dict[str, dict[str, Any]]:
    """What is written of each run that has ended, without the time it took."""
    found = {}
    for file in sorted(out.glob("*/seed*/outcome.json")):
        content = json.loads(file.read_text())
        found[str(file.parent.relative_to(out))] = {k: v for k, v in content.items() if k not in TIMES}
    return found


def times(out: Path) -> dict[str, int]:
    return {str(file.relative_to(out)): file.stat().st_mtime_ns for file in out.glob("*/seed*/outcome.json")}


def saved(out: Path) -> set[str]:
    return {str(path) for path in out.glob("*/seed*/checkpoints/*.pt")}


def holders(out: Path) -> set[int]:
    """The processes that train in a directory of the study: they hold its lock file open."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = os.readlink(link)
        except OSError:  # it ended while we looked
            continue
        if target.startswith(str(out)) and target.endswith("/.lock") and Path(target).parent != out:
            found.add(int(link.parts[2]))
    return found


End = Callable[[subprocess.Popen[str], Path], None]


def kill_all(process: subprocess.Popen[str], out: Path) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def kill_parent(process: subprocess.Popen[str], out: Path) -> None:
    process.kill()


def terminate(process: subprocess.Popen[str], out: Path) -> None:
    process.terminate()


def press_ctrl_c(process: subprocess.Popen[str], out: Path) -> None:
    os.killpg(process.pid, signal.SIGINT)


def kill_a_run(process: subprocess.Popen[str], out: Path) -> None:
    """The study notices and lets it go on; it is ended itself a moment later."""
    for pid in list(holders(out))[:1]:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    kill_all(process, out)


STATUS: dict[End, int] = {
    kill_all: -signal.SIGKILL,
    kill_parent: -signal.SIGKILL,
    kill_a_run: -signal.SIGKILL,
    terminate: 128 + signal.SIGTERM,
    press_ctrl_c: 128 + signal.SIGINT,
}


def ended_after_a_save(out: Path, arguments: tuple[str, ...], end: End, moment: float = 0.0) -> bool:
    """Run the study until something new is saved and ``moment`` seconds more, then end it; False if it ended itself."""
    before = saved(out)
    process = subprocess.Popen(
        command(out, arguments), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True
    )
    try:
        while process.poll() is None and not saved(out) - before:
            time.sleep(0.005)
        time.sleep(moment)
        if process.poll() is None:
            end(process, out)
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode in (0, STATUS[end]), said
    if end in (terminate, press_ctrl_c) and process.returncode:
        assert "Traceback" not in said
        assert not holders(out), "a run outlived the comparison that was to wait for it"
        assert f"stopped; finished runs are kept in {out}. The same command goes on." in said
    return process.returncode != 0


def compared(out: Path, arguments: tuple[str, ...]) -> str:
    result = subprocess.run(command(out, arguments), capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
    assert result.returncode == 0, result.stderr
    return result.stderr


def like_any_other(out: Path, undisturbed: Path) -> None:
    """The same outcomes, the same files, nothing half-written and nobody left."""
    assert outcomes(out) == outcomes(undisturbed)
    assert not [path for path in out.rglob("*") if path.name.endswith((".tmp", ".old"))]
    assert not holders(out)

    def contents(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.suffix != ".pt"}

    assert contents(out) == contents(undisturbed)


@pytest.mark.slow
def test_a_study_ended_four_ways_comes_to_the_same_outcomes(tmp_path: Path) -> None:
    arguments = ("nats=ring-nats", "cts=ring-cts", "--num-real", "48000", "--seeds", "1")
    compared(tmp_path / "undisturbed", arguments)
    out = tmp_path / "ended"
    ends = [ended_after_a_save(out, arguments, end) for end in (kill_all, kill_parent, terminate, press_ctrl_c)]
    assert all(ends), "the study was over too soon; give it a larger budget"
    compared(out, arguments)
    like_any_other(out, tmp_path / "undisturbed")
    assert {run["status"] for run in outcomes(out).values()} == {"finished"} and len(outcomes(out)) == 2


@pytest.mark.slow
def test_a_study_killed_at_two_dozen_moments_comes_to_the_same_outcomes(tmp_path: Path) -> None:
    arguments = ("nats=ring-nats", "cts=ring-cts", "nts=ring-nts", "--num-real", "32000", "--seeds", "2")
    compared(tmp_path / "undisturbed", arguments)
    out, moments, ended = tmp_path / "ended", random.Random(24), 0
    for _ in range(24):
        done = times(out)
        ended += ended_after_a_save(out, arguments, moments.choice(list(STATUS)), moments.uniform(0, 1.0))
        assert times(out).items() >= done.items(), "a run that had ended was run again"
    done = times(out)
    compared(out, arguments)
    assert times(out).items() >= done.items()
    assert ended >= 8, f"the study was over after {ended} kills; give it a larger budget"
    like_any_other(out, tmp_path / "undisturbed")
