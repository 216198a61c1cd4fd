"""Somebody's own images: a folder, a zip or an array file, with settings that suit most."""

from pathlib import Path

from ganneal.data import Arrays, Folder, Source, Zip
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
    if not place.exists():
        raise FileNotFoundError(f"no data at {path}; give a folder, a .zip, an .npz or an .npy file.")
    return Experiment(
        name=f"{place.resolve().stem}-nats",
        data=_source(place),
        model=DCGAN(),
        scheme=Nested(levels=5, weights=Geometric()),
        budget=Budget(num_real=2_000_000),
        records=Records(log_every=500, sample_every=10_000),
    )


def _source(place: Path) -> Source:
    path = str(place)
    if place.is_dir():
        return Folder(path, size=SIZE)
    match place.suffix.lower():
        case ".zip":
            return Zip(path, size=SIZE)
        case ".npz":
            return Arrays(path, images="images", labels=None)
        case ".npy":
            return Arrays(path)
        case suffix:
            raise ValueError(f"path must be a folder, a .zip, an .npz or an .npy file, got {path!r} ({suffix}).")
