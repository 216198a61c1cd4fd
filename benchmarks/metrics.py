"""Time and memory of the metrics at published sizes, on features of noise.

    python benchmarks/metrics.py [--threads 2] [--count 50000] [--features 2048] [--pairs 5000]

The Fréchet distance comes first and from batches that are made as they are needed, so that the peak memory is that of
the streamed moments. The metrics over all pairs of samples are timed at ``--pairs`` samples a side; their time grows
with its square. ``--pairs 0`` leaves them out.
"""

import argparse
import resource
import sys
from collections.abc import Callable, Iterator
from time import perf_counter, process_time

import torch
from torch import Tensor

from ganneal.metrics import Moments, frechet_distance
from ganneal.metrics.kernel import kernel_distance
from ganneal.metrics.neighbours import density_coverage, precision_recall

BATCH = 1000


def batches(count: int, features: int, seed: int) -> Iterator[Tensor]:
    """Noise in float32, as a network would hand it on."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, count, BATCH):
        yield torch.randn(min(BATCH, count - start), features, generator=generator)


def streamed_moments(count: int, features: int, seed: int) -> Moments:
    moments = Moments.of(torch.empty(0, features))
    for batch in batches(count, features, seed):
        moments = moments.merge(Moments.of(batch))
    return moments


def timed(name: str, call: Callable[[], object]) -> float:
    """Seconds by the clock; those of the processor are printed beside, for machines that others use too."""
    started, worked = perf_counter(), process_time()
    value = call()
    taken, worked = perf_counter() - started, process_time() - worked
    print(f"{name:<46} {taken:7.1f} s ({worked:6.1f} s CPU)   {value}", flush=True)
    return taken


def peak_gigabytes() -> float:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e9 if sys.platform == "darwin" else peak * 1024 / 1e9


def streamed_frechet(count: int, features: int) -> None:
    before, taken, sides = peak_gigabytes(), 0.0, []
    for name, seed in (("real", 0), ("fake", 1)):
        label = f"moments of {count:,} x {features} {name}, streamed"
        taken += timed(label, lambda seed=seed: sides.append(streamed_moments(count, features, seed)) or "")
    taken += timed("Fréchet distance from both", lambda: f"{frechet_distance(*sides):.4f}")
    print(f"{'in all, batches made included':<46} {taken:7.1f} s   (goal < 60)")
    print(f"{'peak memory':<46} {peak_gigabytes():7.2f} GB  (goal < 2; {before:.2f} before)", flush=True)


def all_pairs(count: int, features: int) -> None:
    real, fake = (torch.cat(list(batches(count, features, seed))) for seed in (0, 1))
    print(f"all pairs of {count:,} x {features} a side:")
    timed("kernel distance", lambda: kernel_distance(real, fake))
    timed("precision and recall", lambda: precision_recall(real, fake))
    timed("density and coverage", lambda: density_coverage(real, fake))
    print(f"{'peak memory':<46} {peak_gigabytes():7.2f} GB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--pairs", type=int, default=5_000)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} threads")
    streamed_frechet(options.count, options.features)
    if options.pairs:
        all_pairs(options.pairs, options.features)


if __name__ == "__main__":
    main()
