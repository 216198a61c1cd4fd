"""The exponential of the mean divergence of each sample's class probabilities from their average.

Called "IS" in a table only with the 2015 TensorFlow Inception network: all of its 1008 outputs, without the bias of
its last layer. With any other classifier it is ``exp-mean-KL-<extractor>``.
"""

from dataclasses import dataclass
from math import exp

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.metrics.moments import Features, checked_features


@dataclass(frozen=True)
class InceptionScore:
    """Mean and population deviation over the splits, and the score of all samples as one split.

    The deviation is no standard error: a split's score is biased by its size, and splits are smaller than the set.
    """

    mean: float
    std: float
    one_split: float


def inception_score(logits: Features, *, splits: int = 10, seed: int | None = 0) -> InceptionScore:
    r"""Mean over splits of :math:`\exp(\operatorname{mean}_i \mathrm{KL}(p_i \| \bar p))`, p the softmax of a row.

    Between 1 and the number of classes, the higher the better. Compare at equal counts and splits.

    Args:
        logits: One row of raw outputs per generated sample [n, classes].
        splits: Parts of equal size up to one row, all rows used.
        seed: Of the one shuffle before splitting. None keeps the order; samples sorted by class then score near
            1 a split.
    Raises:
        ValueError: There are fewer than 2 rows or fewer rows than splits, or a logit is not finite.
    References:
        Salimans et al., Improved Techniques for Training GANs, NeurIPS 2016, sec. 4.

    >>> inception_score(100 * torch.eye(4), splits=1)
    InceptionScore(mean=4.0, std=0.0, one_split=4.0)
    """
    rows = checked_features("logits", logits)
    n = len(rows)
    if n < 2:
        raise ValueError(f"logits must have at least 2 rows, got {n}; give more samples.")
    if not 1 <= splits <= n:
        raise ValueError(f"splits must be between 1 and the number of rows, {n}, got {splits}; 10 is the default.")
    # Published code does not shuffle. Samples drawn class by class would make each split a class of its own, with a
    # score near 1.
    order = np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)
    # Not the logarithm of a softmax, which is minus infinity where a probability rounds to 0.
    log_probabilities = rows[torch.from_numpy(order)].log_softmax(dim=1)
    # Integer bounds that use every row, with parts that differ by one row at most.
    scores = [_score(log_probabilities[i * n // splits : (i + 1) * n // splits]) for i in range(splits)]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)), _score(log_probabilities))


def _score(log_probabilities: Float64[Tensor, "n classes"]) -> float:
    """The mean divergence as entropy of the average less average entropy: 0 log 0 = 0 in both."""
    probabilities = log_probabilities.exp()
    # mean KL(p_i || p) = H(p) - mean H(p_i), and entr is 0 at p = 0, where p log p written out is not a number.
    average = torch.special.entr(probabilities.mean(dim=0)).sum()
    each = -(probabilities * log_probabilities).sum(dim=1).mean()
    return exp(max(float(average - each), 0.0))  # a divergence below 0 is rounding
