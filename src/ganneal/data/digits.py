"""scikit-learn's 1,797 handwritten digits, which ship with that library: real images without a download."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ganneal.data.protocol import Dataset


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
        from sklearn.datasets import load_digits

        pixels, labels = load_digits(return_X_y=True)
        levels = np.round(np.asarray(pixels).reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        size = (self.size, self.size)
        images = np.stack([np.asarray(Image.fromarray(x).resize(size, Image.Resampling.BICUBIC)) for x in levels])
        description = {
            "name": "Optical Recognition of Handwritten Digits (test part)",
            "count": len(images),
            "licence": "CC BY 4.0",
        }
        return Dataset(images[:, None], np.asarray(labels, dtype=np.int64), 10, description)
