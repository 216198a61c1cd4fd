"""Store trained runs in the zoo: averaged weights in float16, measured as they ship, with a card.

    ganneal train digits-nats --precision bf16 --out runs/zoo/digits-nats
    OMP_NUM_THREADS=1 python examples/make_zoo.py runs/zoo/digits-nats

writes ``src/ganneal/inference/zoo/<name of the run's folder>/final`` and ``docs/zoo.md``. Measured are 10,000 samples
against all training images, by the network that the run was followed with.
"""

import argparse
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save

from ganneal.evaluation.stored import Settings, evaluate_run
from ganneal.inference import zoo
from ganneal.inference.zoo.page import listing, zoo_page
from ganneal.metrics.measures import Frechet, PrecisionRecall
from ganneal.storage.atomic import replaced_folder, write_bytes
from ganneal.storage.json_files import read_json
from ganneal.storage.run_directory import RunDirectory

SAMPLES = 10_000
WEIGHTS = "generator.safetensors"
KEPT = ("format", "experiment", "data", "provenance", "counters", "sampler", "parameters")
MNIST = ("MNIST (training set)", "none stated; commonly given as CC BY-SA 3.0; cite LeCun et al., 1998")
DATA = {
    "mnist (train)": MNIST,
    "mnist.npz": MNIST,
    "cifar10-train.zip": ("CIFAR-10 (training set)", "none stated; cite Krizhevsky, 2009"),
}
"""Name and licence of data that say neither, by what they are called when they are read."""
LICENCE = "Apache-2.0 for the weights as for the software, within the licence of the data named above."


def halved(path: Path) -> bytes:
    """The weights at ``path`` with every matrix and kernel in float16; vectors, as of norms, stay."""
    tensors = load_file(path)
    return save({k: v.half() if v.is_floating_point() and v.dim() > 1 else v for k, v in tensors.items()})


def hashes(weights: bytes) -> dict[str, str]:
    """What a card says of the files beside it."""
    return {WEIGHTS: hashlib.sha256(weights).hexdigest()}


def measured(run: Path, weights: bytes, samples: int) -> tuple[dict[str, float], str]:
    """Values of ``weights`` in the place of the run's own, by name, and how they were measured."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        (copy / "final").mkdir(parents=True)
        shutil.copy(run / "experiment.json", copy)
        card = read_json(run / "final" / "card.json") | {"sha256": hashes(weights)}
        write_bytes(copy / "final" / "card.json", json.dumps(card).encode())
        write_bytes(copy / "final" / WEIGHTS, weights)
        metrics = (Frechet(), PrecisionRecall(most=min(samples, 5_000)))
        settings = Settings(metrics=metrics, count=samples, seeds=(0,))
        records = evaluate_run(copy, checkpoints=("last",), settings=settings)
    real = records[0].protocol.reference
    return {r.name: r.value for r in records}, f"{samples:,} samples against {real.n_real:,} training images"


def store(run: Path, folder: Path, samples: int = SAMPLES) -> dict[str, Any]:
    """Write ``folder`` from the finished run at ``run``; the card is returned."""
    before = read_json(run / "final" / "card.json")
    weights = halved(run / "final" / WEIGHTS)
    values, how = measured(run, weights, samples)
    rows = RunDirectory(run).rows()
    name, licence = DATA.get(before["data"]["name"], (before["data"]["name"], before["data"]["licence"]))
    card = {key: before[key] for key in KEPT} | {
        "data": before["data"] | {"name": name, "licence": licence},
        "command": read_json(run / "experiment.json")["command"],
        "cpu_seconds": rows[-1]["cpu_seconds"],
        "measured": values,
        "measured_how": how,
        "dtype": "float16, vectors in float32",
        "licence": LICENCE,
        "sha256": hashes(weights),
        "files": {WEIGHTS: "averaged over training; sample from it in eval mode"},
        "usage": f'import ganneal; images = ganneal.load("zoo:{run.name}").sample(16, seed=0)  # in [-1, 1]',
    }
    with replaced_folder(folder / "final") as filled:
        write_bytes(filled / WEIGHTS, weights)
        write_bytes(filled / "card.json", (json.dumps(card, indent=1) + "\n").encode())
    return card


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Store trained runs in the zoo.")
    parser.add_argument("runs", type=Path, nargs="+", help="directories of finished runs")
    parser.add_argument("--page", type=Path, default=Path("docs/zoo.md"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    for run in options.runs:
        print(run.name, store(run, zoo.FOLDER / run.name)["measured"])
    options.page.write_text(zoo_page())
    print(listing())
    return 0


if __name__ == "__main__":
    sys.exit(main())
