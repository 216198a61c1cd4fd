"""The registry of data sources; it imports every reader."""

from ganneal.data.protocol import Source
from ganneal.data.sources.archive import Zip
from ganneal.data.sources.arrays import Arrays
from ganneal.data.sources.celeba import CelebA
from ganneal.data.sources.cifar import Cifar10, Cifar100
from ganneal.data.sources.digits import Digits
from ganneal.data.sources.folder import Folder
from ganneal.data.sources.hub import Hub
from ganneal.data.sources.imagenet import ImageNetBatches
from ganneal.data.sources.lsun import LSUN
from ganneal.data.sources.mnist import Idx, StackedMNIST
from ganneal.data.sources.parquet import Parquet
from ganneal.data.sources.toys import Gaussian, Grid, Ring

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
