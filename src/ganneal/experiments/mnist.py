"""MNIST at 28 px, from an npz file with ``x_train`` and ``y_train``."""

from dataclasses import replace

from ganneal.data import Arrays
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics.extractors import MnistCNN
from ganneal.models import DCGAN
from ganneal.schemes import Nested
from ganneal.weights import Geometric


def mnist_cts() -> Experiment:
    """MNIST (28 px), common training scheme."""
    return Experiment(
        name="mnist-cts",
        data=Arrays(path="mnist.npz"),
        model=DCGAN(),
        budget=Budget(num_real=1_000_000),
        records=Records(
            log_every=2_000,
            sample_every=25_000,
            evaluate_every=10_000,
            extractor=MnistCNN(),
            held_out=Arrays(path="mnist.npz", images="x_test", labels="y_test"),
        ),
    )


def mnist_nts() -> Experiment:
    """MNIST (28 px), nested training."""
    return replace(mnist_cts(), name="mnist-nts", scheme=Nested(levels=5))


def mnist_nats() -> Experiment:
    """MNIST (28 px), nested annealed training."""
    return replace(mnist_cts(), name="mnist-nats", scheme=Nested(levels=5, weights=Geometric()))
