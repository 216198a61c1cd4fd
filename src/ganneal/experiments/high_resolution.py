"""CelebA at 64 px, and annealed functional gradients at 256 px with the settings of the NATS paper; for a GPU."""

from dataclasses import replace

from ganneal.data import LSUN, CelebA, Source
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments.mnist import REFERENCE_RMSPROP
from ganneal.models import DCGAN, ResNet4
from ganneal.optim import Averaging
from ganneal.schemes import FunctionalGradient, Nested
from ganneal.weights import Geometric


def celeba_cts() -> Experiment:
    """CelebA (64 px), common training scheme."""
    return Experiment(
        name="celeba-cts",
        data=CelebA(attribute=None, split="all", size=64),
        model=DCGAN(),
        flip=True,
        budget=Budget(num_real=2_000_000),
        records=Records(log_every=2_000, sample_every=50_000),
    )


def celeba_nts() -> Experiment:
    """CelebA (64 px), nested training."""
    return replace(celeba_cts(), name="celeba-nts", scheme=Nested(levels=5))


def celeba_nats() -> Experiment:
    """CelebA (64 px), nested annealed training."""
    return replace(celeba_cts(), name="celeba-nats", scheme=Nested(levels=5, weights=Geometric()))


LENGTH = 9_600_000
"""Real images: 10,000 rounds, the reference's number. The paper gives none."""
FAR_WEIGHTS = Geometric(first=20.0, last=1.0)
"""Table V of the paper, for images that lie far from each other: a median distance of 330 and more."""


def _annealed(name: str, data: Source) -> Experiment:
    return Experiment(
        name=name,
        data=data,
        model=ResNet4(),
        scheme=FunctionalGradient(weights=FAR_WEIGHTS),
        d_optimizer=REFERENCE_RMSPROP,
        g_optimizer=REFERENCE_RMSPROP,
        averaging=Averaging(half_life=0.0),
        budget=Budget(num_real=LENGTH),
        records=Records(log_every=9_600, sample_every=96_000),
    )


def celeba256_cfg_annealed() -> Experiment:
    """Faces at 256 px, annealed composite functional gradients; for a GPU."""
    return _annealed("celeba256-cfg-annealed", CelebA(attribute=None, split="all", size=256))


def lsun256_cfg_annealed() -> Experiment:
    """LSUN churches at 256 px, annealed composite functional gradients; for a GPU."""
    return _annealed("lsun256-cfg-annealed", LSUN(path="church_outdoor_train_lmdb", size=256))
