"""Coverage and duplicates of samples, among as many real as generated ones: what to expect depends on no count."""

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.metrics.distances import nearest_distances
from ganneal.stop import Row

MOST_COMPARED = 2_000
"""Samples of each side, whose cost grows with the square."""
NEIGHBOUR = 5
NEAR_DUPLICATES = 0.01
"""The share of real samples that are as close to another real one as near duplicates are."""


@dataclass(frozen=True)
class Variety:
    """Real samples ``[k, d]`` with the neighbourhood of each, and the distance of near duplicates.

    Generated samples are taken k at a time. A near duplicate lies as close to another of the k as the closest 1 % of
    the k real samples lie to another real one. With more generated than real samples even a perfect generator would
    have many: 47 % of 2,000 samples beside 60 real ones.
    """

    real: Float64[Tensor, "k d"]
    radii: Float64[Tensor, " k"]
    """Radius of the ball of each real sample: the distance to its fifth nearest other one."""
    close: float
    expected: float
    """The share of real samples that are near duplicates: about 1 %, more of few samples or of data with copies."""

    @classmethod
    def of(cls, real: Float64[Tensor, "n d"], count: int, seed: int) -> "Variety | None":
        """For ``count`` generated samples, with as many of ``real`` in an order of ``seed``; None of too few."""
        # As many on both sides: the chance of a close neighbour grows with the number of candidates.
        kept = min(len(real), count, MOST_COMPARED)
        if kept <= NEIGHBOUR:
            return None
        # By chance and not the first ones, as data are often sorted by class.
        chosen = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(seed))[:kept]]
        # [k, 5], sorted; without itself, whose distance of 0 would be the nearest.
        reach, _ = nearest_distances(chosen, chosen, k=NEIGHBOUR, exclude_self=True)
        # At or below it lie 1 % of the real samples, and more where copies among the data tie at distance 0.
        close = float(reach[:, 0].quantile(NEAR_DUPLICATES))
        return cls(chosen, reach[:, -1], close, float((reach[:, 0] <= close).double().mean()))

    def __call__(self, fake: Float64[Tensor, "n d"]) -> Row:
        """Means over the parts of ``fake`` of as many samples as there are real ones.

        Coverage is `metrics.neighbours.density_coverage`'s, whose radii need no second computation here.
        """
        # A last part with fewer samples is left out, as its neighbours would be farther.
        parts = [part for part in fake.split(len(self.real)) if len(part) == len(self.real)]
        assert parts
        # A real sample is covered where a generated one lies within its own neighbourhood (Naeem et al., 2020).
        covered = [(nearest_distances(self.real, part)[0][:, 0] < self.radii).double().mean() for part in parts]
        nearest = [nearest_distances(part, part, exclude_self=True)[0][:, 0] for part in parts]
        return {
            "coverage": float(torch.stack(covered).mean()),
            "duplicates": float((torch.cat(nearest) <= self.close).double().mean()),
            "duplicates_expected": self.expected,
            "compared": len(self.real),
        }
