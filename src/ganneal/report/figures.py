"""Charts as inline SVG that follows the page's colours, light or dark.

matplotlib draws with stand-in colours, each of which becomes a variable of the page's style sheet.
"""

import io
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from ganneal.storage.pictures import LINE_STYLES
from ganneal.wording import distinguishing_digits, number

INK, MUTED, GRIDLINE, PAPER, ACCENT = "#010101", "#020202", "#030303", "#040404", "#050505"
SERIES = tuple(f"#0a0a0{index}" for index in range(8))
"""Stand-ins for the colours of lines; `series` takes them in turn."""
VARIABLES = {INK: "currentColor", MUTED: "var(--muted)", GRIDLINE: "var(--rule)", PAPER: "var(--card)"}
VARIABLES |= {ACCENT: "var(--accent)"} | {colour: f"var(--s{index})" for index, colour in enumerate(SERIES)}
FIGURE_WIDTH, FIGURE_HEIGHT = 3.75, 2.4
"""Inches; small, so that text stays readable on a phone."""
LEGEND_LETTERS = 58
"""Letters that a line of a legend has room for."""
CURVE_BINS = 300
"""A longer curve is averaged into so many bins."""
LOG_AXIS_RATIO = 10
"""Positive values spread further than this are drawn on a logarithmic axis."""
DECIMALS = re.compile(r"(\d+\.\d)\d+")
"""A tenth of a point is enough in a path."""

SETTINGS: dict[Any, Any] = {
    # Text as text, not as outlines: it can be searched and read out, and takes the font of the page.
    "svg.fonttype": "none",
    "font.size": 8.5,
    "axes.edgecolor": GRIDLINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRIDLINE,
    "grid.linewidth": 0.6,
    "xtick.color": GRIDLINE,
    "ytick.color": GRIDLINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "xtick.minor.size": 0,
    "text.color": INK,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "path.simplify": True,
}


def series(index: int) -> dict[str, Any]:
    """Colour and line style of line ``index``."""
    return {"color": SERIES[index % len(SERIES)], "linestyle": LINE_STYLES[index % len(LINE_STYLES)]}


