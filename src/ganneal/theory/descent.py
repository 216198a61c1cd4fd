"""The training of the small networks of the theory, outside of any game."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def descend(network: Network, loss: Callable[[], Tensor], steps: int) -> Network:
    """``network`` after ``steps`` of Adam down ``loss``, which draws its own batch: lr 2e-3 along a cosine."""
    # Fused, for networks so small that a step of theirs is mostly calls.
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3, fused=True)
    # The rate ends at 0, so that the noise of the last batches is not left in the weights.
    rule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        rule.step()
    return network
