"""The curves of one run: how far, who is ahead, how large the moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ganneal.report.figures import Chart
from ganneal.report.records import DISTANCE, RunRecord
from ganneal.wording import number

EVALUATIONS = {
    "coverage": ("Coverage", "Share of real samples with a generated one in their neighbourhood; higher is better."),
    "duplicates": (
        "Near duplicates",
        "Share of samples closer to another sample than the closest 1 % of real ones are to another real one; "
        "0.01 is what a perfect generator has, 0.03 beside 60 real samples.",
    ),
    "d_accuracy": (
        "Accuracy of the discriminator",
        "Share of pairs of a real and a generated sample that it ranks rightly; 0.5 is chance, 1 means that it "
        "tells all apart.",
    ),
}
"""Titles and meanings of the evaluations that runs make besides the distance."""
CHARTS = (
    (
        "outputs",
        "Mean outputs of the discriminator",
        "Raw outputs, above 0 for what it takes to be real under most losses. Far apart: it tells them apart.",
        (("d_real", "D(real)"), ("d_fake", "D(fake)")),
    ),
    (
        "losses",
        "Losses",
        "The two oppose each other: that one falls is no progress by itself.",
        (("d_loss", "discriminator"), ("g_loss", "generator"), ("d_penalty", "penalty")),
    ),
    (
        "gradients",
        "Gradient norms",
        "Mean length of each player's gradient, in measured rounds.",
        (("d_grad_norm", "discriminator"), ("g_grad_norm", "generator")),
    ),
    (
        "steps",
        "Generator step length",
        "Summed length of the generator's steps for each discriminator update.",
        (("g_step_per_d_update", "step length"),),
    ),
    ("rates", "Learning rates", "As the rule set them.", (("d_lr", "discriminator"), ("g_lr", "generator"))),
)
"""Key, title, caption and logged columns of each chart of lines."""


@dataclass(frozen=True)
class Figure:
    """A chart with its title and what it shows in a sentence."""

    title: str
    svg: Markup
    caption: str


def evaluation(run: RunRecord, name: str, key: str) -> Figure | None:
    """A measured quantity over the real images seen, its last value marked, and its best where one is better."""
    x, y = run.series(name)
    if not len(x):
        return None
    chart = Chart(key)
    chart.axes.margins(y=0.16)  # room for the words at the dots
    chart.line(x, y, 0)
    chart.scale(y)
    chart.clock_axis(f"{run.unit} seen")
    higher = name == "coverage"
    # The best lies below the curve of a distance, and above that of a coverage: the word for the last goes to the other
    # side.
    chart.mark(x[-1], y[-1], 0, above=not higher, text=f"last {number(y[-1])}")
    sense = "lower is better" if DISTANCE.match(name) else None
    title, meaning = EVALUATIONS.get(name, (name, f"{name}; {sense}." if sense else f"{name}, as evaluated."))
    # Accuracy and duplicates have no better side: neither end is what one trains for.
    best = y.min() if sense else y.max() if higher else None
    said = f"{title} over {run.unit} seen, {len(y)} evaluations, last {number(y[-1])}."
    if best is not None:
        # The first of equal ones: it was reached then.
        where = int(np.flatnonzero(y == best)[0])
        said += f" Best {number(best)} at {number(round(x[where]))}."
        if where != len(y) - 1:
            chart.mark(x[where], y[where], 0, hollow=True, above=higher, text=f"best {number(best)}")
            meaning += f" Filled: last, {number(y[-1])}. Hollow: best, {number(best)}."
        else:
            meaning += " The last value is the best."
    return Figure(title, chart.svg(said), meaning)


def lines(run: RunRecord, key: str, title: str, caption: str, columns: Sequence[tuple[str, str]]) -> Figure | None:
    """Logged columns, (key, label) each, in one chart; None where the run has none of them."""
    found = [(label, *run.series(column)) for column, label in columns if len(run.series(column)[0]) > 1]
    if not found:
        return None
    chart = Chart(key)
    for index, (label, x, y) in enumerate(found):
        chart.line(x, y, index, label if len(found) > 1 else None)
        chart.mark(x[-1], y[-1], index)
    chart.scale(np.concatenate([y for _, _, y in found]))
    chart.clock_axis(f"{run.unit} seen")
    ends = "; ".join(f"{label} ends at {number(y[-1])}" for label, _, y in found)
    return Figure(title, chart.svg(f"{title} over {run.unit} seen: {ends}."), f"{caption} Last: " + _lasts(found))


def _lasts(found: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> str:
    return ", ".join(f"{label} {number(y[-1])}" if len(found) > 1 else number(y[-1]) for label, _, y in found) + "."


def changes(run: RunRecord, column: str) -> bool:
    """True if a logged column takes more than one value."""
    return len(np.unique(run.series(column)[1])) > 1


def curves(run: RunRecord) -> list[Figure]:
    """Every curve that the run has the numbers for: evaluations first."""
    found = [evaluation(run, name, f"evaluation{index}") for index, name in enumerate(run.evaluation_names())]
    for key, title, caption, columns in CHARTS:
        # A penalty that stays the same would be a level line.
        shown = [column for column in columns if column[0] != "d_penalty" or changes(run, "d_penalty")]
        # A constant rate stands in the configuration, and would be a level line here.
        if key != "rates" or any(changes(run, column) for column, _ in columns):
            found.append(lines(run, key, title, caption, shown))
    return [figure for figure in found if figure is not None]
