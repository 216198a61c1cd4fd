"""An optimizer whose steps are as long as those it would make under the weights of another schedule."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from ganneal.optim.lr_rules import LRRule
from ganneal.optim.optimizers import CG
from ganneal.weights import Geometric, Weights

MEMORY = 0.9
"""Decay of the lengths over rounds: about ten of them decide the scale."""


class Paced(torch.optim.Optimizer):
    """Steps of ``real``, scaled to the length of those of ``shadow``, which sees each gradient times a factor.

    The shadow starts each of its steps from the real weights, and remembers its own gradients and directions. The scale
    is the ratio of both lengths over the rounds before. In the first round each step has the shadow's own length.

    Args:
        real: Optimizer of the parameters.
        shadow: Another one like it, of copies of the parameters in the same order.
        factors: Factor of each gradient within a round.
    """

    def __init__(self, real: torch.optim.Optimizer, shadow: torch.optim.Optimizer, factors: tuple[float, ...]):
        self.real, self.shadow, self.factors = real, shadow, factors
        # A torch optimizer to the engine, which sets rates on the groups and saves the state, but all work is the other
        # two's.
        super().__init__(real.param_groups, {})
        self.param_groups = real.param_groups  # a rate that is set on one is set on both
        self.made, self.scale = 0, 1.0
        self.lengths = torch.zeros(4, dtype=torch.float64)
        """Lengths of the steps before this round and of those within it, the real ones' first."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step along ``real``'s direction."""
        assert closure is None
        parameters = [p for group in self.real.param_groups for p in group["params"]]
        copies = [p for group in self.shadow.param_groups for p in group["params"]]
        # Kept, as both optimizers move their parameters in place.
        before = [p.detach().clone() for p in parameters]
        factor = self.factors[self.made % len(self.factors)]
        for parameter, copy in zip(parameters, copies, strict=True):
            copy.copy_(parameter)
            # A weight on the loss multiplies the gradient, so the shadow sees what the other schedule would have given
            # it.
            copy.grad = None if parameter.grad is None else parameter.grad * factor
        for ours, theirs in zip(self.real.param_groups, self.shadow.param_groups, strict=True):
            theirs["lr"] = ours["lr"]  # the rate of the moment, which the engine sets on the real one alone
        self.shadow.step()
        self.real.step()
        scale = self._noted(_length(before, parameters), _length(before, copies))
        for parameter, start in zip(parameters, before, strict=True):
            # Along the way from the old point to the new one, beyond it where the scale is above 1.
            parameter.copy_(start.lerp(parameter, scale))

    def _noted(self, real: float, shadow: float) -> float:
        """The scale of this step, whose lengths go into that of the rounds to come."""
        # In the first round there is no scale of rounds before: each step is matched by itself.
        scale = _ratio(shadow, real) if self.made < len(self.factors) else self.scale
        self.made += 1
        # Part of the state dict: a resumed run goes on in the middle of a round.
        self.lengths[2:] += torch.tensor([real, shadow], dtype=torch.float64)
        if self.made % len(self.factors) == 0:
            self.lengths[:2] = MEMORY * self.lengths[:2] + self.lengths[2:]
            self.lengths[2:] = 0
            before, after = self.lengths[:2].tolist()
            self.scale = _ratio(after, before)
        return scale

    def state_dict(self) -> dict[str, Any]:
        """The states of both optimizers and the lengths."""
        copies = {"real": self.real.state_dict(), "shadow": self.shadow.state_dict()}
        return copies | {"made": self.made, "scale": self.scale, "lengths": self.lengths.clone()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.real.load_state_dict(state_dict["real"])
        self.shadow.load_state_dict(state_dict["shadow"])
        self.param_groups = self.real.param_groups
        self.made, self.scale = state_dict["made"], state_dict["scale"]
        self.lengths = state_dict["lengths"].clone()


def _length(before: list[Tensor], after: list[Parameter]) -> float:
    current: list[Tensor] = list(after)
    # One length over all tensors. Reading it waits for the device once a step, which a control may cost.
    return float(torch.stack(torch._foreach_norm(torch._foreach_sub(current, before))).norm())


def _ratio(above: float, below: float) -> float:
    return above / below if below else 1.0


@dataclass(frozen=True)
class PacedCG:
    """Conjugate gradients under a constant weight, walking as far as under the weights of a nested schedule.

    A rule for beta compares two gradients, so a weight that changes between them acts on the length of steps beyond its
    mean. Made for the control `matched-constant`.
    """

    optimizer: CG = CG()
    levels: int = 5
    weights: Weights = Geometric()
    moments = None

    @property
    def lr(self) -> float:
        return self.optimizer.lr

    @property
    def rule(self) -> LRRule:
        return self.optimizer.rule

    @property
    def factors(self) -> tuple[float, ...]:
        """Weight of each generator update in a round over their mean."""
        counts = range(1, self.levels + 1)
        # Level j of a nested round makes j generator updates under one weight.
        own = [w for count, w in zip(counts, self.weights(counts, 0), strict=True) for _ in range(count)]
        mean = sum(own) / len(own)
        return tuple(weight / mean for weight in own)

    def build(self, parameters: Iterable[Parameter]) -> Paced:
        own = list(parameters)
        copies = [Parameter(parameter.detach().clone()) for parameter in own]
        return Paced(self.optimizer.build(own), self.optimizer.build(copies), self.factors)
