"""Optimizers by configuration: a frozen dataclass that builds the torch optimizer it describes."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import Parameter

from ganneal.moments import MomentDecays
from ganneal.optim.beta_rules import BETA_RULES
from ganneal.optim.conjugate_gradient import BetaScope, ConjugateGradient, check_options
from ganneal.optim.lr_rules import Constant, LRRule
from ganneal.registry import check_not_negative


class InsideRMSProp(torch.optim.Optimizer):
    """Steps of lr g / √(v + eps), v <- smoothing v + (1 - smoothing) g²; v starts at 0 and is not corrected for it.

    `torch.optim.RMSprop` adds eps after the root instead: the two agree at eps = 0, and there only. A tensor whose
    gradients have all been 0 stays where it is.
    """

    def __init__(self, params: Iterable[Parameter], lr: float, smoothing: float = 0.95, eps: float = 1e-18) -> None:
        check_not_negative(lr=lr, eps=eps)
        _check_decays(smoothing=smoothing)
        # v starts at 0 without correction: the first step is longer by 1 / sqrt(1 - smoothing), 4.5 at 0.95.
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
            # In the parameter's own memory order, as kernels over many tensors want equal strides.
            state["square_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return state["square_avg"]


def _walk(parameters: list[Tensor], averages: list[Tensor], group: dict[str, Any]) -> None:
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    torch._foreach_mul_(averages, group["smoothing"])
    torch._foreach_addcmul_(averages, gradients, gradients, value=1 - group["smoothing"])
    # The root of v + eps, not the root of v plus eps: the two differ most while gradients are small.
    # An eps of 1e-18 under the root bounds steps as one of 1e-9 beside it would.
    roots = torch._foreach_add(averages, group["eps"])
    torch._foreach_sqrt_(roots)
    if group["eps"] == 0:
        for root in roots:  # 0 / 0 where no gradient has ever been
            root.masked_fill_(root == 0, 1.0)
    torch._foreach_addcdiv_(parameters, gradients, roots, value=-group["lr"])


BetaRule = Literal["FR", "PRP", "HS", "DY", "HZ", "FR_PRP", "HS_DY"]
"""The rule of how much a conjugate direction keeps of the one before: five published ones and two hybrids of them."""


@runtime_checkable
class OptimizerConfig(Protocol):
    """One player's optimizer with its learning-rate rule."""

    @property
    def lr(self) -> float:
        """The base learning rate."""
        ...

    @property
    def rule(self) -> LRRule:
        """The factor on ``lr`` as training goes on."""
        ...

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """A fresh optimizer over ``parameters``."""
        ...


def moment_decays(config: OptimizerConfig) -> MomentDecays | None:
    """Decays of the averages by which the optimizer divides a gradient's size out; None where it does not divide.

    Raises:
        ValueError: The configuration does not say which: it has no ``moments``.
    """
    try:
        return config.moments  # type: ignore[attr-defined]
    except AttributeError:
        raise ValueError(
            f"{type(config).__name__} does not say how its steps depend on the size of gradients. Give it a field or "
            "property 'moments': a MomentDecays, or None for steps in proportion to the gradient."
        ) from None


def _check_decays(**decays: float) -> None:
    for name, value in decays.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value}.")


@dataclass(frozen=True)
class Adam:
    """Adam with the hub DCGAN's settings by default; fused where the device offers it.

    References:
        Kingma and Ba, Adam, 2015, Algorithm 1.
    """

    lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    eps: float = 1e-8
    rule: LRRule = Constant()

    def __post_init__(self) -> None:
        check_not_negative(lr=self.lr, eps=self.eps)
        _check_decays(beta1=self.beta1, beta2=self.beta2)

    @property
    def moments(self) -> MomentDecays:
        return MomentDecays(self.beta1, self.beta2)

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        # fused: one kernel for all tensors rather than a loop over a hundred small ones.
        return torch.optim.Adam(parameters, lr=self.lr, betas=(self.beta1, self.beta2), eps=self.eps, fused=True)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, plain or with heavy-ball momentum."""

    lr: float = 1e-2
    momentum: float = 0.0
    rule: LRRule = Constant()
    moments = None

    def __post_init__(self) -> None:
        check_not_negative(lr=self.lr)
        _check_decays(momentum=self.momentum)

    @property
    def unmatched(self) -> str | None:
        """Why steps under a constant weight of the same mass may be longer or shorter in all, if so."""
        return "adds up gradients of several updates, which may agree or not" if self.momentum else None

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        # torch's momentum is v <- momentum v + g, without a factor 1 - momentum: under a constant gradient steps grow
        # by 1 / (1 - momentum).
        return torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, fused=True)


@dataclass(frozen=True)
class RMSProp:
    """RMSProp; ``smoothing`` is the decay of the squared-gradient average.

    References:
        Johnson and Zhang, Composite Functional Gradient Learning of Generative Adversarial Models, 2018: the code has
        ``eps_inside`` and eps 1e-18, here the optimizer `rmsprop-cfg`.
    """

    lr: float = 2.5e-4
    smoothing: float = 0.95
    eps: float = 1e-8
    eps_inside: bool = False
    """Add eps inside the square root; outside it is torch's optimizer."""
    rule: LRRule = Constant()

    def __post_init__(self) -> None:
        check_not_negative(lr=self.lr, eps=self.eps)
        _check_decays(smoothing=self.smoothing)

    @property
    def moments(self) -> MomentDecays:
        return MomentDecays(0.0, self.smoothing)

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        if self.eps_inside:
            return InsideRMSProp(parameters, lr=self.lr, smoothing=self.smoothing, eps=self.eps)
        return torch.optim.RMSprop(parameters, lr=self.lr, alpha=self.smoothing, eps=self.eps, foreach=True)


@dataclass(frozen=True)
class CG:
    """Conjugate-gradient steps, :class:`~ganneal.optim.ConjugateGradient`; ``beta_min=0`` keeps each beta >= 0.

    References:
        Naganuma and Iiduka, Conjugate Gradient Method for Generative Adversarial Networks, AISTATS 2023.
    """

    lr: float = 1e-3
    beta_rule: BetaRule = "FR"
    beta_coeff: float = 1.0
    mu: float = 2.0
    beta_max: float | None = 0.5
    beta_min: float | None = None
    beta_scope: BetaScope = "tensor"
    restart_tol: float = 1e-12
    weight_decay: float = 0.0
    rule: LRRule = Constant()
    moments = None

    def __post_init__(self) -> None:
        check_not_negative(lr=self.lr)
        check_options(asdict(self) | {"compat": None})

    @property
    def unmatched(self) -> str | None:
        """Why steps under a constant weight of the same mass may be longer or shorter in all, if so."""
        if self.beta_min is not None or not BETA_RULES[self.beta_rule].unbounded:
            return None
        return "has no lower bound on beta (--g-optimizer.beta-min), and its steps may be of any length"

    def build(self, parameters: Iterable[Parameter]) -> ConjugateGradient:
        # The fields are named as the optimizer's options; the rule is the engine's business.
        options = {name: value for name, value in vars(self).items() if name != "rule"}
        return ConjugateGradient(parameters, **options)


OPTIMIZERS: dict[str, OptimizerConfig] = {
    "adam": Adam(),
    "sgd": SGD(),
    "rmsprop": RMSProp(),
    "rmsprop-cfg": RMSProp(eps=1e-18, eps_inside=True),
    "cg": CG(),
}
"""Optimizers by name."""
