"""`ganneal games`: optimizers on small games with a known equilibrium, as a picture and a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import getdoc
from pathlib import Path
from typing import Annotated

from ganneal.cli.command import Command
from ganneal.cli.fields import Typed
from ganneal.cli.help import aligned_table
from ganneal.losses import LOSSES
from ganneal.registry import lookup
from ganneal.storage.atomic import write_bytes
from ganneal.theory.games import GAMES, METHODS, Game
from ganneal.theory.games.figure import game_picture
from ganneal.theory.games.match import Match


@dataclass(frozen=True)
class GamesCommand(Match, Command):
    """Play a small game with a known equilibrium by several methods. The command draws the paths and the distance to
    the equilibrium, and prints a table."""

    parts = {"game.loss": ("loss", LOSSES)}
    opens = "game"

    name: Annotated[str, Typed("argument", value="GAME")]
    game: Game
    # Said again for the names alone, which the help lists.
    methods: Annotated[tuple[str, ...], Typed(names=tuple(METHODS))] = field(default=Match.methods, kw_only=True)
    out: str = "games.png"
    """File for the picture."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.out.endswith(".png"):
            raise ValueError(f"out must end in .png, got {self.out!r}.")

    @classmethod
    def begun(cls, first: str) -> "GamesCommand":
        """The command for the game of that name."""
        # The game in place decides on the options that begin with --game.
        return cls(first, lookup("game", GAMES, first))

    @classmethod
    def sections(cls) -> Mapping[str, str]:
        """The games."""
        return {"games": aligned_table({name: (getdoc(game) or "").splitlines()[0] for name, game in GAMES.items()})}

    @classmethod
    def more(cls) -> Mapping[str, str]:
        """Fields of games."""
        return {
            "--game.start-x X, --game.start-y Y": "Starting points of both players. The other fields of a game are set "
            "the same way, such as --game.loss and --game.r1 of dirac-gan.",
        }

    def __call__(self, typed: str) -> None:
        """Play, write and print."""
        paths, out = self.played(self.game), Path(self.out).expanduser()
        write_bytes(out, game_picture(self.game, paths, f"{self.name}, {self.steps} {self.order} steps"))
        print(f"{self.as_text(self.game, paths)}\n\npicture: {out}")
