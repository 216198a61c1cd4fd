"""Methods of a player: optimizers of torch and conjugate-gradient rules by configuration, and other vectors to
follow."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, overload, runtime_checkable

import torch
from torch.nn import Parameter

from ganneal.optim import CG, SGD, Adam
from ganneal.registry import check_not_negative
from ganneal.theory.games.problems import Game, Vector

PlayerPoints = tuple[Vector, Vector]
"""One vector for x and one for y."""


@runtime_checkable
class Method(Protocol):
    """A method that moves one player; every `optim.OptimizerConfig` is one."""

    @property
    def lr(self) -> float:
        """The learning rate."""
        ...

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        """A fresh optimizer over ``parameters``."""
        ...


@runtime_checkable
class Redirected(Protocol):
    """A method whose steps follow other vectors than the players' gradients."""

    def followed(self, game: Game, points: PlayerPoints, rates: tuple[float, float]) -> PlayerPoints:
        """The vectors that the players' steps follow at ``points``, for the learning rates ``rates``."""
        ...


@dataclass(frozen=True)
class Extragradient:
    """Gradient steps with the gradient of one step ahead: x − lr g(x − lr g(x, y), y − lr g(x, y)).

    References:
        Korpelevich, The extragradient method for finding saddle points and other problems, 1976.
    """

    lr: float = 0.1

    def __post_init__(self) -> None:
        check_not_negative(lr=self.lr)

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def followed(self, game: Game, points: PlayerPoints, rates: tuple[float, float]) -> PlayerPoints:
        here = game.gradients(*points)
        # The step itself is made from the old point: the look ahead only lends its gradient.
        return game.gradients(*(point - lr * g for point, lr, g in zip(points, rates, here, strict=True)))


@dataclass(frozen=True)
class Consensus:
    """Gradient steps on each loss plus γ ½(‖g_x‖² + ‖g_y‖²), which pulls both players to where no gradient is left.

    Symbols: g_x, g_y -> the players' gradients, γ -> ``gamma``. The sum is differentiated through both gradients.

    References:
        Mescheder et al., The Numerics of GANs, NeurIPS 2017, Algorithm 1.
    """

    lr: float = 0.1
    gamma: float = 0.5

    def __post_init__(self) -> None:
        check_not_negative(lr=self.lr, gamma=self.gamma)

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=self.lr)

    def followed(self, game: Game, points: PlayerPoints, rates: tuple[float, float]) -> PlayerPoints:
        with torch.enable_grad():
            # Both are differentiated, for the gradient of one player depends on the other.
            x, y = (point.detach().requires_grad_() for point in points)
            of_x, of_y = game.losses(x, y)
            own = [torch.autograd.grad(loss, at, create_graph=True)[0] for loss, at in ((of_x, x), (of_y, y))]
            # Its gradient needs second derivatives, hence create_graph above.
            left = 0.5 * torch.cat(own).square().sum()
            # Where no gradient depends on a player, its pull is 0 and not None.
            pulls = torch.autograd.grad(left, (x, y), materialize_grads=True)
        g_x, g_y = (g.detach() + self.gamma * pull for g, pull in zip(own, pulls, strict=True))
        return g_x, g_y


class OptimisticGradient(torch.optim.Optimizer):
    """Steps along the extrapolated gradient 2 g_n − g_{n−1}, the first along g_0.

    References:
        Daskalakis et al., Training GANs with Optimism, ICLR 2018, equation (6); Popov, 1980.
    """

    def __init__(self, params: Iterable[Parameter], lr: float = 1e-3):
        check_not_negative(lr=lr)
        super().__init__(params, {"lr": lr})

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of every tensor that has a gradient. Returns the closure's value."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                # At the first step 2 g - g is g.
                before = self.state[parameter].get("prev_grad", parameter.grad)
                parameter.add_(2 * parameter.grad - before, alpha=-group["lr"])
                # A copy: the next gradient may be written into the same memory.
                self.state[parameter]["prev_grad"] = parameter.grad.clone()
        return loss


@dataclass(frozen=True)
class Optimistic:
    """:class:`OptimisticGradient` by configuration."""

    lr: float = 0.1

    def __post_init__(self) -> None:
        check_not_negative(lr=self.lr)

    def build(self, parameters: Iterable[Parameter]) -> torch.optim.Optimizer:
        return OptimisticGradient(parameters, lr=self.lr)


METHODS: dict[str, Method] = {
    "sgd": SGD(lr=0.1),
    "momentum": SGD(lr=0.1, momentum=0.5),
    "adam": Adam(lr=0.02),
    "extragradient": Extragradient(),
    "optimistic": Optimistic(),
    "consensus": Consensus(),
    "fr": CG(lr=0.1, beta_rule="FR"),
    "prp": CG(lr=0.1, beta_rule="PRP"),
    "hs": CG(lr=0.1, beta_rule="HS"),
    "dy": CG(lr=0.1, beta_rule="DY"),
    "hz": CG(lr=0.1, beta_rule="HZ"),
    "fr-prp": CG(lr=0.1, beta_rule="FR_PRP"),
    "hs-dy": CG(lr=0.1, beta_rule="HS_DY"),
}
"""Methods by name: gradient steps, heavy ball, Adam, two lookaheads, consensus, and seven conjugate-gradient rules."""
