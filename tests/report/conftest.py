"""Tiny runs and a comparison of them, as `ganneal train` and `ganneal compare` leave them on disk."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ganneal.data import Digits
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments.digits import digits_nats
from ganneal.experiments.ring import ring_nats
from ganneal.models import DCGAN, MLP
from ganneal.schemes import Alternating, Nested
from ganneal.training.session import train
from ganneal.weights import Geometric

METRIC = "FD-pixels4"
RECORDS = Records(
    log_every=32, sample_every=64, sample_count=9, evaluate_every=64, evaluate_count=80, tensorboard=False
)


def tiny_digits(num_real: int = 320) -> Experiment:
    return replace(
        digits_nats(),
        data=Digits(size=8),
        model=DCGAN(width=4, latent_size=4),
        scheme=Nested(2, weights=Geometric()),
        batch_size=16,
        budget=Budget(num_real=num_real),
        records=RECORDS,
    )


@pytest.fixture(scope="session", autouse=True)
def one_row_of_pushes() -> Iterator[None]:
    """Of the three that a page shows; test_push_figure draws several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganneal.report.pushed.PUSHED_ROWS", 1)
        yield


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "digits"
    train(tiny_digits(), path)
    return path


@pytest.fixture(scope="session")
def ring_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "ring"
    experiment = ring_nats()
    data = replace(experiment.data, num_samples=600)  # type: ignore[type-var]
    budget = Budget(num_real=256)
    train(
        replace(experiment, data=data, model=MLP(width=8), batch_size=32, budget=budget, records=RECORDS),
        path,
    )
    return path


def outcome(folder: Path, arm: str, seed: int, **changes: Any) -> dict[str, Any]:
    """What a run's own record says, as a comparison writes it beside the run."""
    path = folder / arm / f"seed{seed}"
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    distances = [row[METRIC] for row in rows if METRIC in row]
    clocks = {key: rows[-1][key] for key in ("num_real", "d_updates", "g_updates", "seconds")}
    found = {
        "status": "finished",
        "error": None,
        "arm": arm,
        "seed": seed,
        "metric": METRIC,
        "last": distances[-1],
        "best": min(distances),
        "best_seen": min(distances),
        "untrained": distances[0],
        "evaluations": len(distances),
        "cpu_seconds": clocks["seconds"],
        "g_step_per_d_update": 0.25,
        **clocks,
        **changes,
    }
    (path / "outcome.json").write_text(json.dumps(found))
    return found


def summary(values: list[float]) -> dict[str, Any] | None:
    if not values:
        return None
    mean = sum(values) / len(values)
    low, high = (0.9 * mean, 1.1 * mean) if len(values) > 1 else (None, None)
    return {"mean": mean, "sd": 0.1 * mean, "low": low, "high": high, "n": len(values)}


def arm(name: str, runs: list[dict[str, Any]], verdict: dict[str, Any] | None) -> dict[str, Any]:
    values = {key: [run[key] for run in runs if run[key] is not None] for key in ("last", "best")}
    clocks = ("num_real", "d_updates", "g_updates", "seconds", "cpu_seconds")
    return {
        "name": name,
        "scheme": f"a scheme called {name}",
        "equal_in": "320 real images",
        "runs": [run | {"path": f"{name}/seed{run['seed']}"} for run in runs],
        "finished": sum(run["status"] == "finished" for run in runs),
        "last": summary(values["last"]),
        "best": summary(values["best"]),
        "decay": 1.25 if values["last"] else None,
        "clocks": {clock: sum(run[clock] for run in runs) / len(runs) for clock in clocks},
        "g_step_per_d_update": 0.25,
        "verdict": verdict,
    }


VERDICT = {
    "against": "cts",
    "text": "nats is neither closer nor further than cts: the interval holds 0.",
    "difference": 1.5,
    "low": -2.0,
    "high": 5.0,
    "p": 0.5,
    "pairs": 2,
    "decided": False,
}


def write_comparison(folder: Path, experiments: dict[str, Experiment], seeds: list[int]) -> Path:
    """Arms x seeds, those trained that are not there, and an arm that diverged under one seed and failed under another.

    The diverged run is a copy of a whole one, its outcome apart.
    """
    for name, experiment in experiments.items():
        for seed in seeds:
            if not (folder / name / f"seed{seed}").exists():
                train(replace(experiment, seed=seed), folder / name / f"seed{seed}")
    by_arm = {name: [outcome(folder, name, seed) for seed in seeds] for name in experiments}
    shutil.copytree(folder / "cts" / f"seed{seeds[0]}", folder / "risky" / f"seed{seeds[0]}")
    died = {"status": "diverged", "error": "training stopped: d_loss is NaN", "last": 200.0, "best": None}
    nothing = {"status": "failed", "error": "OSError: <no> space left", "last": None, "best": None}
    risky = outcome(folder, "risky", seeds[0], **died)
    rest = [risky | nothing | {"seed": seed, "g_step_per_d_update": None} for seed in seeds[1:]]
    arms = [arm(name, runs, VERDICT if name == "nats" else None) for name, runs in by_arm.items()]
    arms.append(arm("risky", [risky, *rest], None))
    clock, amount = "num_real", experiments["cts"].budget.num_real
    shared = {"format": 1, "name": "digits-study", "command": "ganneal compare digits", "clock": clock}
    shared |= {"amount": amount, "seeds": seeds, "baseline": "cts"}
    encoded = {name: {"experiment": experiment.identity()} for name, experiment in experiments.items()}
    hardware = {"ganneal": "0.1.0", "threads": 1, "accelerator": None}
    results = shared | {"metric": METRIC, "better": "lower", "hardware": hardware, "arms": arms}
    (folder / "study.json").write_text(json.dumps(shared | {"arms": encoded}))
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "table.md").write_text("| arm | last |\n| --- | --- |\n| cts | 1 |\n")
    return folder


@pytest.fixture(scope="session")
def comparison(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    nats = tiny_digits()
    folder = tmp_path_factory.mktemp("comparison")
    shutil.copytree(digits_run, folder / "nats" / "seed0")
    return write_comparison(folder, {"cts": replace(nats, scheme=Alternating()), "nats": nats}, [0, 1])
