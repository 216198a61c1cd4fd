"""Playing a game: who moves when, and the path that comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal, get_args

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from ganneal.theory.games.methods import Method, Redirected
from ganneal.theory.games.problems import Game, Vector

Order = Literal["alternating", "simultaneous"]
"""Order of the moves: y sees x's new point (alternating), or both move at once (simultaneous)."""
ORDERS: tuple[Order, ...] = get_args(Order)
"""Both orders."""
ESCAPED = 1e12
"""Play ends at a distance of so many times the start's, or 1 if that is more: there is no way back from there."""
SAME = 1e-9
"""Paths nearer than this, relative to the start's distance, are one path."""


@dataclass(frozen=True)
class Walk:
    """The moves of one player."""

    points: Float64[Tensor, "places n"]
    """The start, and where each step ended."""
    gradients: Float64[Tensor, "steps n"]
    """The gradient that each step was given, or what its method put in place; in alternating play y's is taken after x
    has moved."""
    rates: Float64[Tensor, " steps"]
    """The learning rate of each step."""


@dataclass(frozen=True)
class Path:
    """The moves of both players."""

    x: Walk
    y: Walk
    distances: Float64[Tensor, " places"]
    """Euclidean distance of both players together to the equilibrium, at the start and after each step."""
    asked: int
    """The steps that were asked for."""

    @property
    def steps(self) -> int:
        """The steps that were made."""
        return len(self.x.rates)

    @property
    def escaped(self) -> bool:
        """True if play ended early, too far from the equilibrium to return."""
        return self.steps < self.asked


def play(
    game: Game,
    x_method: Method,
    y_method: Method | None = None,
    *,
    steps: int = 400,
    order: Order = "alternating",
    decay: float = 0.0,
) -> Path:
    """Both players from the game's start, in float64.

    Args:
        y_method: The second player's method; the first one's if left out.
        order: In "alternating" play x moves, then y with the gradient at the new x; in "simultaneous" play both move
            with the gradients at the same point.
        decay: The n-th step, from 0, has lr (n + 1)^-decay.
    Raises:
        ValueError: For an argument out of range, named with its value.
    """
    _check(steps, order, decay)
    # Copies: steps are made in place, and a game may keep where it starts.
    points = [Parameter(start.clone()) for start in game.start]
    methods = [x_method, y_method if y_method is not None else x_method]
    optimizers = [method.build([point]) for method, point in zip(methods, points, strict=True)]
    places, gradients, factors = [_copies(points)], [], []
    goal = torch.cat(game.equilibrium)
    distances = [torch.linalg.vector_norm(torch.cat(places[0]) - goal)]
    limit = ESCAPED * max(1.0, float(distances[0]))
    for step in range(steps):
        # The first step is at the full rate.
        factor = (step + 1) ** -decay
        for method, optimizer in zip(methods, optimizers, strict=True):
            # From the method's own rate each time; a product of ratios would gather rounding.
            optimizer.param_groups[0]["lr"] = method.lr * factor
        followed = _move(game, points, methods, optimizers, order)
        place = _copies(points)
        distance = torch.linalg.vector_norm(torch.cat(place) - goal)
        if not distance <= limit:  # NaN too
            break
        distances.append(distance)
        places.append(place)
        gradients.append(followed)
        factors.append(factor)
    walks = [_walk(player, method, places, gradients, factors) for player, method in enumerate(methods)]
    return Path(walks[0], walks[1], torch.stack(distances), steps)


def _check(steps: int, order: str, decay: float) -> None:
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}.")
    if order not in ORDERS:
        raise ValueError(f"order must be {' or '.join(map(repr, ORDERS))}, got {order!r}.")
    if not (isfinite(decay) and decay >= 0):
        raise ValueError(f"decay must be a finite number >= 0, got {decay}; 0 is a constant learning rate.")


def _copies(points: list[Parameter]) -> tuple[Vector, Vector]:
    x, y = (point.detach().clone() for point in points)
    return x, y


def _move(
    game: Game, points: list[Parameter], methods: list[Method], optimizers: list[Optimizer], order: Order
) -> tuple[Vector, Vector]:
    """One move of each player; the vectors they followed: their gradients, or what their methods put in place."""
    followed: list[Tensor] = []
    # Both gradients are taken before either player moves, or x moves first and y sees where it went.
    for movers in [(0, 1)] if order == "simultaneous" else [(0,), (1,)]:
        x, y = (point.detach() for point in points)
        x_lr, y_lr = (optimizer.param_groups[0]["lr"] for optimizer in optimizers)
        for player in movers:
            method = methods[player]
            redirected = isinstance(method, Redirected)
            vectors = method.followed(game, (x, y), (x_lr, y_lr)) if redirected else game.gradients(x, y)
            followed.append(vectors[player])
        for player in movers:
            # A copy, for an optimizer may change the gradient that it is given, and the walk keeps it.
            points[player].grad = followed[player].clone()
            optimizers[player].step()
    return followed[0], followed[1]


def _walk(
    player: int,
    method: Method,
    places: list[tuple[Vector, Vector]],
    gradients: list[tuple[Vector, Vector]],
    factors: list[float],
) -> Walk:
    points = torch.stack([place[player] for place in places])
    # Without a step, an empty walk of the right width.
    followed = torch.stack([g[player] for g in gradients]) if gradients else points[:0]
    return Walk(points, followed, method.lr * torch.tensor(factors, dtype=torch.float64))


def coinciding(paths: Mapping[str, Path]) -> list[list[str]]:
    """The names of ``paths``, those of one and the same path together, in the order of the first of them."""
    groups: list[list[str]] = []
    for name, path in paths.items():
        for group in groups:
            if _same(paths[group[0]], path):
                group.append(name)
                break
        else:
            groups.append([name])
    return groups


def _same(one: Path, other: Path) -> bool:
    if one.steps != other.steps:
        return False
    apart = torch.cat([one.x.points - other.x.points, one.y.points - other.y.points], dim=1).abs().amax(dim=1)
    # Relative to the distance of each place and at least to the start's: close to the equilibrium all that differs is
    # rounding.
    return bool((apart <= SAME * torch.maximum(one.distances, one.distances[:1])).all())
