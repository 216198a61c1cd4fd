"""Shared parts of the networks of composite functional gradients: initialised layers and the number of halvings.

Initialisation as in the authors' code: convolutions N(0, 0.01²), linear layers and shortcuts Kaiming normal (fan in),
biases 0, the scale of a norm uniform on [0, 1].
"""

from math import floor, log2

from torch import nn

from ganneal.models.dcgan import NormName, norm_layers
from ganneal.models.parts.checks import RESIZE, check_unconditional
from ganneal.models.parts.grid import LARGEST_BASE, SMALLEST_BASE
from ganneal.models.protocol import Shape


def normal_convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, *, bias: bool = True) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)
    _initialize(layer)
    return layer


def up_convolution(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    """5x5, doubling the size."""
    # Without the output padding 2 n - 1 pixels would come of n.
    layer = nn.ConvTranspose2d(inputs, outputs, 5, 2, 2, output_padding=1)
    _initialize(layer)
    return layer


def shortcut(inputs: int, outputs: int) -> nn.Conv2d:
    """1x1 without bias."""
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.kaiming_normal_(layer.weight)
    return layer


def kaiming_linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.kaiming_normal_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def uniform_norm(name: NormName, channels: int) -> list[nn.Module]:
    """The norm after a layer, its scale uniform on [0, 1]; none for ``"none"``."""
    layers = norm_layers(name, channels)
    for layer in layers:
        # The authors' code draws scales uniformly from [0, 1], where torch starts at 1.
        nn.init.uniform_(layer.weight)  # type: ignore[arg-type]
    return layers


def _initialize(layer: nn.Conv2d | nn.ConvTranspose2d) -> None:
    nn.init.normal_(layer.weight, std=0.01)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def check_depth(depth: int | None) -> None:
    """Refuse a depth below 1."""
    if depth is not None and depth < 1:
        raise ValueError(f"depth must be at least 1, or None to follow the images' size, got {depth}.")


def base_and_depth(
    family: str, shape: Shape, num_classes: int, depth: int | None, least: int = 1
) -> tuple[tuple[int, int], int]:
    """Height and width at the latents' end and the number of doublings; what follows is said of the shorter side.

    Without a given ``depth`` the size is halved down to 4 px or so, but ``least`` times, and never below an odd side.
    """
    check_unconditional(family, num_classes)
    if len(shape) != 3 or min(shape[1:]) < 2:
        raise ValueError(
            f"shape must be (channels, height, width) for {family}, got {shape}; {RESIZE}, for points use the model "
            f"'mlp'."
        )
    # The lowest bit that is set in either side: how often 2 divides both.
    size, both = min(shape[1:]), shape[1] | shape[2]
    halvings = (both & -both).bit_length() - 1
    if depth is not None and depth > halvings:
        raise ValueError(
            f"depth must be at most {halvings} for {size} px, which halve evenly so often, got {depth}; use None to "
            f"follow the size, or {RESIZE}."
        )
    chosen = min(halvings, max(least, floor(log2(size / SMALLEST_BASE)))) if depth is None else depth
    if chosen < 1 or size >> chosen > LARGEST_BASE:
        raise ValueError(
            f"size must halve evenly down to at most {LARGEST_BASE} px, got {size} px, halved {chosen} times to "
            f"{size >> chosen} px. Take 28, 32, 64, 128 or 256 px: {RESIZE}."
        )
    return (shape[1] >> chosen, shape[2] >> chosen), chosen
