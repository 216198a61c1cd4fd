"""Is memory flat while training on a million images, in one memory-mapped array and as PNGs in a zip?

    python benchmarks/million.py [--updates 2000] [--count 1000000] [--folder DIR]

Synthetic images of 32 px; a small DCGAN in batches of 64, one thread. Printed is the anonymous memory of the process
and of its decoding workers, which leaves out pages of files that the system may drop at any time: after a tenth of the
updates, at its greatest after that, and at the end. Needs 4 GB of disk.
"""

import argparse
import io
import multiprocessing
import os
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image

from ganneal.data import Arrays, Source, Zip
from ganneal.engine import loop as engine
from ganneal.engine.run import Run
from ganneal.experiment import Budget, Records
from ganneal.experiments import cifar10_cts
from ganneal.models import DCGAN

SIDE = 32
PART = 10_000
"""Images that are made at once."""
READINGS = 10


def write_array(path: Path, count: int) -> None:
    """``count`` images of noise."""
    random = np.random.default_rng(0)
    images = np.lib.format.open_memmap(path, "w+", np.uint8, (count, 3, SIDE, SIDE))
    for start in range(0, count, PART):
        images[start : start + PART] = random.integers(0, 256, images[start : start + PART].shape, np.uint8)


def write_zip(path: Path, count: int) -> None:
    """``count`` pictures, a hundred different ones."""
    random = np.random.default_rng(0)
    pictures = []
    for _ in range(100):
        picture = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(picture, "PNG")
        pictures.append(picture.getvalue())
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(count):
            archive.writestr(f"{index:07d}.png", pictures[index % len(pictures)])


def anonymous() -> float:
    """Megabytes of this process and its children that no file stands behind; Linux."""
    children = [child.pid for child in multiprocessing.active_children()]
    total = 0
    for process in ("self", *children):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            total += int(line.split()[1]) if line.startswith("RssAnon") else 0
    return total / 1024


def train(name: str, source: Source, updates: int) -> None:
    """Print what training on ``source`` holds."""
    torch.set_num_threads(1)
    started = perf_counter()
    experiment = replace(
        cifar10_cts(),
        data=source,
        model=DCGAN(width=8),
        threads=1,
        budget=Budget(num_real=64 * updates),
        records=Records(log_every=64 * updates // READINGS),
    )
    run = Run(experiment)
    opened = perf_counter() - started
    held = [anonymous() for _ in engine.training_rows(run)]
    rate = run.counters.num_real / run.counters.seconds
    print(
        f"{name}: {len(run.data.dataset):,} images, opened in {opened:.0f} s, {run.counters.num_real:,} seen at "
        f"{rate:.0f}/s; {held[0]:.0f} MB after a tenth, {max(held[1:]):.0f} at most, {held[-1]:.0f} at the end",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=2_000)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the images go, for the length of this; default: temporary")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    os.environ["GANNEAL_CACHE_GB"] = "0.01"  # so that the zip is decoded on demand
    try:
        for name, write, source in (
            ("array", write_array, Arrays(path=str(folder / "million.npy"))),
            ("zip", write_zip, Zip(path=str(folder / "million.zip"))),
        ):
            for task in ((write, Path(source.path), options.count), (train, name, source, options.updates)):
                process = multiprocessing.get_context("spawn").Process(target=task[0], args=task[1:])
                process.start()
                process.join()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
