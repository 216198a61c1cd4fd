"""Activations computed again in the backward pass rather than kept, with the same bits."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class _AsBefore:
    """``block`` with the buffers it had when this was made, for as long as it is entered, which it may be often.

    Batch norm's statistics and the vectors of spectral normalisation move in the first computation alone; the second
    one starts from those that the first one started from, on copies, and leaves no trace.
    """

    def __init__(self, block: nn.Module):
        self.places = [
            (part, name, buffer.clone())
            for part in block.modules()
            for name, buffer in part.named_buffers(recurse=False)
        ]
        # A stack, as one computation may be entered while another is under way.
        self.now: list[list[Tensor | None]] = []

    def __enter__(self) -> None:
        self.now.append([part._buffers[name] for part, name, _ in self.places])
        for part, name, before in self.places:
            # Replaced and not overwritten: the graph of the first computation may still need the tensor of now.
            part._buffers[name] = before.clone()

    def __exit__(self, *exception: Any) -> None:
        for (part, name, _), buffer in zip(self.places, self.now.pop(), strict=True):
            part._buffers[name] = buffer


def through(block: nn.Module, *inputs: Tensor, recompute: bool) -> Tensor:
    """``block(*inputs)``; with ``recompute`` its activations are computed again where a gradient needs them.

    Args:
        block: Draws no random numbers.
    References:
        Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
    """
    if not (recompute and torch.is_grad_enabled()):
        return block(*inputs)

    def contexts() -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        # The first pass moves the buffers as ever; the second, in the backward pass, starts from those of before the
        # first, or it would compute other activations than the loss was made of.
        return nullcontext(), _AsBefore(block)

    # Not reentrant: that form knows .backward() alone, and gradient penalties need autograd.grad.
    return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)  # type: ignore[return-value]
