"""`ganneal train --devices 2` from the outside: processes that are started, killed, interrupted, resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.for_each import for_each

from ganneal.comparison.study import Arm
from ganneal.data.identity import identify
from ganneal.experiment import Experiment
from ganneal.experiments import EXPERIMENTS
from ganneal.ranks import RankLost, Ranks
from ganneal.training import followers as following
from ganneal.training.launch import launched, leads

ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("RANK", "LOCAL_RANK", "WORLD_SIZE")}
ENVIRONMENT["OMP_NUM_THREADS"] = "1"
RUN = (
    *("ring-nats", "--model.width", "16", "--data.num-samples", "2000", "--batch-size", "32", "--threads", "1"),
    *("--records.log-every", "64", "--records.checkpoint-seconds", "0", "--records.no-tensorboard"),
    *("--records.sample-count", "4", "--records.evaluate-count", "200", "--records.evaluate-every", "1000"),
)


def command(out: Path, devices: int, images: int) -> list[str]:
    program = [sys.executable, "-m", "ganneal.cli", "train", *RUN, "--out", str(out)]
    return [*program, "--devices", str(devices), "--budget.num-real", str(images)]


def ring(**changes: Any) -> Experiment:
    return replace(EXPERIMENTS["ring-nats"](), **changes)


def trained(out: Path, devices: int, images: int) -> str:
    """Train to the end; what was said."""
    done = subprocess.run(command(out, devices, images), capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stderr


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def struck(out: Path, victim: int, signum: signal.Signals) -> tuple[int, str, float]:
    """Train on two processes and send one a signal: how the first ended, what was said, seconds to the last end."""
    process = subprocess.Popen(command(out, 2, 10**9), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        patience = time.monotonic() + 300
        while len(list((out / "checkpoints").glob("*.pt"))) < 2 and process.poll() is None:
            assert time.monotonic() < patience, "no checkpoint"
            time.sleep(0.01)
        (other,) = children(process.pid)
        os.kill((process.pid, other)[victim], signum)
        struck_at = time.monotonic()
        _, said = process.communicate(timeout=120)  # both processes hold the pipe: this waits for either's end
        while not ended(other):
            assert time.monotonic() < struck_at + 120, "a process hangs"
            time.sleep(0.01)
        return process.returncode, said, time.monotonic() - struck_at
    finally:
        process.kill()


def final(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "final" / "generator-raw.safetensors")


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_others_and_the_run_goes_on_with_one_and_with_two(
    victim: int, tmp_path: Path
) -> None:
    out = tmp_path / "two"
    returned, said, _ = struck(out, victim, signal.SIGKILL)
    assert returned == (-signal.SIGKILL if victim == 0 else 2), said
    assert f"rank {1 - victim} of 2 ends: another process of this run has ended" in said
    assert "Traceback" not in said and not (out / "final").exists()
    shutil.copytree(out, tmp_path / "one")
    images = 64 * (json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["num_real"] // 64 + 4)
    for folder, devices in (("one", 1), ("two", 2)):
        assert "resuming" in trained(tmp_path / folder, devices, images)
    trained(tmp_path / "unbroken", 2, images)
    assert all(torch.equal(value, final(tmp_path / "unbroken")[name]) for name, value in final(out).items())


@pytest.mark.slow
def test_a_signal_to_any_process_saves_the_run_quietly(tmp_path: Path) -> None:
    returned, said, _ = struck(tmp_path, 1, signal.SIGTERM)
    assert returned == 128 + signal.SIGTERM
    assert said.count("stopped by a signal; saved") == 1 and "Traceback" not in said and "ends:" not in said


@pytest.mark.slow
def test_a_failure_of_the_first_process_is_said_once(tmp_path: Path) -> None:
    arguments = [*command(tmp_path / "run", 2, 64), "--data.num-samples", "16"]
    done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)
    assert done.returncode == 2
    assert done.stderr.count("error:") == 1 and "batch_size must not exceed the data" in done.stderr


@pytest.mark.slow
def test_torchrun_starts_the_processes_itself(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    torchrun += ["--rdzv-endpoint", "localhost:0"]
    done = subprocess.run(
        [*torchrun, *command(tmp_path, 2, 256)[1:]], capture_output=True, text=True, env=ENVIRONMENT, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "final" / "card.json").exists()
    assert json.loads((tmp_path / "experiment.json").read_text())["experiment"]["devices"] == 2


@for_each(
    ("backend", "said"),
    [
        (
            "[/a/gloo/pair.cc:537] Read error [127.0.0.1]:4511: Reset by peer.\nIs it on?",
            r"\(Read error .*peer\. Is it on\?\)",
        ),
        ("Timed out " * 20, r"\(Timed out .{90,106} \.\.\.\)"),
        ("", r"\(\)"),
    ],
)
def test_a_lost_process_is_told_in_a_line_of_whole_words(backend: str, said: str) -> None:
    with (
        pytest.raises(RankLost, match=rf"rank 1 of 2 ends: .* {said}\. The last checkpoint stays"),
        Ranks(1, 2).losing(),
    ):
        raise RuntimeError(backend)


def test_processes_that_torchrun_started_unasked_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "1")
    assert not leads(ring(devices=4)) and leads(ring())
    with pytest.raises(ValueError, match="torchrun has started, 4, got 1; use --devices 4"), launched(ring()):
        pass


@pytest.mark.parametrize(
    ("environment", "wanted", "said"),
    [
        (
            {"RANK": "0", "WORLD_SIZE": "4"},
            {"devices": 2},
            "torchrun has started, 4, got 2; use --devices 4",
        ),
        ({}, {"devices": 2, "nodes": 2}, "Use torchrun --nnodes 2 --nproc-per-node 2 -m ganneal.cli train"),
        (
            {"SLURM_NTASKS": "2"},
            {"devices": 2},
            "SLURM runs this command in 2 tasks. Use one task per machine, and srun",
        ),
    ],
)
def test_processes_started_in_another_number_are_refused(
    environment: dict[str, str], wanted: dict[str, int], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "WORLD_SIZE", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said), launched(ring(**wanted)):
        pass


SCRIPT = """
import os, sys
from dataclasses import replace
import ganneal
from ganneal.experiments import ring_nats
if os.environ.get("RANK") == sys.argv[1]:
    sys.exit(7)
