"""Data sources. Register your own with ``DATASETS["mine"] = MySource()``."""

from ganneal.data.archive import Zip
from ganneal.data.arrays import Arrays
from ganneal.data.celeba import CelebA
from ganneal.data.cifar import Cifar10, Cifar100
from ganneal.data.digits import Digits
from ganneal.data.files import Reading, load_like, source_at
from ganneal.data.folder import Folder
from ganneal.data.hub import Hub
from ganneal.data.imagenet import ImageNetBatches
from ganneal.data.listing import Encoded
from ganneal.data.lsun import LSUN
from ganneal.data.mnist import Idx, StackedMNIST
from ganneal.data.parquet import Parquet
from ganneal.data.progress import reporting
from ganneal.data.protocol import Dataset, Source, find_data
from ganneal.data.sampler import Batch, Sampler
from ganneal.data.toys import Gaussian, Grid, Mixture, Ring

DATASETS: dict[str, Source] = {
    "digits": Digits(),
    "ring": Ring(),
    "grid": Grid(),
    "gaussian": Gaussian(),
    "folder": Folder(),
    "zip": Zip(),
    "arrays": Arrays(),
    "mnist": Idx("mnist"),
    "fashion-mnist": Idx("fashion-mnist"),
    "stacked-mnist": StackedMNIST(),
    "cifar10": Cifar10(),
    "cifar100": Cifar100(),
    "celeba": CelebA(),
    "imagenet64": ImageNetBatches(),
    "lsun": LSUN(),
    "parquet": Parquet(),
    "hub": Hub(),
}
"""Data sources by name, each with its default fields."""

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
    "reporting",
    "source_at",
]
