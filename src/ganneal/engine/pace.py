"""Duration of a scheme's moves on this machine, estimated from finished moves."""

from collections.abc import Hashable

from ganneal.schemes import Scheme
from ganneal.steps import Step, StoreDiscriminator

FEWEST_MOVES = 20
"""Moves before which nothing is said of the speed."""


class Pace:
    """Seconds of each kind of move; the first of a kind, in which memory is found and code compiled, stands apart."""

    def __init__(self, scheme: Scheme):
        self._round = list(scheme(1))
        # Moves of a scheme that stores discriminators differ by level: one more push each.
        self._by_level = any(isinstance(step, StoreDiscriminator) for step in self._round)
        self._first: dict[Hashable, float] = {}
        self._later: dict[Hashable, tuple[float, int]] = {}
        self.moves = 0

    def add(self, step: Step, seconds: float) -> None:
        """One move has taken so long."""
        kind = self._kind(step)
        self.moves += 1
        if kind not in self._first:
            self._first[kind] = seconds
            return
        total, count = self._later.get(kind, (0.0, 0))
        self._later[kind] = total + seconds, count + 1

    def round_seconds(self) -> float | None:
        """Seconds of one round; None while there are few moves, or a kind of them has not been made."""
        if self.moves < FEWEST_MOVES:
            return None
        kinds = [self._kind(step) for step in self._round]
        if not self._first.keys() >= set(kinds):
            return None
        return sum(self._mean(kind) for kind in kinds)

    def _mean(self, kind: Hashable) -> float:
        total, count = self._later.get(kind, (self._first[kind], 1))
        return total / count

    def _kind(self, step: Step) -> Hashable:
        return (type(step), step.level) if self._by_level else type(step)
