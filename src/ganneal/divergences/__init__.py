"""Canonical f-divergences: f, the two terms of the lower bound, tail weights; see `ganneal.losses.Hybrid`.

>>> import torch
>>> row = DIVERGENCES["srkl"]
>>> row.tail_weights, row.tail_weights.mode_seeking
(TailWeights(left=2, right=0), 2)
>>> row.fake_term(torch.zeros(2)).tolist()
[0.0, 0.0]
"""

from ganneal.divergences.table import DIVERGENCES, FDivergence, TailWeights, Term, power, total_variation_term
from ganneal.divergences.verify import verify_divergence

__all__ = [
    "DIVERGENCES",
    "FDivergence",
    "TailWeights",
    "Term",
    "power",
    "total_variation_term",
    "verify_divergence",
]