quiet = ganneal.Records(evaluate_count=0, tensorboard=False, sample_count=4)
for number in range(2):
    experiment = replace(ring_nats(), devices=2, threads=1, records=quiet, budget=ganneal.Budget(d_updates=4))
    ganneal.train(experiment, f"run-{number}")
    print("trained", number, flush=True)
"""


def script(folder: Path, ends: str) -> "subprocess.CompletedProcess[str]":
    """A script that trains twice on two processes; the process of rank ``ends`` leaves at once."""
    program = [sys.executable, "-c", SCRIPT, ends]
    return subprocess.run(program, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, timeout=300)


@pytest.mark.runs
def test_a_script_trains_twice_on_the_same_processes(tmp_path: Path) -> None:
    done = script(tmp_path, "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained") == 4 and all((tmp_path / f"run-{n}" / "final").exists() for n in range(2))


@pytest.mark.slow
def test_a_process_that_ends_at_its_start_is_named(tmp_path: Path) -> None:
    done = script(tmp_path, "1")
    assert done.returncode != 0 and "process 1 of 2 ended at its start, with status 7" in done.stderr


def test_a_notebook_starts_no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys, "argv", [""])  # as an interactive session has it
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ValueError, match="devices must be 1 in a notebook"), launched(ring(devices=2)):
        pass


def test_a_process_with_another_experiment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        following, "receive", lambda ranks: following.initial_state(ring(), identify(ring().data.load()), {})
    )
    with pytest.raises(ValueError, match="rank 1 differs from the first: .*seed"):
        following.follow(ring(seed=7), Ranks(1, 2))


def test_a_study_trains_each_run_in_one_process() -> None:
    with pytest.raises(ValueError, match="devices x nodes = 2 in the arm two"):
        Arm("two", ring(devices=2))


@pytest.mark.parametrize("device", ["cuda:0", "meta"])
def test_several_processes_choose_their_devices_themselves(device: str) -> None:
    with pytest.raises(ValueError, match="device must be 'cpu' or 'cuda'"), launched(ring(device=device, devices=2)):
        pass
