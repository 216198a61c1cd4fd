"""How sure is a classifier of a generator's MNIST digits, and do they spread over the ten classes?

    python examples/digit_confidence.py runs/mnist-cfg

Mean confidence is the largest softmax probability averaged over samples, class entropy that of the average
probabilities, in nats, at most log 10 = 2.303. The exit status is 1 below ``--confidence`` or ``--entropy``. The
classifier calls every image a digit: look at the grid too. It is less sure than it is right, 0.90 and 99.7 % on
MNIST's test images; its logits are therefore divided by a temperature fitted there (Guo et al., 2017).
"""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

import ganneal
from ganneal.evaluation.suited import as_stored
from ganneal.metrics.extractors import MnistCNN

TEMPERATURE = 0.44
"""Least cross-entropy on MNIST's 10,000 test images, where the mean confidence is then 0.998."""


class Certainty(NamedTuple):
    """What a classifier says of many images."""

    confidence: float
    entropy: float
    shares: list[float]
    """Of the ten digits, by the largest probability."""


def certainty(logits: Float[Tensor, "n 10"]) -> Certainty:
    """Mean confidence, entropy of the mean probabilities in nats, and the shares of the classes."""
    probabilities = logits.double().softmax(dim=1)
    mean = probabilities.mean(dim=0)
    counts = logits.argmax(dim=1).bincount(minlength=logits.shape[1])
    return Certainty(
        confidence=probabilities.amax(dim=1).mean().item(),
        entropy=-(mean * mean.clamp(min=1e-300).log()).sum().item(),
        shares=(counts / len(logits)).tolist(),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Confidence and class entropy of a run's MNIST digits.")
    parser.add_argument("run", metavar="RUN", help="run directory of an experiment on MNIST")
    parser.add_argument("--count", type=int, default=2_000, help="number of samples")
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples")
    parser.add_argument("--sampler", choices=("generator", "pushed"), help="default: the one the run was followed by")
    parser.add_argument("--confidence", type=float, default=0.9, help="least mean confidence")
    parser.add_argument("--entropy", type=float, default=2.0, help="least class entropy, nats")
    options = parser.parse_args(arguments)

    samples = ganneal.load(options.run, sampler=options.sampler).sample(options.count, seed=options.seed)
    shape = tuple(samples.shape[1:])
    if shape[0] != 1:
        raise SystemExit(f"error: {options.run} draws {shape}, not grey digits.")
    logits = MnistCNN().build(shape)(as_stored(samples)).logits
    assert logits is not None
    raw, found = certainty(logits), certainty(logits / TEMPERATURE)
    print(f"{options.count} samples of {options.run}, seed {options.seed}")
    print(f"mean confidence {found.confidence:.3f} ({raw.confidence:.3f} before the temperature)")
    print(f"class entropy {found.entropy:.3f} nats ({raw.entropy:.3f})")
    print("shares " + ", ".join(f"{digit}: {share:.1%}" for digit, share in enumerate(found.shares)))
    return int(found.confidence < options.confidence or found.entropy < options.entropy)


if __name__ == "__main__":
    raise SystemExit(main())
