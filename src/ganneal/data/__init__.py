"""Data sources. Register your own with ``DATASETS["mine"] = MySource()``.

Readers are imported when one of them is asked for, so that drawing from a trained generator needs none.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganneal.data.decode.images import Reading
    from ganneal.data.decode.loading import Encoded
    from ganneal.data.finding import find_data
    from ganneal.data.messages import reporting
    from ganneal.data.protocol import Batch, Dataset, Source
    from ganneal.data.registered import DATASETS
    from ganneal.data.sampler import Sampler
    from ganneal.data.sources.archive import Zip
    from ganneal.data.sources.arrays import Arrays
    from ganneal.data.sources.celeba import CelebA
    from ganneal.data.sources.cifar import Cifar10, Cifar100
    from ganneal.data.sources.digits import Digits
    from ganneal.data.sources.files import load_like, read_as, source_at
    from ganneal.data.sources.folder import Folder
    from ganneal.data.sources.hub import Hub
    from ganneal.data.sources.imagenet import ImageNetBatches
    from ganneal.data.sources.lsun import LSUN
    from ganneal.data.sources.mnist import Idx, StackedMNIST
    from ganneal.data.sources.parquet import Parquet
    from ganneal.data.sources.toys import Gaussian, Grid, Mixture, Ring

# Names by the module that defines them; a module is imported when the first of its names is asked for (PEP 562).
_MODULES = {
    "decode.images": "Reading",
    "decode.loading": "Encoded",
    "finding": "find_data",
    "messages": "reporting",
    "protocol": "Batch Dataset Source",
    "registered": "DATASETS",
    "sampler": "Sampler",
    "sources.archive": "Zip",
    "sources.arrays": "Arrays",
    "sources.celeba": "CelebA",
    "sources.cifar": "Cifar10 Cifar100",
    "sources.digits": "Digits",
    "sources.files": "load_like read_as source_at",
    "sources.folder": "Folder",
    "sources.hub": "Hub",
    "sources.imagenet": "ImageNetBatches",
    "sources.lsun": "LSUN",
    "sources.mnist": "Idx StackedMNIST",
    "sources.parquet": "Parquet",
    "sources.toys": "Gaussian Grid Mixture Ring",
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}

# Written out, as type checkers read it without running this module.
__all__ = [
    "DATASETS",
    "Arrays",
    "Batch",
    "CelebA",
    "Cifar10",
    "Cifar100",
    "Dataset",
    "Digits",
    "Encoded",
    "Folder",
    "Gaussian",
    "Grid",
    "Hub",
    "Idx",
    "ImageNetBatches",
    "LSUN",
    "Mixture",
    "Parquet",
    "Reading",
    "Ring",
    "Sampler",
    "Source",
    "StackedMNIST",
    "Zip",
    "find_data",
    "load_like",
    "read_as",
    "reporting",
    "source_at",
]


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"ganneal.data.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'ganneal.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
