"""1,797 handwritten digits, which ship with this library: real images without a download."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ganneal.data.protocol import Dataset

DIGITS_TABLE = Path(__file__).with_name("digits.csv.gz")
"""64 levels and a label in each row: the test part of the set (UCI Machine Learning Repository, CC BY 4.0), as
scikit-learn distributes it."""


@dataclass(frozen=True)
class Digits:
    """Grey digits, 8x8 pixels of 17 levels, upsampled (bicubic) to ``size``.

    References:
        Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """

    size: int = 16

    def __post_init__(self) -> None:
        if self.size < 8:
            raise ValueError(f"size must be at least 8, the digits' own size, got {self.size}.")

    def load(self) -> Dataset:
        stored = np.loadtxt(DIGITS_TABLE, delimiter=",")
        pixels, labels = stored[:, :-1], stored[:, -1]
        # The levels are 0 to 16, counts of set pixels in blocks of 4 x 4.
        levels = np.round(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        size = (self.size, self.size)
        images = np.stack([np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BICUBIC)) for x in levels])
        description = {
            "name": "Optical Recognition of Handwritten Digits (test part)",
            "count": len(images),
            "licence": "CC BY 4.0",
        }
        return Dataset(images[:, None], labels.astype(np.int64), 10, description)
