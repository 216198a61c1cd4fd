"""Two-player games whose equilibrium is known: each player minimises its own loss in its own coordinates.

x is the first player (a generator), y the second (a discriminator); both are float64 vectors of equal length.
"""

from dataclasses import dataclass, field
from math import isfinite
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.losses import LOSSES, Loss

Vector = Float64[Tensor, " n"]
Scalar = Float64[Tensor, ""]


@runtime_checkable
class Game(Protocol):
    """Losses of both players, their gradients, where play starts and where it should end."""

    @property
    def suggested_lr(self) -> float:
        """A learning rate at which gradient steps neither stand still nor jump."""
        ...

    @property
    def start(self) -> tuple[Vector, Vector]:
        """Starting point of play."""
        ...

    @property
    def equilibrium(self) -> tuple[Vector, Vector]:
        """The local Nash equilibrium: both gradients are 0 there. The origin, unless a game says otherwise."""
        x, y = self.start
        return torch.zeros_like(x), torch.zeros_like(y)

    def losses(self, x: Vector, y: Vector) -> tuple[Scalar, Scalar]:
        """The loss of x and the loss of y."""
        ...

    def gradients(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        """Gradients of x's loss in x and of y's loss in y."""
        ...


def _filled(value: float, size: int = 1) -> Vector:
    return torch.full((size,), value, dtype=torch.float64)


def _check_finite(**values: float) -> None:
    for name, value in values.items():
        if not isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}.")


@dataclass(frozen=True)
class Toy(Game):
    """f(x, y) = (1 + x²)(100 − y²), x minimises, y maximises; saddle at the origin, of value 100.

    The curvatures are 200 for x and 2 for y: x arrives long before y.

    References:
        Naganuma and Iiduka, Conjugate Gradient Method for Generative Adversarial Networks, AISTATS 2023.
    """

    start_x: float = 2.0
    start_y: float = -4.0

    def __post_init__(self) -> None:
        _check_finite(start_x=self.start_x, start_y=self.start_y)

    @property
    def suggested_lr(self) -> float:
        return 5e-5

    @property
    def start(self) -> tuple[Vector, Vector]:
        return _filled(self.start_x), _filled(self.start_y)

    def losses(self, x: Vector, y: Vector) -> tuple[Scalar, Scalar]:
        value = ((1 + x.square()) * (100 - y.square())).sum()
        return value, -value

    def gradients(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        # y's own loss is -f, so its gradient is 2 y (1 + x²): descent on it brings y to 0.
        return 2 * x * (100 - y.square()), 2 * y * (1 + x.square())


@dataclass(frozen=True)
class Bilinear(Game):
    """f(x, y) = Σ c_i x_i y_i, c the couplings, as many coordinates for each player: rotation about 0, nothing else."""

    couplings: tuple[float, ...] = (1.0,)
    start_x: float = 1.0
    start_y: float = 1.0

    def __post_init__(self) -> None:
        _check_finite(start_x=self.start_x, start_y=self.start_y)
        if not self.couplings or not all(isfinite(c) and c != 0 for c in self.couplings):
            raise ValueError(
                f"couplings must be one or more finite numbers other than 0, got {self.couplings}; "
                f"where one is 0 every point is an equilibrium."
            )

    @property
    def suggested_lr(self) -> float:
        # At most a tenth of a radian about the equilibrium in each step, whatever the couplings.
        return 0.1 / max(map(abs, self.couplings))

    @property
    def start(self) -> tuple[Vector, Vector]:
        return _filled(self.start_x, len(self.couplings)), _filled(self.start_y, len(self.couplings))

    def losses(self, x: Vector, y: Vector) -> tuple[Scalar, Scalar]:
        value = (torch.tensor(self.couplings, dtype=torch.float64) * x * y).sum()
        return value, -value

    def gradients(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        c = torch.tensor(self.couplings, dtype=torch.float64)
        # y maximises f, so its own loss is -f: both gradients are of what the player minimises.
        return c * y, -c * x


@dataclass(frozen=True)
class Quadratic(Game):
    """f(x, y) = Σ h_i x_i²/2 + coupling x_i y_i − h_i y_i²/2, h the curvatures: as many coordinates for each player.

    Strongly convex in x and strongly concave in y, with the equilibrium 0. Every coordinate starts alike.
    """

    curvatures: tuple[float, ...] = (1.0,)
    coupling: float = 2.0
    start_x: float = 1.0
    start_y: float = 1.0

    def __post_init__(self) -> None:
        _check_finite(coupling=self.coupling, start_x=self.start_x, start_y=self.start_y)
        if not self.curvatures or not all(isfinite(h) and h > 0 for h in self.curvatures):
            raise ValueError(f"curvatures must be one or more finite numbers above 0, got {self.curvatures}.")

    @property
    def suggested_lr(self) -> float:
        return 0.2 / (max(self.curvatures) + abs(self.coupling))

    @property
    def start(self) -> tuple[Vector, Vector]:
        return _filled(self.start_x, len(self.curvatures)), _filled(self.start_y, len(self.curvatures))

    def losses(self, x: Vector, y: Vector) -> tuple[Scalar, Scalar]:
        h = torch.tensor(self.curvatures, dtype=torch.float64)
        value = (h * (x.square() - y.square()) / 2 + self.coupling * x * y).sum()
        return value, -value

    def gradients(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        h = torch.tensor(self.curvatures, dtype=torch.float64)
        # The coupling has opposite signs, which is what makes the players turn about the equilibrium.
        return h * x + self.coupling * y, h * y - self.coupling * x


@dataclass(frozen=True)
class DiracGAN(Game):
    """The smallest GAN: all data at 0, the generator's one sample at x, the discriminator D(s) = y s.

    With any loss of the library, and the R1 penalty r1/2 |D'(0)|² = r1/2 y² on the discriminator. For every loss
    (0, 0) is stationary; its gradients are by automatic differentiation, exact to rounding.

    References:
        Mescheder et al., Which Training Methods for GANs do actually Converge?, ICML 2018, section 2.
    """

    loss: Loss = field(default_factory=lambda: LOSSES["minimax"])
    r1: float = 0.0
    start_x: float = 1.0
    start_y: float = 1.0

    def __post_init__(self) -> None:
        _check_finite(r1=self.r1, start_x=self.start_x, start_y=self.start_y)
        if self.r1 < 0:
            raise ValueError(f"r1 must be at least 0, got {self.r1}; 0 is no penalty.")

    @property
    def suggested_lr(self) -> float:
        return 0.2

    @property
    def start(self) -> tuple[Vector, Vector]:
        return _filled(self.start_x), _filled(self.start_y)

    def losses(self, x: Vector, y: Vector) -> tuple[Scalar, Scalar]:
        # D(0) = 0 for every y: the real output never changes, and only x tells the players apart.
        real, fake = torch.zeros_like(x), y * x
        penalty = self.r1 / 2 * y.square().sum()
        return self.loss.generator(fake, real).sum(), self.loss.discriminator(real, fake).sum() + penalty

    def gradients(self, x: Vector, y: Vector) -> tuple[Vector, Vector]:
        with torch.enable_grad():
            x, y = x.detach().requires_grad_(), y.detach().requires_grad_()
            of_x, of_y = self.losses(x, y)
            # The two losses share a graph, as both contain D(x) = y x.
            return torch.autograd.grad(of_x, x, retain_graph=True)[0], torch.autograd.grad(of_y, y)[0]


GAMES: dict[str, Game] = {
    "toy": Toy(),
    "bilinear": Bilinear(),
    "quadratic": Quadratic(),
    "dirac-gan": DiracGAN(),
}
"""Games by name."""
