"""Averaging the generator's weights over training (EMA), on the clock of real images seen."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

AVERAGED_BUFFERS = ("running_mean", "running_var")
"""Batch-norm statistics are averaged like parameters; every other buffer (counters, power-iteration u) is copied."""


@dataclass(frozen=True)
class Averaging:
    """Exponential moving average of the generator with a half-life in real images.

    ``decay = 0.5 ** (images / half_life)`` with the images seen since the last update, so that batch size, nesting and
    number of processes do not change its meaning. ``rampup`` caps the half-life at ``rampup x num_real`` early in
    training (StyleGAN2 uses 0.05); None leaves it fixed.

    References:
        Karras et al., Analyzing and Improving the Image Quality of StyleGAN, 2020, and its successors' half-life form.
    """

    half_life: float = 10_000.0
    rampup: float | None = 0.05

    def __post_init__(self) -> None:
        if not self.half_life >= 0:
            raise ValueError(f"half_life must be >= 0 real images, got {self.half_life}; 0 keeps no average.")
        if self.rampup is not None and not self.rampup > 0:
            raise ValueError(f"rampup must be above 0 or None, got {self.rampup}.")

    def decay(self, num_real: int, since: int) -> float:
        """The weight of the old average at ``num_real`` when it was last updated at ``since``.

        >>> round(Averaging(half_life=5e5, rampup=None).decay(512, 0), 9)
        0.999290469
        """
        half_life = self.half_life if self.rampup is None else min(self.half_life, self.rampup * num_real)
        return 0.5 ** ((num_real - since) / max(half_life, 1e-8))


def _split(module: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors of ``module`` to average and the ones to copy."""
    averaged: list[Tensor] = [p.detach() for p in module.parameters()]
    copied: list[Tensor] = []
    for name, buffer in module.named_buffers():
        (averaged if name.rpartition(".")[2] in AVERAGED_BUFFERS else copied).append(buffer)
    return averaged, copied


@torch.no_grad()
def average_(average: nn.Module, current: nn.Module, decay: float) -> None:
    """Move ``average`` towards ``current`` in place: ``average <- decay * average + (1 - decay) * current``."""
    (into, copies), (source, originals) = _split(average), _split(current)
    torch._foreach_lerp_(into, source, 1.0 - decay)
    if copies:
        torch._foreach_copy_(copies, originals)
