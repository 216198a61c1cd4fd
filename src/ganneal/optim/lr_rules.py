"""Learning-rate rules: pure functions from a run's counters to a factor on the base learning rate.

Each rule that varies names its ``clock``. Comparing schemes at equal data asks for ``num_real``: a rule counted in
generator updates would run faster under nested training.
"""

from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import Protocol, runtime_checkable

from ganneal.clocks import Clock, Counters


@runtime_checkable
class LRRule(Protocol):
    """The factor on the base learning rate at some point of training."""

    def __call__(self, counters: Counters) -> float:
        """A factor >= 0."""
        ...


def _progress(counters: Counters, clock: Clock, start: int, end: int) -> float:
    """How far ``clock`` is between ``start`` and ``end``, in [0, 1]."""
    return min(max((getattr(counters, clock) - start) / (end - start), 0.0), 1.0)


def _check_span(start: int, end: int, final: float) -> None:
    if not 0 <= start < end:
        raise ValueError(f"start and end must satisfy 0 <= start < end, got start={start}, end={end}.")
    if not (isfinite(final) and final >= 0):
        raise ValueError(f"final must be a finite factor >= 0, got {final}; use 0 to end at rest.")


@dataclass(frozen=True)
class Constant:
    """The base learning rate throughout."""

    def __call__(self, counters: Counters) -> float:
        return 1.0


@dataclass(frozen=True)
class LinearDecay:
    """Constant until ``start``, then linear down to ``final`` (a factor) at ``end``."""

    end: int = 1_000_000
    start: int = 0
    final: float = 0.0
    clock: Clock = "num_real"

    def __post_init__(self) -> None:
        _check_span(self.start, self.end, self.final)

    def __call__(self, counters: Counters) -> float:
        return 1.0 + (self.final - 1.0) * _progress(counters, self.clock, self.start, self.end)


@dataclass(frozen=True)
class Cosine:
    """Linear warm-up from 0 over ``start`` ticks, then half a cosine down to ``final`` (a factor) at ``end``.

    References:
        Loshchilov and Hutter, SGDR, 2017, Eq. 5 without restarts.
    """

    end: int = 1_000_000
    start: int = 0
    final: float = 0.0
    clock: Clock = "num_real"

    def __post_init__(self) -> None:
        _check_span(self.start, self.end, self.final)

    def __call__(self, counters: Counters) -> float:
        ticks = getattr(counters, self.clock)
        if ticks < self.start:
            return ticks / self.start
        progress = _progress(counters, self.clock, self.start, self.end)
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + cos(pi * progress))


LR_RULES: dict[str, LRRule] = {"constant": Constant(), "linear": LinearDecay(), "cosine": Cosine()}
"""Learning-rate rules by name."""
