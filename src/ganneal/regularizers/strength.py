"""How strong a term is now: its coefficient under its rule, and whether it is due at all."""

from math import isfinite

from ganneal.clocks import Clock, Counters
from ganneal.optim.lr_rules import LRRule


def check_coefficients(**coefficients: float) -> None:
    """Refuse what is not a finite number >= 0."""
    for name, value in coefficients.items():
        if not (isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite number >= 0, got {value}; use 0 to switch it off.")


def check_interval(interval: int) -> None:
    """Refuse intervals below 1."""
    if interval < 1:
        raise ValueError(f"interval must be at least 1 discriminator update, got {interval}; use 1 for every update.")


def coefficient_now(counters: Counters, coefficient: float, rule: LRRule, own: Clock) -> float:
    """``coefficient`` times the factor of ``rule``, whose ``own_updates`` are those that ``own`` counts."""
    return coefficient * rule.at(counters.read(rule.clock, own))


def lazy_strength(
    counters: Counters, coefficient: float, rule: LRRule, interval: int, scale_by_interval: bool
) -> float | None:
    """The factor on a term of the discriminator's loss at this update, None where none is due.

    Due at every ``interval``-th discriminator update, and then multiplied by the interval where ``scale_by_interval``
    keeps the mean strength.
    """
    strength = coefficient_now(counters, coefficient, rule, own="d_updates")
    if counters.d_updates % interval or strength == 0:
        return None
    return strength * interval if scale_by_interval else strength
