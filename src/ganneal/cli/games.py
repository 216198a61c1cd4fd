"""`ganneal games`: optimizers on small games with a known equilibrium, as a picture and a table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any

import torch

from ganneal.cli.command import Command
from ganneal.cli.fields import Typed
from ganneal.cli.help import aligned_table as table_of
from ganneal.losses import LOSSES
from ganneal.optim import CG, SGD, Adam
from ganneal.registry import lookup
from ganneal.storage.atomic import write_bytes
from ganneal.theory.games import GAMES, METHODS, Consensus, Game, Method, Order, averaged_gap, coinciding, play
from ganneal.theory.games.figure import game_picture
from ganneal.theory.games.playing import Path as Played


@dataclass(frozen=True)
class GamesCommand(Command):
    """Play a small game with a known equilibrium by several methods. Writes a picture of the paths and of the distance
    to the equilibrium, and prints a table."""

    parts = {"game.loss": ("loss", LOSSES)}
    opens = "game"

    name: Annotated[str, Typed("argument", value="GAME")]
    game: Game
    methods: Annotated[tuple[str, ...], Typed(names=tuple(METHODS))] = tuple(METHODS)
    """Names of methods; both players use the same."""
    steps: int = 400
    """Steps of each player."""
    order: Order = "alternating"
    """Whether y sees where x has just moved, or both move at once."""
    lr: float | None = None
    """Learning rate of all but Adam; left out, the game's own."""
    y_lr: float | None = None
    """The second player's; left out, the same."""
    adam_lr: float = 0.02
    """Adam's, for both: its steps are about so long, whatever the gradient."""
    decay: float = 0.0
    """Step n, from 0, has lr (n + 1)^-decay."""
    momentum: float = 0.5
    """Of the method of that name."""
    gamma: float = 0.5
    """Of consensus: factor on half the squared norm of both gradients, which joins both losses."""
    beta_coeff: float = 1.0
    """Factor on beta of the conjugate-gradient rules."""
    beta_min: float | None = None
    """Lower bound of their beta; left out, none. 0 keeps every beta from being negative."""
    out: str = "games.png"
    """Where the picture goes."""

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError(f"methods must name at least one of: {', '.join(METHODS)}.")
        for name in self.methods:
            lookup("method", METHODS, name)
        if not self.out.endswith(".png"):
            raise ValueError(f"out must end in .png, got {self.out!r}.")

    @classmethod
    def begun(cls, first: str) -> "GamesCommand":
        """Of the game of that name."""
        return cls(first, lookup("game", GAMES, first))

    @classmethod
    def sections(cls) -> Mapping[str, str]:
        """The games."""
        return {"games": table_of({name: (getdoc(game) or "").splitlines()[0] for name, game in GAMES.items()})}

    @classmethod
    def more(cls) -> Mapping[str, str]:
        """Fields of games."""
        return {
            "--game.start-x X, --game.start-y Y": "Where both players start; a game's own fields follow the same way, "
            "as --game.loss and --game.r1 of dirac-gan.",
        }

    def __call__(self, typed: str) -> None:
        """Play, write and print."""
        paths = play_methods(self)
        out = Path(self.out).expanduser()
        write_bytes(out, game_picture(self.game, paths, f"{self.name}, {self.steps} {self.order} steps"))
        print(f"{game_as_text(self, paths)}\n\npicture: {out}")


def configured(name: str, options: GamesCommand, lr: float) -> Method:
    """The method called ``name`` with what the options say of it."""
    method: Any = METHODS[name]
    match method:
        case Adam():
            return replace(method, lr=options.adam_lr)
        case SGD(momentum=momentum) if momentum:
            return replace(method, lr=lr, momentum=options.momentum)
        case Consensus():
            return replace(method, lr=lr, gamma=options.gamma)
        case CG():
            return replace(method, lr=lr, beta_coeff=options.beta_coeff, beta_min=options.beta_min)
        case _:
            return replace(method, lr=lr)


def play_methods(options: GamesCommand) -> dict[str, Played]:
    """The path of every method of ``options``."""
    lr = options.game.suggested_lr if options.lr is None else options.lr
    y_lr = lr if options.y_lr is None else options.y_lr
    players = {  # all of them before the first plays: a mistake is found at once
        name: (configured(name, options, lr), configured(name, options, y_lr)) for name in options.methods
    }
    return {
        name: play(options.game, *methods, steps=options.steps, order=options.order, decay=options.decay)
        for name, methods in players.items()
    }


def gaps_table(game: Game, paths: dict[str, Played]) -> str:
    """Where each path ends, how near it came, and both players' averaged gaps; one line for methods of one path."""
    groups = {", ".join(names): paths[names[0]] for names in coinciding(paths)}
    width = max(len("method"), *map(len, groups))
    head = f"{'method':<{width}} {'x':>12} {'y':>12} {'distance':>10} {'nearest':>10} {'x gap':>10} {'y gap':>10}"
    return "\n".join([head, *(f"{name:<{width}} {_row(game, path)}" for name, path in groups.items())])


def _row(game: Game, path: Played) -> str:
    x, y = (_coordinates(walk.points[-1]) for walk in (path.x, path.y))
    gaps = [
        averaged_gap(walk, goal, float(torch.linalg.vector_norm(start - goal)))
        for walk, goal, start in zip((path.x, path.y), game.equilibrium, game.start, strict=True)
    ]
    last = [f"{float(gap[-1]):>10.3g}" if len(gap) and not path.escaped else f"{'-':>10}" for gap in gaps]
    left = f"  escaped at step {path.steps + 1}" if path.escaped else ""
    return f"{x:>12} {y:>12} {path.distances[-1]:>10.3g} {path.distances.min():>10.3g} {' '.join(last)}{left}"


def _coordinates(point: torch.Tensor) -> str:
    """A point of one coordinate to six decimals where they say anything; the length of a longer one."""
    value = float(point[0]) if len(point) == 1 else float(torch.linalg.vector_norm(point))
    shown = f"{value:.6f}" if 1e-4 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"
    return shown if len(point) == 1 else f"|{shown}|"


def game_as_text(options: GamesCommand, paths: dict[str, Played]) -> str:
    """The game, the settings and the table as text."""
    lr = options.game.suggested_lr if options.lr is None else options.lr
    y_lr = "" if options.y_lr in (None, lr) else f", y's {options.y_lr:g}"
    decayed = f", decaying as (n + 1)^-{options.decay:g}" if options.decay else ""
    adam = f" (Adam {options.adam_lr:g})" if "adam" in paths else ""
    return "\n".join(
        [
            f"game     {options.game}",
            f"played   {options.steps} steps, {options.order}, lr {lr:g}{y_lr}{adam}{decayed}",
            "",
            gaps_table(options.game, paths),
            "",
            "distance = of both players to the equilibrium at the end, nearest = the least on the way.",
            "gap = the largest mean of <x_n - x, gradient> over the x no further from the equilibrium than the start;",
            "a player that is stationary on average has 0. Methods in one line have one path, to 9 digits.",
        ]
    )
