"""Figures of the ledger: curves of the four GANs with their controls, and the distance against N_d."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, Literal

from ganneal.reproduction.nats import CONTROLLED, LEVELS
from ganneal.reproduction.recipes import TITLES, Loss4
from ganneal.reproduction.results import Entry
from ganneal.reproduction.table import Table
from ganneal.storage.pictures import LINE_STYLES

# The scale of the results that are kept in this repository.
SCALE_SHOWN = "cpu"
SHOWN_ARMS: dict[str, tuple[str, str, Any]] = {
    "cts": ("CTS", "black", LINE_STYLES[0]),
    "cts-time-{n}": ("CTS, time of NATS", "0.55", LINE_STYLES[1]),
    "long-step-{n}": ("CTS, step of NTS", "tab:red", LINE_STYLES[3]),
    "nts-{n}": ("NTS", "tab:orange", LINE_STYLES[1]),
    "matched-step-{n}": ("NTS, step of NATS", "tab:green", LINE_STYLES[2]),
    "nats-{n}": ("NATS", "tab:blue", LINE_STYLES[0]),
}
"""Label, colour and line of each arm of a loss, by the end of its name."""
CONTENT = "ganneal-content"
"""Key in a picture's metadata of the hash of what is drawn."""
LEVELS_FIGURE = "evidence-levels.png"

Content = dict[str, Any]


def loss_figure_name(loss: Loss4) -> str:
    """The file of the curves of one loss."""
    return f"evidence-{loss}.png"


def figure_contents(tables: Mapping[str, Table], entries: Mapping[str, Entry]) -> dict[str, Content]:
    """Contents of each figure that can be drawn, as JSON types, by the name of its file."""
    found: dict[str, Content] = {}
    for loss in TITLES:
        panels = {str(levels): _curves(loss, levels, entries) for levels in CONTROLLED}
        # One arm alone compares nothing.
        panels = {levels: arms for levels, arms in panels.items() if len(arms) > 1}
        if panels:
            found[loss_figure_name(loss)] = {"title": TITLES[loss], "panels": panels}
    if levels := _levels(tables["table12"], entries):
        found[LEVELS_FIGURE] = levels
    return found


def content_hash_of(content: Content) -> str:
    """A hash of what a figure shows; the picture has it in its metadata."""
    # Keys in order: the hash is of what is shown, not of the order in which the ledger was read.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def draw(content: Content) -> bytes:
    """The figure as PNG."""
    figure = _draw_levels(content) if "losses" in content else _draw_curves(content)
    buffer = io.BytesIO()
    # matplotlib would add its name and version, which are no content.
    figure.savefig(buffer, format="png", metadata={CONTENT: content_hash_of(content), "Software": None})
    return buffer.getvalue()


def _curves(loss: Loss4, levels: int, entries: Mapping[str, Entry]) -> Content:
    """By arm and then run: real images, processor seconds and distance at each evaluation of a trained network."""
    arms = {}
    for end in SHOWN_ARMS:
        entry = entries.get(f"cifar10/{loss}-{end.format(n=levels)}")
        # All arms share their untrained networks, and so the point before training.
        points = [[p for p in run["curve"] if p["num_real"]] for run in entry["runs"]] if entry else []
        # [run][point] -> real images, processor seconds, distance
        runs = [[[p["num_real"], p["cpu_seconds"], p["distance"]] for p in own] for own in points if own]
        if runs:
            arms[end] = runs
    return arms


def _levels(table: Table, entries: Mapping[str, Entry]) -> Content:
    """By loss and arm: N_d with the distances of its seeds, and N_d with the number reported."""
    losses: Content = {}
    for loss, title in TITLES.items():
        measured: Content = {}
        reported: Content = {}
        for end in ("nts-{n}", "matched-step-{n}", "nats-{n}"):
            rows = [(n, f"cifar10/{loss}-{end.format(n=n)}") for n in LEVELS]
            values = [(n, _last(entries[name])) for n, name in rows if name in entries]
            measured[end] = [[n, found] for n, found in values if found]
            numbers = [(n, table.row(name).reported.get("FID")) for n, name in rows]
            reported[end] = [[n, number.number] for n, number in numbers if number is not None]
        losses[loss] = {"title": title, "measured": measured, "reported": reported}
    # Values at one N_d alone show no dependence on it.
    several = any(len(points) > 1 for one in losses.values() for points in one["measured"].values())
    return {"losses": losses} if several else {}


