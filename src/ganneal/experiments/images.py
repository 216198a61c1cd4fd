"""Somebody's own images: a folder, a zip or an array file, with settings that suit most."""

from pathlib import Path

from ganneal.data import source_at
from ganneal.experiment import Budget, Experiment, Records
from ganneal.models import DCGAN
from ganneal.schemes import Nested
from ganneal.weights import Geometric

SIZE = 64


def images(path: str) -> Experiment:
    """The images at ``path`` at 64 px, nested annealed training.

    Raises:
        FileNotFoundError: There is nothing at ``path``.
        ValueError: ``path`` is a file of another kind.
    """
    place = Path(path)
    data = source_at(place, SIZE)
    return Experiment(
        name=f"{place.resolve().stem}-nats",
        data=data,
        model=DCGAN(),
        scheme=Nested(levels=5, weights=Geometric()),
        budget=Budget(num_real=2_000_000),
        records=Records(log_every=500, sample_every=10_000),
    )
