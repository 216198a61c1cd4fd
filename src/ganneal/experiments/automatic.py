"""Settings chosen from the data and the machine, each with its reason; plain values that a run directory remembers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ganneal.data.decode.survey import Survey
from ganneal.machine import Machine
from ganneal.models import DCGAN, Model
from ganneal.models.parts.checks import largest_size

LARGEST_ON_CPU, LARGEST_ON_GPU = 64, 256
DEFAULT_BATCH, SMALLEST_BATCH = 64, 8
BATCHES_A_PASS = 8
"""At least so many where batches are not below the smallest, or a small set would be seen whole in every update."""
FEW = 10_000
EVALUATED = 2_000


@dataclass(frozen=True)
class Choice:
    """A value and why."""

    value: Any
    reason: str


def choose(data: Survey, machine: Machine, models: Sequence[Model] = (DCGAN(),)) -> dict[str, Choice]:
    """The settings for training ``models`` on ``data`` with this machine, by their option on the command line."""
    size = _size(data, machine, models)
    narrow = not machine.accelerator and size.value > 32
    return {
        "data.size": size,
        "data.channels": _channels(data),
        "model.width": Choice(32, f"half the usual width: {size.value} px on a CPU") if narrow else Choice(64, "usual"),
        "batch_size": _batch(data),
        "precision": _precision(machine),
        "flip": _flip(data),
        "device": Choice("cuda", "there is a GPU") if machine.accelerator else Choice("cpu", "there is no GPU"),
        "records.evaluate_count": _evaluated(data.count),
    }


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


def _batch(data: Survey) -> Choice:
    most = data.count // BATCHES_A_PASS
    if most >= DEFAULT_BATCH:
        return Choice(DEFAULT_BATCH, "usual")
    fitting = max(SMALLEST_BATCH, 1 << max(most, 1).bit_length() - 1)
    return Choice(min(fitting, data.count), f"few images: {data.count:,}")


def _flip(data: Survey) -> Choice:
    if data.grey:
        return Choice(False, "grey images may be writing, which has no mirror image")
    if data.count >= FEW:
        return Choice(False, "there are enough images without their mirror images")
    return Choice(True, f"{data.count:,} images become twice as many with their mirror images; not for writing")
