"""`ganneal train PATH` with its own choices on made-up photographs: that it trains, how fast, and what it measured."""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganneal.cli import main as ganneal


def photographs(folder: Path, count: int, side: int) -> Path:
    """Smooth random pictures of ``side`` px as files."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        coarse = random.integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.png")
    return folder


def paths(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Both sizes in turn. Each trains for 0.4 of the job's time at most; evaluations and pictures take the rest."""
    runs: list[dict[str, Any]] = []
    for side in (16, 24) if options.smoke else (64, 128):
        with tempfile.TemporaryDirectory() as place:
            data = photographs(Path(place) / "images", 24 if options.smoke else 2_000, side)
            runs.append({"side": side} | trained(data, Path(place) / "run", options))
        print(runs[-1], flush=True)
        yield {"runs": runs, "failed": sum(run["status"] != 0 for run in runs)}


def trained(data: Path, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What the command left."""
    seconds = min(options.seconds, 0.4 * options.job_seconds)
    command = ["train", str(data), "--out", str(out), "--device", options.device, "--budget.seconds", str(seconds)]
    if options.smoke:
        command += ["--model.width", "4", "--records.evaluate-count", "8"]
    if options.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    started = monotonic()
    status = ganneal(command)
    found: dict[str, Any] = {"status": status, "command": command, "wall_seconds": monotonic() - started}
    if options.device == "cuda":
        found["peak_gigabytes"] = torch.cuda.max_memory_allocated() / 1e9
    if (log := out / "metrics.jsonl").is_file():
        rows = [json.loads(line) for line in log.read_text().splitlines()]
        last = {name: value for row in rows for name, value in row.items()}
        found |= {"last": last, "images_per_second": last["num_real"] / last["seconds"] if last["seconds"] else None}
    if (card := out / "experiment.json").is_file():
        described = json.loads(card.read_text())
        found["experiment"] = described["experiment"]
    return found
