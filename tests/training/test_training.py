"""Training in a directory: what is written, resuming, refusals, faults, and samples drawn from the result."""

import json
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.for_each import for_each
from torch import Tensor, nn

import ganneal
from ganneal.cli import main
from ganneal.data import Arrays, Dataset, Digits, Ring
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment, Records
from ganneal.losses import LOSSES
from ganneal.models import DCGAN, MLP, ModelPair
from ganneal.models.protocol import Normal
from ganneal.optim import SGD, Adam, Averaging, LinearDecay
from ganneal.regularizers import GradientPenalty
from ganneal.schemes import Alternating, Nested
from ganneal.stop import Divergence
from ganneal.storage.run_directory import RunDirectory
from ganneal.task import Labelled
from ganneal.training.interruption import Interrupted
from ganneal.weights import Geometric

pytestmark = pytest.mark.usefixtures("empty_pictures")
BATCH = 16
NETWORKS = ("generator", "generator-raw", "discriminator")


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """An experiment's threads are set for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def ring(**changes: Any) -> Experiment:
    experiment = Experiment(
        name="ring",
        data=Ring(num_samples=200),
        model=MLP(width=8, depth=2, latent_size=2),
        scheme=Nested(levels=3, weights=Geometric()),
        d_optimizer=Adam(lr=1e-2),
        g_optimizer=Adam(lr=1e-2),
        averaging=Averaging(half_life=64),
        batch_size=BATCH,
        budget=Budget(num_real=10 * BATCH),
        records=Records(
            log_every=2 * BATCH,
            sample_every=10**9,
            sample_count=8,
            evaluate_count=0,
            evaluate_share=1.0,
            checkpoint_seconds=0.0,
            tensorboard=False,
        ),
        threads=1,
    )
    return replace(experiment, **changes)


def digits(**changes: Any) -> Experiment:
    return replace(ring(name="digits", data=Digits(), model=DCGAN(width=4, latent_size=4)), **changes)


def recording(experiment: Experiment, **changes: Any) -> Experiment:
    return replace(experiment, records=replace(experiment.records, **changes))


def rows(out: Path, *without: str) -> list[dict[str, Any]]:
    """The log rows of a run without the time they took; every line is strict JSON."""

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is no JSON")

    lines = (out / "metrics.jsonl").read_text().splitlines()
    read = [json.loads(line, parse_constant=refuse) for line in lines]
    return [
        {
            k: v
            for k, v in row.items()
            if k not in ("seconds", "cpu_seconds", "evaluating_seconds", "evaluation_cost", *without)
        }
        for row in read
    ]


def checkpoints(out: Path) -> list[Path]:
    """Oldest first."""
    return RunDirectory(out).list_checkpoints()[::-1]


def final_bits(out: Path) -> dict[str, Tensor]:
    return {
        f"{name} {key}": tensor
        for name in NETWORKS
        for key, tensor in load_file(out / "final" / f"{name}.safetensors").items()
    }


def same_bits(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def files(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def temporary_files(out: Path) -> list[str]:
    return [name for name in files(out) if ".tmp" in name or ".old" in name]


@pytest.fixture(scope="module")
def trained_ring(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    """A finished run to compare with; `finished` is a copy to change."""
    out = tmp_path_factory.mktemp("runs") / "ring"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganneal.training.session.scatter", lambda *points: Image.new("L", (1, 1)))
        return out, ganneal.train(ring(), out)


@pytest.fixture
def finished(trained_ring: tuple[Path, Run], tmp_path: Path) -> Path:
    return shutil.copytree(trained_ring[0], tmp_path / "finished")


@pytest.fixture(scope="module")
def trained_digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    out = tmp_path_factory.mktemp("runs") / "digits"
    return out, ganneal.train(digits(), out)


@pytest.fixture
def signal_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Send this process a signal while it makes its n-th step from now."""
    make = engine.apply

    def arrange(steps: int, signum: int = signal.SIGTERM) -> None:
        made = 0

        def apply(step: Any, run: Run) -> None:
            nonlocal made
            made += 1
            make(step, run)
            if made == steps:
                os.kill(os.getpid(), signum)

        monkeypatch.setattr(engine, "apply", apply)

    return arrange


def interrupted(experiment: Experiment, out: Path, signal_at: Callable[..., None], steps: int) -> None:
    signal_at(steps)
    with pytest.raises(Interrupted):
        ganneal.train(experiment, out)


# What is written


def test_a_run_directory_holds_its_configuration_records_samples_checkpoints_and_weights(tmp_path: Path) -> None:
    experiment = recording(digits(), sample_every=4 * BATCH, tensorboard=True, evaluate_count=200)
    run = ganneal.train(experiment, tmp_path / "run")
    out = tmp_path / "run"
    assert {path.name for path in out.iterdir() if not path.name.startswith(".")} == {
        "experiment.json",
        "metrics.jsonl",
        "samples",
        "checkpoints",
        "best",
        "final",
        "tensorboard",
    }
    assert {path.name for path in (out / "samples").iterdir()} == {
        "real.png",
        *(f"{count:09d}.png" for count in (0, 64, 128, 160)),
    }
    assert {path.name for path in (out / "final").iterdir()} == {"card.json", *(f"{n}.safetensors" for n in NETWORKS)}
    assert len(checkpoints(out)) == 2
    assert list((out / "tensorboard").iterdir()) != []
    assert run.counters.num_real == 160 and run.counters.d_updates == 10
    assert temporary_files(out) == []


