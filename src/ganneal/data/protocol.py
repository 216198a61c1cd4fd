"""What a data source provides: all samples in one array, with labels where it has them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Samples held in memory, in a read-only memory map, or decoded on demand.

    ``samples`` is uint8 ``[N, C, H, W]`` for images (shown to players as x / 127.5 - 1) or float32 ``[N, D]`` for
    points (shown as they are). Rows are taken from it: `lazy.LazyImages` decodes those that are asked for.
    """

    samples: Any
    labels: np.ndarray | None = None
    """int64 ``[N]`` in 0..num_classes-1, or None."""
    num_classes: int = 0
    description: dict[str, Any] = field(default_factory=dict)
    """Name, count and licence for a model card."""

    def __post_init__(self) -> None:
        if len(self.samples) == 0:
            raise ValueError("samples must not be empty; check the path and the file types in it.")
        if not (self.is_images and self.samples.ndim == 4) and not (
            self.samples.dtype == np.float32 and self.samples.ndim == 2
        ):
            raise ValueError(
                f"samples must be uint8 [N, C, H, W] for images or float32 [N, D] for points, got {self.samples.dtype} "
                f"{self.samples.shape}."
            )
        if self.labels is not None and len(self.labels) != len(self.samples):
            raise ValueError(
                f"labels must have one entry per sample, got {len(self.labels)} labels for {len(self.samples)} samples."
            )

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.samples.shape[1:]

    @property
    def is_images(self) -> bool:
        """Whether the samples are images rather than points."""
        return self.samples.dtype == np.uint8


@runtime_checkable
class Source(Protocol):
    """Where data comes from, as a frozen dataclass; registered in `data.DATASETS`."""

    def load(self) -> Dataset:
        """Read everything.

        Raises:
            FileNotFoundError: A file is not where the source looks.
            ValueError: A file does not hold what the source expects.
        """
        ...


def find_data(path: str | Path) -> Path:
    """``path`` as given, else below the folder named by the environment variable GANNEAL_DATA.

    Raises:
        FileNotFoundError: Neither exists; the message names both places.
    """
    root = Path(os.environ.get("GANNEAL_DATA", "../shared/data"))
    places = [Path(path).expanduser(), root / path]
    for place in places:
        if place.exists():
            return place
    raise FileNotFoundError(
        f"no data at {places[0]} nor at {places[1]}; give another path, or set GANNEAL_DATA to the folder that has it. "
        f"`ganneal data fetch mnist` downloads MNIST and says how its experiments read it; cifar10 likewise."
    )


def labels_from(values: Sequence[Any] | np.ndarray, name: str) -> tuple[np.ndarray, int]:
    """Labels as int64 with the number of classes, the largest label plus one; ``name`` is for the message.

    Raises:
        ValueError: Not one whole number >= 0 per sample.
    """
    try:
        given = np.asarray(values)
    except ValueError as error:  # lists of several lengths
        raise ValueError(f"labels must be one whole number >= 0 per sample, got {error} in {name}.") from error
    whole = given.ndim == 1 and given.dtype.kind in "iuf" and bool((given == np.floor(given)).all())
    if not whole or (given.size and given.min() < 0):
        raise ValueError(
            f"labels must be one whole number >= 0 per sample, got {given.dtype} of shape {given.shape} in {name}, as "
            f"{given.flatten()[:3].tolist()}; number the classes from 0."
        )
    labels = given.astype(np.int64)
    return labels, int(labels.max(initial=-1)) + 1
