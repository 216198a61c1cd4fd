"""Passing samples through a player that must stay as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import nn

from ganneal.models.parts.spectral import SpectralWeight


@contextmanager
def frozen(module: nn.Module, *, keep_buffers: bool) -> Iterator[None]:
    """``module`` without parameter gradients, and with every buffer as it was afterwards.

    A buffer that a pass replaced by another tensor, and did not change in place, is put back too. Where buffers are
    kept, spectrally normalised weights are computed at the first pass only, here or in an earlier such context, until
    ``module`` changes.
    """
    spectral = [m for m in module.modules() if isinstance(m, SpectralWeight)] if keep_buffers else []
    # While held a spectral norm is computed once for all passes, which makes a generator's move cheaper by a power
    # iteration a layer.
    held = [weight.held for weight in spectral]
    places = [
        (owner, name, buffer)
        for owner in (module.modules() if keep_buffers else ())
        for name, buffer in owner.named_buffers(recurse=False)
    ]
    buffers = [buffer for _, _, buffer in places]
    # Clones, as batch norm changes its statistics in place.
    kept = [buffer.clone() for buffer in buffers]
    # Those that a player holds fixed by itself must not come back trainable.
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    for weight in spectral:
        weight.held = True
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
        for weight, before in zip(spectral, held, strict=True):
            weight.held = before
        for owner, name, buffer in places:
            # A spectral norm replaces its u and does not change it in place: the tensor of before is put back.
            if getattr(owner, name) is not buffer:
                setattr(owner, name, buffer)
        if buffers:
            with torch.no_grad():
                torch._foreach_copy_(buffers, kept)


@contextmanager
def in_mode(module: nn.Module, mode: Literal["train", "eval"]) -> Iterator[None]:
    """``module`` and all within it in train or eval mode, and as they were afterwards."""
    # Kept for each part: a player may hold parts in eval mode beside others in train mode.
    before = [(part, part.training) for part in module.modules()]
    module.train(mode == "train")
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