def test_the_description_is_resolved_and_says_on_what_it_ran(trained_digits: tuple[Path, Run]) -> None:
    content = json.loads((trained_digits[0] / "experiment.json").read_text())
    experiment = content["experiment"]
    assert experiment["scheme"] == {
        "type": "Nested",
        "levels": 3,
        "d_steps": 1,
        "weights": {"type": "Geometric", "first": 1.0, "last": 0.01},
    }
    assert (experiment["seed"], experiment["batch_size"], experiment["budget"]["num_real"]) == (0, BATCH, 160)
    assert content["data"]["shape"] == [1, 16, 16] and content["data"]["count"] == 1797
    assert {"ganneal", "torch", "python", "platform", "processor", "commit"} <= content["provenance"].keys()
    assert content["provenance"]["threads"] == 1
    assert content["provenance"]["torch"] == torch.__version__


def test_rows_come_every_so_many_real_images_and_the_last_says_why_it_stopped(tmp_path: Path) -> None:
    ganneal.train(recording(ring(), evaluate_count=64), tmp_path)
    got = rows(tmp_path)
    assert [row["num_real"] for row in got] == [0, 32, 64, 96, 128, 160]
    assert [row.get("stopped") for row in got] == [None] * 5 + ["num_real reached 160"]
    assert ["FD-points" in row for row in got] == [True, *[False] * 4, True]


def test_evaluations_come_every_so_many_real_images_at_the_next_row(tmp_path: Path) -> None:
    ganneal.train(recording(ring(), evaluate_count=64, evaluate_every=50), tmp_path)
    evaluated = [row["num_real"] for row in rows(tmp_path) if "FD-points" in row]
    assert evaluated == [0, 64, 128, 160]  # 50, 100 and 150 are passed before the rows at 64, 128 and 160


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Ring, "load", lambda self: pytest.fail("the data was read"))
    with pytest.raises(ValueError, match=r"device must be one that torch has here, as 'cpu', got 'gpu'"):
        ganneal.train(ring(device="gpu"), tmp_path / "run")
    assert list(tmp_path.rglob("*.json")) == []


