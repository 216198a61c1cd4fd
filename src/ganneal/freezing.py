"""Passing samples through a player that must stay as it is."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def frozen(module: nn.Module, *, keep_buffers: bool) -> Iterator[None]:
    """``module`` without parameter gradients, and with every buffer as it was afterwards."""
    buffers = list(module.buffers()) if keep_buffers else []
    kept = [buffer.clone() for buffer in buffers]
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        if buffers:
            with torch.no_grad():
                torch._foreach_copy_(buffers, kept)
