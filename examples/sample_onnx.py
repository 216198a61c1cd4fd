"""Images from a generator that `ganneal export` wrote: with ONNX Runtime and NumPy, without PyTorch and ganneal.

    ganneal export zoo:digits-nats --out digits.onnx
    python examples/sample_onnx.py digits.onnx --count 64 --seed 0 --out digits.png

The seed gives other images than the same seed of `ganneal sample`: NumPy draws other numbers.
"""

import argparse
import json
from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

SMALLEST_TILE = 48


def opened(path: Path) -> tuple[onnxruntime.InferenceSession, dict[str, Any]]:
    """The network in the file, and its card: what was trained, the names of inputs and of classes, the licence."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session, json.loads(session.get_modelmeta().custom_metadata_map["ganneal"])


def normal(random: np.random.Generator, shape: Sequence[int], truncation: float) -> np.ndarray:
    """Standard normal numbers, those beyond the truncation drawn again."""
    drawn = random.standard_normal(shape)
    while (beyond := np.abs(drawn) > truncation).any():
        drawn[beyond] = random.standard_normal(beyond.sum())
    return drawn.astype(np.float32)


def class_of(card: dict[str, Any], given: str) -> int:
    """The class of that name or number."""
    names = card["classes"]
    if given in names:
        return names.index(given)
    if given.isdigit() and int(given) < len(names):
        return int(given)
    raise SystemExit(f"class must be one of {', '.join(names) or 'none at all'}, got {given!r}.")


def drawn_inputs(
    card: dict[str, Any], count: int, random: np.random.Generator, classes: Sequence[str], truncation: float
) -> dict[str, np.ndarray]:
    """The network's inputs for ``count`` samples: ``classes`` in turn, or drawn as often as the data has them."""
    inputs = {}
    for each in card["inputs"]:
        if each["name"] == "labels":
            chosen = [class_of(card, name) for name in classes]
            counts = np.array(card["data"].get("class_counts") or np.ones(len(card["classes"])))
            drawn = random.choice(len(counts), size=count, p=counts / counts.sum())
            inputs["labels"] = np.resize(chosen, count).astype(np.int64) if chosen else drawn
        else:
            bound = truncation if each["name"] == "latents" else np.inf
            inputs[each["name"]] = normal(random, (count, *each["shape"][1:]), bound)
    return inputs


def sheet(images: np.ndarray) -> np.ndarray:
    """[n, C, H, W] in [-1, 1] to one picture of 8 bits: one image as it is, several as a grid, small ones enlarged."""
    factor = ceil(SMALLEST_TILE / max(images.shape[2:])) if len(images) > 1 else 1
    images = images.repeat(factor, axis=2).repeat(factor, axis=3)
    count, channels, height, width = images.shape
    columns = ceil(sqrt(count))
    rows = ceil(count / columns)
    pixels = np.full((rows * columns, channels, height, width), 255, np.uint8)
    pixels[:count] = np.clip(images * 127.5 + 128, 0, 255)
    tiled = pixels.reshape(rows, columns, channels, height, width).transpose(0, 3, 1, 4, 2)
    return tiled.reshape(rows * height, columns * width, channels)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw and write."""
    parser = argparse.ArgumentParser(description="Draw images from a generator in an ONNX file of `ganneal export`.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--class", dest="classes", nargs="+", default=[], metavar="CLASS", help="names or numbers")
    parser.add_argument("--truncation", type=float, default=np.inf, help="largest size of a latent's entries")
    parser.add_argument(
        "--out", type=Path, default=Path("samples.png"), help=".png (needs pillow), or .npy of numbers in [-1, 1]"
    )
    options = parser.parse_args(arguments)
    session, card = opened(options.file)
    if options.classes and not card["classes"]:
        parser.error("--class must be left out: this generator was trained without classes.")
    random = np.random.default_rng(options.seed)
    inputs = drawn_inputs(card, options.count, random, options.classes, options.truncation)
    images = np.asarray(session.run(None, inputs)[0])
    if options.out.suffix == ".npy":
        np.save(options.out, images)
    else:
        from PIL import Image

        picture = sheet(images)
        Image.fromarray(picture.squeeze(2) if picture.shape[2] == 1 else picture).save(options.out)
    print(f"{options.count} images of {card['data']['name']}: {options.out}")


if __name__ == "__main__":
    main()
