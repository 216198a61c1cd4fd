r"""The discriminator's gradient in its input, :math:`g(x) = \nabla_x D(x)`, sample by sample."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Discriminator = Callable[[Tensor], Tensor]
"""Samples ``[batch, ...]`` to raw outputs ``[batch]``, bound to the condition of a batch."""
PerSample = Float[Tensor, " batch"]
"""One value per sample, [batch]."""
Samples = Float[Tensor, "batch ..."]


def value_and_input_gradient(discriminator: Discriminator, x: Samples) -> tuple[PerSample, Samples]:
    """Raw outputs at ``x`` and their gradient in ``x``, with a graph to the parameters, and to ``x`` if it has one.

    Inside `torch.compile` the gradient comes from `torch.func.grad`: a compiled graph cannot be differentiated twice,
    but a gradient that is part of the graph can be differentiated once.
    """
    if torch.compiler.is_compiling():
        return functional_value_and_input_gradient(discriminator, x)
    x = x if x.requires_grad else x.detach().requires_grad_()
    with torch.enable_grad():
        logits = discriminator(x)
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return logits, gradient


def functional_value_and_input_gradient(discriminator: Discriminator, x: Samples) -> tuple[PerSample, Samples]:
    """`value_and_input_gradient` through `torch.func`; the discriminator may change none of its buffers in place."""

    def total(points: Tensor) -> tuple[Tensor, Tensor]:
        logits = discriminator(points)
        return logits.sum(), logits

    gradient, logits = torch.func.grad(total, has_aux=True)(x)
    return logits, gradient


def input_gradient(discriminator: Discriminator, x: Samples) -> Samples:
    r""":math:`\nabla_x D(x)` in at least float32, with a graph to the parameters; ``x`` gets none."""
    gradient = value_and_input_gradient(discriminator, x.detach())[1]
    return gradient if gradient.dtype == torch.float64 else gradient.float()


def squared_input_gradient(discriminator: Discriminator, x: Samples) -> PerSample:
    r""":math:`\|\nabla_x D(x)\|^2` with a graph to the discriminator's parameters."""
    return input_gradient(discriminator, x).square().flatten(1).sum(1)


def norm(squared: PerSample) -> PerSample:
    """Square root with slope 0 at 0, where a flat discriminator would otherwise give NaN."""
    return squared.clamp_min(1e-30).sqrt()
