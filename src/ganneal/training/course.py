"""Position of a run in its budget: the work due at a row, the remaining time, and reasons to end early."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Literal

from ganneal.engine.run import Run
from ganneal.stop import Row
from ganneal.training.display import Display
from ganneal.training.estimate import Costs, Estimate, fraction_done
from ganneal.training.evaluations import Evaluations
from ganneal.wording import roughly


def passed(every: int, before: int, now: int) -> bool:
    """True if a clock that went from ``before`` to ``now`` passed a multiple of ``every``; never of 0."""
    return bool(every) and now // every > before // every


class Course:
    """The course of ``run`` to its budget.

    Args:
        began: When this process began with it, by `time.monotonic`; None is now.
    """

    def __init__(self, run: Run, evaluations: Evaluations | None, display: Display, began: float | None = None):
        self.run, self.evaluations, self.display = run, evaluations, display
        self.ended: str | None = None
        """Why it ends before its budget is used."""
        self.costs = Costs()
        self._estimate = Estimate(run, self.costs)
        self._told = self._resumed = False
        self._began = monotonic() if began is None else began

    def begin(self, rows: Sequence[Row]) -> None:
        """Go on after the ``rows`` so far."""
        self._images, self._seconds = self.run.logged_at, rows[-1]["seconds"] if rows else 0.0
        self._resumed = bool(self.run.counters.d_updates)
        self._note_evaluations()
        if self._resumed:
            # What was used before counts for the time limit, the evaluation of the untrained generator too; what
            # drawing and saving took then is not known.
            untrained = rows[0].get("evaluation_cost", 0.0) if rows else 0.0
            self._began -= self.run.counters.seconds + self.costs.evaluations + untrained
        if self.evaluations is not None and (reason := self.evaluations.stalled()):
            self.ended = reason

    @contextmanager
    def timing(self, kind: Literal["picture", "save"]) -> Iterator[None]:
        """Note how long the block takes, which makes something of this kind."""
        started = monotonic()
        yield
        setattr(self.costs, kind, monotonic() - started)

    def picture_due(self) -> bool:
        """True if a picture of samples is due at the present row."""
        counters, records = self.run.counters, self.run.experiment.records
        by_images = passed(records.sample_every, self._images, counters.num_real)
        return by_images or records.is_early(self._seconds, counters.seconds)

    def snapshot_due(self) -> bool:
        """True if weights are to be kept at the present row."""
        return passed(self.run.experiment.records.keep_every, self._images, self.run.counters.num_real)

    def begin_row(self, row: Row) -> None:
        """Make ``row`` the last one where the time is up, before it is known whether it is evaluated."""
        if "stopped" not in row and (why := self.enough()):
            row["stopped"] = why

    def follow(self, row: Row) -> None:
        """Decide about the course from the evaluation in ``row``: the run stalls, or has no time for another one."""
        self._note_evaluations()
        if "stopped" in row or self.evaluations is None or self.evaluations.name not in row:
            return
        reason = self.evaluations.stalled() or self._time_is_up(self.costs.save)
        if reason is not None:
            self.ended = row["stopped"] = reason

    def show(self, row: Row) -> None:
        """Show where the run stands, at the end of a row."""
        done = 1.0 if "stopped" in row else fraction_done(self._clocks(), self.run.experiment)
        left = 0.0 if "stopped" in row else self.seconds_left()
        self.display.update(row, done, left)
        self._images, self._seconds = self.run.counters.num_real, self.run.counters.seconds

    def enough(self) -> str | None:
        """Why the run ends now, though its budget is not used; asked before every move."""
        self._tell()
        self.ended = self.ended or self._time_is_up()
        return self.ended

    def _time_is_up(self, more: float = 0.0) -> str | None:
        """Reason to stop once the work still due at the end and ``more`` seconds reach the time limit; None before."""
        limit = self.run.experiment.time_limit
        if limit is None or self._elapsed() + self._end_takes() + more < limit:
            return None
        return f"time_limit reached {limit:g} s"

    def _tell(self) -> None:
        """Say once how long the budget takes here, as soon as that can be told."""
        # A GPU's clocks are right from the first row on.
        if self._told or self.run.pace.round_seconds() is None or not self._clocks_are_right():
            return
        self._told = True
        if (left := self.seconds_left()) is not None:
            what = "the rest of this budget" if self._resumed else "this budget"
            self.display.say(f"{what} takes about {roughly(left)} here; stop at any time, the same command goes on")

    def _clocks_are_right(self) -> bool:
        return self.run.device.type == "cpu" or self.run.logged_at > 0

    def last_words(self, path: Path) -> str:
        """Why the run has ended, in one line, and how it goes on where it ended early."""
        reached = self.run.experiment.budget.reached(self.run.counters)
        if reached is None and self.evaluations is not None and self.evaluations.stalled():
            return (
                f"stopped early: {self.ended}. The best weights are kept: `ganneal sample {path} --checkpoint best`; a "
                f"larger budget, or --records.patience None, goes on"
            )
        return f"stopped: {reached or self.ended}"

    def seconds_left(self) -> float | None:
        """About how long the rest takes, with all that comes beside training; None while that cannot be told."""
        limit = self.run.experiment.time_limit
        lefts = [] if limit is None else [max(limit - self._elapsed(), 0.0)]
        if (estimated := self._estimate.seconds()) is not None:
            lefts.append(estimated)
        return min(lefts, default=None)

    def _note_evaluations(self) -> None:
        if self.evaluations is not None:
            self.costs.evaluation, self.costs.evaluations = self.evaluations.last_cost, self.evaluations.spent

    def _clocks(self) -> Row:
        return self.run.counters.as_dict() | {"evaluating_seconds": self.costs.evaluations}

    def _elapsed(self) -> float:
        return monotonic() - self._began

    def _end_takes(self) -> float:
        """Seconds of the last evaluation, picture and checkpoint."""
        return self.costs.evaluation + self.costs.picture + self.costs.save
