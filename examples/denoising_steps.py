"""Do the steps of a denoising diffusion GAN pay? Its chain against the first guess of the same network.

    python examples/denoising_steps.py runs/ring-ddgan

The generator guesses a clean sample at every step; the guess at the last is the sample. The first, G(z, T - 1, x_T),
is what one pass makes of the same noise and latents. Each guess is measured by the Fréchet distance to the data, of
points as they are or of images averaged to 8 px a side, and for Gaussian mixtures by the share of samples within three
standard deviations of a mode and by the modes held: those with a tenth of their share. Intervals are 95 % t intervals
over seeds of the samples, of one trained network. The exit status is 1 unless the chain's interval lies wholly below
the first guess's.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

import ganneal
from ganneal.data import DATASETS
from ganneal.evaluation.suited import as_stored
from ganneal.inference.loading import TrainedGenerator
from ganneal.metrics import Moments, frechet_distance, mixture_quality
from ganneal.metrics.extractors import Pixels, Points
from ganneal.metrics.intervals import Interval, seed_interval
from ganneal.metrics.references import reference_features
from ganneal.storage.encoding import decode
from ganneal.task import Denoising

REAL_COUNT = 10_000


def guesses(generator: TrainedGenerator, count: int, seed: int) -> list[Float[Tensor, "count ..."]]:
    """The clean samples guessed at each step of the chain, T of them; the last are the samples of ``seed``."""
    assert isinstance(generator.task, Denoising)
    made: list[Tensor] = []
    hook = generator.generator.register_forward_hook(lambda module, inputs, guess: made.append(guess.float().cpu()))
    try:
        generator.sample(count, seed)
    finally:
        hook.remove()
    steps = generator.task.steps
    return [torch.cat(made[step::steps]) for step in range(steps)]  # batches one after another, T passes each


def apart(chain: Interval, first: Interval) -> bool:
    """Whether the chain's interval lies wholly below that of the first guess."""
    assert chain.high is not None and first.low is not None
    return chain.high < first.low


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="A denoising diffusion GAN's chain against its first guess.")
    parser.add_argument("run", metavar="RUN", help="run directory of an experiment with the task 'denoising'")
    parser.add_argument("--count", type=int, default=2_000, help="samples of each seed")
    parser.add_argument("--seeds", type=int, default=8, help="seeds of the samples, 0 and up")
    options = parser.parse_args(arguments)
    if options.seeds < 2:
        raise SystemExit(f"error: --seeds must be at least 2 for an interval, got {options.seeds}.")

    generator = ganneal.load(options.run)
    if not isinstance(generator.task, Denoising) or generator.task.steps < 2:
        raise SystemExit(f"error: {options.run} is of {generator.task}, whose samples have no first guess of several.")
    source: Any = decode(generator.card["experiment"]["data"], {type(source) for source in DATASETS.values()})
    dataset = source.load()
    extractor = (Pixels(8) if dataset.is_images else Points()).build(dataset.shape)
    real = Moments.of(reference_features(dataset, extractor, count=REAL_COUNT).features.double())
    every = [guesses(generator, options.count, seed) for seed in range(options.seeds)]
    print(f"{options.run}: {options.count} samples of each of {options.seeds} seeds, FD-{extractor.name} to the data")
    distances = []
    for step, samples in enumerate(zip(*every, strict=True), start=1):
        features = [extractor(as_stored(each)).features.double() for each in samples]
        distances.append(seed_interval([frechet_distance(real, Moments.of(each)) for each in features]))
        found = distances[-1]
        line = f"after {step} of {len(every[0])} passes: {found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"
        if hasattr(source, "mixture"):
            qualities = [mixture_quality(each, source.mixture) for each in features]
            share = seed_interval([quality.high_quality for quality in qualities])
            modes = [quality.modes_robust for quality in qualities]
            line += f", good {share.mean:.1%} [{share.low:.1%}, {share.high:.1%}], at least {min(modes)} modes held"
        print(line)
    better = apart(distances[-1], distances[0])
    print("the chain is better than its first guess" if better else "the chain is not apart from its first guess")
    return 0 if better else 1


if __name__ == "__main__":
    raise SystemExit(main())
