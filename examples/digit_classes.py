"""Does a generator of handwritten digits draw all ten of them? A classifier counts.

    python examples/digit_classes.py runs/demo

The exit status is 0 if each digit is at least 3 % of the samples, 1 otherwise. A share says which digits are
drawn, not how well: the classifier calls every image a digit, a smudge too.
"""

import argparse
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.svm import SVC
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

import ganneal

SMALLEST_SHARE = 0.03


def scikit_learn_digits() -> tuple[UInt8[np.ndarray, "n 8 8"], Int[np.ndarray, " n"]]:
    """The 1,797 digits of scikit-learn, values 0 to 16, and their labels."""
    rows, labels = load_digits(return_X_y=True)
    return np.asarray(rows, np.uint8).reshape(-1, 8, 8), np.asarray(labels)


def to_training_images(digits: UInt8[np.ndarray, "n 8 8"]) -> Float[Tensor, "n 1 16 16"]:
    """What the generator was trained on: 0..16 to 8 bits, bicubic to 16 x 16, then [-1, 1]."""
    levels = np.round(digits * (255 / 16)).astype(np.uint8)
    enlarged = (Image.fromarray(digit).resize((16, 16), Image.Resampling.BICUBIC) for digit in levels)
    return torch.from_numpy(np.stack([np.asarray(image) for image in enlarged])).float()[:, None] / 127.5 - 1


def to_digit_rows(images: Float[Tensor, "n 1 16 16"]) -> Float[np.ndarray, "n 64"]:
    """The way back: area-averaged to 8 x 8 and scaled to 0..16, one row per image."""
    return ((adaptive_avg_pool2d(images, 8) + 1) * 8).flatten(start_dim=1).numpy()


def digit_classifier(digits: UInt8[np.ndarray, "n 8 8"], labels: Int[np.ndarray, " n"]) -> SVC:
    """A support vector machine on digits that went to training images and back, as the samples will."""
    return SVC(C=10).fit(to_digit_rows(to_training_images(digits)), labels)


def held_out_accuracy(seed: int = 0) -> float:
    """The accuracy on half of the digits of a classifier that saw the other half."""
    digits, labels = scikit_learn_digits()
    seen, unseen = np.array_split(np.random.default_rng(seed).permutation(len(labels)), 2)
    classifier = digit_classifier(digits[seen], labels[seen])
    return float(classifier.score(to_digit_rows(to_training_images(digits[unseen])), labels[unseen]))


def class_shares(images: Float[Tensor, "n 1 16 16"]) -> Float[np.ndarray, " 10"]:
    """The share of ``images`` that look most like each digit."""
    labels = digit_classifier(*scikit_learn_digits()).predict(to_digit_rows(images))
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
