"""Faces at 64 px, from CelebA or a folder or zip of one's own, with the hub's DCGAN."""

from dataclasses import replace

from ganneal.data import CelebA
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import DCGAN
from ganneal.schemes import Nested
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
