"""Images of a source that holds arrays, in another size or in other channels."""

from dataclasses import dataclass, replace

import numpy as np

from ganneal.data.decode.images import Fit, Format, check_options, refitted
from ganneal.data.protocol import Dataset, Source
from ganneal.data.saying import remark
from ganneal.data.ways import way


@dataclass(frozen=True)
class Refitted:
    """The images of ``source``, resampled as image files are."""

    source: Source
    size: int | None = None
    """Side in pixels; None keeps that of square images."""
    channels: int | None = None
    """1 for grey, 3 for colours; None keeps theirs."""
    fit: Fit = "crop"

    def __post_init__(self) -> None:
        check_options(self.size, self.channels, self.fit, "fail")

    def load(self) -> Dataset:
        """Read the source and resample its images."""
        return self.refit(self.source.load())

    def refit(self, data: Dataset) -> Dataset:
        """The images of ``data`` resampled; the same object where nothing changes.

        Raises:
            ValueError: They are points, or not square and no size is given.
        """
        if not data.is_images:
            raise ValueError(f"data must be images, got points of shape {data.shape}.")
        channels, height, width = data.shape
        if self.size is None and height != width:
            raise ValueError(f"images of {width} x {height} px are not square; give {way('size') or 'a size'}.")
        format = Format(self.size or height, self.channels or channels, self.fit)
        if format.shape == data.shape:
            return data
        if (height, width) != (format.size, format.size):
            remark(f"images of {width} x {height} px are made {format.size} x {format.size} px ({self.fit}).")
        made = np.empty((len(data), *format.shape), np.uint8)
        for index in range(len(data)):
            made[index] = refitted(np.asarray(data.samples[index]), format)
        return replace(data, samples=made, origin=None)
