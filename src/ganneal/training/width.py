"""The width of a network that suits a time: as wide as leaves enough updates on this machine."""

from collections.abc import Callable
from dataclasses import replace

from ganneal.data import Dataset
from ganneal.engine import loop
from ganneal.engine.run import Run
from ganneal.experiment import Experiment
from ganneal.plan import plan
from ganneal.wording import roughly

LEAST_WIDTH, MOST_WIDTH = 16, 128
FEWEST_UPDATES = 2_000
"""Discriminator updates without which a network is halved: below them the pictures are noise at any width."""
ENOUGH_UPDATES = 20_000
"""Updates that must remain before a network is doubled."""


def suited_width(width: int, updates: Callable[[int], float]) -> int:
    """``width``, halved or doubled until the time suits it.

    Args:
        updates: Width to the discriminator updates that the time allows.

    >>> suited_width(32, lambda width: 64_000 / width), suited_width(32, lambda width: 4_000_000 / width)
    (32, 128)
    >>> suited_width(64, lambda width: 32_000 / width)
    16
    """
    while width > LEAST_WIDTH and updates(width) < FEWEST_UPDATES:
        width //= 2
        if updates(width) >= FEWEST_UPDATES or width <= LEAST_WIDTH:
            return max(width, LEAST_WIDTH)
    while 2 * width <= MOST_WIDTH and updates(2 * width) >= ENOUGH_UPDATES:
        width *= 2
    return width


def updates_a_second(experiment: Experiment, dataset: Dataset) -> float:
    """The discriminator updates that ``experiment`` makes in a second here, by some twenty moves on ``dataset``."""
    run = Run(experiment, dataset)
    # Nothing is logged or kept: the run is measured and dropped.
    for _ in loop.training_rows(run, lambda: run.pace.round_seconds() is not None):
        pass
    seconds = run.pace.round_seconds()
    assert seconds is not None
    return plan(experiment.scheme, 1).d_updates / seconds


def width_for(experiment: Experiment, seconds: float) -> tuple[int, str]:
    """The width of the networks of ``experiment`` for a run of so many seconds, measured here, and why."""
    dataset, found = experiment.data.load(), dict[int, float]()

    def updates(width: int) -> float:
        if width not in found:
            model = replace(experiment.model, width=width)  # type: ignore[type-var]
            found[width] = seconds * updates_a_second(replace(experiment, model=model), dataset)
        return found[width]

    width = suited_width(experiment.model.width, updates)  # type: ignore[attr-defined]
    return width, f"about {updates(width):,.0f} discriminator updates in {roughly(seconds)} here"
