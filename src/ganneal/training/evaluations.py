"""The evaluations of one training run: when they are due, what they find, the best weights, verdicts on its health."""

from collections.abc import Iterable
from copy import deepcopy
from time import perf_counter
from typing import Any

from ganneal.data import Dataset
from ganneal.engine.run import Run
from ganneal.evaluation.health import Verdict, Watch
from ganneal.evaluation.suited import better_features
from ganneal.losses import output_of
from ganneal.metrics.extractors import ExtractorConfig
from ganneal.metrics.measures import DensityCoverage
from ganneal.stop import Row, Stop
from ganneal.storage.run_directory import RunDirectory
from ganneal.storage.weight_files import export
from ganneal.training.display import Display
from ganneal.training.estimate import fraction_done
from ganneal.training.evaluator import Evaluator
from ganneal.training.forewarning import sees_photographs

MOST_ROLLBACKS = 3
FEWEST_SINCE_BEST = 3
"""Evaluations after the best one before a run is said to have stalled."""
EARLY_SHARE = 0.25
"""Part of the time that evaluations at `Records.early_seconds` may take: who has just begun wants to know."""


class Evaluations:
    """Follows a run row by row. It never changes training's bits, but for a rollback that was asked for."""

    def __init__(
        self,
        run: Run,
        directory: RunDirectory,
        display: Display,
        held_out: Dataset | None = None,
        before: ExtractorConfig | None = None,
    ):
        self.run, self.directory, self.display = run, directory, display
        self.records = run.experiment.records
        classes = run.pair.num_classes
        dataset = run.data.dataset
        self.evaluator = Evaluator(
            dataset,
            self.records,
            num_classes=classes,
            held_out=held_out,
            before=before,
            flattered=sees_photographs(run.experiment),
        )
        self.name = self.evaluator.name
        self.output = output_of(run.experiment.loss)
        self.watching = Watch(self.name, output=self.output)
        self.evaluated_at = 0
        self.evaluated_seconds = 0.0
        self.spent = 0.0
        """Seconds of evaluations during training."""
        self.last_cost = 0.0
        self.best: float | None = None
        self.best_row: Row = {}
        """The clocks at the best evaluation."""
        self.since_best = 0
        """Evaluations since then."""
        self.best_state: dict[str, Any] | None = None
        """The run at its best evaluation, to go back to; only kept where a rollback is asked for."""
        self.rollbacks = 0
        if self.evaluator.held_out_paired is not None:
            display.say(f"classes of the data and of held-out data are paired {self.evaluator.held_out_paired}")
        better = better_features(dataset.shape, self.evaluator.chosen)
        if better and before is None and self.records.extractor is None:  # once a run, as it begins
            display.say(better)
        if self.evaluator.few is not None:
            display.say(self._why_kernel(len(self.evaluator.few)))

    def _why_kernel(self, real: int) -> str:
        extractor, count = self.evaluator.extractor, self.records.evaluate_count
        beside = ", precision, recall, density and coverage" if min(real, count) > DensityCoverage.k else ""
        return (
            f"no Fréchet distance: {real:,} real and {count:,} generated samples (--records.evaluate-count) must both "
            f"exceed the {extractor.dimensions:,} features of {extractor.name}; measured is the kernel "
            f"distance{beside}."
        )

    def recall(self, rows: Iterable[Row], best_state: dict[str, Any] | None) -> None:
        """Take up where a stopped run's record ends; ``best_state`` is what its checkpoint kept of it."""
        # The values from the record, which a checkpoint does not repeat; the weights of the best from the checkpoint.
        rows = list(rows)
        self.watching = Watch(self.name, rows, self.output)
        for row in rows:
            self.last_cost = row.get("evaluation_cost", self.last_cost)
            if "evaluating_seconds" in row:
                self.evaluated_at, self.evaluated_seconds = row["num_real"], row["seconds"]
                self.spent = row["evaluating_seconds"]
            if row["num_real"]:  # the untrained generator is never the best
                self._is_best(row)
            self.rollbacks = row.get("rollbacks", self.rollbacks)
        self.best_state = None if self.best is None else best_state

    def follow(self, row: Row) -> Stop | None:
        """Evaluate into ``row`` if it is time, keep the best weights, judge; a `Stop` if a collapse ends the run."""
        # The last row is always measured: a run ends with a distance, whatever it cost.
        if "stopped" in row or self._due():
            row |= self.measure()
            self.evaluated_at, self.evaluated_seconds = self.run.counters.num_real, self.run.counters.seconds
            self.spent += self.last_cost
            row["evaluating_seconds"] = self.spent
            self._keep_best(row)
        self.watch(row)
        collapse = self.watching.collapse(row)
        return None if collapse is None else self._react(collapse, row)

    def measure(self) -> Row:
        """The values of the run as it stands."""
        started = perf_counter()
        values = self.evaluator(self.run)
        self.last_cost = perf_counter() - started
        if self.name in values:  # not where a sample is no number
            self.display.say(f"{self.name} {values[self.name]:.4g} at {self.run.counters.num_real:,} images")
        return values | {"evaluation_cost": self.last_cost, "sampler": self.run.experiment.sampler}

    def watch(self, row: Row) -> list[Verdict]:
        """Write and show what has changed in the run's health."""
        place = {key: row[key] for key in ("num_real", "seconds")}
        verdicts = self.watching(row)
        for verdict in verdicts:
            self.directory.append_verdict(place | verdict.as_dict())
            self.display.say(f"{verdict.severity}: {verdict.text}")
        return verdicts

    def _due(self) -> bool:
        every, counters = self.records.evaluate_every, self.run.counters
        by_images = bool(every) and counters.num_real // every > self.evaluated_at // every
        early = self.records.is_early(self.evaluated_seconds, counters.seconds)
        return (by_images and self._affordable(self.records.evaluate_share)) or (
            early and self._affordable(max(self.records.evaluate_share, EARLY_SHARE))
        )

    def _affordable(self, share: float) -> bool:
        spent = self.spent + self.last_cost
        # A share of all time so far, the next evaluation included at the cost of the last: what came too often early on
        # is skipped until training has caught up.
        return spent <= share * (self.run.counters.seconds + spent)

    def stalled(self) -> str | None:
        """Why the run stops early: the distance has not fallen for `Records.patience` of the budget; None otherwise."""
        patience, clocks = self.records.patience, self.run.counters.as_dict() | {"evaluating_seconds": self.spent}
        # A few rare evaluations may miss what lies between them.
        if patience is None or self.since_best < FEWEST_SINCE_BEST:
            return None
        without = fraction_done(clocks, self.run.experiment) - fraction_done(self.best_row, self.run.experiment)
        if without < patience:
            return None
        return (
            f"{self.name} has not fallen below {self.best:.4g} since {self.best_row['num_real']:,} real images, for "
            f"{100 * without:.0f} % of the budget"
        )

    def _is_best(self, row: Row) -> bool:
        """True if the evaluation in ``row`` is better than all before it. The best one is remembered."""
        value = row.get(self.name)  # the smaller the better, of both distances
        if value is None:
            return False
        better = self.best is None or value < self.best
        if better:
            self.best, self.best_row, self.since_best = value, dict(row), 0
        else:
            self.since_best += 1
        return better

    def _keep_best(self, row: Row) -> None:
        if not self._is_best(row):
            return
        state = self.run.state_dict()
        # A copy in memory of weights and optimizers, which costs as much as they do: only where it may be needed.
        self.best_state = deepcopy(state) if self.records.on_collapse == "rollback" else None
        best, measured = self.directory.path / "best", {self.name: row[self.name]}
        export(best, self.directory, state, self.run.pair.parameters, measured=measured)

    def _react(self, verdict: Verdict, row: Row) -> Stop | None:
        match self.records.on_collapse:
            case "warn":
                return None
            case "stop":
                return Stop(f"{verdict.text} (--records.on-collapse stop)", save=True)
            case "rollback":
                return self._roll_back(verdict, row)

    def _roll_back(self, verdict: Verdict, row: Row) -> Stop | None:
        if self.rollbacks >= MOST_ROLLBACKS or self.best_state is None:
            why = f"after {self.rollbacks} rollbacks" if self.rollbacks else "with no best weights to go back to"
            return Stop(f"{verdict.text} It collapsed {why}", save=True)
        # Weights, optimizers and averages go back; clocks and the position in the data go on, so the same steps are not
        # made again.
        self.run.roll_back(self.best_state)
        self.rollbacks += 1
        row["rollbacks"] = self.rollbacks
        self.display.say(f"rolled back to the best evaluation, {self.name} {self.best:.4g}; clocks and data go on")
        return None
