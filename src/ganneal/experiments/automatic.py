"""Settings chosen from the data and the machine, each with its reason; plain values that a run directory remembers."""

from collections.abc import Callable, Sequence

from ganneal.data.decode.survey import Survey
from ganneal.experiments.fitting import Choice
from ganneal.experiments.recipes import RECIPES
from ganneal.machine import Machine
from ganneal.models import Model
from ganneal.models.parts.checks import largest_size

LARGEST_ON_CPU, LARGEST_ON_GPU = 64, 256
FEW = 10_000
EVALUATED = 2_000


def networks_of(recipe: str) -> Sequence[Model]:
    """The networks of a recipe alone."""
    return [RECIPES[recipe].model]


def choose(
    data: Survey, machine: Machine, networks: Callable[[str], Sequence[Model]] = networks_of
) -> dict[str, Choice]:
    """The settings for training on ``data`` with this machine, by their option on the command line.

    Args:
        networks: The networks that are to be trained, for the name of the recipe that is chosen.
    """
    recipe = _recipe(data, machine)
    return {
        "recipe": recipe,
        "data.size": _size(data, machine, networks(recipe.value)),
        "data.channels": _channels(data),
        "precision": _precision(machine),
        "flip": _flip(data),
        "device": Choice("cuda", "there is a GPU") if machine.accelerator else Choice("cpu", "there is no GPU"),
        "records.evaluate_count": _evaluated(data.count),
        **{name: Choice(value, "found") for name, value in (("count", data.count), ("side", data.side))},
    }


FACTS = ("count", "side")
"""Choices that are no options: number and side of the images. The batch and the networks follow from them."""


def _recipe(data: Survey, machine: Machine) -> Choice:
    return Choice("dcgan", "the most updates in the time; nested annealed training: --recipe nats")


def _precision(machine: Machine) -> Choice:
    if machine.bfloat16:
        return Choice("bf16", "this machine computes in bfloat16")
    if machine.bfloat16 is None:
        return Choice("float32", "it is not known whether this machine computes in bfloat16")
    return Choice("float32", "this machine does not compute in bfloat16")


def _evaluated(count: int) -> Choice:
    if count <= EVALUATED:
        return Choice(count, "all images there are")
    return Choice(EVALUATED, f"of {count:,} images, enough to follow the training by")


def _channels(data: Survey) -> Choice:
    by = f", by the headers of {data.looked_at:,} spread evenly" if data.partial else ""
    if data.grey:
        return Choice(1, f"all images are grey{by}")
    if data.num_grey:
        return Choice(3, f"{data.looked_at - data.num_grey:,} of {data.looked_at:,} images have colours{by}")
    return Choice(3, f"the images have colours{by}")


def _size(data: Survey, machine: Machine, models: Sequence[Model]) -> Choice:
    # Networks double their size from block to block, so that most sides have to be rounded down to one they make.
    largest = LARGEST_ON_GPU if machine.accelerator else LARGEST_ON_CPU
    low, high = data.sides[0], data.sides[-1]
    shown = f"shorter side {low} px" if low == high else f"shorter side {low} to {high} px, median {data.side}"
    size = largest_size(models, data.channels, min(data.side, largest)) or data.size
    names = " and ".join(dict.fromkeys(type(model).__name__ for model in models))
    if size == data.side:
        return Choice(size, shown)
    if size > data.side:
        return Choice(size, f"{shown}, which is below the smallest of {names}")
    if data.side > largest:
        return Choice(size, f"{shown}; at most {largest} px on a {'GPU' if machine.accelerator else 'CPU'}")
    return Choice(size, f"{shown}, the largest of {names} below it")


def _flip(data: Survey) -> Choice:
    if data.grey:
        return Choice(False, "grey images may be writing, which has no mirror image")
    if data.count >= FEW:
        return Choice(False, "there are enough images without their mirror images")
    return Choice(True, f"{data.count:,} images become twice as many with their mirror images; not for writing")
