"""Averaging the generator's weights over training (EMA), on the clock of real images seen."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from ganneal.registry import check_choices

BATCH_NORM_STATISTICS = ("running_mean", "running_var")
"""The buffers that may be averaged; every other one (counters, power-iteration u) is copied."""
StatisticsRule = Literal["average", "copy", "recompute"]


@dataclass(frozen=True)
class Averaging:
    """Exponential moving average of the generator with a half-life in real images.

    ``decay = 0.5 ** (images / half_life)`` with the images seen since the last update, so that batch size, nesting and
    number of processes do not change its meaning. ``rampup`` caps the half-life at ``rampup x num_real`` early in
    training (StyleGAN2 uses 0.05); None leaves it fixed.

    A fixed decay d a batch of B images is the half-life B ln(1/2) / ln(d). BigGAN's 0.9999 from its generator update
    1000 on, with 4 discriminator updates of 50 images before each, is ``Averaging(half_life=1_386_225, rampup=None,
    start=200_000)``.

    References:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, and its successors' half-life form.
    """

    half_life: float = 10_000.0
    rampup: float | None = 0.05
    start: int = 0
    """Real images before which the average is a copy of the generator. On the clock of the half-life, so that it too
    means the same under any batch size, nesting and number of processes."""
    statistics: StatisticsRule = "average"
    """Statistics for the average's batch norm: averaged as the weights are, the generator's own, or recomputed for the
    averaged weights before each sampling (standing statistics, see `ganneal.load`)."""

    def __post_init__(self) -> None:
        if not self.half_life >= 0:
            raise ValueError(f"half_life must be >= 0 real images, got {self.half_life}; 0 keeps no average.")
        if self.rampup is not None and not self.rampup > 0:
            raise ValueError(f"rampup must be above 0 or None, got {self.rampup}.")
        if self.start < 0:
            raise ValueError(f"start must be at least 0 real images, got {self.start}; 0 averages from the first on.")
        check_choices(self)

    def decay(self, num_real: int, since: int) -> float:
        """The weight of the old average at ``num_real`` when it was last updated at ``since``.

        >>> round(Averaging(half_life=5e5, rampup=None).decay(512, 0), 9)
        0.999290469
        """
        if num_real < self.start or self.half_life == 0:
            # A decay of 0 makes the average a copy, also where no real image was seen since the last update.
            return 0.0
        # At the start the half-life is a share of what has been seen, so that the first, useless weights are soon
        # forgotten.
        half_life = self.half_life if self.rampup is None else min(self.half_life, self.rampup * num_real)
        # By images and not by updates: another batch size gives the same average.
        return 0.5 ** ((num_real - since) / max(half_life, 1e-8))


def _split(module: nn.Module, averaged_buffers: tuple[str, ...]) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors of ``module`` to average and the ones to copy."""
    # Both networks are walked in one order, as the average began as a copy of the generator: the lists meet index by
    # index.
    averaged: list[Tensor] = [p.detach() for p in module.parameters()]
    copied: list[Tensor] = []
    for name, buffer in module.named_buffers():
        (averaged if name.rpartition(".")[2] in averaged_buffers else copied).append(buffer)
    return averaged, copied


@torch.no_grad()
def average_(average: nn.Module, current: nn.Module, decay: float, *, statistics: StatisticsRule = "average") -> None:
    """Move ``average`` towards ``current`` in place: ``average <- decay * average + (1 - decay) * current``.

    Args:
        statistics: Those of batch norm are averaged with "average", copied with "copy" and "recompute".
    """
    # Batch norm's count of batches is an integer, and an average of unit vectors u is no unit vector: both are copied.
    averaged_buffers = BATCH_NORM_STATISTICS if statistics == "average" else ()
    (into, copies), (source, originals) = _split(average, averaged_buffers), _split(current, averaged_buffers)
    # average + (1 - decay)(current - average): exact at decay 0 and 1, in one kernel.
    torch._foreach_lerp_(into, source, 1.0 - decay)
    if copies:
        torch._foreach_copy_(copies, originals)
