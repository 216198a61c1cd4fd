"""The small random networks on which identities are checked, in float64."""

import torch
from jaxtyping import Float64
from torch import Tensor, nn

LATENTS, DIM, HIDDEN_UNITS = 3, 2, 16


def random_points(count: int, dim: int = DIM, seed: int = 2) -> Float64[Tensor, "count dim"]:
    """Standard normal points."""
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    layers = (
        # tanh is smooth: with ReLU second derivatives would be 0, and the identities on them empty.
        nn.Linear(inputs, HIDDEN_UNITS),
        nn.Tanh(),
        nn.Linear(HIDDEN_UNITS, HIDDEN_UNITS),
        nn.Tanh(),
        nn.Linear(HIDDEN_UNITS, outputs),
    )
    return nn.Sequential(*layers).double()


def generator(seed: int = 0) -> nn.Module:
    """Latents ``[n, 3]`` to points ``[n, 2]``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _perceptron(LATENTS, DIM)


def critics(count: int, seed: int = 1) -> list[nn.Module]:
    """Points to raw outputs ``[n]``; outputs of several units, so that losses are not all in their linear part."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = [_perceptron(DIM, 1) for _ in range(count)]
    with torch.no_grad():
        for network in networks:
            last = network[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(10)
    # [n, 1] to [n]: a column beside a row would broadcast to [n, n].
    return [nn.Sequential(network, nn.Flatten(0)) for network in networks]
