"""The place in a scheme: a round, and a step of it."""

from ganneal.schemes import Scheme
from ganneal.steps import Step, StoreDiscriminator


class Cursor:
    """Where a run stands in its scheme: ``index`` steps of ``round`` are done."""

    def __init__(self, scheme: Scheme, round: int = 0, index: int = 0):
        self.scheme = scheme
        self.seek(round, index)

    def seek(self, round: int, index: int) -> None:
        """Go to a step."""
        self.round, self.index = round, index
        self._steps = self._round(round)
        self.levels = max(step.level for step in self._steps)
        self._stores = any(isinstance(step, StoreDiscriminator) for step in self._steps)

    def _round(self, round: int) -> list[Step]:
        steps = list(self.scheme(round))
        if not steps:
            raise ValueError(
                f"scheme must yield at least one step a round, got none in round {round} of {self.scheme}."
            )
        return steps

    @property
    def step(self) -> Step:
        """The step to make now."""
        return self._steps[self.index]

    @property
    def following(self) -> Step:
        """The step after it, of the next round where this one ends."""
        if self.index + 1 < len(self._steps):
            return self._steps[self.index + 1]
        return self._round(self.round + 1)[0]

    @property
    def at_rest(self) -> bool:
        """Whether no chain of stored discriminators is under way: at any step of most schemes, else between rounds."""
        return self.index == 0 or not self._stores

    def advance(self) -> bool:
        """The step has been made; True when it was the last of its round."""
        self.index += 1
        if self.index < len(self._steps):
            return False
        self.seek(self.round + 1, 0)
        return True
