"""MNIST at 28 px."""

from dataclasses import replace

from ganneal.data import Idx
from ganneal.experiment import Budget, Experiment, Records
from ganneal.metrics.extractors import MnistCNN
from ganneal.models import DCGAN, DCGANExt
from ganneal.optim import RMSProp
from ganneal.regularizers import GradientPenalty
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.weights import Geometric

# The authors' code adds eps before the square root, and 1e-18 there is 1e-9 behind it.
REFERENCE_RMSPROP = RMSProp(eps=1e-18, eps_inside=True)


def mnist_cts() -> Experiment:
    """MNIST (28 px), common training scheme."""
    return Experiment(
        name="mnist-cts",
        data=Idx("mnist"),
        model=DCGAN(),
        budget=Budget(num_real=1_000_000),
        records=Records(
            log_every=2_000,
            sample_every=25_000,
            evaluate_every=10_000,
            extractor=MnistCNN(),
            held_out=Idx("mnist", split="test"),
        ),
    )


def mnist_nts() -> Experiment:
    """MNIST (28 px), nested training."""
    return replace(mnist_cts(), name="mnist-nts", scheme=Nested(levels=5))


def mnist_nats() -> Experiment:
    """MNIST (28 px), nested annealed training."""
    return replace(mnist_cts(), name="mnist-nats", scheme=Nested(levels=5, weights=Geometric()))


def mnist_cfg() -> Experiment:
    """MNIST (28 px), composite functional gradients with the reference's networks and optimizer."""
    return replace(
        mnist_cts(),
        name="mnist-cfg",
        model=DCGANExt(width=32),
        # The reference's step for these networks with batch norm, and below, without it, 2.5.
        scheme=FunctionalGradient(step_size=0.5),
        d_optimizer=REFERENCE_RMSPROP,
        g_optimizer=REFERENCE_RMSPROP,
    )


def mnist_cfg_annealed() -> Experiment:
    """MNIST (28 px), annealed composite functional gradients."""
    # Twice the plain step, so that those of a round sum to half as much: with the hub's DCGAN four times was too far.
    scheme = FunctionalGradient(step_size=1.0, weights=Geometric())
    return replace(mnist_cfg(), name="mnist-cfg-annealed", scheme=scheme)


def mnist_li_cfg() -> Experiment:
    """MNIST (28 px), functional gradients with an eps-centred penalty (experimental; not the paper's Li-CFG)."""
    return replace(
        mnist_cfg(),
        name="mnist-li-cfg",
        model=DCGANExt(width=32, d_norm="none"),
        scheme=FunctionalGradient(step_size=2.5),
        regularizer=GradientPenalty(center=0.3, coefficient=1.0),
    )
