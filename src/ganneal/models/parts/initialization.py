"""Initial weights by name, for every convolution, linear layer and embedding of a network at once."""

from collections.abc import Callable, Iterator
from typing import Literal

from torch import Tensor, nn

InitName = Literal["orthogonal", "normal", "xavier", "he", "torch"]

INITS: dict[InitName, Callable[[Tensor], object]] = {
    "orthogonal": nn.init.orthogonal_,
    "normal": lambda weight: nn.init.normal_(weight, std=0.02),
    "xavier": nn.init.xavier_uniform_,
    # torch's default here is the gain of ReLU, sqrt 2, over the inputs.
    "he": nn.init.kaiming_normal_,
    "torch": lambda weight: None,
}
WEIGHTED = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)


def layers(module: nn.Module) -> Iterator[nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding]:
    """The layers that `initialize` changes."""
    return (layer for layer in module.modules() if isinstance(layer, WEIGHTED))


def initialize(module: nn.Module, name: InitName) -> None:
    """Fresh weights; biases and norms stay.

    Orthogonal; N(0, 0.02²); Glorot uniform; Kaiming normal over the inputs; or what torch gave each layer.
    """
    for layer in layers(module):
        # In the order of the modules, from torch's global generator: the same seed gives the same players.
        INITS[name](layer.weight)


def zero_biases(module: nn.Module) -> None:
    """Every convolution's and linear layer's bias at 0."""
    for layer in layers(module):
        if not isinstance(layer, nn.Embedding) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
