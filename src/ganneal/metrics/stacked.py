"""Stacked MNIST: how many of the 1000 triples of digits a generator makes, and how evenly.

Count 26,000 samples (some older work took 25,600) and state the accuracy of the digit classifier with the result:
its mistakes count as modes too.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int, Int64, Real
from torch import Tensor

NUM_MODES = 1000

ModeLabels = Int[Tensor, " samples"] | Int[np.ndarray, " samples"]
Frequencies = Real[Tensor, " modes"] | Real[np.ndarray, " modes"]


@dataclass(frozen=True)
class StackedModes:
    r"""Modes seen among ``samples`` labels, and the divergence :math:`KL(\hat q \| p)` of their shares in nats.

    Attributes:
        kl: Infinite where a mode was seen that the target does not have.
        expected_modes: What a perfect generator shows on average at this count.
        expected_kl: The same for the divergence to first order, (modes of the target - 1) / (2 samples).
    """

    modes: int
    kl: float
    samples: int
    expected_modes: float
    expected_kl: float


def stacked_labels(
    digits: Int[Tensor, "samples 3"] | Int[np.ndarray, "samples 3"],
) -> Int64[Tensor, " samples"]:
    """The mode 100 a + 10 b + c of each image from the digits of its three channels.

    >>> stacked_labels(torch.tensor([[0, 0, 7], [9, 1, 2]])).tolist()
    [7, 912]
    """
    given = torch.as_tensor(digits).cpu().long()
    if given.ndim != 2 or given.shape[1] != 3:
        raise ValueError(f"digits must have shape [n, 3], one digit a channel, got {list(given.shape)}.")
    _check_range("digits", given, 9)
    return given @ torch.tensor([100, 10, 1])  # [n, 3] to [n]


def stacked_modes(labels: ModeLabels, *, target: Literal["uniform"] | Frequencies = "uniform") -> StackedModes:
    """Modes captured and KL of the modes' shares from the target's.

    Only the divergence of the samples from the target is taken: the other is infinite as soon as a mode is missing.

    Args:
        labels: Modes from 0 to 999, see `stacked_labels`.
        target: The 1000 counts or shares of the training data, which are divided by their sum.
    References:
        Metz et al., Unrolled Generative Adversarial Networks, ICLR 2017; Lin et al., PacGAN, NeurIPS 2018.

    >>> one_mode = stacked_modes(torch.zeros(26_000, dtype=torch.int64))
    >>> one_mode.modes, round(one_mode.kl, 4), round(one_mode.expected_kl, 4)
    (1, 6.9078, 0.0192)
    """
    given = torch.as_tensor(labels).cpu().long()
    if given.ndim != 1 or len(given) == 0:
        raise ValueError(f"labels must hold one mode a sample, got shape {list(given.shape)}; give at least one.")
    _check_range("labels", given, NUM_MODES - 1)
    p, n = _target_shares(target), len(given)
    q = torch.bincount(given, minlength=NUM_MODES).double() / n  # [modes]
    seen = q > 0
    return StackedModes(
        modes=int(seen.sum()),
        # Over the modes that were seen, as 0 log 0 is 0.
        kl=float((q[seen] * (q[seen] / p[seen]).log()).sum()),
        samples=n,
        # 26,000 perfect samples of 1000 equal modes miss about 1000 e^-26 of them, that is none.
        expected_modes=float((1 - (1 - p) ** n).sum()),
        expected_kl=(int((p > 0).sum()) - 1) / (2 * n),
    )


def _target_shares(target: Literal["uniform"] | Frequencies) -> Float[Tensor, " modes"]:
    if isinstance(target, str):
        if target != "uniform":
            raise ValueError(f"target must be 'uniform' or {NUM_MODES} frequencies, got {target!r}.")
        return torch.full((NUM_MODES,), 1 / NUM_MODES, dtype=torch.float64)
    given = torch.as_tensor(target).cpu().double()
    if given.shape != (NUM_MODES,):
        raise ValueError(
            f"target must hold {NUM_MODES} frequencies, got shape {list(given.shape)}; count training labels with "
            f"torch.bincount(labels, minlength={NUM_MODES})."
        )
    if not (given.isfinite().all() and given.min() >= 0 and given.sum() > 0):
        raise ValueError("target must hold finite frequencies of at least 0, not all 0; give counts or shares.")
    return given / given.sum()


def _check_range(name: str, values: Int64[Tensor, "..."], highest: int) -> None:
    outside = values[(values < 0) | (values > highest)]
    if len(outside):
        raise ValueError(f"{name} must be between 0 and {highest}, got {int(outside[0])} and {len(outside) - 1} more.")
