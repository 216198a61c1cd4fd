"""Somebody's own images: settings that follow from the data and the machine."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganneal.augment import AUGMENTATIONS
from ganneal.data import Encoded, Source, source_at
from ganneal.data.tools.inspection import survey
from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments.automatic import USUAL_LENGTH, Asked, choose
from ganneal.experiments.fitting import Choice, Surroundings, fitted_to
from ganneal.experiments.recipes import RECIPES
from ganneal.machine import this_machine

FIRST_LOOKS = (30.0, 60.0, 120.0, 240.0, 480.0)
"""Seconds after which somebody who trains on their own images sees the first pictures and distances."""
OWN_PATIENCE = 1 / 3
"""Part of the budget without a fall of the distance after which such a run stops."""


def image_choices(path: str, asked: Asked | None = None) -> dict[str, Choice]:
    """Choose the rest of the recipe `images` for the images at ``path`` on this machine, with reasons."""
    source = source_at(path)
    choices = choose(survey(source), this_machine(), asked)
    # Arrays have the size and the channels that they have.
    if not isinstance(source, Encoded):
        del choices["data.size"], choices["data.channels"]
    return choices


def run_name(path: str) -> str:
    """The name of the experiment, and of its run directory where none is given."""
    # Resolved, as "." has no name of its own.
    return Path(path).resolve().stem


def images(path: str, chosen: Mapping[str, Any] | None = None) -> Experiment:
    """The images at ``path``, trained by a recipe that suits them.

    Args:
        chosen: Values by option, as an earlier `image_choices` had them; None chooses now.
    Raises:
        FileNotFoundError: There is nothing at ``path``.
        ValueError: ``path`` is a file of another kind, or no image in it can be read.
    """
    if chosen is None:
        chosen = {option: choice.value for option, choice in image_choices(path).items()}
    recipe = RECIPES[chosen["recipe"]]
    experiment = Experiment(
        name=run_name(path),
        data=_formatted(source_at(path), chosen),
        model=recipe.model,
        flip=chosen["flip"],
        precision=chosen["precision"],
        device=chosen["device"],
        budget=Budget(num_real=USUAL_LENGTH),
        records=Records(
            log_every=500,
            sample_every=10_000,
            evaluate_count=chosen["records.evaluate_count"],
            early_seconds=FIRST_LOOKS,
            patience=OWN_PATIENCE,
        ),
    )
    experiment = recipe(experiment)
    if "augmentation" in chosen:  # a recipe that is named brings its own
        experiment = replace(experiment, augmentation=AUGMENTATIONS[chosen["augmentation"]])
    return fitted_to(experiment, Surroundings.of(experiment, chosen["device"], chosen["side"], chosen["count"]))


def _formatted(source: Source, chosen: Mapping[str, Any]) -> Source:
    if isinstance(source, Encoded):
        return replace(source, size=chosen["data.size"], channels=chosen["data.channels"])
    return source