class Chart:
    """One pair of axes; `svg` ends it."""

    def __init__(self, key: str, *, width: float = FIGURE_WIDTH, height: float = FIGURE_HEIGHT):
        import matplotlib as mpl
        from matplotlib.figure import Figure

        self.key = key
        # A fixed salt: matplotlib's ids are random otherwise, and the same run would give another page each time.
        self.settings: dict[Any, Any] = SETTINGS | {"svg.hashsalt": key}
        with mpl.rc_context(self.settings):
            self.figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
            # No background of its own, so that the page's shows through, light or dark.
            self.axes = self.figure.add_subplot(facecolor="none")

    def line(self, x: np.ndarray, y: np.ndarray, index: int, label: str | None = None) -> None:
        """A curve, averaged in bins where it is long."""
        self.axes.plot(*thin(x, y), label=label, **series(index))

    def mark(self, x: float, y: float, index: int, *, hollow: bool = False, above: bool = True, text: str = "") -> None:
        """A dot at one value, hollow for the best, with a word above or below it."""
        face = PAPER if hollow else SERIES[index % len(SERIES)]
        edge = SERIES[index % len(SERIES)]
        self.axes.plot([x], [y], "o", markersize=5, markerfacecolor=face, markeredgecolor=edge, zorder=4)
        if text:
            low, high = self.axes.get_xlim()
            # A word beside the end of a curve goes inwards, or it would stand outside of the chart.
            side = "right" if x > low + 0.6 * (high - low) else "left"
            place = (3 if side == "right" else -3, 7 if above else -13)
            self.axes.annotate(text, (x, y), place, textcoords="offset points", ha=side, fontsize=8, zorder=5)

    def clock_axis(self, label: str) -> None:
        """Thousands and millions in short along x."""
        self.axes.xaxis.set_major_formatter(lambda value, _: short(value))
        self.axes.set_xlabel(label)

    def scale(self, values: np.ndarray, axis: str = "y") -> None:
        """A logarithmic axis where positive ``values`` spread widely, and labels without powers of ten."""
        from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

        chosen = self.axes.yaxis if axis == "y" else self.axes.xaxis
        finite = values[np.isfinite(values)]
        if len(finite) and finite.min() > 0 and finite.max() > LOG_AXIS_RATIO * finite.min():
            (self.axes.set_yscale if axis == "y" else self.axes.set_xscale)("log")
            decades = np.log10(finite.max() / finite.min())
            # Over few decades 1, 2 and 5 of each, for powers of ten alone would leave one label or two.
            chosen.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.5 else (1,), numticks=9))
            chosen.set_minor_locator(NullLocator())
            chosen.set_minor_formatter(NullFormatter())
        # Asked for when the chart is laid out, as the ticks are known only then: with digits enough to tell them apart.
        chosen.set_major_formatter(lambda value, _: short(value, _digits(tuple(chosen.get_majorticklocs()))))

    def svg(self, description: str) -> Markup:
        """The chart as inline SVG; ``description`` is read out in its place."""
        import matplotlib as mpl

        buffer = io.StringIO()
        with mpl.rc_context(self.settings):
            if labels := self.axes.get_legend_handles_labels()[1]:
                columns = max(1, min(4, LEGEND_LETTERS // (max(map(len, labels)) + 5)))
                self.figure.legend(
                    loc="outside upper left", ncols=columns, handlelength=1.8, borderpad=0, columnspacing=1.2
                )
            # Without the date: the same run has the same page, byte for byte.
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return inline(buffer.getvalue(), self.key, description)


@lru_cache
def _digits(ticks: tuple[float, ...]) -> int:
    """`distinguishing_digits`, kept: a layout asks for the same labels many times."""
    return distinguishing_digits(ticks)


def short(value: float, digits: int = 3) -> str:
    """A tick's label, to so many significant digits below a thousand.

    >>> short(25_000), short(1.5e6), short(0.05), short(-2.0)
    ('25k', '1.5M', '0.05', '−2')
    """
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:g}{name}".replace("-", "−")
    # Ticks come as 0.30000000000000004.
    return number(round(value, 12), digits).replace("-", "−")


def thin(x: np.ndarray, y: np.ndarray, points: int = CURVE_BINS) -> tuple[np.ndarray, np.ndarray]:
    """A curve of at most ``points`` points, each the mean of as many values."""
    if len(x) <= points:
        return x, y
    # Means rather than every n-th point, which would show noise as the curve.
    bins: Sequence[np.ndarray] = np.array_split(np.arange(len(x)), points)
    return np.array([x[b].mean() for b in bins]), np.array([y[b].mean() for b in bins])


def inline(svg: str, key: str, description: str) -> Markup:
    """matplotlib's SVG made ready for a page: colours as variables, ids of its own, a description, no metadata."""
    # Without the XML declaration and the document type, which have no place inside of HTML.
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    opening = re.match(r"<svg[^>]*>", body)
    assert opening is not None
    box = re.search(r'viewBox="([^"]*)"', opening[0])
    assert box is not None
    body = body[opening.end() :]
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    # Several charts share one page: an id that two of them have would make one chart use the other's clip path.
    body = re.sub(r' id="([^"]*)"', lambda found: f' id="{key}-{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{key}-", body)
    # The page's own font is to be used; text stays text, so that it can be searched and read out.
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    for colour, variable in VARIABLES.items():
        # Colours that nobody would choose stand for variables of the page, which differ in light and dark.
        body = body.replace(colour, variable)
    # matplotlib writes six decimals of a point, of which the first is the last that can be seen.
    body = re.sub(r' (?:d|x|y|transform)="[^"]*"', lambda found: DECIMALS.sub(r"\1", found[0]), body)
    body = re.sub(r"\s*\n\s*", " ", body)
    label = escape(description)
    return Markup(f'<svg class="chart" viewBox="{box[1]}" role="img" aria-label="{label}">{body}')
