"""When to stop: rules read one log row and give a reason, or None.

They run in the caller's loop. Budgets are counted by the engine itself, after every step.
"""

from dataclasses import dataclass, replace
from math import inf, isfinite
from typing import Any, Literal, Protocol, runtime_checkable

Row = dict[str, Any]
"""One row of the log: values by name."""


class TrainingStopped(ValueError):
    """A stop rule ended the run: it diverged or collapsed. What it had saved stands."""


REMEDY = "lower the learning rates, or add a regularizer such as r1"
"""Remedy for a run that diverged."""


@dataclass(frozen=True)
class Stop:
    """Why a run ends early, and whether its present state is worth saving."""

    reason: str
    save: bool


@runtime_checkable
class StopRule(Protocol):
    """A condition on log rows."""

    def __call__(self, row: Row) -> Stop | None:
        """A `Stop` when the run should end after ``row``."""
        ...


@dataclass(frozen=True)
class NonFinite:
    """Stop when a loss or a mean output is NaN or infinite; the state is not saved, the last checkpoint stands."""

    def __call__(self, row: Row) -> Stop | None:
        # The means over all steps since the last row: one NaN among them is enough.
        for key in ("d_loss", "g_loss", "fit_loss", "d_real", "d_fake"):
            if key in row and not isfinite(row[key]):
                return Stop(f"{key} is {row[key]}; {REMEDY}", save=False)
        return None


@dataclass(frozen=True)
class Divergence:
    """Act when mean D(real) - mean D(fake) leaves [-limit, limit]: one player has lost touch with the other.

    References:
        The stopping rule of the authors' code for composite functional gradients, diff_max = 40, whose discriminator is
        logistic. The difference of a Lipschitz critic is about the distance of the images, and may be any number.
    """

    limit: float | None = None
    """Largest difference that goes on. None takes the loss's own: 40 where the best output is a log ratio, else no
    limit."""
    on_diverge: Literal["stop", "warn", "skip"] = "stop"
    """Save and stop, go on with a warning, or go on and leave out the next fit of the generator to the pool."""

    def __post_init__(self) -> None:
        if self.limit is not None and not self.limit > 0:
            raise ValueError(f"limit must be above 0, got {self.limit}; use inf to never stop.")
        if self.on_diverge not in ("stop", "warn", "skip"):
            raise ValueError(f"on_diverge must be 'stop', 'warn' or 'skip', got {self.on_diverge!r}; use 'stop'.")

    def with_limit(self, largest_gap: float) -> "Divergence":
        """The same rule, with the limit ``largest_gap`` where it has none of its own."""
        return replace(self, limit=largest_gap) if self.limit is None else self

    def reason(self, row: Row) -> str | None:
        """The fault in ``row``, or None."""
        limit = inf if self.limit is None else self.limit
        # In both directions, as the authors' PyTorch code; their C++ code stops at a positive difference only.
        gap = row.get("d_real", 0.0) - row.get("d_fake", 0.0)
        if not abs(gap) > limit:  # NaN is `NonFinite`'s
            return None
        return f"mean D(real) - mean D(fake) is {gap:.1f}, beyond {limit:g} (divergence.limit)"

    def __call__(self, row: Row) -> Stop | None:
        reason = self.reason(row)
        # Unlike a NaN this state can be looked at, and its samples may still be good: it is saved.
        return None if reason is None or self.on_diverge != "stop" else Stop(reason, save=True)
