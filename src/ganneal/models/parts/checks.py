"""What players refuse: sizes below one, labels that are missing or no class of theirs, images of another size."""

import torch
from torch import Tensor

from ganneal.models.protocol import Shape

RESIZE = "resize the images (data.size; of an array, `ganneal data convert FILE OUT.zip --size N`)"
"""The way out where no network is made for images of that size."""


def check_at_least_one(**sizes: int) -> None:
    """Refuse sizes below 1, naming the field."""
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")


def checked_labels(labels: Tensor | None, num_classes: int, samples: Tensor) -> Tensor:
    """``labels``, one class for each of ``samples``.

    Values are looked at on the CPU only, where an accelerator would have to be waited for.
    """
    if labels is None:
        raise ValueError(f"labels must be given: these players have {num_classes} classes.")
    if labels.shape != samples.shape[:1] or labels.is_floating_point():  # len(samples) would fix the size of an export
        raise ValueError(
            f"labels must be whole numbers, one for each of {len(samples)} samples, got {str(labels.dtype)[6:]} of "
            f"shape {tuple(labels.shape)}."
        )
    if labels.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = (int(bound) for bound in labels.aminmax())
        if low < 0 or high >= num_classes:
            wrong = low if low < 0 else high
            raise ValueError(f"labels must be in 0..{num_classes - 1}, got {wrong}: these players have no such class.")
    return labels


def check_images(images: Tensor, shape: Shape) -> None:
    """Refuse images of another shape than the discriminator was built for, which a sum over pixels would accept."""
    if images.shape[1:] != shape:
        raise ValueError(
            f"images must be [batch, {', '.join(map(str, shape))}], as this discriminator was built for, got "
            f"{list(images.shape)}; {RESIZE}."
        )


def check_square(family: str, shape: Shape, sizes: list[int]) -> tuple[int, int]:
    """Channels and size of square images of one of ``sizes``."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in sizes:
        raise ValueError(
            f"shape must be (channels, size, size) with size in {sizes} for {family}, got {shape}; {RESIZE}, "
            f"for points use the model 'mlp'."
        )
    return shape[0], shape[1]


def check_unconditional(family: str, num_classes: int) -> None:
    """Refuse classes."""
    if num_classes:
        raise ValueError(
            f"num_classes must be 0 for {family}, got {num_classes}; train without labels (task 'unconditional')."
        )
