"""Seeds of samples, apart from each other: those that choose the best weights are never those that measure them."""

from collections.abc import Sequence

from ganneal.randomness import derive_seed

SELECTION_SEED = derive_seed(0, "selection")
"""Samples of the evaluations beside training, which choose ``best/``."""
FRESH_SEED = 1_000_003
"""Samples of the values that `ganneal compare` and `ganneal reproduce` report."""
EVALUATION_SEEDS = (0, 1, 2)
"""Samples of `ganneal evaluate`, unless told otherwise."""


def check_fresh(seeds: Sequence[int]) -> None:
    """Refuse to measure on the samples that chose the best weights.

    Raises:
        ValueError: `SELECTION_SEED` is among ``seeds``.
    """
    if SELECTION_SEED in seeds:
        raise ValueError(
            f"seeds must not hold {SELECTION_SEED}: its samples chose the best weights, whose value on them is too "
            f"good; use another seed, as 0."
        )
