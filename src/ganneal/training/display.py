"""Display of training: a bar with rate and remaining time, or lines where there is no terminal."""

import sys
from time import monotonic
from typing import Any

from ganneal.stop import Row
from ganneal.wording import roughly

SECONDS_PER_LINE = 10.0


def row_summary(row: Row) -> str:
    """A row in a few words."""
    parts = [f"{int(row['num_real']):,} images"]
    if row.get("seconds"):
        parts.append(f"{row['num_real'] / row['seconds']:,.0f}/s")
    names = {"d_loss": "D loss", "g_loss": "G loss"}
    parts += [f"{label} {row[key]:.3f}" for key, label in names.items() if key in row]
    return "  ".join(parts)


class Display:
    """Progress on standard error; says nothing when not ``shown``."""

    def __init__(self, shown: bool):
        self.shown = shown
        self._said_at = monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Display":
        if self.shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
                # The bar's own guess would know nothing of evaluations.
                TextColumn("{task.fields[left]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task("starting", total=1.0, left="")
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, row: Row, done: float, left: float | None) -> None:
        """Show where training is: the part that is ``done``, and about how many seconds are ``left``."""
        shown = "" if left is None else f"about {roughly(left)} left" if left else "done"
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=row_summary(row), left=shown)
        elif self.shown and monotonic() - self._said_at >= SECONDS_PER_LINE:
            self._said_at = monotonic()
            self.say("  ".join(part for part in (f"{100 * done:3.0f}%", row_summary(row), shown) if part))

    def reading(self, what: str, done: int, total: int) -> None:
        """Show how far a long reading is, before training begins."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done / total, description=f"{what}: {done:,} of {total:,}")
        elif monotonic() - self._said_at >= SECONDS_PER_LINE:
            self._said_at = monotonic()
            self.say(f"{100 * done / total:3.0f}%  {what}: {done:,} of {total:,}")

    def say(self, text: str) -> None:
        """One line that stays."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
        elif self.shown:
            print(text, file=sys.stderr, flush=True)
