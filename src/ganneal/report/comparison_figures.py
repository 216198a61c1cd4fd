"""The charts of a comparison: values with their intervals by arm, and distances over the clock."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from ganneal.report.curves import Figure
from ganneal.report.figures import INK, PAPER, SERIES, Chart, series
from ganneal.report.records import RunRecord
from ganneal.report.words import CLOCK_WORDS
from ganneal.wording import lost, number, span

Curve = tuple[np.ndarray, np.ndarray]
GridValues = Float[np.ndarray, " grid"]
ROW = 0.62
"""Inches of height an arm takes."""
LOWEST_SHARE = 0.2
"""An interval may reach below 0, where a logarithmic axis cannot: bars end at this share of the lowest value."""
GRID = 120
"""Places on the clock where the seeds of an arm are averaged."""


def values_by_arm(arms: Sequence[Mapping[str, Any]], metric: str) -> Figure | None:
    """Last (filled) and best (hollow) of each arm: mean, interval and a small dot for each seed."""
    shown = [arm for arm in arms if _has_mean(arm.get("last")) or _has_mean(arm.get("best"))]
    if not shown:
        return None
    chart = Chart("values", height=0.55 + ROW * len(shown))
    axes, drawn = chart.axes, []
    for index, arm in enumerate(shown):
        # By the place among all arms, so that an arm without a value takes no other arm's colour away.
        colour = SERIES[index_of(arms, arm) % len(SERIES)]
        for kind, shift in (("last", 0.05), ("best", 0.33)):
            drawn += _row(chart, arm, kind, index + shift, colour)
        axes.annotate(
            arm["name"] + _diverged(arm), (0, index - 0.2), (2, 0),
            xycoords=("axes fraction", "data"), textcoords="offset points",
            color=INK, fontweight="bold", va="center",
        )  # fmt: skip
    # The axis runs downwards: the first arm is on top.
    axes.set_ylim(len(shown) - 0.4, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    chart.scale(np.array(drawn), axis="x")
    axes.set_xlabel(f"{metric}, lower is better")
    # Read out in place of the chart, and so with every number that it draws.
    said = "; ".join(f"{arm['name']}: last {span(arm.get('last'))}, best {span(arm.get('best'))}" for arm in shown)
    return Figure(
        "Last and best",
        chart.svg(f"{metric} by arm. {said}."),
        "Filled: at the end. Hollow: at the best evaluation, measured again on fresh samples. Bars: 95 % interval of "
        "the mean over seeds, where there are two or more, cut off where they come near 0; small dots: seeds. "
        "Runs that diverged are in no mean.",
    )


def _row(chart: Chart, arm: Mapping[str, Any], kind: str, place: float, colour: str) -> list[float]:
    """One line of the chart; the values drawn."""
    summary = arm.get(kind)
    if not summary or not _has_mean(summary):
        return []
    seeds = [run[kind] for run in arm["runs"] if run.get("status") != "diverged" and run.get(kind) is not None]
    drawn = [summary["mean"], *seeds]
    if summary.get("low") is not None:
        low = max(summary["low"], LOWEST_SHARE * min(drawn))
        chart.axes.plot([low, summary["high"]], [place] * 2, color=colour, linewidth=2, alpha=0.55)
        drawn += [low, summary["high"]]
    chart.axes.plot(seeds, [place + 0.1] * len(seeds), ".", color=colour, markersize=4, markeredgewidth=0, alpha=0.9)
    face = colour if kind == "last" else PAPER
    chart.axes.plot(
        [summary["mean"]], [place], "o", markersize=6, markerfacecolor=face, markeredgecolor=colour, zorder=4
    )
    return drawn


def _has_mean(summary: Mapping[str, Any] | None) -> bool:
    return bool(summary) and summary.get("mean") is not None


def _diverged(arm: Mapping[str, Any]) -> str:
    """Label with the number of runs that diverged, beside the arm's name."""
    said = lost(arm.get("last") or {"n": 0}).removesuffix(", others ")
    return f" ({said})" if said else ""


def index_of(arms: Sequence[Mapping[str, Any]], arm: Mapping[str, Any]) -> int:
    """The place of an arm, which fixes its colour in every chart."""
    return [other["name"] for other in arms].index(arm["name"])


def distances(
    arms: Sequence[str],
    runs: Mapping[tuple[str, str], RunRecord],
    unfinished: Mapping[tuple[str, str], str],
    metric: str,
    clock: str,
    key: str = "distances",
) -> Figure | None:
    """The distance of every arm over ``clock``: mean and range of the seeds that finished, the others one by one.

    Args:
        runs: By arm and seed.
        unfinished: Those that diverged, failed or have not ended, with that word.
        key: Tells the charts of one page apart.
    """
    chart = Chart(key, height=3.0)
    drawn: list[np.ndarray] = []
    said = []
    for index, arm in enumerate(arms):
        found = {place: run.series(metric, clock) for place, run in runs.items() if place[0] == arm}
        found = {place: pair for place, pair in found.items() if len(pair[0]) > 1}
        # A run that diverged would pull the mean to wherever it stopped.
        whole = [pair for place, pair in found.items() if place not in unfinished]
        if whole:
            x, mean, low, high = mean_curve(whole)
            chart.axes.plot(x, mean, label=arm, **series(index))
            if len(whole) > 1:
                chart.axes.fill_between(x, low, high, color=SERIES[index % len(SERIES)], alpha=0.16, lw=0)
            said.append(f"{arm} ends at {number(mean[-1])} over {len(whole)} seed{'s' if len(whole) > 1 else ''}")
        for place, (x, y) in found.items():
            if place not in unfinished:
                continue
            ended = unfinished[place]
            # Where there is a mean, the arm has its place in the legend already.
            label = None if whole else f"{arm} ({ended})"
            chart.axes.plot(x, y, label=label, linewidth=0.9, **series(index))
            chart.axes.plot(x[-1:], y[-1:], "x", color=SERIES[index % len(SERIES)], markersize=6)
            said.append(f"{arm} seed {place[1]} {ended} at {number(y[-1])}")
        drawn += [y for _, y in found.values()]
    if not drawn:
        return None
    chart.scale(np.concatenate(drawn))
    chart.clock_axis(CLOCK_WORDS.get(clock, clock))
    return Figure(
        f"{metric} over {CLOCK_WORDS.get(clock, clock)}",
        chart.svg("; ".join(said) + "."),
        "Line: mean of the seeds that finished; band: the lowest and the highest of them. A cross ends a run that "
        "did not finish, which is in no mean.",
    )


def mean_curve(curves: Sequence[Curve]) -> tuple[GridValues, GridValues, GridValues, GridValues]:
    """Mean, lowest and highest of several curves where all of them are known, on a common grid.

    >>> rising, level = (np.array([0.0, 2.0]), np.array([0.0, 2.0])), (np.array([0.0, 4.0]), np.array([2.0, 2.0]))
    >>> x, mean, low, high = mean_curve([rising, level])
    >>> float(x[-1]), float(mean[0]), float(mean[-1])
    (2.0, 1.0, 2.0)
    """
    if len(curves) == 1:
        x, y = curves[0]
        return x, y, y, y
    # Only where every seed has a value: beyond it the mean would jump as runs drop out.
    start, end = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    grid = np.linspace(start, end, GRID)
    # Seeds are evaluated at other places of the clock, so their curves are read at common ones.
    table = np.stack([np.interp(grid, x, y) for x, y in curves])
    return grid, table.mean(axis=0), table.min(axis=0), table.max(axis=0)
