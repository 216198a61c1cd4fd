"""Data sources. Register your own with ``DATASETS["mine"] = MySource()``."""

from ganneal.data.archive import Zip
from ganneal.data.arrays import Arrays
from ganneal.data.digits import Digits
from ganneal.data.files import source_at, stored_sizes
from ganneal.data.folder import Folder
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
}
"""Data sources by name, each with its default fields."""

__all__ = [
    "DATASETS",
    "Arrays",
    "Batch",
    "Dataset",
    "Digits",
    "Folder",
    "Gaussian",
    "Grid",
    "Mixture",
    "Ring",
    "Sampler",
    "Source",
    "Zip",
    "find_data",
    "source_at",
    "stored_sizes",
]
