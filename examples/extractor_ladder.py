"""How far an extractor sees damaged images from whole ones: JPEG, blur and noise, beside the floor of random halves.

    OMP_NUM_THREADS=1 python examples/extractor_ladder.py cifar10 --extractor cifar-cnn --count 10000

Two disjoint random parts of the data have no distance but that of finite samples; each rung damages the second part.
"""

import argparse
import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageFilter

from ganneal.data import find_data, source_at
from ganneal.metrics import frechet_distance
from ganneal.metrics.extractors import EXTRACTORS
from ganneal.registry import lookup

Damage = Callable[[Image.Image], Image.Image]


def jpeg(quality: int) -> Damage:
    def saved(image: Image.Image) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file)

    return saved


def blur(radius: float) -> Damage:
    return lambda image: image.filter(ImageFilter.GaussianBlur(radius))


def noise(deviation: float) -> Damage:
    random = np.random.default_rng(0)

    def noisy(image: Image.Image) -> Image.Image:
        pixels = np.asarray(image) + random.normal(0, deviation, np.asarray(image).shape)
        return Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8))

    return noisy


LADDER: dict[str, Damage] = {
    "whole": lambda image: image,
    **{f"JPEG, quality {quality}": jpeg(quality) for quality in (95, 75, 50, 25)},
    **{f"blur of radius {radius:g} px": blur(radius) for radius in (0.5, 1.0, 2.0)},
    **{f"noise of {deviation} grey levels": noise(deviation) for deviation in (5, 10, 20)},
}


def damaged(images: np.ndarray, damage: Damage) -> torch.Tensor:
    changed = [np.asarray(damage(Image.fromarray(image.transpose(1, 2, 0)))) for image in images]
    return torch.from_numpy(np.stack(changed).transpose(0, 3, 1, 2))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Distances of damaged images, by an extractor.")
    parser.add_argument("data", help="a set of colour images, or the name cifar10")
    parser.add_argument("--extractor", nargs="+", default=["cifar-cnn"], help=", ".join(EXTRACTORS))
    parser.add_argument("--count", type=int, default=10_000, help="images of each part")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)

    samples = source_at(find_data(options.data)).load().samples
    order = np.random.default_rng(options.seed).permutation(len(samples))[: 2 * options.count]
    first, second = (np.array(samples[np.sort(part)]) for part in np.array_split(order, 2))
    built = [lookup("extractor", EXTRACTORS, name).build(first.shape[1:]) for name in options.extractor]
    whole = [extractor(torch.from_numpy(first)).features.double() for extractor in built]
    print(f"{'':<24}" + "".join(f"{'FD-' + name:>24}" for name in options.extractor))
    for rung, damage in LADDER.items():
        changed = damaged(second, damage)
        row = [frechet_distance(w, e(changed).features.double()) for w, e in zip(whole, built, strict=True)]
        print(f"{rung:<24}" + "".join(f"{value:>24.4f}" for value in row), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
