"""Numbers and times as a person reads them."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import Any


def number(value: float | None, digits: int = 3) -> str:
    """``value`` to so many significant digits, without a power of ten where it reads well.

    >>> number(161.046), number(100032), number(0.01234), number(2.0), number(1e-9), number(None)
    ('161', '100,032', '0.0123', '2', '1e-09', '–')
    """
    if value is None or not isfinite(value):
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def lost(summary: Mapping[str, Any]) -> str:
    """Number of runs that diverged, as words before the mean of the others.

    >>> lost({"n": 3, "diverged": 2}), lost({"n": 0, "diverged": 2}), lost({"n": 3, "diverged": 0})
    ('2 of 5 diverged, others ', '2 of 2 diverged', '')
    """
    diverged = summary.get("diverged", 0)
    if not diverged:
        return ""
    return f"{diverged} of {diverged + summary['n']} diverged" + (", others " if summary["n"] else "")


def span(summary: Mapping[str, Any] | None, seeds: int = 0) -> str:
    """A mean with its interval, after the number of runs that diverged; the seeds in it where there are fewer.

    >>> span({"mean": 2.5, "low": 2.0, "high": 3.0, "n": 3}), span({"mean": 2.5, "low": None, "n": 1}), span(None)
    ('2.5 [2, 3]', '2.5 (1 seed)', '–')
    """
    if not summary:
        return number(None)
    if summary.get("mean") is None:
        return lost(summary)
    mean = f"{lost(summary)}{number(summary['mean'])}"
    if summary.get("low") is None:
        return f"{mean} (1 seed)"
    fewer = f" ({summary['n']} seeds)" if summary.get("n", seeds) < seeds else ""
    return f"{mean} [{number(summary['low'])}, {number(summary['high'])}]{fewer}"


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown, a line for each row, without a line break at its end.

    >>> print(markdown_table(["a", "b"], [["1", "2"]]))
    | a | b |
    | --- | --- |
    | 1 | 2 |
    """
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def distinguishing_digits(values: Iterable[float]) -> int:
    """Number of significant digits, at least 3, that show different ``values`` as different.

    >>> [distinguishing_digits(values) for values in ([0.1, 20, 300], [14.78, 14.8, 14.82], [5, 5])]
    [3, 4, 3]
    """
    different = set(values)
    return next((n for n in range(3, 9) if len({number(value, n) for value in different}) == len(different)), 9)


def duration(seconds: float) -> str:
    """A time a person can grasp.

    >>> duration(0.42), duration(71.4), duration(750), duration(11_100)
    ('0.4 s', '71 s', '12 min 30 s', '3 h 5 min')
    """
    if seconds < 120:
        return f"{round(seconds, 1 if seconds < 10 else 0):g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def roughly(seconds: float) -> str:
    """A time that is only about right.

    >>> roughly(3), roughly(71), roughly(1_780), roughly(13_100), roughly(90_000)
    ('3 s', '70 s', '30 min', '3 h 40 min', '25 h')
    """
    if seconds < 180:
        return f"{max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)} s"
    if seconds < 6_000:
        return f"{round(seconds / 60)} min"
    hours, minutes = divmod(10 * round(seconds / 600), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


SECONDS_OF = {"s": 1, "sec": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400}
"""The units of a time as people type it."""
OVERNIGHT = "overnight"
NIGHT = 8 * 3_600


def seconds_of(text: str, name: str = "a time") -> float:
    """The seconds of a time as people type it; ``name`` is the option in the message that refuses others.

    >>> [seconds_of(text) for text in ("45s", "90m", "1.5h", "1h30min", "overnight")]
    [45.0, 5400.0, 5400.0, 5400.0, 28800.0]

    Raises:
        ValueError: It is none, or none above 0.
    """
    words = text.strip().lower().replace(" ", "")
    if words == OVERNIGHT:
        return float(NIGHT)
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)([a-z]+)", words)
    whole = "".join(number + unit for number, unit in parts) == words
    if parts and whole and all(unit in SECONDS_OF for _, unit in parts):
        seconds = sum(float(number) * SECONDS_OF[unit] for number, unit in parts)
        if seconds > 0:
            return seconds
    raise ValueError(f"{name} must be written like 45s, 30min, 1.5h, 1h30min or overnight (8 h), got {text!r}.")


def with_options(command: str, options: Mapping[str, str]) -> str:
    """``command`` as it was typed, with ``options`` in the place of earlier values or at its end.

    >>> with_options("ganneal train photos --out runs/a", {"--out": "runs/my own", "--task": "labelled"})
    "ganneal train photos --out 'runs/my own' --task labelled"
    """
    words = shlex.split(command)
    for option, value in options.items():
        places = [at for at, word in enumerate(words) if word == option or word.startswith(f"{option}=")]
        for at in reversed(places):  # from the end: deleting moves what comes after; `--name value` is two words
            del words[at : at + 1 + (words[at] == option)]
        at = places[0] if places else len(words)
        words[at:at] = [option, value]
    return shlex.join(words)


def sentence(text: str) -> str:
    """``text`` with a capital at its start, the rest as it is."""
    return text[:1].upper() + text[1:]
