"""RMSProp with its small constant inside the square root, as functional-gradient codes have it."""

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter


class InsideRMSProp(torch.optim.Optimizer):
    """Steps of lr g / √(v + eps), v <- smoothing v + (1 - smoothing) g²; v starts at 0 and is not corrected for it.

    `torch.optim.RMSprop` adds eps after the root instead: the two agree at eps = 0, and there only. A tensor whose
    gradients have all been 0 stays where it is.
    """

    def __init__(self, params: Iterable[Parameter], lr: float, smoothing: float = 0.95, eps: float = 1e-18) -> None:
        for name, value in {"lr": lr, "eps": eps}.items():
            if not (isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number >= 0, got {value}.")
        if not 0 <= smoothing < 1:
            raise ValueError(f"smoothing must be at least 0 and below 1, got {smoothing}.")
        super().__init__(params, dict(lr=lr, smoothing=smoothing, eps=eps))

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of every tensor that has a gradient; the others keep their state. Returns the closure's value."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            parameters = [p for p in group["params"] if p.grad is not None]
            if parameters:
                _walk(parameters, [self._average(p) for p in parameters], group)
        return loss

    def _average(self, parameter: Tensor) -> Tensor:
        """The running mean of squared gradients, 0 at first."""
        state = self.state[parameter]
        if not state:
            state["square_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state["square_avg"]


def _walk(parameters: list[Tensor], averages: list[Tensor], group: dict[str, Any]) -> None:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    torch._foreach_mul_(averages, group["smoothing"])
    torch._foreach_addcmul_(averages, gradients, gradients, value=1 - group["smoothing"])
    # The root of v + eps, not the root of v plus eps: the two differ most while gradients are small.
    roots = torch._foreach_add(averages, group["eps"])
    torch._foreach_sqrt_(roots)
    if group["eps"] == 0:
        for root in roots:  # 0 / 0 where no gradient has ever been
            root.masked_fill_(root == 0, 1.0)
    torch._foreach_addcdiv_(parameters, gradients, roots, value=-group["lr"])
