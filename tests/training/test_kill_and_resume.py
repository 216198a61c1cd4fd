"""A run killed at any moment, inside saving too, ends with the bits of one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

from ganneal.cli import main

NETWORKS = ("generator", "generator-raw", "discriminator")
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}

WATCHED = frozenset(
    {"seconds", "cpu_seconds", "evaluating_seconds", "evaluation_cost", "coverage", "duplicates", "d_accuracy"}
    | {"sampler", "compared", "duplicates_expected"}
)
"""Columns that tell how long it took, or what evaluations found."""


def final_bits(out: Path) -> dict[str, bytes]:
    """Every weight and buffer of the three networks."""
    return {
        f"{name} {key}": tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        for name in NETWORKS
        for key, tensor in load_file(out / "final" / f"{name}.safetensors").items()
    }


def rows(out: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in WATCHED and not k.startswith("FD-")} for row in read]


# Random moments


def command(out: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "ganneal.cli", "train", *arguments, "--threads", "1", "--out", str(out)]


def checkpoints(out: Path) -> set[str]:
    return {path.name for path in (out / "checkpoints").glob("*.pt")}


def killed(out: Path, arguments: tuple[str, ...], moment: float, signum: signal.Signals = signal.SIGKILL) -> bool:
    """Train until something new is saved and ``moment`` seconds more, then end it; False when it had by itself."""
    saved = checkpoints(out)
    process = subprocess.Popen(command(out, *arguments), stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        while process.poll() is None and not checkpoints(out) - saved:
            time.sleep(0.002)
        if process.poll() is None:
            time.sleep(moment)
    finally:
        process.send_signal(signum)
        _, said = process.communicate(timeout=60)
    assert process.returncode in (0, -signum, 128 + signum), said
    return process.returncode != 0


def trained(out: Path, arguments: tuple[str, ...]) -> Path:
    result = subprocess.run(command(out, *arguments), capture_output=True, text=True, env=ENVIRONMENT, timeout=1500)
    assert result.returncode == 0, result.stderr
    return out


def trained_here(out: Path, arguments: tuple[str, ...]) -> Path:
    """As by `trained`, without the seconds that a process takes to begin."""
    threads = torch.get_num_threads()
    assert main(command(out, *arguments)[3:]) == 0
    torch.set_num_threads(threads)
    return out


def survives(
    tmp_path: Path,
    arguments: tuple[str, ...],
    watched: tuple[str, ...],
    kills: int,
    longest: float,
    signum: signal.Signals = signal.SIGKILL,
    train: Callable[[Path, tuple[str, ...]], Path] = trained,
) -> None:
    """``kills`` kills within ``longest`` seconds of a save change nothing; neither do the records in ``watched``."""
    undisturbed = train(tmp_path / "undisturbed", arguments)
    moments = random.Random(kills)
    out = tmp_path / "killed"
    landed = sum(killed(out, arguments + watched, moments.uniform(0, longest), signum) for _ in range(kills))
    assert landed == kills, f"the run was over after {landed} kills; give it a larger budget"
    assert not (out / "final").exists()
    train(out, arguments + watched)
    assert final_bits(out) == final_bits(undisturbed)
    trained_rows = [row for row in rows(out) if "d_loss" in row]
    assert trained_rows == [row for row in rows(undisturbed) if "d_loss" in row]


STORED = [(side, f) for f in ("generator-pushed", "stored-discriminators") for side in ("undisturbed", "killed")]
OFTEN = ("--records.checkpoint-seconds", "0", "--records.no-tensorboard", "--records.sample-count", "4")


@pytest.mark.runs
@pytest.mark.usefixtures("empty_pictures")
def test_a_kill_changes_no_bit(tmp_path: Path) -> None:
    arguments = (
        *("ring-nats", "--model.width", "16", "--data.num-samples", "2000", "--batch-size", "32"),
        *("--budget.num-real", "3200", "--records.log-every", "64", "--records.evaluate-count", "0"),
    )
    survives(tmp_path, arguments + OFTEN, (), kills=1, longest=0.2, train=trained_here)


@pytest.mark.slow
def test_three_kills_at_random_moments_change_no_bit(tmp_path: Path) -> None:
    arguments = (
        *("ring-nats", "--model.width", "16", "--data.num-samples", "2000", "--batch-size", "32"),
        *("--budget.num-real", "48000", "--records.log-every", "320", "--records.evaluate-count", "0"),
    )
    survives(tmp_path, arguments + OFTEN, (), kills=3, longest=0.2)


@pytest.mark.slow
def test_three_kills_of_the_first_of_two_processes_change_no_bit(tmp_path: Path) -> None:
    arguments = (
        *("ring-nats", "--devices", "2", "--model.width", "16", "--data.num-samples", "2000", "--batch-size", "32"),
        *("--budget.num-real", "6400", "--records.log-every", "64", "--records.evaluate-count", "0"),
    )
    survives(tmp_path, arguments + OFTEN, (), kills=3, longest=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_twenty_kills_at_random_moments_change_no_bit_while_sampling_and_evaluating(
    precision: str, tmp_path: Path
) -> None:
    arguments = (
        *("digits-nats", "--model.width", "8", "--model.latent-size", "16", "--batch-size", "32"),
        *("--precision", precision, "--budget.num-real", "48000", "--records.log-every", "128"),
    )
    undisturbed = ("--records.evaluate-count", "0", "--records.sample-every", "1000000")
    watched = ("--records.evaluate-count", "200", "--records.evaluate-every", "1280", "--records.sample-every", "640")
    survives(tmp_path, arguments + OFTEN + undisturbed, watched, kills=20, longest=0.4)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("fakes", ["replay", "pool"])
def test_ten_ends_at_random_moments_of_chains_and_fits_change_no_bit(fakes: str, signum: Any, tmp_path: Path) -> None:
    """A kill goes back to the end of a round, where rows are written; another signal saves in the middle of one."""
    scheme = ("--scheme", "cfg", "--scheme.steps", "5", "--scheme.pool-size", "128", "--scheme.fakes", fakes)
    arguments = (
        *("digits-nats", *scheme, "--model.width", "8", "--model.latent-size", "16", "--batch-size", "32"),
        *("--budget.num-real", "16000", "--records.log-every", "160", "--records.evaluate-count", "0"),
    )
    survives(tmp_path, arguments + OFTEN, (), kills=10, longest=0.4, signum=signum)
    stored = [load_arrays(tmp_path / side / "final" / f"{name}.safetensors") for side, name in STORED]
    for undisturbed, killed in zip(stored[::2], stored[1::2], strict=True):
        assert {k: v.tobytes() for k, v in undisturbed.items()} == {k: v.tobytes() for k, v in killed.items()}


# Every moment of saving

DRIVER = '''
"""Train in a process that is killed at its n-th call to the file system, for many n; then train on in another."""

import json, os, signal, sys, traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import ganneal
from ganneal.data import Dataset
from ganneal.models import DCGAN
from ganneal.schemes import Nested
from ganneal.weights import Geometric

CALLS = ("fsync", "replace", "unlink", "rmdir", "truncate")


@dataclass(frozen=True)
class Noise:
    def load(self):
        return Dataset(np.random.default_rng(0).integers(0, 256, (64, 1, 8, 8), dtype=np.uint8))


EXPERIMENT = ganneal.Experiment(
    name="noise",
    data=Noise(),
    model=DCGAN(width=4, latent_size=4),
    scheme=Nested(levels=2, weights=Geometric()),
    batch_size=16,
    budget=ganneal.Budget(d_updates=3),
    records=ganneal.Records(
        log_every=16, sample_every=32, sample_count=4, evaluate_count=0, checkpoint_seconds=0.0, tensorboard=False
    ),
    threads=1,
)


def die_at(moment):
    made = 0
    synced = {}

    def watched(name, original):
        def call(*arguments, **options):
            nonlocal made
            made += 1
            file = name == "fsync" and os.path.realpath(f"/proc/self/fd/{arguments[0]}")
            if made == moment:
                if file and not os.path.isdir(file):  # of what is to be synced, half has been written
                    with open(file, "r+b") as torn:
                        torn.truncate((synced.get(file, 0) + os.path.getsize(file)) // 2)
                os.kill(os.getpid(), signal.SIGKILL)
            returned = original(*arguments, **options)
            if file:
                synced[file] = os.path.getsize(file)
            return returned

        return call

    for name in CALLS:
        setattr(os, name, watched(name, getattr(os, name)))


def in_a_child(out, moment=None):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        if moment is not None:
            die_at(moment)
        ganneal.train(EXPERIMENT, out)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


root, first, stride = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
ganneal.train(EXPERIMENT, root / "whole")  # here, so that no child has to import anything
outcomes, moment, status = [], first - stride, None
while status != 0:
    moment += stride
    out = root / f"{moment:03d}"
    status = in_a_child(out, moment)
    left = [str(path) for path in out.rglob("*.tmp")]
    outcomes.append({"out": str(out), "killed": status, "left": left, "resumed": in_a_child(out)})
print(json.dumps(outcomes))
'''


@pytest.fixture(scope="module", params=[(1, 2), pytest.param((2, 2), marks=pytest.mark.slow)], ids=["odd", "even"])
def killed_while_saving(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """The directory of an undisturbed run, and what became of one killed at every second call to the file system."""
    root = tmp_path_factory.mktemp("saving")
    result = subprocess.run(
        [sys.executable, "-c", DRIVER, str(root), *map(str, request.param)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    outcomes = json.loads(result.stdout)
    assert [outcome["resumed"] for outcome in outcomes] == [0] * len(outcomes), result.stderr
    yield root / "whole", outcomes


Killed = tuple[Path, list[dict[str, Any]]]


@pytest.mark.runs
def test_kills_land_in_every_stage_of_saving(killed_while_saving: Killed) -> None:
    _, outcomes = killed_while_saving
    *deaths, survivor = [outcome["killed"] for outcome in outcomes]
    assert survivor == 0 and set(deaths) == {signal.SIGKILL} and len(deaths) > 10
    left = {Path(name).parent.name for outcome in outcomes for name in outcome["left"]}
    assert {"checkpoints", "samples", ".final.tmp"} <= left  # half-written files of each kind were left behind


@pytest.mark.runs
def test_a_kill_at_any_moment_of_saving_changes_no_bit(killed_while_saving: Killed) -> None:
    whole, outcomes = killed_while_saving
    expected = final_bits(whole)
    for outcome in outcomes:
        assert final_bits(Path(outcome["out"])) == expected, outcome


@pytest.mark.runs
def test_a_kill_at_any_moment_of_saving_loses_and_repeats_no_row(killed_while_saving: Killed) -> None:
    whole, outcomes = killed_while_saving
    expected = rows(whole)
    assert len(expected) == 3
    for outcome in outcomes:
        assert rows(Path(outcome["out"])) == expected, outcome


@pytest.mark.runs
def test_a_kill_at_any_moment_of_saving_leaves_a_directory_like_any_other(killed_while_saving: Killed) -> None:
    whole, outcomes = killed_while_saving

    def contents(out: Path) -> list[str]:
        names = [str(path.relative_to(out)) for path in out.rglob("*") if path.parent.name != "checkpoints"]
        return sorted(names) + [str(len(checkpoints(out)))]

    for outcome in outcomes:
        assert contents(Path(outcome["out"])) == contents(whole), outcome


@pytest.mark.runs
def test_half_written_checkpoints_of_killed_processes_are_cleared_away(killed_while_saving: Killed) -> None:
    _, outcomes = killed_while_saving
    for outcome in outcomes:
        leftovers = [path.name for path in Path(outcome["out"]).rglob("*") if path.name.endswith((".tmp", ".old"))]
        assert leftovers == [], outcome
