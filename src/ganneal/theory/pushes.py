"""Samples moved along the gradients of discriminators, one push each: composite functional gradients without a run."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.logits import Samples
from ganneal.theory.scores import Critic, input_gradients


class PushedSamples(NamedTuple):
    """One step: where it led and along what."""

    samples: Samples
    """After the push."""
    gradients: Samples
    """Gradients of the discriminator at the samples before the push; the move is ``step_size`` times these."""
    norms: Float[Tensor, " batch"]
    """Euclidean length of each gradient."""


def pushes(samples: Samples, critics: Sequence[Critic], step_sizes: Sequence[float]) -> list[PushedSamples]:
    """x <- x + step_size grad D_m(x) for m = 1..M, from ``samples``, with what happened on the way.

    Where it ends is where `ganneal.push.Push` takes the samples in training.

    Symbols: eta_m w_m -> ``step_sizes``, D_m -> ``critics``, M -> their number.

    References:
        Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Algorithm 2.
    """
    if len(critics) != len(step_sizes):
        raise ValueError(
            f"step_sizes must have one number for each critic, got {len(step_sizes)} for {len(critics)} critics."
        )
    trail: list[PushedSamples] = []
    # Pushed samples are data for the fit: no graph leads back through the pushes.
    with torch.no_grad():
        for critic, step_size in zip(critics, step_sizes, strict=True):
            along = input_gradients(critic, samples)
            samples = samples + step_size * along
            trail.append(PushedSamples(samples, along, along.flatten(1).norm(dim=1)))
    return trail
