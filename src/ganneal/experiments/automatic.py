"""Settings chosen from the data and the machine, each with its reason; plain values that a run directory remembers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ganneal.data.decode.survey import Survey
from ganneal.experiments.fitting import Choice, Surroundings, batch_for
from ganneal.experiments.recipes import DCGAN_RECIPE, RECIPES
from ganneal.machine import Machine
from ganneal.models import Model
from ganneal.models.parts.checks import largest_size

LARGEST_ON_CPU, LARGEST_ON_GPU = 64, 256
USUAL_LENGTH = 2_000_000
"""Real images of a run without another budget."""
FEW = 10_000
EVALUATED = 2_000
MANY_PASSES = 10
"""Passes over the data from which its augmentation is chosen: a discriminator that sees images so often learns them by
heart (Zhao et al., Differentiable Augmentation, 2020). The number itself is not measured: at 2 million images it is
200,000 different ones."""
CPU_RATE = 400.0
"""Images a second of the recipe `dcgan` on one thread at 64 px, for budgets of time; at other sizes by area."""
TIMES = ("seconds", "cpu_seconds")
FASTGAN_SIDE = 32
FACTS = ("count", "side")
"""Choices that are no options: number and side of the images. The batch and the networks follow from them."""


def networks_of(recipe: str) -> Sequence[Model]:
    """The networks of a recipe alone."""
    return [RECIPES[recipe].model]


@dataclass(frozen=True)
class Asked:
    """Choices already fixed by the user."""

    networks: Callable[[str], Sequence[Model]] = networks_of
    """The networks that are to be trained, for the name of the recipe that is chosen."""
    limits: Mapping[str, float] = field(default_factory=lambda: {"num_real": USUAL_LENGTH})
    """The budget by its clocks."""
    plain: bool = True
    """True if the task is the usual one, without classes."""
    device: str | None = None
    """The device that is given; None leaves it to the machine."""


def choose(data: Survey, machine: Machine, asked: Asked | None = None) -> dict[str, Choice]:
    """The settings for training on ``data`` with this machine, by their option on the command line."""
    asked = asked or Asked()
    if asked.device is not None:
        machine = replace(machine, accelerator=asked.device != "cpu")
    recipe = _recipe(data, machine, asked)
    size = _size(data, machine, asked.networks(recipe.value))
    return {
        "recipe": recipe,
        "augmentation": _augmentation(data.count, size.value, machine, asked.limits),
        "data.size": size,
        "data.channels": _channels(data),
        "precision": _precision(machine),
        "flip": _flip(data),
        "device": _device(machine) if asked.device is None else Choice(asked.device, "as given"),
        "records.evaluate_count": _evaluated(data.count),
        **{name: Choice(value, "found") for name, value in (("count", data.count), ("side", data.side))},
    }


def _device(machine: Machine) -> Choice:
    return Choice("cuda", "there is a GPU") if machine.accelerator else Choice("cpu", "there is no GPU")


def _recipe(data: Survey, machine: Machine, asked: Asked) -> Choice:
    other = "nested annealed training: --recipe nats"
    if not machine.accelerator:
        return Choice("dcgan", f"the most updates in the time on a CPU; {other}")
    if not asked.plain:
        return Choice("dcgan", f"takes classes; {other}")
    if data.side < FASTGAN_SIDE:
        return Choice("dcgan", f"images below {FASTGAN_SIDE} px; {other}")
    return Choice("fastgan", f"as published for few images, not measured here on a GPU; {other}")


def _augmentation(count: int, side: int, machine: Machine, limits: Mapping[str, float]) -> Choice:
    """DiffAugment where the budget makes many passes over the data, by the limits that say how many images it is."""
    batch = batch_for(DCGAN_RECIPE.batch_size, Surroundings(machine.accelerator, (side, side), count)).value
    images_a_tick = {"num_real": 1.0, "d_updates": batch}
    rate = CPU_RATE * (LARGEST_ON_CPU / side) ** 2
    if not machine.accelerator:
        images_a_tick |= dict.fromkeys(TIMES, rate)
    images = {clock: limit * images_a_tick[clock] for clock, limit in limits.items() if clock in images_a_tick}
    shortest = min(images, key=images.__getitem__, default="num_real")
    passes = images.get(shortest, USUAL_LENGTH) / count
    plural = "" if round(passes) == 1 else "es"
    shown = f"about {passes:,.0f} pass{plural} over {count:,} images"
    if passes < 1:
        shown = f"less than a pass over {count:,} images"
    if shortest in TIMES:
        shown += f", if this machine makes {rate:,.0f} images a second"
    return Choice("diffaugment" if passes >= MANY_PASSES else "none", f"the budget makes {shown}")


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
