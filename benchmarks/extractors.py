"""What bf16 buys in the Inception network, and what it costs: images a second, and the Fréchet distance it moves.

OMP_NUM_THREADS=1 python benchmarks/extractors.py --data FOLDER_OR_ZIP [--layer 64 --count 400]

The weights are random (He et al. initialisation, batch norm near the identity), as the real ones may be absent; the
images are real, two classes or halves of --data, resized to 299x299. Both precisions run in this process, in turns.
"""

import argparse
from collections.abc import Iterator
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from ganneal.data import Zip
from ganneal.metrics import frechet_distance
from ganneal.metrics.extractors import ModuleExtractor
from ganneal.metrics.extractors.files import load_network
from ganneal.metrics.extractors.inception_network import InceptionNetwork
from ganneal.metrics.resize import INCEPTION_SCALINGS, Resize


def random_weights(seed: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in InceptionNetwork().state_dict().items()}

    def draw(name: str, shape: torch.Size) -> Tensor:
        noise = torch.randn(shape, generator=random)
        if len(shape) > 1:
            return noise * (2 / shape[1:].numel()) ** 0.5
        mean, spread = (1, 0.1) if name.endswith(("bn.weight", "running_var")) else (0, 0.1)
        return (mean + spread * noise).abs() if mean else spread * noise

    return {name: draw(name, shape) for name, shape in shapes.items() if shape}


def extractors(layer: str, shape: tuple[int, ...], batch_size: int) -> Iterator[ModuleExtractor]:
    state = random_weights(seed=0)
    for precision in ("float32", "bf16"):
        yield ModuleExtractor(
            load_network(lambda: InceptionNetwork(layer), state, "random weights"),  # pyright: ignore[reportArgumentType]
            name="inception-random",
            shape=shape,
            resize=Resize("tf-legacy", 299),
            scaling=INCEPTION_SCALINGS["tf-legacy"],
            channels=3,
            batch_size=batch_size,
            precision=precision,
        )


def two_sets(path: str, count: int) -> tuple[Tensor, Tensor]:
    """``count`` images of the lower half of the classes and as many of the upper, of a seeded draw."""
    data = Zip(path).load()
    assert data.labels is not None, f"{path} has no labels to part it by"
    lower = data.labels < data.num_classes // 2
    random = np.random.default_rng(0)
    sides = [random.permutation(np.flatnonzero(side))[:count] for side in (lower, ~lower)]
    first, second = (torch.from_numpy(data.samples[side]) for side in sides)
    return first, second


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="flowers-256.zip", help="labelled images in a zip")
    parser.add_argument("--layer", default="64", choices=("64", "192", "768", "2048"), help="layer of the distance")
    parser.add_argument("--count", type=int, default=400, help="images a side of the distance; more than the layer")
    parser.add_argument("--rounds", type=int, default=5, help="timed batches of each precision, 2048-d")
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    first, second = two_sets(options.data, options.count)
    shape, size = tuple(first.shape[1:]), options.batch_size

    full = list(extractors("2048", shape, size))
    taken: dict[str, list[float]] = {extractor.precision: [] for extractor in full}
    for turn in range(options.rounds + 1):
        for extractor in full:
            started = perf_counter()
            extractor(first[:size])
            if turn:  # the first turn warms caches up
                taken[extractor.precision].append(perf_counter() - started)
    rates = {precision: size / median(seconds) for precision, seconds in taken.items()}
    print(f"{torch.get_num_threads()} threads, batches of {size}, whole network at 299x299, resizing included:")
    print("  " + ", ".join(f"{precision} {rate:.2f} images/s" for precision, rate in rates.items()))
    print(f"  ratio bf16 / float32 {rates['bf16'] / rates['float32']:.2f}")

    values = {
        e.precision: frechet_distance(*(e(x).features for x in (first, second)))
        for e in extractors(options.layer, shape, size)
    }
    change = values["bf16"] / values["float32"] - 1
    print(f"Fréchet distance, layer {options.layer}, {len(first)} and {len(second)} images: {values}")
    print(f"  change by bf16 {change:+.2%}")


if __name__ == "__main__":
    main()
