"""Estimate of a budget's duration on this machine: training at the present pace, and the work beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import inf

from ganneal.engine.run import Run
from ganneal.experiment import Budget, Experiment
from ganneal.plan import plan

SETTLED = 30.0
"""Seconds of training after the first estimate from which the pace is that of all moves since."""


def limits(budget: Budget) -> dict[str, float]:
    """The clocks that the budget limits."""
    found = {field.name: getattr(budget, field.name) for field in fields(budget)}
    return {name: limit for name, limit in found.items() if limit is not None}


def fraction_done(clocks: Mapping[str, float], experiment: Experiment) -> float:
    """Used part of the budget, by the clock that is furthest.

    Args:
        clocks: As a log row has them; ``evaluating_seconds`` among them count for the time limit.
    """
    shares = [clocks.get(name, 0) / limit for name, limit in limits(experiment.budget).items()]
    if experiment.time_limit is not None:
        shares.append((clocks.get("seconds", 0) + clocks.get("evaluating_seconds", 0)) / experiment.time_limit)
    # The first budget reached ends the run.
    return min(max(shares, default=0.0), 1.0)


@dataclass
class Costs:
    """Seconds that one of what comes beside training takes, as last seen, and those of all evaluations so far."""

    evaluation: float = 0.0
    picture: float = 0.0
    save: float = 0.0
    evaluations: float = 0.0


class Estimate:
    """The seconds that are left to the budget of ``run``, renewed as it goes on."""

    def __init__(self, run: Run, costs: Costs):
        self.run, self.costs = run, costs
        self._mark: dict[str, float] | None = None
        """The clocks when the speed was first known."""

    def seconds(self) -> float | None:
        """Seconds that are left, evaluations, pictures and saving included; None while that cannot be told."""
        rates = self._rates()
        if rates is None:
            return None
        training = self._training_seconds(rates)
        return None if training == inf else training + self._beside(training, rates["num_real"] * training)

    def _training_seconds(self, rates: Mapping[str, float]) -> float:
        now = self.run.counters.as_dict()
        lefts = [
            max(limit - now[name], 0.0) / rates[name] if rates[name] else inf
            for name, limit in limits(self.run.experiment.budget).items()
        ]
        return min(lefts, default=inf)

    def _beside(self, training: float, images: float) -> float:
        """Seconds of what comes beside ``training`` seconds on so many ``images``, one of each kind at the end."""
        records, costs, now = self.run.experiment.records, self.costs, self.run.counters.seconds
        early = sum(now < seconds <= now + training for seconds in records.early_seconds)
        due = (images / records.evaluate_every if records.evaluate_every else 0) + early
        share = records.evaluate_share
        most = share / (1 - share) * (now + training) - costs.evaluations if share < 1 else inf
        evaluating = min(due * costs.evaluation, max(most, 0.0)) + costs.evaluation
        pictures = images / records.sample_every + early + 1
        saves = training / max(records.checkpoint_seconds, 1.0) + 1
        return evaluating + pictures * costs.picture + saves * costs.save

    def _rates(self) -> Mapping[str, float] | None:
        """Gain of each clock per second of training; None while too few moves were made."""
        now, mark = self.run.counters.as_dict(), self._mark
        if mark is not None and (passed := now["seconds"] - mark["seconds"]) >= SETTLED:
            return {name: (value - mark[name]) / passed for name, value in now.items()}
        first = self._first_rates(now)
        if first is not None and mark is None:
            self._mark = now
        return first

    def _first_rates(self, now: Mapping[str, float]) -> Mapping[str, float] | None:
        """The rates by the kinds of moves made so far: a round may begin with moves of one kind."""
        seconds, experiment = self.run.pace.round_seconds(), self.run.experiment
        if seconds is None:
            return None
        if self.run.device.type != "cpu":
            # A GPU has not yet done what it was given; it has at a row, after which the clocks are right.
            return {name: value / now["seconds"] for name, value in now.items()} if self.run.logged_at else None
        round = plan(experiment.scheme, 1)
        fits = 0 if round.stage is None else round.stage.fit_updates(experiment.batch_size)
        gained = {
            "num_real": round.d_updates * experiment.batch_size,
            "d_updates": round.d_updates,
            "g_updates": round.g_updates + fits,
        }
        cores = now["cpu_seconds"] / now["seconds"]
        return {name: gained.get(name, 0) / seconds for name in now} | {"seconds": 1.0, "cpu_seconds": cores}
