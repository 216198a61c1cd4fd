r"""Raw outputs of the discriminator, and their gradient in its input, :math:`g(x) = \nabla_x D(x)`, sample by sample.

Arithmetic on them is in at least float32, and without overflow or cancellation that can be avoided.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

Discriminator = Callable[[Tensor], Tensor]
"""Samples ``[batch, ...]`` to raw outputs ``[batch]``, bound to the condition of a batch."""
PerSample = Float[Tensor, " batch"]
"""One value per sample, [batch]."""
Samples = Float[Tensor, "batch ..."]


class DiscriminatorOutput(NamedTuple):
    """A discriminator's opinion of each sample."""

    logits: Tensor
    """``[batch]``, or ``[batch, heads, places]`` of a `PatchDiscriminator`."""
    features: tuple[Tensor, ...] = ()
    """Inner maps that a term of the discriminator reads, with their graph."""


class PatchDiscriminator(nn.Module, ABC):
    """A discriminator that judges a sample by several logits: each of its heads by one for each place.

    Losses are taken on every logit, averaged over places and summed over heads (`losses.PerLogit`). Penalties, pushes,
    augmentations and records see one output a sample, as of every other discriminator: its logits averaged and summed
    alike.
    """

    @abstractmethod
    def outputs(self, samples: Tensor, *condition: Tensor) -> DiscriminatorOutput:
        """The logits ``[batch, heads, places]``, and features."""

    def forward(self, samples: Tensor, *condition: Tensor) -> PerSample:
        return per_sample(self.outputs(samples, *condition).logits)


def discriminator_output(discriminator: nn.Module, samples: Tensor, *condition: Tensor) -> DiscriminatorOutput:
    """All logits of ``samples``: several each of a `PatchDiscriminator`, one each of others."""
    if isinstance(discriminator, PatchDiscriminator):
        return discriminator.outputs(samples, *condition)
    return DiscriminatorOutput(discriminator(samples, *condition))


def per_sample(values: Tensor) -> PerSample:
    """One value for each sample: the mean over places, summed over heads; ``[batch]`` stays as it is."""
    # A mean over places, whose number depends on the image size; a sum over heads, each a discriminator of its own.
    return values if values.dim() == 1 else values.mean(2).sum(1)


def upcast(logits: Tensor) -> Tensor:
    """``logits`` in at least float32: bfloat16 resolves a logit near 0 to 2^-8 relative only."""
    return logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x) to the last digit; torch's own turns linear above 20, an error of 2e-9 that float64 shows."""
    return -F.logsigmoid(-x)


def growth(d: Tensor, rate: float, cap: float | None = None) -> Tensor:
    """(e^(rate d) - 1) / rate, and its limit d at rate 0.

    Beyond rate d = ``cap`` it goes on along its tangent: increasing, convex and finite where e^(rate d) overflows.
    """
    if rate == 0:
        return d
    t = rate * d
    if cap is None:
        return _expm1(t) / rate
    # Clamped before the exponential: `where` alone multiplies the infinite slope of the branch not taken by 0: NaN.
    below = _expm1(t.clamp(max=cap))
    return torch.where(t > cap, below + (below + 1) * (t - cap), below) / rate


def _expm1(t: Tensor) -> Tensor:
    """e^t - 1, whose derivative is e^t far below 0 too: torch's is (e^t - 1) + 1, in float32 nothing below -17."""
    # Each branch is clamped to its own side, so that its slope is finite where the other one counts.
    return torch.where(t < -1, t.clamp(max=-1).exp() - 1, torch.expm1(t.clamp(min=-1)))


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
        # Of the sum: row i is the gradient of output i alone, as long as no layer mixes the samples of a batch.
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
    # Without a root, so that no slope is infinite where the gradient is 0; the square is what R1 and R2 take.
    return input_gradient(discriminator, x).square().flatten(1).sum(1)


def norm(squared: PerSample) -> PerSample:
    """Square root with slope 0 at 0, where a flat discriminator would otherwise give NaN."""
    return squared.clamp_min(1e-30).sqrt()
