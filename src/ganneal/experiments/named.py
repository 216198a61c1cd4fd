"""Experiments by a name or by a path of images, with what is chosen automatically there, and why."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganneal.augment import AUGMENTATIONS
from ganneal.experiment import Experiment
from ganneal.experiments import EXPERIMENTS, RECIPES
from ganneal.experiments.automatic import FACTS, Asked
from ganneal.experiments.fitting import Choice, Surroundings, fitting
from ganneal.experiments.images import image_choices, images
from ganneal.inference.zoo import refuse
from ganneal.registry import nearest

HEADING = "chosen from the data and this machine; each can be given on the command line:"


def automatic_choices(
    name: str, stored: Mapping[str, Any] | None, asked: Asked | None = None
) -> dict[str, Choice] | None:
    """Choices for the images at the path ``name``: the ``stored`` ones, else new ones. None for named experiments."""
    # A name wins over a folder of that name; `./digits-nats` is the folder.
    if name in EXPERIMENTS or not Path(name).exists():
        return None
    if stored is not None:
        return {option: Choice(choice["value"], choice["reason"]) for option, choice in stored.items()}
    return image_choices(name, asked)


def surroundings(experiment: Experiment, chosen: Mapping[str, Choice] | None) -> Surroundings:
    """The images and the device of ``experiment``, which decide sizes, with the ``chosen`` sizes of its images."""
    found = {} if chosen is None else {fact: chosen[fact].value for fact in ("device", *FACTS)}
    return Surroundings.of(experiment, **found)


def resolve(name: str, chosen: Mapping[str, Choice] | None = None) -> Experiment:
    """The experiment called ``name``, or one of the images at the path ``name`` with the settings ``chosen``."""
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]()
    refuse(name, "training takes an experiment or a path of images")
    if Path(name).exists():
        return images(name, None if chosen is None else {option: choice.value for option, choice in chosen.items()})
    if "/" not in name:
        raise ValueError(f"unknown experiment {name!r}, and no such path. {nearest(name, EXPERIMENTS)}")
    # The outermost folder that lacks is where a mistyped path goes astray.
    lacking = [place for place in Path(name).parents if not place.exists()]
    astray = f" (there is no {lacking[-1]})" if lacking else ""
    raise ValueError(
        f"no such path: {name}{astray}; give a folder or a file of images, or an experiment that `ganneal train "
        f"--help` lists."
    )


def choices_as_text(chosen: Mapping[str, Choice], experiment: Experiment | None = None) -> str:
    """A line for each choice, with what ``experiment`` has in its place."""
    shown = {option: choice for option, choice in chosen.items() if option not in FACTS}
    if experiment is not None:
        recipe = RECIPES[chosen["recipe"].value]
        # From the recipe's own batch: the experiment's was fitted already.
        usual = replace(experiment, batch_size=recipe.batch_size)
        # What was chosen otherwise, as a width by the machine's speed, stands in the place of the usual size.
        shown = {**shown, **fitting(usual, surroundings(experiment, chosen)), **shown}
    width = max(map(len, shown))
    lines = []
    for option, choice in shown.items():
        value = choice.value if experiment is None else _value_in(experiment, option, choice)
        instead = "" if value == choice.value else f" -> {value} as given"
        flag = option.replace("_", "-")
        lines.append(f"  --{flag:<{width}}  {choice.value}{instead}  ({choice.reason})")
    return "\n".join([HEADING, *lines])


def _value_in(experiment: Experiment, option: str, choice: Choice) -> Any:
    """Value of an option in ``experiment``; the chosen name where its part has that name."""
    if option == "recipe":
        return choice.value
    value: Any = experiment
    for step in option.split("."):
        value = getattr(value, step, None)
    return choice.value if option == "augmentation" and value == AUGMENTATIONS[choice.value] else value
