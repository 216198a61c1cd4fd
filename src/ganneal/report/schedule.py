"""One round of the schedule drawn as moves, and what each level did."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ganneal.plan import KEPT, SHOWN_LEVELS, LevelPlan, Plan, plan
from ganneal.report.curves import Figure
from ganneal.report.figures import ACCENT, Chart, series
from ganneal.report.records import RunRecord
from ganneal.schemes import SCHEMES, Scheme
from ganneal.storage.encoding import decode
from ganneal.weights import WEIGHTS, Explicit
from ganneal.wording import number

MOST_LETTERS = 24
"""More updates of one level are drawn as one move with their number."""
PHASES = ("early", "middle", "late")


@dataclass(frozen=True)
class Move:
    """One update, or many alike, as a box: its letter and what it does in words."""

    player: str
    letter: str


@dataclass(frozen=True)
class LevelMoves:
    """The moves of one level in a row; ``shade`` from 0 to 1 with the level. P is the push of the stored D."""

    figures: LevelPlan
    moves: tuple[Move, ...]
    shade: float
    gap: bool = False
    """Levels before this one are left out."""

    @property
    def words(self) -> str:
        """The level read aloud."""
        level = self.figures
        if any(move.player == "P" for move in self.moves):
            return (
                f"level {level.level}: {level.d_updates} discriminator updates, then a push of step size "
                f"{number(level.weight)}"
            )
        weight = f", each with weight {number(level.weight)}" if level.g_updates else ""
        return f"level {level.level}: {level.d_updates} discriminator and {level.g_updates} generator updates{weight}"


@dataclass(frozen=True)
class Round:
    """The first round of a scheme."""

    figures: Plan
    levels: tuple[LevelMoves, ...]


def read_scheme(encoded: Any) -> Scheme:
    """The scheme as it is written in an experiment.

    Raises:
        ValueError: It has a part that is not registered.
    """
    # Explicit has no default, so no registry holds it.
    parts = {type(part) for part in (*SCHEMES.values(), *WEIGHTS.values())} | {Explicit}
    return decode(encoded, parts)


def first_round(scheme: Scheme) -> Round:
    """Round 0 as moves.

    Raises:
        ValueError: It does not update both players.
    """
    figures = plan(scheme)
    count = len(figures.levels)
    # Each level of functional gradients pushes once, by the discriminator that it stored.
    pushes = 0 if figures.stage is None else 1
    drawn = [
        LevelMoves(
            level,
            (*_moves("D", level.d_updates), *_moves("G", level.g_updates), *_moves("P", pushes)),
            shade=index / max(count - 1, 1),
        )
        for index, level in enumerate(figures.levels)
    ]
    if count > SHOWN_LEVELS:
        # The last KEPT levels, of which the first says that others come before it.
        drawn = [*drawn[:KEPT], replace(drawn[-KEPT], gap=True), *drawn[1 - KEPT :]]
    return Round(figures, tuple(drawn))


def _moves(player: str, count: int) -> tuple[Move, ...]:
    if count > MOST_LETTERS:
        return (Move(player, f"{player} × {count}"),)
    return (Move(player, player),) * count


def level_figures(run: RunRecord, round: Round) -> list[Figure]:
    """Figures for each level of a nested scheme: its weight, and measurements early, midway and late. None for a single
    level."""
    # A single level shows no dependence on the level.
    levels = [level.level for level in round.figures.levels]
    if len(levels) < 2:
        return []
    found = [_given(round)]
    for column, title, caption in (
        ("g_step", "Step length by level", "Mean length of one generator step at each level."),
        ("g_loss", "Generator loss by level", "Mean generator loss at each level, its weight within."),
        ("d_loss", "Discriminator loss by level", "Mean discriminator loss at each level."),
    ):
        if (figure := _measured(run, levels, column, title, caption)) is not None:
            found.append(figure)
    return found


def _shaded(key: str, levels: list[int], draw: Callable[[Chart], None]) -> Chart:
    """A chart over levels, each on a band whose shade grows with the level as in the drawing of the moves."""
    from matplotlib.ticker import MaxNLocator

    chart = Chart(key)
    for index, level in enumerate(levels):
        # At least two levels: `level_figures` has no chart of one.
        share = index / (len(levels) - 1)
        chart.axes.axvspan(level - 0.5, level + 0.5, color=ACCENT, alpha=0.04 + 0.2 * share, lw=0)
    draw(chart)
    chart.axes.set_xlim(levels[0] - 0.5, levels[-1] + 0.5)
    chart.axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    chart.axes.grid(visible=False, axis="x")
    chart.axes.set_xlabel("level")
    return chart


def _given(round: Round) -> Figure:
    levels = round.figures.levels
    weights = np.array([level.weight for level in levels])
    updates = np.array([level.g_updates for level in levels], dtype=np.float64)
    places = [level.level for level in levels]
    # Functional gradients fit their generator after the levels: what a level has is the size of its push.
    nested = bool(updates.any())
    shown = [(weights, "weight"), (updates, "G updates")] if nested else [(weights, "step size")]

    def draw(chart: Chart) -> None:
        for index, (values, label) in enumerate(shown):
            chart.axes.plot(places, values, marker="o", markersize=4, label=label, **series(index))
        chart.scale(np.concatenate([values for values, _ in shown]))

    chart = _shaded("levels-given", places, draw)
    given = [
        f"level {v.level}: {shown[0][1]} {number(v.weight)}" + f", {v.g_updates} generator updates" * nested
        for v in levels
    ]
    return Figure(
        "Weight and updates by level" if nested else "Step size by level",
        chart.svg("; ".join(given)),
        "What the schedule gives each level. A stronger shade: later in the round.",
    )


def _measured(run: RunRecord, levels: list[int], column: str, title: str, caption: str) -> Figure | None:
    """Means over the first, middle and last third of the run at each level."""
    by_level = [run.series(f"level{level}/{column}") for level in levels]
    # Levels are measured in some rounds only; with fewer values than thirds a chart would be holes.
    if min(len(x) for x, _ in by_level) < len(PHASES):
        return None
    end = max(x[-1] for x, _ in by_level)
    edges = np.linspace(0, end, len(PHASES) + 1)
    # [phase, level]; NaN, where a third has no measured round, is a gap in its line.
    table = np.full((len(PHASES), len(levels)), np.nan)
    for place, (x, y) in enumerate(by_level):
        for phase in range(len(PHASES)):
            # Thirds of the clock, not of the rows, whose spacing may differ.
            inside = y[(x > edges[phase]) & (x <= edges[phase + 1])]
            table[phase, place] = inside.mean() if len(inside) else np.nan

    def draw(chart: Chart) -> None:
        for index, (phase, values) in enumerate(zip(PHASES, table, strict=True)):
            chart.axes.plot(levels, values, marker="o", markersize=4, label=phase, **series(index))
        chart.scale(table.ravel())

    chart = _shaded(f"levels-{column.replace('_', '-')}", levels, draw)
    said = "; ".join(
        f"{phase}: " + ", ".join(f"level {level} {number(value)}" for level, value in zip(levels, values, strict=True))
        for phase, values in zip(PHASES, table, strict=True)
    )
    return Figure(title, chart.svg(f"{title}. {said}"), f"{caption} Early, middle, late: thirds of the run.")
