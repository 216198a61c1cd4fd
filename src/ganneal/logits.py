"""Arithmetic on raw outputs: in at least float32, and without overflow or cancellation that can be avoided."""

import torch
import torch.nn.functional as F
from torch import Tensor


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
    below = _expm1(t.clamp(max=cap))
    return torch.where(t > cap, below + (below + 1) * (t - cap), below) / rate


def _expm1(t: Tensor) -> Tensor:
    """e^t - 1, whose derivative is e^t far below 0 too: torch's is (e^t - 1) + 1, in float32 nothing below -17."""
    return torch.where(t < -1, t.clamp(max=-1).exp() - 1, torch.expm1(t.clamp(min=-1)))