def test_the_last_grid_shows_what_the_loaded_run_draws(trained_digits: tuple[Path, Run]) -> None:
    out, _ = trained_digits
    with Image.open(out / "samples" / "000000160.png") as picture:
        grid = np.asarray(picture)
    images = ganneal.load(out).sample(8, seed=0)
    columns, gap = 3, 2
    factor = (grid.shape[1] - gap) // columns - gap
    assert factor % 16 == 0
    tile = grid[gap : gap + factor, gap : gap + factor][:: factor // 16, :: factor // 16]
    expected = (images[0, 0] * 127.5 + 127.5).numpy()
    assert np.abs(tile - expected).max() <= 1  # rounding to 8 bits


def test_a_picture_of_one_sample_has_no_frame(tmp_path: Path) -> None:
    one = recording(digits(budget=Budget(d_updates=1)), sample_count=1, evaluate_count=0)
    ganneal.train(one, tmp_path)
    for file in (tmp_path / "samples").glob("*.png"):
        with Image.open(file) as picture:
            assert picture.size == (16, 16)


def test_at_most_two_checkpoints_are_kept_and_they_are_the_newest(trained_ring: tuple[Path, Run]) -> None:
    counts = [int(path.name[:12]) for path in checkpoints(trained_ring[0])]
    steps = 10 + 18  # three rounds of 3 and 6, and the tenth discriminator update
    assert len(counts) == 2 and counts[1] == steps and 0 < counts[0] < steps


def test_the_returned_run_has_the_bits_on_disk(trained_digits: tuple[Path, Run]) -> None:
    out, run = trained_digits
    state = {f"generator {k}": v for k, v in run.average.state_dict().items()}
    state |= {f"generator-raw {k}": v for k, v in run.generator.state_dict().items()}
    state |= {f"discriminator {k}": v for k, v in run.discriminator.state_dict().items()}
    assert same_bits(final_bits(out), state)


def test_the_card_says_what_the_weights_are(trained_digits: tuple[Path, Run]) -> None:
    out, run = trained_digits
    card = json.loads((out / "final" / "card.json").read_text())
    assert card["counters"]["d_updates"] == 10 and card["data"]["licence"] == "CC BY 4.0"
    assert card["parameters"]["generator"] == sum(p.numel() for p in run.generator.parameters())
    assert card["experiment"]["name"] == "digits"
    assert set(card["files"]) == {f"{name}.safetensors" for name in NETWORKS}


# Resuming


@pytest.mark.parametrize("make", [ring, digits])
def test_the_same_call_on_a_finished_run_changes_nothing(
    make: Callable[..., Experiment], request: pytest.FixtureRequest
) -> None:
    out, first = request.getfixturevalue(f"trained_{make.__name__}")
    before = files(out)
    again = ganneal.train(make(), out)
    assert again.digest() == first.digest()
    assert files(out) == before


@pytest.mark.parametrize("make", [ring, digits])
def test_a_larger_budget_resumes_as_if_it_had_been_there_from_the_start(
    make: Callable[..., Experiment], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    out, whole = request.getfixturevalue(f"trained_{make.__name__}")
    ganneal.train(replace(make(), budget=Budget(num_real=6 * BATCH)), tmp_path)
    resumed = ganneal.train(make(), tmp_path)
    assert resumed.digest() == whole.digest()
    assert same_bits(final_bits(tmp_path), final_bits(out))
    assert rows(tmp_path, "stopped") == rows(out, "stopped")


def test_a_smaller_budget_than_is_used_trains_no_further(trained_ring: tuple[Path, Run], finished: Path) -> None:
    first = trained_ring[1]
    again = ganneal.train(ring(budget=Budget(num_real=BATCH)), finished)
    assert again.digest() == first.digest() and again.counters == first.counters


STEPS = 28
EVERYTHING = {"sample_every": 3 * BATCH, "evaluate_every": 3 * BATCH, "evaluate_count": 40}


@pytest.fixture(scope="module")
def trained_with_everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    out = tmp_path_factory.mktemp("runs") / "everything"
    return out, ganneal.train(recording(digits(), **EVERYTHING), out)


@pytest.mark.parametrize(
    "steps", [pytest.param(n, marks=[] if n in (4, 16) else pytest.mark.slow) for n in range(1, STEPS, 3)]
)
def test_an_interrupted_run_ends_with_the_rows_samples_and_bits_of_an_undisturbed_one(
    steps: int, tmp_path: Path, signal_at: Callable[..., None], trained_with_everything: tuple[Path, Run]
) -> None:
    # Samples and evaluations fall between rows, which come every two batches.
    experiment = recording(digits(), **EVERYTHING)
    out, whole = trained_with_everything
    interrupted(experiment, tmp_path, signal_at, steps)
    resumed = ganneal.train(experiment, tmp_path)
    assert resumed.digest() == whole.digest()
    assert rows(tmp_path) == rows(out)
    assert [p.name for p in sorted((tmp_path / "samples").iterdir())] == [
        p.name for p in sorted((out / "samples").iterdir())
    ]
    assert same_bits(final_bits(tmp_path), final_bits(out))


@pytest.mark.runs
@pytest.mark.parametrize("precision", [pytest.param("float32", marks=pytest.mark.slow), "bf16"])
def test_many_interruptions_change_no_bit(precision: str, tmp_path: Path, signal_at: Callable[..., None]) -> None:
    experiment = digits(precision=precision)
    whole = ganneal.train(experiment, tmp_path / "whole")
    for steps in (1, 4, 2, 5, 3):
        interrupted(experiment, tmp_path / "resumed", signal_at, steps)
    assert ganneal.train(experiment, tmp_path / "resumed").digest() == whole.digest()
    assert rows(tmp_path / "resumed") == rows(tmp_path / "whole")


def test_a_signal_in_the_last_step_still_ends_the_run(
    tmp_path: Path, signal_at: Callable[..., None], trained_ring: tuple[Path, Run]
) -> None:
    out, whole = trained_ring
    interrupted(ring(), tmp_path, signal_at, STEPS)
    assert ganneal.train(ring(), tmp_path).digest() == whole.digest()
    assert rows(tmp_path) == rows(out)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_is_saved_and_says_so(signum: int, tmp_path: Path, signal_at: Callable[..., None]) -> None:
    handlers = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)]
    signal_at(5, signum)
    with pytest.raises(Interrupted, match=r"saved .*\.pt\. The same call resumes") as caught:
        ganneal.train(ring(), tmp_path)
    assert caught.value.signum == signum
    assert checkpoints(tmp_path)[-1].name.startswith(f"{5:012d}-")
    assert [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT)] == handlers


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"loss": LOSSES["wgan"]}, "loss.type: NonSaturating -> Wasserstein"),
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"batch_size": 8}, "batch_size: 16 -> 8"),
        ({"precision": "bf16"}, "precision: float32 -> bf16"),
        ({"scheme": Nested(levels=4, weights=Geometric())}, "scheme.levels: 3 -> 4"),
        ({"d_optimizer": Adam(lr=0.5)}, "d_optimizer.lr: 0.01 -> 0.5"),
        ({"averaging": Averaging(half_life=1)}, "averaging.half_life: 64"),
        ({"data": Ring(num_samples=201)}, "data.num_samples: 200 -> 201"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_experiment_is_refused_with_the_difference_and_nothing_changes(
    change: dict[str, Any], shown: str, finished: Path
) -> None:
    before = files(finished)
    with pytest.raises(ValueError, match=re.escape(shown)) as caught:
        ganneal.train(ring(**change), finished)
    assert str(finished) in str(caught.value) and "--out" in str(caught.value)
    assert str(caught.value).count(" -> ") == 1
    assert files(finished) == before


@for_each(
    "change",
    [
        {"budget": Budget(g_updates=20)},
        {"records": Records(log_every=10, evaluate_count=0, tensorboard=False, sample_count=4)},
        {"divergence": Divergence(limit=99.0)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_how_a_run_is_operated_may_change(change: dict[str, Any], tmp_path: Path) -> None:
    ganneal.train(ring(budget=Budget(num_real=4 * BATCH)), tmp_path)
    run = ganneal.train(replace(ring(budget=Budget(num_real=8 * BATCH)), **change), tmp_path)
    assert run.counters.d_updates > 4
    name = next(iter(change))
    stored = json.loads((tmp_path / "experiment.json").read_text())["experiment"][name]
    assert stored == {"type": type(change[name]).__name__} | json.loads(json.dumps(asdict(change[name])))


def test_another_number_of_threads_warns_that_bits_will_differ(tmp_path: Path) -> None:
    ganneal.train(ring(budget=Budget(num_real=4 * BATCH)), tmp_path)
    with pytest.warns(UserWarning, match=r"made with 1 threads and goes on with 2; the bits will differ"):
        ganneal.train(ring(threads=2), tmp_path)


@pytest.mark.runs
@pytest.mark.parametrize(
    ("sampled", "evaluated"),
    [
        (3 * BATCH, 40),
        (10**9, 0),
        pytest.param(3 * BATCH, 0, marks=pytest.mark.slow),
        pytest.param(10**9, 40, marks=pytest.mark.slow),
    ],
)
def test_evaluating_sampling_and_saving_leave_the_result_alone(sampled: int, evaluated: int, tmp_path: Path) -> None:
    plain = recording(digits(), checkpoint_seconds=1e9)
    busy = recording(
        digits(), sample_every=sampled, evaluate_count=evaluated, evaluate_every=evaluated, log_every=BATCH
    )
    assert ganneal.train(busy, tmp_path / "busy").digest() == ganneal.train(plain, tmp_path / "plain").digest()
    assert same_bits(final_bits(tmp_path / "busy"), final_bits(tmp_path / "plain"))


# Damaged and foreign checkpoints


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [truncate, empty, flip_a_bit])
def test_a_damaged_newest_checkpoint_is_passed_over_for_the_one_before(
    damage: Callable[[Path], None], trained_ring: tuple[Path, Run], finished: Path
) -> None:
    out, whole = trained_ring
    newest = checkpoints(finished)[-1]
    damage(newest)
    with pytest.warns(UserWarning, match=f"passing over the checkpoint {re.escape(str(newest))}"):
        again = ganneal.train(ring(), finished)
    assert again.digest() == whole.digest()
    assert rows(finished) == rows(out)


def test_a_checkpoint_of_another_experiment_is_passed_over(
    tmp_path: Path, trained_ring: tuple[Path, Run], finished: Path
) -> None:
    ganneal.train(ring(seed=1, budget=Budget(num_real=20 * BATCH)), tmp_path / "other")
    foreign = checkpoints(tmp_path / "other")[-1]
    planted = finished / "checkpoints" / foreign.name
    shutil.copy(foreign, planted)
    assert RunDirectory(finished).list_checkpoints()[0] == planted
    with pytest.warns(UserWarning, match=f"{re.escape(str(planted))}.*another experiment.*seed: 1 -> 0"):
        again = ganneal.train(ring(), finished)
    assert again.digest() == trained_ring[1].digest()


def test_a_file_that_is_no_checkpoint_is_passed_over(trained_ring: tuple[Path, Run], finished: Path) -> None:
    import hashlib

    data = b"not a checkpoint, but its name fits its bytes"
    planted = finished / "checkpoints" / f"{999:012d}-{hashlib.sha256(data).hexdigest()[:16]}.pt"
    planted.write_bytes(data)
    with pytest.warns(UserWarning, match=re.escape(planted.name)):
        assert ganneal.train(ring(), finished).digest() == trained_ring[1].digest()


def test_only_damaged_checkpoints_are_an_error_and_are_left_for_a_person(finished: Path) -> None:
    for path in checkpoints(finished):
        truncate(path)
    before = files(finished)
    with pytest.warns(UserWarning, match="passing over"), pytest.raises(ValueError, match="no usable checkpoint"):
        ganneal.train(ring(), finished)
    assert files(finished) == before


def test_rows_written_after_the_checkpoint_are_dropped_on_resuming(
    tmp_path: Path, signal_at: Callable[..., None], trained_ring: tuple[Path, Run]
) -> None:
    undisturbed, whole = trained_ring
    out = tmp_path / "resumed"
    interrupted(ring(), out, signal_at, 13)
    with open(out / "metrics.jsonl", "a") as file:
        file.write('{"num_real": 96, "d_updates": 6}\n{"num_real": 12')  # the process was killed in the middle of a row
    assert ganneal.train(ring(), out).digest() == whole.digest()
    assert rows(out) == rows(undisturbed)


def test_a_run_killed_before_its_first_checkpoint_begins_again(trained_ring: tuple[Path, Run], finished: Path) -> None:
    out, whole = trained_ring
    shutil.rmtree(finished / "checkpoints")
    shutil.rmtree(finished / "final")
    assert ganneal.train(ring(), finished).digest() == whole.digest()
    assert rows(finished) == rows(out)


# Snapshots


def test_a_snapshot_is_the_run_that_ended_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = recording(ring(), keep_every=4 * BATCH)
    ganneal.train(experiment, tmp_path / "whole", progress=True)
    assert list(RunDirectory(tmp_path / "whole").list_snapshots()) == [64, 128]
    said = capsys.readouterr().err
    assert "snapshots every 64 real images: 0.00 MB each, at most 2 of them, 0.0 MB" in said
    assert re.search(r"kept \S+/snapshots/000000064, 0.0\d MB; ganneal sample \S+/whole --checkpoint 64\n", said)
    ganneal.train(replace(experiment, budget=Budget(num_real=4 * BATCH)), tmp_path / "half")
    kept, ended = ganneal.load(tmp_path / "whole", checkpoint="64"), ganneal.load(tmp_path / "half")
    assert kept.has_weights_of(ended) and not kept.has_weights_of(ganneal.load(tmp_path / "whole"))


def test_resuming_keeps_the_snapshots_and_makes_the_same_later_ones(
    tmp_path: Path, signal_at: Callable[..., None]
) -> None:
    experiment = recording(ring(), keep_every=3 * BATCH)
    ganneal.train(experiment, tmp_path / "whole")
    interrupted(experiment, tmp_path / "run", signal_at, 13)
    assert list(RunDirectory(tmp_path / "run").list_snapshots()) == [64]
    ganneal.train(experiment, tmp_path / "run")
    first, second = (RunDirectory(tmp_path / name).list_snapshots() for name in ("whole", "run"))
    assert list(first) == list(second) == [64, 96, 160]  # log rows are two batches apart
    for count, folder in first.items():
        assert (folder / "generator.safetensors").read_bytes() == (second[count] / "generator.safetensors").read_bytes()


@pytest.mark.runs
@for_each("checkpoint", ["65", "first", "-1", "", "1e9"])
def test_weights_that_are_not_kept_are_answered_with_those_that_are(tmp_path: Path, checkpoint: str) -> None:
    ganneal.train(recording(ring(), keep_every=4 * BATCH), tmp_path / "run")
    with pytest.raises(ValueError, match=r"last, best, or the number of real images of a snapshot: 64, 128; got"):
        ganneal.load(tmp_path / "run", checkpoint=checkpoint)
    shutil.rmtree(tmp_path / "run" / "snapshots")
    with pytest.raises(ValueError, match=r"checkpoint must be last or best: the run keeps no snapshots \(--records"):
        ganneal.load(tmp_path / "run", checkpoint=checkpoint)


def test_the_last_weights_are_those_of_a_checkpoint_newer_than_the_final_ones(
    finished: Path, signal_at: Callable[..., None]
) -> None:
    before = ganneal.load(finished)
    interrupted(ring(budget=Budget(num_real=20 * BATCH)), finished, signal_at, 7)
    now = ganneal.load(finished)
    assert now.card["counters"]["num_real"] > before.card["counters"]["num_real"] == 10 * BATCH
    assert not now.has_weights_of(before)


@pytest.mark.runs
@for_each("place", ["final", "best", "snapshots", "snapshots/000000064", "checkpoints"])
def test_a_folder_in_a_run_is_answered_with_the_run(tmp_path: Path, place: str) -> None:
    run = recording(ring(), keep_every=4 * BATCH, evaluate_count=200)
    ganneal.train(run, tmp_path / "run")
    option = {"best": " with --checkpoint best", "snapshots/000000064": " with --checkpoint 64"}.get(place, "")
    with pytest.raises(FileNotFoundError, match=f"it lies in a run, give {tmp_path / 'run'}{option}.$"):
        ganneal.load(tmp_path / "run" / place)


# Starting from another run's weights


def still(**changes: Any) -> Experiment:
    """An experiment in which nothing moves."""
    return ring(d_optimizer=SGD(lr=0.0), g_optimizer=SGD(lr=0.0), seed=5, name="still", **changes)


def test_a_run_can_start_from_the_weights_of_another(trained_ring: tuple[Path, Run], tmp_path: Path) -> None:
    out, source = trained_ring
    run = ganneal.train(still(init_from=str(out)), tmp_path / "run")
    assert run.counters.num_real == 10 * BATCH  # its own clocks, from 0
    for name in ("generator", "discriminator"):
        got, expected = getattr(run, name).state_dict(), getattr(source, name).state_dict()
        assert same_bits(got, expected)
    assert ganneal.train(still(), tmp_path / "other").digest() != run.digest()


def test_what_is_drawn_before_the_first_step_are_the_other_runs_samples(
    trained_digits: tuple[Path, Run], tmp_path: Path
) -> None:
    out, _ = trained_digits
    ganneal.train(digits(seed=5, init_from=str(out)), tmp_path)
    assert (tmp_path / "samples/000000000.png").read_bytes() == (out / "samples/000000160.png").read_bytes()


def test_the_other_run_is_not_needed_to_resume(finished: Path, tmp_path: Path, signal_at: Callable[..., None]) -> None:
    experiment = ring(seed=1, init_from=str(finished))
    whole = ganneal.train(experiment, tmp_path / "whole")
    interrupted(experiment, tmp_path / "run", signal_at, 7)
    shutil.rmtree(finished)
    assert ganneal.train(experiment, tmp_path / "run").digest() == whole.digest()


def test_weights_of_other_shapes_are_refused_naming_the_run(finished: Path, tmp_path: Path) -> None:
    wider = ring(model=MLP(width=9, depth=2, latent_size=2), init_from=str(finished))
    with pytest.raises(ValueError, match=r"init_from .*finished.*: nothing fits. It has MLP"):
        ganneal.train(wider, tmp_path / "run")


@pytest.mark.parametrize("exists", [True, False])
def test_a_directory_without_a_checkpoint_is_no_start(exists: bool, tmp_path: Path) -> None:
    source = tmp_path / "source"
    if exists:
        source.mkdir()
    with pytest.raises(ValueError, match=r"init_from must be a run directory with a checkpoint, .* got .*source"):
        ganneal.train(ring(init_from=str(source)), tmp_path / "run")


def test_a_start_that_was_refused_does_not_keep_the_directory_from_the_corrected_one(
    finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="init_from"):
        ganneal.train(ring(seed=1, init_from=str(tmp_path / "finishd")), tmp_path / "run")
    run = ganneal.train(ring(seed=1, init_from=str(finished)), tmp_path / "run")
    assert run.counters.num_real == 10 * BATCH


# Faults


def test_a_full_disk_keeps_the_last_checkpoint_and_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = MLP(width=128, depth=3, latent_size=2)
    experiment = ring(model=wide, budget=Budget(num_real=4 * BATCH))
    whole = ganneal.train(replace(experiment, budget=Budget(num_real=10 * BATCH)), tmp_path / "whole")
    ganneal.train(experiment, tmp_path / "run")
    before = checkpoints(tmp_path / "run")
    limit = before[-1].stat().st_size // 2

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # every write beyond it fails, as on a full disk
    try:
        with pytest.raises(OSError, match=r"cannot save a checkpoint .*Free \d+ MB.* the same command") as caught:
            ganneal.train(replace(experiment, budget=Budget(num_real=10 * BATCH)), tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert before[-1].name in str(caught.value)
    assert checkpoints(tmp_path / "run") == before and temporary_files(tmp_path / "run") == []
    assert RunDirectory(tmp_path / "run").load_checkpoint() is not None
    resumed = ganneal.train(replace(experiment, budget=Budget(num_real=10 * BATCH)), tmp_path / "run")
    assert resumed.digest() == whole.digest()


HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_process_in_the_same_directory_is_refused(tmp_path: Path) -> None:
    ganneal.train(ring(budget=Budget(num_real=4 * BATCH)), tmp_path)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / ".lock")], stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        before = files(tmp_path)
        with pytest.raises(ValueError, match=r"another process is training in .*another directory"):
            ganneal.train(ring(), tmp_path)
        assert files(tmp_path) == before
    finally:
        holder.kill()
        holder.communicate()
    assert ganneal.train(ring(), tmp_path).counters.num_real == 10 * BATCH  # a killed process holds nothing


def test_a_running_training_holds_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []
    make = engine.apply

    def apply(step: Any, run: Run) -> None:
        if not refused:
            with pytest.raises(ValueError, match="another process is training") as caught:
                ganneal.train(ring(), tmp_path)
            refused.append(str(caught.value))
        make(step, run)

    monkeypatch.setattr(engine, "apply", apply)
    ganneal.train(ring(), tmp_path)
    assert len(refused) == 1


@dataclass(frozen=True)
class BrokenPoints:
    """Points of which every other one is not a number."""

    def load(self) -> Dataset:
        points = np.zeros((64, 2), dtype=np.float32)
        points[::2, 1] = np.nan
        return Dataset(points, description={"name": "broken"})


def test_data_that_are_no_numbers_stop_the_run_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"training stopped: d_loss is nan; lower the learning rates"):
        ganneal.train(ring(data=BrokenPoints()), tmp_path)
    assert checkpoints(tmp_path) == [] and not (tmp_path / "final").exists()


def exploding(update: int) -> Experiment:
    """The discriminator's learning rate leaves the range of float32 at one of its updates, counted from 1."""
    seen = (update - 1) * BATCH
    rule = LinearDecay(start=seen - 1, end=seen, final=1e45)
    return ring(d_optimizer=Adam(lr=1e-2, rule=rule), divergence=Divergence(limit=math.inf))


def saved_weights_are_finite(out: Path) -> bool:
    states = [torch.load(path, weights_only=True)["state"] for path in checkpoints(out)]
    modules = [state[name] for state in states for name in ("generator", "discriminator", "average")]
    return all(torch.isfinite(tensor).all() for module in modules for tensor in module.values())


def test_a_run_that_explodes_between_rows_stops_and_leaves_the_checkpoints_before(tmp_path: Path) -> None:
    experiment = exploding(update=7)  # rows come after every second discriminator update
    ganneal.train(replace(experiment, budget=Budget(num_real=6 * BATCH)), tmp_path)
    before = {path: path.read_bytes() for path in checkpoints(tmp_path)}
    for _ in range(2):  # the same command resumes before the explosion, and meets it again
        with pytest.raises(ValueError, match=r"training stopped: d_\w+ is .*Checkpoints before"):
            ganneal.train(experiment, tmp_path)
        assert {path: path.read_bytes() for path in checkpoints(tmp_path)} == before
    assert saved_weights_are_finite(tmp_path)


@pytest.mark.parametrize("last", [False, True], ids=["in the middle", "at the end"])
def test_a_run_that_explodes_in_the_very_update_of_a_row_saves_no_broken_weights(last: bool, tmp_path: Path) -> None:
    # The row's losses were computed before the update: they are finite while the weights are not.
    experiment = exploding(update=6)
    with pytest.raises(ValueError, match="training stopped"):
        ganneal.train(replace(experiment, budget=Budget(num_real=(6 if last else 10) * BATCH)), tmp_path)
    assert checkpoints(tmp_path) != [] and saved_weights_are_finite(tmp_path)
    assert not (tmp_path / "final").exists()


def test_a_signal_after_an_explosion_saves_no_broken_weights(tmp_path: Path, signal_at: Callable[..., None]) -> None:
    signal_at(8)  # two steps after the third discriminator update, before the next row
    with pytest.raises((ValueError, Interrupted)):
        ganneal.train(exploding(update=3), tmp_path)
    assert checkpoints(tmp_path) != []
    assert saved_weights_are_finite(tmp_path)


def test_a_run_whose_players_lose_touch_stops_and_is_saved(tmp_path: Path) -> None:
    limit = 1e-4
    with pytest.raises(ValueError, match=r"beyond 0\.0001 \(divergence\.limit\)\. The state is saved"):
        ganneal.train(ring(divergence=Divergence(limit=limit)), tmp_path)
    row = rows(tmp_path)[-1]
    assert row["num_real"] == 2 * BATCH  # at the first row
    assert abs(row["d_real"] - row["d_fake"]) > limit
    assert len(checkpoints(tmp_path)) == 1 and not (tmp_path / "final").exists()


@dataclass(frozen=True)
class Linear64:
    """A linear critic of 64-px images, and a generator near grey."""

    def build(self, shape: tuple[int, ...], num_classes: int = 0) -> ModelPair:
        generator = nn.Sequential(nn.Linear(1, 12_288, bias=False), nn.Unflatten(1, (3, 64, 64)), nn.Tanh())
        return ModelPair(generator, nn.Sequential(nn.Flatten(), nn.Linear(12_288, 1), nn.Flatten(0)), Normal(1), shape)


def far_apart(path: Path, **changes: Any) -> Experiment:
    """WGAN-GP on bright 64-px images with a median distance of 78: pixels of standard deviation 1/2 around 0.4."""
    random = np.random.default_rng(0)
    images = np.clip(255 * (random.normal(0.4, 0.5, (48, 64, 64, 3)) + 1) / 2, 0, 255).astype(np.uint8)
    np.savez(path, x=images)
    records = replace(ring().records, log_every=200)
    experiment = ring(
        data=Arrays(str(path), images="x", labels=None), model=Linear64(), batch_size=2, scheme=Alternating(20)
    )
    experiment = replace(experiment, loss=LOSSES["wgan"], regularizer=GradientPenalty(), records=records)
    return replace(experiment, d_optimizer=Adam(lr=1e-3), g_optimizer=Adam(lr=1e-5), **changes)


def gaps(out: Path) -> list[float]:
    return [row["d_real"] - row["d_fake"] for row in rows(out)]


@pytest.mark.runs
def test_a_critic_of_distances_trains_on_beyond_a_gap_of_forty(tmp_path: Path) -> None:
    ganneal.train(far_apart(tmp_path / "x.npz", budget=Budget(d_updates=520)), tmp_path / "run")
    assert max(gaps(tmp_path / "run")[:3]) > 40 and rows(tmp_path / "run")[-1]["d_updates"] == 520
    assert (tmp_path / "run" / "final").exists()


@pytest.mark.runs
def test_a_limit_that_is_given_holds_under_every_loss(tmp_path: Path) -> None:
    limited = far_apart(tmp_path / "x.npz", budget=Budget(d_updates=520), divergence=Divergence(limit=40.0))
    with pytest.raises(ValueError, match=r"beyond 40 \(divergence\.limit\)"):
        ganneal.train(limited, tmp_path / "run")


def test_a_logistic_discriminator_stops_at_forty(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"beyond 40 \(divergence\.limit\)"):
        ganneal.train(ring(d_optimizer=SGD(lr=300.0), budget=Budget(num_real=400 * BATCH)), tmp_path)
    assert abs(gaps(tmp_path)[-1]) > 40


def test_more_samples_in_a_batch_than_in_the_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"batch_size must not exceed the data, got 201 with 200 samples"):
        ganneal.train(ring(batch_size=201), tmp_path)
    assert not (tmp_path / "experiment.json").exists()


