"""CIFAR-10 at 32 px with the hub's DCGAN, the setting of NATS's classical losses."""

from dataclasses import replace

from ganneal.data import Cifar10
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import DCGAN
from ganneal.optim import Adam, Averaging, RMSProp
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.weights import Geometric


def cifar10_cts() -> Experiment:
    """CIFAR-10 (32 px, unconditional), common training scheme."""
    return Experiment(
        name="cifar10-cts",
        data=Cifar10(),
        model=DCGAN(),
        # One pass over the data.
        averaging=Averaging(half_life=50_000),
        budget=Budget(num_real=5_000_000),
        records=Records(log_every=2_000, sample_every=100_000, evaluate_count=4_000),
    )


def cifar10_nts() -> Experiment:
    """CIFAR-10 (32 px, unconditional), nested training."""
    # Three generator updates to one of the discriminator: at the full rate LSGAN's generator leaves most of the data.
    return replace(cifar10_cts(), name="cifar10-nts", scheme=Nested(levels=5), g_optimizer=Adam(lr=Adam().lr / 3))


def cifar10_nats() -> Experiment:
    """CIFAR-10 (32 px, unconditional), nested annealed training."""
    return replace(cifar10_cts(), name="cifar10-nats", scheme=Nested(levels=5, weights=Geometric()))


def cifar10_cfg() -> Experiment:
    """CIFAR-10 (32 px, unconditional), composite functional gradients."""
    return replace(
        cifar10_cts(),
        name="cifar10-cfg",
        model=DCGAN(width=32, latent_size=100),
        # The reference has no step for CIFAR-10: this is its step for SVHN, colour images of the same size.
        scheme=FunctionalGradient(step_size=0.25),
        d_optimizer=RMSProp(),
        g_optimizer=RMSProp(),
    )


def cifar10_cfg_annealed() -> Experiment:
    """CIFAR-10 (32 px, unconditional), annealed composite functional gradients."""
    # Four times the plain step: the steps of a round then sum to nearly the same, 15 x 0.25.
    scheme = FunctionalGradient(step_size=1.0, weights=Geometric())
    return replace(cifar10_cfg(), name="cifar10-cfg-annealed", scheme=scheme)
