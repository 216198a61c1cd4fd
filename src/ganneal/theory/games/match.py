"""One game played by several methods with one set of settings, and its table."""

from dataclasses import dataclass, replace
from typing import Any

import torch

from ganneal.optim import CG, SGD, Adam
from ganneal.registry import lookup
from ganneal.theory.games.gaps import averaged_gap
from ganneal.theory.games.methods import METHODS, Consensus, Method
from ganneal.theory.games.playing import Order, Path, coinciding, play
from ganneal.theory.games.problems import Game


@dataclass(frozen=True, kw_only=True)
class Match:
    """Settings of one game played by several methods. Both players use the same method."""

    methods: tuple[str, ...] = tuple(METHODS)
    """Names of methods. Both players use the same method."""
    steps: int = 400
    """Steps of each player."""
    order: Order = "alternating"
    """Order of the moves: y sees x's new point (alternating), or both move at once (simultaneous)."""
    lr: float | None = None
    """Learning rate of all methods but Adam. Default: the game's own."""
    y_lr: float | None = None
    """Learning rate of the second player. Default: the same as the first."""
    adam_lr: float = 0.02
    """Adam's learning rate for both players. Its steps are about this long, whatever the gradient."""
    decay: float = 0.0
    """Step n, from 0, has lr (n + 1)^-decay."""
    momentum: float = 0.5
    """Momentum of the method of that name."""
    gamma: float = 0.5
    """Factor of consensus on half the squared norm of both gradients, which joins both losses."""
    beta_coeff: float = 1.0
    """Factor on beta of the conjugate-gradient rules."""
    beta_min: float | None = None
    """Lower bound of the conjugate-gradient beta; 0 keeps beta from being negative. Default: none."""

    def __post_init__(self) -> None:
        if not self.methods:
            raise ValueError(f"methods must name at least one of: {', '.join(METHODS)}.")
        for name in self.methods:
            lookup("method", METHODS, name)

    def configured(self, name: str, lr: float) -> Method:
        """The method called ``name`` with the settings that are for it."""
        method: Any = METHODS[name]
        match method:
            # Adam's step is about as long as its rate, whatever the gradient: the others' rate would be another game.
            case Adam():
                return replace(method, lr=self.adam_lr)
            # Plain gradient steps have momentum 0 and keep it.
            case SGD(momentum=momentum) if momentum:
                return replace(method, lr=lr, momentum=self.momentum)
            case Consensus():
                return replace(method, lr=lr, gamma=self.gamma)
            case CG():
                return replace(method, lr=lr, beta_coeff=self.beta_coeff, beta_min=self.beta_min)
            case _:
                return replace(method, lr=lr)

    def played(self, game: Game) -> dict[str, Path]:
        """The path of every method."""
        rates = self._rates(game)
        # All players are made before the first plays, so that a mistake is found at once.
        players = {name: [self.configured(name, rate) for rate in rates] for name in self.methods}
        how: dict[str, Any] = {"steps": self.steps, "order": self.order, "decay": self.decay}
        return {name: play(game, *both, **how) for name, both in players.items()}

    def as_text(self, game: Game, paths: dict[str, Path]) -> str:
        """The game, the settings and the table."""
        lr, y_lr = self._rates(game)
        others = f", y's {y_lr:g}" if y_lr != lr else ""
        decayed = f", decaying as (n + 1)^-{self.decay:g}" if self.decay else ""
        adam = f" (Adam {self.adam_lr:g})" if "adam" in paths else ""
        return (
            f"game     {game}\n"
            f"played   {self.steps} steps, {self.order}, lr {lr:g}{others}{adam}{decayed}\n\n"
            f"{gaps_table(game, paths)}\n\n"
            "distance = of both players to the equilibrium at the end, nearest = the least on the way.\n"
            "gap = the largest mean of <x_n - x, gradient> over the x no further from the equilibrium than the start;\n"
            "a player that is stationary on average has 0. Methods in one line have one path, to 9 digits."
        )

    def _rates(self, game: Game) -> tuple[float, float]:
        """The learning rates of both players."""
        lr = game.suggested_lr if self.lr is None else self.lr
        return lr, lr if self.y_lr is None else self.y_lr


def gaps_table(game: Game, paths: dict[str, Path]) -> str:
    """Table of each path's end, its distance, and both players' averaged gaps; one line for methods of one path."""
    groups = {", ".join(names): paths[names[0]] for names in coinciding(paths)}
    width = max(len("method"), *map(len, groups))
    head = f"{'method':<{width}} {'x':>12} {'y':>12} {'distance':>10} {'nearest':>10} {'x gap':>10} {'y gap':>10}"
    return "\n".join([head, *(f"{name:<{width}} {_row(game, path)}" for name, path in groups.items())])


def _row(game: Game, path: Path) -> str:
    x, y = (_coordinates(walk.points[-1]) for walk in (path.x, path.y))
    gaps = [
        averaged_gap(walk, goal, float(torch.linalg.vector_norm(start - goal)))
        for walk, goal, start in zip((path.x, path.y), game.equilibrium, game.start, strict=True)
    ]
    # The mean over a path that escaped tells only how far that was.
    last = [f"{float(gap[-1]):>10.3g}" if len(gap) and not path.escaped else f"{'-':>10}" for gap in gaps]
    left = f"  escaped at step {path.steps + 1}" if path.escaped else ""
    return f"{x:>12} {y:>12} {path.distances[-1]:>10.3g} {path.distances.min():>10.3g} {' '.join(last)}{left}"


def _coordinates(point: torch.Tensor) -> str:
    """A point of one coordinate to six decimals where they say anything; the length of a longer one."""
    value = float(point[0]) if len(point) == 1 else float(torch.linalg.vector_norm(point))
    shown = f"{value:.6f}" if 1e-4 <= abs(value) < 1e4 or value == 0 else f"{value:.3e}"
    return shown if len(point) == 1 else f"|{shown}|"
