"""The protocol of a data source: all samples in one array, with labels where it has them."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "batch channels height width"]
"""Images in [-1, 1], as the players see them."""
PointBatch = Float[Tensor, "n d"]
"""Points of a toy distribution."""


@runtime_checkable
class Origin(Protocol):
    """Origin of samples, as far as it tells whether other samples are the same."""

    def hashes(self) -> dict[str, str]:
        """SHA-256 by what it is of, in words. Neither the place nor the time of a change has a part in it."""
        ...


@dataclass(frozen=True)
class Dataset:
    """Samples held in memory, in a read-only memory map, or decoded on demand.

    ``samples`` is uint8 ``[N, C, H, W]`` for images (shown to players as x / 127.5 - 1) or float32 ``[N, D]`` for
    points (shown as they are). Rows are taken from it: `lazy.LazyImages` decodes those that are asked for.
    """

    # Not np.ndarray: `lazy.LazyImages` has the rows, shape and dtype of an array and is none.
    samples: Any
    labels: np.ndarray | None = None
    """int64 ``[N]`` in 0..num_classes-1, or None."""
    num_classes: int = 0
    description: dict[str, Any] = field(default_factory=dict)
    """Name, count and licence for a model card; the names of the classes under ``classes``, where they have any."""
    unusable: str = ""
    """Why labels that were found are no classes; empty where they are, or where there are none."""
    origin: Origin | None = None
    """Identity of these samples when they are read again; None for the hash of their own bytes."""

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
        # One label too high would read beyond an embedding, which a GPU answers with an assertion far from here.
        if self.labels is not None and not 0 <= self.labels.min() <= self.labels.max() < self.num_classes:
            raise ValueError(
                f"labels must be in 0..num_classes-1, got {self.labels.min()} to {self.labels.max()} with "
                f"num_classes={self.num_classes}."
            )
        if (names := self.description.get("classes")) and len(names) != self.num_classes:
            raise ValueError(f"there must be a name for each of {self.num_classes} classes, got {len(names)} names.")

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.samples.shape[1:]

    @property
    def class_names(self) -> list[str]:
        """The names of the classes, which are their numbers where the data has no names."""
        return list(self.description.get("classes") or map(str, range(self.num_classes)))

    @property
    def is_images(self) -> bool:
        """True if the samples are images rather than points."""
        # The type alone tells images from points: bytes are shown scaled, float32 as it is.
        return self.samples.dtype == np.uint8


class Batch(NamedTuple):
    """Samples as players see them, in [-1, 1] for images, with labels where the data has them."""

    samples: Tensor
    labels: Int[Tensor, " batch"] | None


@runtime_checkable
class Source(Protocol):
    """A data source, as a frozen dataclass; registered in `data.DATASETS`."""

    def load(self) -> Dataset:
        """Read everything.

        Raises:
            FileNotFoundError: A file is not where the source looks.
            ValueError: A file does not hold what the source expects.
        """
        ...