def _last(entry: Entry) -> list[float]:
    return [run["last"]["FID"] for run in entry["runs"] if "FID" in run["last"]]


def _mean_curve(runs: Sequence[Sequence[Sequence[float]]]) -> list[list[float]]:
    """Point by point over the runs, as far as the shortest goes."""
    # Where the shortest run ends the mean ends, or it would jump as runs drop out.
    return [[fmean(column) for column in zip(*points, strict=True)] for points in zip(*runs, strict=False)]


def _panels(width: float, height: float, rows: int, columns: int, share: bool | Literal["row"]) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, sharey=share)


def _legend(figure: Any, axes: Any) -> None:
    # One entry for each label: the panels share most of their arms.
    handles = {text: line for axis in axes.flat for line, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, fontsize=9)


def _draw_curves(content: Content) -> Any:
    rows = len(content["panels"])
    figure, axes = _panels(9, 0.4 + 3.2 * rows, rows, 2, share=True)
    for (by_images, by_time), (levels, arms) in zip(axes, content["panels"].items(), strict=True):
        _panel(by_images, arms, 0, 1e3, "thousand real images")
        # Common training in NATS's time sees several times the images; its tail is in the other panel.
        by_images.set_xlim(
            0, 1.05e-3 * max(run[-1][0] for end, runs in arms.items() for run in runs if "time" not in end)
        )
        _panel(by_time, arms, 1, 1.0, "processor seconds")
        by_time.set_xlim(left=0)
        by_images.set_title(f"{content['title']}, N_d = {levels}", fontsize=10)
        by_images.set_ylabel("distance, FD-cifar-cnn")
    _legend(figure, axes)
    return figure


def _panel(axis: Any, arms: Content, column: int, unit: float, label: str) -> None:
    """Each arm's mean over its runs, and the runs thin where there are several, over a column of their points."""
    for end, runs in arms.items():
        title, colour, style = SHOWN_ARMS[end]
        # A single run is its own mean and would be drawn over itself.
        for run in runs if len(runs) > 1 else ():
            axis.plot([point[column] / unit for point in run], [p[2] for p in run], color=colour, lw=0.6, alpha=0.4)
        mean = _mean_curve(runs)
        axis.plot([point[column] / unit for point in mean], [p[2] for p in mean], color=colour, ls=style, label=title)
    axis.set_xlabel(label)
    axis.grid(alpha=0.2)


def _draw_levels(content: Content) -> Any:
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    losses = content["losses"]
    figure, axes = _panels(11, 5.6, 2, len(losses), share="row")
    for (above, below), one in zip(axes.T, losses.values(), strict=True):
        for axis, kind in ((above, "measured"), (below, "reported")):
            _against_levels(axis, one[kind])
        above.set_title(one["title"], fontsize=10)
        below.set_xlabel("N_d")
        # The reported FID goes from 16.59 to 115.01, the four of NTS at N_d = 20 far above the others.
        below.set_yscale("log")
        below.set_yticks((15, 20, 30, 50, 100))
        below.yaxis.set_major_formatter(ScalarFormatter())
        below.yaxis.set_minor_formatter(NullFormatter())
    axes[0, 0].set_ylabel("FD-cifar-cnn, here")
    axes[1, 0].set_ylabel("FID, reported")
    _legend(figure, axes)
    return figure


def _against_levels(axis: Any, arms: Content) -> None:
    """Means over seeds with a bar from the lowest to the highest."""
    for end, points in arms.items():
        title, colour, style = SHOWN_ARMS[end]
        # Measured points have a list over seeds, reported ones a number.
        values = [(n, value if isinstance(value, list) else [value]) for n, value in points]
        means = [fmean(own) for _, own in values]
        axis.plot([n for n, _ in values], means, color=colour, ls=style, marker="o", ms=3, label=title)
        for n, own in values:
            axis.plot([n, n], [min(own), max(own)], color=colour, lw=1)
    axis.set_xticks(LEVELS)
    axis.grid(alpha=0.2)
