"""MNIST at 28 px, from an npz file with ``x_train`` and ``y_train``."""

from dataclasses import replace

from ganneal.data import Arrays
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics.extractors import MnistCNN
from ganneal.models import DCGAN
from ganneal.optim import RMSProp
from ganneal.regularizers import GradientPenalty
from ganneal.schemes import FunctionalGradient, Nested
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


def mnist_cfg() -> Experiment:
    """MNIST (28 px), composite functional gradients."""
    return replace(
        mnist_cts(),
        name="mnist-cfg",
        model=DCGAN(width=32, latent_size=100),
        scheme=FunctionalGradient(step_size=0.5),
        d_optimizer=RMSProp(),
        g_optimizer=RMSProp(),
    )


def mnist_cfg_annealed() -> Experiment:
    """MNIST (28 px), annealed composite functional gradients."""
    # Four times the plain step: the steps of a round then sum to nearly the same, 15 x 0.5.
    scheme = FunctionalGradient(step_size=2.0, weights=Geometric())
    return replace(mnist_cfg(), name="mnist-cfg-annealed", scheme=scheme)


def mnist_li_cfg() -> Experiment:
    """MNIST (28 px), functional gradients with an eps-centred penalty (experimental; not the paper's Li-CFG)."""
    return replace(
        mnist_cfg(),
        name="mnist-li-cfg",
        model=DCGAN(width=32, latent_size=100, d_norm="none"),
        scheme=FunctionalGradient(step_size=2.5),
        regularizer=GradientPenalty(center=0.3, coefficient=1.0),
    )
