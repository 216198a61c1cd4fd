"""Eight Gaussians on a circle with small perceptrons: seconds to run, every mode visible."""

from dataclasses import replace

from ganneal.data import Ring
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import MLP
from ganneal.optim import Adam, Averaging
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.task import Labelled
from ganneal.weights import Geometric


def ring_cts() -> Experiment:
    """Eight Gaussians on a circle, common training scheme."""
    return Experiment(
        name="ring-cts",
        data=Ring(),
        model=MLP(),
        d_optimizer=Adam(lr=1e-3),
        g_optimizer=Adam(lr=1e-3),
        averaging=Averaging(half_life=20_000),
        batch_size=256,
        budget=Budget(num_real=1_000_000),
        threads=1,  # networks too small for more
        records=Records(log_every=25_600, sample_every=256_000, sample_count=1_000, evaluate_every=51_200),
    )


def ring_nts() -> Experiment:
    """Eight Gaussians on a circle, nested training."""
    return replace(ring_cts(), name="ring-nts", scheme=Nested(levels=5))


def ring_nats() -> Experiment:
    """Eight Gaussians on a circle, nested annealed training."""
    return replace(ring_cts(), name="ring-nats", scheme=Nested(levels=5, weights=Geometric()))


def ring_labelled_nats() -> Experiment:
    """Eight labelled Gaussians on a circle, class-conditional players, nested annealed training."""
    return replace(ring_nats(), name="ring-labelled-nats", task=Labelled())


def ring_cfg() -> Experiment:
    """Eight Gaussians on a circle, composite functional gradients."""
    # A pool of ten batches, as the reference's 640 are of 64.
    return replace(ring_cts(), name="ring-cfg", scheme=FunctionalGradient(step_size=0.3, pool_size=2_560))
