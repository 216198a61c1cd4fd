"""What is chosen automatically for images at a path, as the commands that train find, remember and show it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganneal.cli.configure import with_families
from ganneal.experiment import Experiment
from ganneal.experiments import EXPERIMENTS, Choice, image_choices
from ganneal.models import DCGAN, Model

HEADING = "chosen from the data and this machine; each can be given on the command line:"


def automatic_choices(name: str, stored: Mapping[str, Any] | None, models: Sequence[Model]) -> dict[str, Choice] | None:
    """What is chosen for the images at the path ``name``: as ``stored``, else now for ``models``.

    None for named experiments.
    """
    if name in EXPERIMENTS or not Path(name).exists():
        return None
    if stored is not None:
        return {option: Choice(choice["value"], choice["reason"]) for option, choice in stored.items()}
    return image_choices(name, models)


def named_model(arguments: Sequence[str]) -> Model:
    """The networks that ``arguments`` name with ``--model``, else those of `images`, before the rest is parsed."""
    return with_families(DCGAN(), arguments)[0]


def values(chosen: Mapping[str, Choice] | None) -> dict[str, Any] | None:
    """The choices without their reasons."""
    return None if chosen is None else {option: choice.value for option, choice in chosen.items()}


def reasons(chosen: Mapping[str, Choice], experiment: Experiment | None = None) -> str:
    """A line for each choice, with what ``experiment`` has in its place."""
    width = max(map(len, chosen))
    lines = []
    for option, choice in chosen.items():
        value: Any = choice.value if experiment is None else experiment
        for step in option.split(".") if experiment is not None else ():
            value = getattr(value, step, None)
        instead = "" if value == choice.value else f" -> {value} as given"
        flag = option.replace("_", "-")
        lines.append(f"  --{flag:<{width}}  {choice.value}{instead}  ({choice.reason})")
    return "\n".join([HEADING, *lines])
