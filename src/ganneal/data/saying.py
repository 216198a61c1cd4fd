"""Telling a person what is odd about a set of images without stopping."""

import warnings

import numpy as np

LOOKED_AT = 32
"""Images that are looked at for a remark, evenly spread."""


class Remark(UserWarning):
    """Something about a set of images that a person should know, and that is no error."""


def remark(text: str, *, stacklevel: int = 1) -> None:
    """Say ``text`` as a warning; the command line prints it."""
    warnings.warn(text, Remark, stacklevel=stacklevel + 1)


def remark_on_black(samples: np.ndarray, place: str, *, stacklevel: int = 1) -> None:
    """Say that images are black to the eye, as those are whose levels were meant to be 0 and 1.

    Args:
        samples: uint8 images, of which an evenly spread part is looked at.
    """
    some = samples[:: max(1, -(-len(samples) // LOOKED_AT))]
    if some.size and some.max() <= 1:
        text = f"the levels of {len(some):,} of {len(samples):,} images in {place} are 0 to {some.max()} of 255"
        remark(f"{text}: they are black; scale them to 0 to 255.", stacklevel=stacklevel + 1)
