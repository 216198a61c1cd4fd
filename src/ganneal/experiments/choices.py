"""Settings chosen from the data and the machine, each with its reason; plain values that a run directory remembers."""

from dataclasses import dataclass
from typing import Any

from ganneal.data.survey import Survey
from ganneal.machine import Machine
from ganneal.models.dcgan import SIZES

LARGEST_ON_CPU, LARGEST_ON_GPU = 64, 256
BATCH, SMALLEST_BATCH = 64, 8
BATCHES_A_PASS = 8
"""At least so many where batches are not below the smallest, or a small set would be seen whole in every update."""
FEW = 10_000
EVALUATED = 2_000


@dataclass(frozen=True)
class Choice:
    """A value and why."""

    value: Any
    reason: str


def choose(data: Survey, machine: Machine) -> dict[str, Choice]:
    """The settings for training on ``data`` with this machine, by their option on the command line."""
    size = _size(data, machine)
    narrow = not machine.accelerator and size.value > 32
    return {
        "data.size": size,
        "data.channels": Choice(1, "all images are grey") if data.grey else Choice(3, "the images have colours"),
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


def _size(data: Survey, machine: Machine) -> Choice:
    largest = LARGEST_ON_GPU if machine.accelerator else LARGEST_ON_CPU
    powers = [size for size in SIZES if size & (size - 1) == 0]
    fitting = [size for size in powers if size <= min(data.side, largest)]
    shown = f"shorter side {data.sides[0]}" + (f" to {data.sides[-1]} px" if data.sides[-1] > data.sides[0] else " px")
    if data.side in SIZES and data.side <= largest:
        return Choice(data.side, shown)
    if not fitting:
        return Choice(min(powers), f"{shown}, which is below the smallest network")
    if data.side > largest:
        return Choice(max(fitting), f"{shown}; at most {largest} px on a {'GPU' if machine.accelerator else 'CPU'}")
    return Choice(max(fitting), f"{shown}, the largest network below the median")


def _batch(data: Survey) -> Choice:
    most = data.count // BATCHES_A_PASS
    if most >= BATCH:
        return Choice(BATCH, "usual")
    fitting = max(SMALLEST_BATCH, 1 << max(most, 1).bit_length() - 1)
    return Choice(min(fitting, data.count), f"few images: {data.count:,}")


def _flip(data: Survey) -> Choice:
    if data.grey:
        return Choice(False, "grey images may be writing, which has no mirror image")
    if data.count >= FEW:
        return Choice(False, "there are enough images without their mirror images")
    return Choice(True, f"{data.count:,} images become twice as many with their mirror images; not for writing")
