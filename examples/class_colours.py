"""Do samples of each class have the colours of that class? The least that a class-conditional generator must learn.

    python examples/class_colours.py runs/cifar10-biggan

The mean colour of every class, one number a channel in 0..255, of samples and of the training data: 30 numbers each for
ten classes in RGB. The figure is Pearson's correlation between the two lists; the exit status is 1 where it is below
``--least``. Classes share much of their colour, so beside it stands the correlation after each channel's mean over the
classes is taken away on both sides, which sees what tells them apart and nothing else.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

import ganneal
from ganneal.evaluation.suited import as_stored
from ganneal.report.drawn import load_data
from ganneal.report.records import read_run

CHUNK = 1_000


def mean_colours(images: Tensor | np.ndarray, labels: Tensor | np.ndarray, num_classes: int) -> np.ndarray:
    """The mean of each class and channel, ``[num_classes, C]``, of uint8 images ``[n, C, H, W]``; NaN without any."""
    given, sums, counts = np.asarray(labels), np.zeros((num_classes, images.shape[1])), np.zeros((num_classes, 1))
    for start in range(0, len(given), CHUNK):
        part = slice(start, start + CHUNK)
        np.add.at(sums, given[part], np.asarray(images[part]).mean((2, 3), dtype=np.float64))
        np.add.at(counts, given[part], 1)
    with np.errstate(invalid="ignore"):
        return sums / counts


def correlations(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Pearson's correlation of all numbers, and of their differences from each channel's mean over the classes."""
    return tuple(  # type: ignore[return-value]
        float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
        for a, b in ((real, fake), (real - real.mean(0), fake - fake.mean(0)))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Correlation of the classes' mean colours in samples and data.")
    parser.add_argument("run", metavar="RUN", help="run directory of an experiment with classes")
    parser.add_argument("--per-class", type=int, default=100, help="samples of each class")
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples")
    parser.add_argument("--least", type=float, default=0.5, help="least correlation")
    options = parser.parse_args(arguments)

    generator, dataset = ganneal.load(options.run), load_data(read_run(options.run, needs_samples=False))
    classes = generator.num_classes
    if not classes or dataset.labels is None or not dataset.is_images:
        raise SystemExit(f"error: {options.run} was trained without classes, or on points.")
    labels = torch.arange(classes).repeat_interleave(options.per_class)
    samples = as_stored(generator.sample(len(labels), options.seed, labels=labels))
    real = mean_colours(dataset.samples, dataset.labels, classes)
    fake = mean_colours(samples, labels, classes)
    whole, apart = correlations(real, fake)
    print(
        f"{options.per_class} samples of each of {classes} classes, seed {options.seed}; {len(dataset):,} real images"
    )
    for name, ours, theirs in zip(generator.class_names, fake, real, strict=True):
        print(f"{name:>16}: " + ", ".join(f"{a:.0f} for {b:.0f}" for a, b in zip(ours, theirs, strict=True)))
    print(f"correlation {whole:.3f} of {real.size} numbers; {apart:.3f} without each channel's mean")
    return int(not whole >= options.least)


if __name__ == "__main__":
    raise SystemExit(main())
