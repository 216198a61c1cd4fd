"""The picture of a comparison: the paths over the vector field, and the distance to the equilibrium."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ganneal.storage.pictures import LINE_STYLES
from ganneal.theory.games.playing import Path, coinciding
from ganneal.theory.games.problems import Game

GAME_ARROWS = 17
"""Arrows a side."""
MARGIN = 1.45
"""The plane reaches so many times the start's larger coordinate, or further where paths that stay near need it."""
REACH = 2.5
"""At most so many times: what leaves further is cut off, and seen in the distances."""
COLOURS = (*(f"C{index}" for index in range(10)), "black", "navy", "darkgreen")
SMALLEST_DISTANCE = 1e-16
"""Distances below are drawn here: they are rounding."""


def game_picture(game: Game, paths: Mapping[str, Path], title: str) -> bytes:
    """A PNG of ``paths`` by name; those of one path share a line.

    The plane shows the first coordinate of each player, and the field there with the others at the equilibrium.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {"font.size": 9, "axes.titlesize": 9.5, "legend.frameon": False}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9.6, 4.9), layout="constrained")
        plane, over_steps = figure.subplots(1, 2)
        _field(plane, game, _reach(game, paths))
        for index, names in enumerate(coinciding(paths)):
            line = _line(index)
            path = paths[names[0]]
            plane.plot(path.x.points[:, 0].numpy(), path.y.points[:, 0].numpy(), **line)
            label = ", ".join(names)
            over_steps.plot(path.distances.clamp(min=SMALLEST_DISTANCE).numpy(), label=label, **line)
            if path.escaped:
                # Play was given up here.
                over_steps.plot(path.steps, float(path.distances[-1]), "x", color=line["color"])
        _marks(plane, game)
        _distances(over_steps, paths)
        figure.suptitle(title, fontsize=10)
        figure.legend(loc="outside lower center", ncols=4, handlelength=2.6, fontsize=8.5)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=90, metadata={"Software": None})
    return buffer.getvalue()


def _line(index: int) -> dict[str, Any]:
    """Colour, style and width; later lines are thinner, so that what they cover is seen beside them."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
        "linewidth": max(2.4 - 0.15 * index, 0.9),
        "alpha": 0.85,
    }


def _reach(game: Game, paths: Mapping[str, Path]) -> tuple[float, float]:
    """Half the sides of the plane around the equilibrium, x and y."""
    sides = []
    for player, name in enumerate(("x", "y")):
        goal = game.equilibrium[player][0]
        start = max(float((game.start[player][0] - goal).abs()), 1e-3)
        walked = [float((getattr(path, name).points[:, 0] - goal).abs().max()) for path in paths.values()]
        # A path that leaves for good does not shrink the picture of those that stay.
        near = [length for length in walked if length <= REACH * start]
        sides.append(max(MARGIN * start, 1.08 * max(near, default=0.0)))
    return sides[0], sides[1]


def _field(axes: Any, game: Game, reach: tuple[float, float]) -> None:
    """Arrows along minus both gradients, all of one length on paper, darker where the gradients are longer."""
    at_x, at_y = game.equilibrium
    grid_x, grid_y = (
        np.linspace(float(goal[0]) - side, float(goal[0]) + side, GAME_ARROWS)
        for goal, side in zip((at_x, at_y), reach, strict=True)
    )
    along = np.zeros((2, GAME_ARROWS, GAME_ARROWS))
    for row, y in enumerate(grid_y):
        for column, x in enumerate(grid_x):
            here_x, here_y = at_x.clone(), at_y.clone()
            # Only the first coordinate is shown; the others rest at the equilibrium.
            here_x[0], here_y[0] = x, y
            of_x, of_y = game.gradients(here_x, here_y)
            along[:, row, column] = -float(of_x[0]), -float(of_y[0])
    on_paper = along / np.array(reach)[:, None, None]  # the sides of the plane have equal length
    length = np.hypot(*on_paper)
    # The arrow in the middle stands at the equilibrium, where both gradients are 0.
    unit = on_paper / np.maximum(length, np.finfo(float).tiny)
    axes.quiver(
        # Shades of the logarithm, as lengths span decades, cut off at a thousandth: at the equilibrium they are 0.
        grid_x, grid_y, unit[0], unit[1], np.log10(np.maximum(length, 1e-3 * length.max())),
        cmap="Greys", clim=(np.log10(length.max()) - 2, np.log10(length.max()) + 1),
        pivot="mid", angles="uv", scale=22, width=0.003, zorder=0,
    )  # fmt: skip
    axes.set_xlim(grid_x[0], grid_x[-1])
    axes.set_ylim(grid_y[0], grid_y[-1])


def _marks(axes: Any, game: Game) -> None:
    (start_x, start_y), (goal_x, goal_y) = game.start, game.equilibrium
    axes.plot(float(start_x[0]), float(start_y[0]), "o", color="black", markersize=5, zorder=5)
    axes.plot(float(goal_x[0]), float(goal_y[0]), "*", color="black", markersize=10, zorder=5)
    several = " (first coordinate)" if len(start_x) > 1 else ""
    axes.set_xlabel(f"x, the first player{several}")
    axes.set_ylabel(f"y, the second player{several}")
    axes.set_title("paths from the dot; the star is the equilibrium")
    axes.set_box_aspect(1)


def _distances(axes: Any, paths: Mapping[str, Path]) -> None:
    """A logarithmic axis that leaves out how far the escaping ones get, but not that they do."""
    start = max(float(path.distances[0]) for path in paths.values())
    lowest = min(float(path.distances.clamp(min=SMALLEST_DISTANCE).min()) for path in paths.values())
    highest = torch.stack([path.distances.max() for path in paths.values()]).max().item()
    axes.set_yscale("log")
    axes.set_ylim(0.7 * min(lowest, start), min(1.5 * highest, 1e3 * start))
    axes.set_xlabel("steps of each player")
    axes.set_title("distance to the equilibrium")
    axes.grid(alpha=0.3)
    axes.set_box_aspect(1)
