"""Does a generator of handwritten digits draw all ten of them? A classifier counts.

    python examples/digit_classes.py runs/demo

The exit status is 0 if each digit is at least 3 % of the samples, 1 otherwise. A share says which digits are
drawn, not how well: the classifier calls every image a digit, a smudge too.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

import ganneal
from ganneal.data import Digits

SMALLEST_SHARE = 0.03


def training_images() -> tuple[Float[Tensor, "n 1 16 16"], Int[Tensor, " n"]]:
    """The 1,797 digits as the generator was trained on them, and their labels."""
    dataset = Digits().load()
    assert dataset.labels is not None
    return torch.from_numpy(np.asarray(dataset.samples)).float() / 127.5 - 1, torch.from_numpy(dataset.labels)


def nearest_labels(
    images: Float[Tensor, "n 1 16 16"], digits: Float[Tensor, "m 1 16 16"], labels: Int[Tensor, " m"]
) -> Int[Tensor, " n"]:
    """The label of the digit whose pixels are nearest to each image."""
    return labels[torch.cdist(images.flatten(1), digits.flatten(1)).argmin(dim=1)]


def held_out_accuracy(seed: int = 0) -> float:
    """The accuracy on half of the digits of the nearest label among the other half."""
    images, labels = training_images()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    seen, unseen = order.chunk(2)
    found = nearest_labels(images[unseen], images[seen], labels[seen])
    return float((found == labels[unseen]).float().mean())


def class_shares(images: Float[Tensor, "n 1 16 16"]) -> Float[np.ndarray, " 10"]:
    """The share of ``images`` that look most like each digit."""
    labels = nearest_labels(images, *training_images())
    return np.bincount(labels, minlength=10) / len(labels)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Count which digits a trained generator draws.")
    parser.add_argument("run", metavar="RUN", help="run directory of an experiment on the digits")
    parser.add_argument("--count", type=int, default=1000, help="number of samples (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples (default: 0)")
    options = parser.parse_args(arguments)

    samples = ganneal.load(options.run).sample(options.count, seed=options.seed)
    if samples.shape[1:] != (1, 16, 16):
        raise SystemExit(f"error: {options.run} draws {tuple(samples.shape[1:])}, not digits of shape (1, 16, 16).")
    shares = class_shares(samples)
    print(f"{options.count} samples of {options.run}, seed {options.seed}")
    print(f"classifier: {held_out_accuracy():.1%} of held-out real digits right\n")
    print("digit   share")
    for digit, share in enumerate(shares):
        print(f"{digit:>5}  {share:6.1%}  {'#' * round(100 * share)}")
    rare = [str(digit) for digit, share in enumerate(shares) if share < SMALLEST_SHARE]
    verdict = f"no, too few of {', '.join(rare)}" if rare else "yes"
    print(f"\nall ten digits at least {SMALLEST_SHARE:.0%} of the samples: {verdict}")
    return 1 if rare else 0


if __name__ == "__main__":
    raise SystemExit(main())
