"""The Fréchet distance within each class, which sees what the one over all classes averages away."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int64, Integer
from torch import Tensor

from ganneal.metrics.distances import checked_pair
from ganneal.metrics.frechet import gaussian_distance, warn_of_bias
from ganneal.metrics.moments import Features, Moments

RowLabels = Integer[Tensor, " _"] | Integer[np.ndarray, " _"]
"""One class per row of the features."""


@dataclass(frozen=True)
class PerClass:
    """``mean`` weighs all classes alike; ``worst`` is the largest distance with its class."""

    mean: float
    worst: tuple[float, int]
    distances: Mapping[int, float]


def per_class_frechet(
    real: Features, real_labels: RowLabels, fake: Features, fake_labels: RowLabels, *, names: Sequence[str] = ()
) -> PerClass:
    """The Fréchet distance between real and generated samples of each class ("intra-FD").

    Args:
        real: Features [n, d].
        real_labels: Class of each row of ``real``.
        fake: Features [m, d], as many of every class, as the bias depends on the count.
        fake_labels: Class that each row of ``fake`` was generated for.
        names: Names of the classes 0, 1, ..., for messages; empty calls them by number.
    Raises:
        ValueError: A class has d rows or fewer in either set, so that its covariance would be singular; the fakes
            of the classes differ in number; the features are as refused by `frechet_distance`.
    Warns:
        UserWarning: The smallest class has below 5 d rows.
    References:
        Miyato and Koyama, cGANs with Projection Discriminator, ICLR 2018, sec. 5.
    """
    x, y = checked_pair(real, fake)
    x_labels, y_labels = labels_of_rows("real", real_labels, len(x)), labels_of_rows("fake", fake_labels, len(y))
    # Classes of either side: one that the generator never makes must fail, not be left out.
    classes = torch.cat([x_labels, y_labels]).unique().tolist()
    counts = {c: (int((x_labels == c).sum()), int((y_labels == c).sum())) for c in classes}  # real, fake
    _check_counts({str(names[int(c)] if names else c): pair for c, pair in counts.items()}, x.shape[1])
    warn_of_bias(min(min(pair) for pair in counts.values()), x.shape[1])
    distances = {c: gaussian_distance(Moments.of(x[x_labels == c]), Moments.of(y[y_labels == c])) for c in classes}
    # The mean over classes can hide one collapsed class.
    worst = max(distances, key=lambda c: distances[c])
    return PerClass(sum(distances.values()) / len(distances), (distances[worst], worst), distances)


def labels_of_rows(name: str, labels: RowLabels, rows: int) -> Int64[Tensor, " _"]:
    """``labels`` as int64 on the CPU.

    Raises:
        ValueError: They are no integers, or not one per row.
    """
    given = labels.detach().cpu() if isinstance(labels, Tensor) else torch.from_numpy(np.array(labels))
    if given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise ValueError(f"{name}_labels must be integers, got {given.dtype}; give class numbers.")
    if given.shape != (rows,):
        raise ValueError(
            f"{name}_labels must have shape [{rows}], one per row of {name}, got {list(given.shape)}; check that "
            f"features and labels are of the same samples."
        )
    return given.long()


def _check_counts(counts: Mapping[str, tuple[int, int]], d: int) -> None:
    few = {c: pair for c, pair in counts.items() if min(pair) <= d}
    if few:
        shown = ", ".join(f"{c} ({n} real, {m} fake)" for c, (n, m) in list(few.items())[:8])
        raise ValueError(
            f"every class must have more rows than features, d={d}, in both sets; got {len(few)} of {len(counts)} "
            f"classes with fewer: {shown}{', ...' if len(few) > 8 else ''}. Use more samples, an extractor with "
            f"smaller d, or the kernel distance of each class, which needs 2."
        )
    fakes = {c: m for c, (_, m) in counts.items()}
    least, most = min(fakes, key=lambda c: fakes[c]), max(fakes, key=lambda c: fakes[c])
    if fakes[least] != fakes[most]:
        raise ValueError(
            f"fake_labels must have as many rows of every class, got {fakes[least]} of class {least} and "
            f"{fakes[most]} of class {most}. Generate equal numbers, because the distance's bias depends on them."
        )
