"""Layers of the DDGAN players with their initial weights, and saving memory while they are passed."""

from math import sqrt
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Fan = Literal["average", "outputs"]
"""What the initial variance is one over: the mean of a layer's inputs and outputs, or its outputs."""
TINY = 1e-10
"""Scale of the initial variance of layers whose output is nearly 0 at first."""
Features = Float[Tensor, "batch _ _ _"]


def fill(weight: Tensor, fan: Fan, scale: float) -> None:
    """Uniform with a variance of ``scale`` over the fan."""
    pixels = weight[0, 0].numel()
    outputs, inputs = weight.shape[0] * pixels, weight.shape[1] * pixels
    bound = sqrt(3 * scale / (outputs if fan == "outputs" else (inputs + outputs) / 2))
    nn.init.uniform_(weight, -bound, bound)


def convolution(
    inputs: int, outputs: int, kernel: int, *, fan: Fan, scale: float = 1.0, stride: int = 1, bias: bool = True
) -> nn.Conv2d:
    """With biases of 0; of the same size where the stride is 1, else without padding."""
    padding = kernel // 2 if stride == 1 else 0
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)
    fill(layer.weight, fan, scale)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def linear(inputs: int, outputs: int, *, fan: Fan) -> nn.Linear:
    """With biases of 0."""
    layer = nn.Linear(inputs, outputs)
    fill(layer.weight, fan, 1.0)
    nn.init.zeros_(layer.bias)
    return layer


def passed(block: nn.Module, save_memory: bool, *inputs: Tensor) -> Any:
    """The output of ``block``; where memory is saved, what is inside it is computed again when it is differentiated."""
    if save_memory and torch.is_grad_enabled():
        return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)
    return block(*inputs)


def average(x: Features, y: Features) -> Features:
    """The sum over sqrt 2: of the same variance, where both are of one variance and independent."""
    return (x + y) * sqrt(0.5)
