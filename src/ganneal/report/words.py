"""Configurations and outcomes of runs in plain words."""

import re
from collections.abc import Sequence
from typing import Any

from ganneal.evaluation.health import BEGUN
from ganneal.report.records import RunRecord
from ganneal.wording import distinguishing_digits, duration, number

CLOCK_WORDS = {
    "num_real": "real images",
    "d_updates": "discriminator updates",
    "g_updates": "generator updates",
    "seconds": "seconds of training",
    "cpu_seconds": "seconds of CPU time",
}
EVALUATIONS_OF_A_TREND = 4
"""Fewer evaluations cannot tell a best one from noise."""
WORSE = 1.1
"""Beyond this ratio of the last distance to the best one the page says that the end is worse."""


def clock(value: float, name: str, unit: str = "real images") -> str:
    """A reading of one clock; ``unit`` is what ``num_real`` counts.

    >>> clock(1500, "num_real"), clock(1500, "seconds")
    ('1,500 real images', '25 min')
    """
    if name in ("seconds", "cpu_seconds"):
        return duration(value)
    return f"{round(value):,} {unit if name == 'num_real' else CLOCK_WORDS.get(name, name)}"


def part(encoded: Any) -> str:
    """An encoded part of an experiment as one would write it.

    >>> part({"type": "Nested", "levels": 5, "weights": {"type": "Ones"}})
    'Nested(levels=5, weights=Ones())'
    """
    if isinstance(encoded, dict) and "type" in encoded:
        fields = ", ".join(f"{key}={part(value)}" for key, value in encoded.items() if key != "type")
        return f"{encoded['type']}({fields})"
    if isinstance(encoded, list):
        # A tuple of one has its comma, as in Python.
        return f"({', '.join(map(part, encoded))}{',' if len(encoded) == 1 else ''})"
    return repr(encoded)


def loss(encoded: dict[str, Any]) -> str:
    """The kind of an encoded loss in words.

    >>> loss({"type": "NonSaturating", "weight_on": "output"}), loss({})
    ('non-saturating', 'unknown')
    """
    # Classes have the names of the field, written together.
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", encoded.get("type", "unknown")).lower()


def scheme(encoded: dict[str, Any] | None, weights: Sequence[float] = ()) -> str:
    """A scheme in a few words; ``weights`` are those of its levels where they are known."""
    match encoded:
        case {"type": "Alternating", "d_steps": d_steps}:
            each = "one discriminator update" if d_steps == 1 else f"{d_steps} discriminator updates"
            return f"common training: {each}, then one of the generator"
        case {"type": "Nested", "levels": levels}:
            kind = _by_weights(weights, "nested training", "nested annealed training")
            return f"{kind}, {levels} levels{_from_to('weights', weights)}"
        case {"type": "FunctionalGradient", "steps": steps}:
            kind = _by_weights(weights, "functional gradients", "annealed functional gradients")
            return f"{kind}, {steps} pushes{_from_to('of step', weights)}"
        case {"type": name}:
            return str(name)
    return "an unknown scheme"


def _by_weights(weights: Sequence[float], plain: str, annealed: str) -> str:
    if len(set(weights)) <= 1:
        return plain
    # Annealed is what falls; weights that rise are the reversed control.
    falling = all(later <= earlier for earlier, later in zip(weights, weights[1:], strict=False))
    return annealed if falling else f"{plain} with weights that rise"


def _from_to(what: str, weights: Sequence[float]) -> str:
    return f", {what} {number(weights[0])} to {number(weights[-1])}" if len(set(weights)) > 1 else ""


def samples(run: RunRecord) -> str:
    """The data in a few words."""
    count, shape = run.data.get("count"), run.data.get("shape", [])
    # [C, H, W], said as width by height.
    size = f", {shape[2]}×{shape[1]} {'grey' if shape[0] == 1 else 'colour'}" if len(shape) == 3 else ""
    counted = f"{count:,} {run.unit}" if isinstance(count, int) else run.unit
    return f"{counted} of {run.data.get('name', 'a data set whose name was not recorded')}{size}"


def status(run: RunRecord) -> tuple[str, str]:
    """The end of the run: "good", "warning" or "alarm", and a sentence."""
    ended = (run.outcome or {}).get("status")
    # A comparison has the last word: the log of a run that diverged ends like any other.
    if ended in ("diverged", "failed"):
        reason = (run.outcome or {}).get("error") or "no reason was recorded"
        return "alarm", f"The run {ended}: {reason}."
    # Training writes it with its last row; a comparison says it once more in the outcome.
    if "stopped" in run.last or ended == "finished":
        reason = ended_by(run)
        return "good", f"The run finished: {reason}." if reason else "The run finished."
    if not run.rows:
        return "warning", "Nothing was recorded: the run had only begun."
    reached = clock(run.last.get("num_real", 0), "num_real", run.unit)
    return "warning", f"The run has not finished: its last record is at {reached}."


def ended_by(run: RunRecord) -> str:
    """Which budget was reached, its clock in words; empty where that was not recorded."""
    # As `Budget.reached` writes it: "num_real reached 5,000".
    name, _, rest = run.last.get("stopped", "").partition(" ")
    return f"{run.unit if name == 'num_real' else CLOCK_WORDS.get(name, name)} {rest}".strip()


def progress(run: RunRecord) -> tuple[str, str] | None:
    """The progress of training towards the data: "good", "warning" or "alarm", and a sentence; None if unmeasured."""
    name = run.distance
    if name is None:
        return None
    at, values = run.series(name)
    first, last, best = values[0], values[-1], values.min()
    if len(values) == 1:
        return "warning", f"{name} was measured once, {number(first)}: nothing says whether training helped."
    if last >= first:
        # Of two numbers that differ by a little, three digits would read alike.
        digits = distinguishing_digits((first, last))
        said = (
            f"The samples did not come closer to the data: {name} was {number(first, digits)} before training and is "
            f"{number(last, digits)} now (lower is better)."
        )
        if (updates := run.last.get("d_updates", BEGUN)) < BEGUN:
            return "warning", f"{said} After {updates:,} discriminator updates that says little: train longer."
        return "alarm", said
    closer = (
        f"The samples came closer to the data: {name} fell from {number(first)} to {number(last)} (lower is better)."
    )
    if len(values) >= EVALUATIONS_OF_A_TREND and last > WORSE * best > 0:  # a kernel distance may be negative
        where = f"{number(best)} after {clock(at[values.argmin()], 'num_real', run.unit)}"
        return "warning", f"{closer} The end is worse than the best, {where}: {number(last / best)} times as far."
    return "good", closer
