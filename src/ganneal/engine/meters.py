"""What is measured in training between two rows of the record."""

from collections import defaultdict

import torch
from torch import Tensor

from ganneal.ranks import ALONE, Ranks


class Meters:
    """Detached values between two log rows, kept without reading them; read once, at the row."""

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, name: str, value: Tensor) -> None:
        """Keep ``value``, of any shape."""
        self.values[name].append(value.detach())

    def read(self, ranks: Ranks = ALONE) -> dict[str, float]:
        """The mean of everything under each name since the last reading, over all ``ranks``."""
        means = {
            name: torch.cat([v.flatten() for v in kept]).float().mean().item() for name, kept in self.values.items()
        }
        self.values.clear()
        return dict(zip(means, ranks.averages(list(means.values())), strict=True))

    def gather(self, ranks: Ranks) -> None:
        """Keep what one process would have: values of samples from all ``ranks``, means averaged over them."""
        for kept in self.values.values():
            kept[:] = [ranks.gather(value) if value.dim() else ranks.mean(value) for value in kept]

    def deal(self, ranks: Ranks) -> None:
        """The part of this rank of what `gather` gave."""
        for kept in self.values.values():
            kept[:] = [value.tensor_split(ranks.count)[ranks.rank] if value.dim() else value for value in kept]
