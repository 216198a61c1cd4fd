"""How often each class is drawn: as often as the data has it, or all classes alike."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

Classes = Literal["data", "uniform"]
"""As often as the data has them, or all that the data has alike."""


def check_classes(name: str, given: str) -> None:
    """Refuse another value than those of `Classes`.

    Raises:
        ValueError: ``given`` is none of them; ``name`` is for the message.
    """
    if given not in get_args(Classes):
        raise ValueError(
            f"{name} must be 'data' (as often as the data has them) or 'uniform' (all alike), got {given!r}."
        )


def class_counts(labels: np.ndarray | None, num_classes: int) -> list[int]:
    """Samples of each of ``num_classes`` classes; empty where there are no classes."""
    if labels is None or not num_classes:
        return []
    return np.bincount(labels, minlength=num_classes).tolist()


def drawn_classes(
    counts: Sequence[int], count: int, classes: Classes, random: torch.Generator
) -> Int64[Tensor, " count"]:
    """Classes of ``count`` samples in random order, each class ``c`` as often as its share says, up to one sample.

    Systematic sampling: a grid of ``count`` points with a random start over the cumulative shares. Each class gets
    count x share rounded down or up, at random so that the mean is exact. A class that the data has no sample of is
    never drawn, with "uniform" neither.

    Args:
        counts: Real samples of each class.
        classes: "data" takes ``counts`` for the shares, "uniform" the same share for each class with a sample.
    References:
        Madow and Madow, On the Theory of Systematic Sampling, 1944.
    """
    weights = torch.tensor(counts, dtype=torch.float64)
    if classes == "uniform":
        weights = (weights > 0).double()
    upper = weights.cumsum(0)
    start = torch.rand((), generator=random, dtype=torch.float64, device=random.device).to(upper)
    points = (start + torch.arange(count, dtype=torch.float64)) * (upper[-1] / count)
    last = int(weights.nonzero()[-1])
    labels = torch.searchsorted(upper, points, right=True).clamp_max(last)  # rounding may reach the end
    return labels[torch.randperm(count, generator=random, device=random.device).to(labels.device)]
