"""Batches of the move before, for losses that compare samples with them."""

from typing import Literal

from torch import Tensor

Player = Literal["discriminator", "generator"]
Batches = tuple[Tensor, Tensor]
"""Reals and fakes, without a graph."""


class EarlierBatches:
    """Reals and fakes of each player's last move. Moves of the two players may have batches of different sizes."""

    def __init__(self) -> None:
        self.kept: dict[Player, Batches] = {}

    def of(self, player: Player, real: Tensor, fakes: Tensor | None = None) -> Batches:
        """Those of the player's move before.

        Its first move has none: it takes ``real`` and ``fakes`` themselves, each sample beside the one before it, and
        reals for fakes that are not made yet.
        """
        if player in self.kept:
            return self.kept[player]
        return real.roll(1, 0), (real if fakes is None else fakes).roll(1, 0)

    def keep(self, player: Player, real: Tensor, fakes: Tensor) -> None:
        """Remember the batches of a move."""
        self.kept[player] = real.detach(), fakes.detach()

    def state_dict(self) -> dict[str, list[Tensor]]:
        """As tensors and plain types."""
        return {player: list(batches) for player, batches in self.kept.items()}

    def load_state_dict(self, state: dict[str, list[Tensor]], device: str) -> None:
        """Continue from a `state_dict`."""
        self.kept = {player: (real.to(device), fake.to(device)) for player, (real, fake) in state.items()}  # type: ignore[misc]
