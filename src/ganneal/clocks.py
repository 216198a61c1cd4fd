"""The five clocks every run counts, which budgets can read, and the reals beside them. Pure Python."""

from dataclasses import asdict, dataclass
from typing import Literal

Clock = Literal["num_real", "d_updates", "g_updates"]
"""A deterministic clock; the two of time are left out because nothing that trains may depend on them."""

RuleClock = Literal[Clock, "own_updates"]
"""Clocks for a player's learning-rate rule: the deterministic ones, or the player's own updates."""

BudgetClock = Literal[Clock, "seconds", "cpu_seconds"]
"""Clocks for a budget, at which runs may be compared."""
CLOCKS: tuple[BudgetClock, ...] = ("num_real", "d_updates", "g_updates", "seconds", "cpu_seconds")


@dataclass
class Counters:
    """Progress of a run on every clock."""

    num_real: int = 0
    """Real images used to update the discriminator."""
    d_updates: int = 0
    g_updates: int = 0
    seconds: float = 0.0
    """Training only: sampling, evaluating and saving are not counted."""
    g_num_real: int = 0
    """Real images used to update the generator: none but for losses and tasks that need them there. No clock."""
    cpu_seconds: float = 0.0
    """Processor time of training. Far below ``seconds`` x threads: the machine was busy with something else."""

    def read(self, clock: RuleClock, own: Clock) -> int:
        """The ticks of ``clock`` for the player whose updates ``own`` counts."""
        return getattr(self, own if clock == "own_updates" else clock)

    def as_dict(self) -> dict[str, float]:
        """All of them, by name."""
        return asdict(self)