# Drawing from a trained run


@pytest.fixture(scope="module")
def trained_classes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    out = tmp_path_factory.mktemp("runs") / "classes"
    return out, ganneal.train(ring(task=Labelled()), out)


def test_samples_are_images_in_range_and_follow_the_seed(trained_digits: tuple[Path, Run]) -> None:
    out, _ = trained_digits
    generator = ganneal.load(out)
    images = generator.sample(16, seed=0)
    assert images.shape == (16, 1, 16, 16) and images.dtype == torch.float32 and images.device.type == "cpu"
    assert images.min() >= -1 and images.max() <= 1 and images.std() > 0.01
    assert torch.equal(generator.sample(16, seed=0), images)
    assert torch.equal(ganneal.load(str(out)).sample(16), images)
    assert not torch.equal(generator.sample(16, seed=1), images)
    assert not images.requires_grad


def test_samples_are_the_averaged_generators_in_eval_mode(trained_digits: tuple[Path, Run]) -> None:
    out, run = trained_digits
    latents = torch.randn(16, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = run.average.eval()(latents)
    torch.testing.assert_close(ganneal.load(out).sample(16, seed=3), expected, rtol=0, atol=1e-6)


def test_samples_do_not_depend_on_how_many_are_computed_at_once(trained_digits: tuple[Path, Run]) -> None:
    generator = ganneal.load(trained_digits[0])
    whole = generator.sample(50, seed=2)
    torch.testing.assert_close(generator.sample(50, seed=2, batch_size=7), whole, rtol=0, atol=1e-6)


def test_loading_and_drawing_leave_the_global_random_generator_alone(trained_digits: tuple[Path, Run]) -> None:
    before = torch.get_rng_state()
    ganneal.load(trained_digits[0]).sample(4)
    assert torch.equal(torch.get_rng_state(), before)


def test_labels_choose_the_class_of_each_sample(trained_classes: tuple[Path, Run]) -> None:
    out, run = trained_classes
    generator = ganneal.load(out)
    labels = [0, 3, 7, 3]
    points = generator.sample(4, seed=1, labels=labels)
    assert points.shape == (4, 2)
    assert torch.equal(points, generator.sample(4, seed=1, labels=torch.tensor(labels)))
    latents = torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = run.average.eval()(latents, torch.tensor(labels))
    torch.testing.assert_close(points, expected)
    assert not torch.equal(points, generator.sample(4, seed=1, labels=[1, 1, 1, 1]))
    assert torch.equal(generator.sample(9, seed=1), generator.sample(9, seed=1))


def test_labels_are_cut_with_the_samples_when_computed_in_parts(trained_classes: tuple[Path, Run]) -> None:
    generator = ganneal.load(trained_classes[0])
    labels = [i % 8 for i in range(20)]
    torch.testing.assert_close(
        generator.sample(20, labels=labels, batch_size=3), generator.sample(20, labels=labels), rtol=0, atol=1e-6
    )


@for_each("labels", [[0, 1], [0, 1, 8], [-1, 0, 1], [0, 1, 2, 3]])
def test_labels_that_do_not_fit_are_refused(labels: list[int], trained_classes: tuple[Path, Run]) -> None:
    with pytest.raises(ValueError, match=r"labels must be 3 whole numbers in 0\.\.7"):
        ganneal.load(trained_classes[0]).sample(3, labels=labels)


def test_labels_for_a_generator_without_classes_are_refused(trained_digits: tuple[Path, Run]) -> None:
    with pytest.raises(ValueError, match="labels must be left out"):
        ganneal.load(trained_digits[0]).sample(2, labels=[0, 1])


@for_each("arguments", [{"count": 0}, {"count": -1}, {"count": 1, "batch_size": 0}])
def test_counts_below_one_are_refused(arguments: dict[str, Any], trained_digits: tuple[Path, Run]) -> None:
    with pytest.raises(ValueError, match=r"(count|batch_size) must be at least 1, got (0|-1)"):
        ganneal.load(trained_digits[0]).sample(**arguments)


def test_an_unfinished_run_is_loaded_from_its_newest_checkpoint(tmp_path: Path, signal_at: Callable[..., None]) -> None:
    interrupted(digits(), tmp_path, signal_at, 14)
    run = Run(digits())
    content = RunDirectory(tmp_path).load_checkpoint()
    assert content is not None
    run.load_state_dict(content["state"])
    generator = ganneal.load(tmp_path)
    assert torch.equal(generator.sample(8, seed=1), run.sampler().sample(8, seed=1))
    assert generator.card["counters"]["d_updates"] == run.counters.d_updates > 0


def test_a_run_without_a_checkpoint_or_no_run_at_all_cannot_be_loaded(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no trained run at .*nowhere: .*give the directory that"):
        ganneal.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=f"it lies in a run, give {finished}.$"):
        ganneal.load(finished / "final")
    shutil.rmtree(finished / "final")
    shutil.rmtree(finished / "checkpoints")
    with pytest.raises(FileNotFoundError, match="train longer"):
        ganneal.load(finished)


@dataclass(frozen=True)
class MyModel:
    """A family of one's own, not registered."""

    def build(self, shape: tuple[int, ...], num_classes: int = 0) -> ModelPair:
        return MLP(width=4, depth=1).build(shape, num_classes)


def test_a_model_of_your_own_trains_and_is_loaded_once_registered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ganneal.train(ring(model=MyModel()), tmp_path)
    with pytest.raises(ValueError, match=r"unknown part 'MyModel'.*Register"):
        ganneal.load(tmp_path)
    monkeypatch.setitem(ganneal.models.MODELS, "mine", MyModel())
    assert torch.equal(ganneal.load(tmp_path).sample(3), run.sampler().sample(3))


# Signals to a process


COMMAND = (
    *("train", "ring-nats", "--threads", "1", "--model.width", "16", "--data.num-samples", "2000"),
    *("--batch-size", "32", "--budget.num-real", "3200", "--records.log-every", "64"),
    *("--records.evaluate-count", "0", "--records.no-tensorboard", "--records.sample-count", "8"),
)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_status_of_a_command_says_which_signal_ended_it(
    signum: int, status: int, tmp_path: Path, signal_at: Callable[..., None]
) -> None:
    signal_at(3, signum)
    assert main([*COMMAND, "--out", str(tmp_path)]) == status
    assert checkpoints(tmp_path)[-1].name.startswith(f"{3:012d}-")


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_process_told_to_stop_saves_and_the_same_command_ends_with_the_same_bits(
    signum: int, status: int, tmp_path: Path, undisturbed: Path
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "ganneal.cli", *COMMAND, "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    deadline = time.monotonic() + 60
    while not (out / "metrics.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert re.search(r"saved .*\.pt\. The same command resumes", said) and "Traceback" not in said
    assert len(checkpoints(out)) == 1 and not (out / "final").exists()
    assert main([*COMMAND, "--out", str(out)]) == 0
    assert same_bits(final_bits(out), final_bits(undisturbed))
    assert rows(out) == rows(undisturbed)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    before = torch.get_num_threads()
    assert main([*COMMAND, "--out", str(out)]) == 0
    torch.set_num_threads(before)
    return out


# What a person may do to a run's files


def test_damaged_weights_and_descriptions_are_named(finished: Path) -> None:
    weights, card = (finished / "final" / name for name in ("generator.safetensors", "card.json"))
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"cannot read .*generator\.safetensors.*; remove .*final to use the newest"):
        ganneal.load(finished)
    card.write_text("{")
    with pytest.raises(ValueError, match=r"card\.json is damaged .*restore it"):
        ganneal.load(finished)
    (finished / "experiment.json").write_text("{")
    with pytest.raises(ValueError, match=r"experiment\.json is damaged"):
        ganneal.train(ring(), finished)


def test_a_refused_run_leaves_no_directory_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="batch_size must not exceed the data"):
        ganneal.train(ring(batch_size=201), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_file_in_place_of_the_directory_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ValueError, match="out must be a directory for the run, got the file .*notes"):
        ganneal.train(ring(), tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"


def test_too_few_samples_for_a_distance_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ganneal.train(recording(ring(), evaluate_count=2), tmp_path, progress=True)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("no Fréchet distance")]
    assert lines == [
        "no Fréchet distance: 200 real and 2 generated samples (--records.evaluate-count) must both exceed the 2 "
        "features of points; measured is the kernel distance."
    ]


def test_labels_that_are_no_whole_numbers_are_refused(trained_classes: tuple[Path, Run]) -> None:
    with pytest.raises(ValueError, match="labels must be whole numbers"):
        ganneal.load(trained_classes[0]).sample(2, labels=torch.tensor([0.5, 1.0]))
