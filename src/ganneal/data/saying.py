"""Telling a person what is odd about a set of images without stopping."""

import warnings


class Remark(UserWarning):
    """Something about a set of images that a person should know, and that is no error."""


def remark(text: str, *, stacklevel: int = 1) -> None:
    """Say ``text`` as a warning; the command line prints it."""
    warnings.warn(text, Remark, stacklevel=stacklevel + 1)
