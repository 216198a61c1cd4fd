"""Gaussian mixtures in the plane: data whose density, score and modes are known exactly."""

from dataclasses import dataclass
from math import log, pi

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.data.protocol import Dataset, PointBatch
from ganneal.registry import check_at_least_one


@dataclass(frozen=True)
class Mixture:
    """Equal mixture of isotropic Gaussians with one standard deviation.

    ``means`` has shape ``[modes, dim]``.
    """

    means: Tensor
    std: float

    def log_prob(self, x: PointBatch) -> Float[Tensor, " n"]:
        """Log density of the mixture at ``x``, in nats."""
        modes, dim = self.means.shape
        # [n, modes]
        squared = (x[:, None, :] - self.means.to(x)).square().sum(2)
        normaliser = dim * (log(self.std) + 0.5 * log(2 * pi)) + log(modes)
        # In logarithms: far from all modes every density underflows.
        return torch.logsumexp(-squared / (2 * self.std**2), dim=1) - normaliser

    def score(self, x: PointBatch) -> PointBatch:
        """Gradient of the log density in ``x``."""
        # [n, modes, dim]
        difference = self.means.to(x) - x[:, None, :]
        # How likely each mode has made x; the score is the mean pull towards the modes under these shares.
        share = torch.softmax(-difference.square().sum(2) / (2 * self.std**2), dim=1)
        return (share[:, :, None] * difference).sum(1) / self.std**2

    def sample(self, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """``count`` points, float32 ``[count, dim]``, and the mode each came from, int64 ``[count]``."""
        random = np.random.default_rng(seed)
        modes = random.integers(len(self.means), size=count)
        noise = random.standard_normal((count, self.means.shape[1]))
        # In float64, rounded to float32 once at the end.
        points = self.means.numpy()[modes] + self.std * noise
        return points.astype(np.float32), modes.astype(np.int64)


def _dataset(name: str, mixture: Mixture, num_samples: int, seed: int) -> Dataset:
    points, modes = mixture.sample(num_samples, seed)
    description = {"name": name, "count": num_samples, "licence": "synthetic, none needed"}
    return Dataset(points, modes, len(mixture.means), description)


def _check(std: float, num_samples: int, **counts: int) -> None:
    # Not `<= 0`, which NaN would pass.
    if not std > 0:
        raise ValueError(f"std must be above 0, got {std}.")
    check_at_least_one(num_samples=num_samples, **counts)


@dataclass(frozen=True)
class Ring:
    """Modes evenly spaced on a circle; labels are the modes."""

    modes: int = 8
    radius: float = 1.0
    std: float = 0.05
    num_samples: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.std, self.num_samples, modes=self.modes)

    @property
    def mixture(self) -> Mixture:
        """The exact density."""
        angles = torch.arange(self.modes, dtype=torch.float64) * (2 * pi / self.modes)
        return Mixture(self.radius * torch.stack([angles.cos(), angles.sin()], dim=1), self.std)

    def load(self) -> Dataset:
        return _dataset("ring", self.mixture, self.num_samples, self.seed)


@dataclass(frozen=True)
class Grid:
    """``side`` x ``side`` modes on a square grid centred at the origin; labels are the modes."""

    side: int = 5
    spacing: float = 0.5
    std: float = 0.025
    num_samples: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.std, self.num_samples, side=self.side)

    @property
    def mixture(self) -> Mixture:
        """The exact density."""
        # Symmetric about 0, so that the mixture has mean 0.
        ticks = (torch.arange(self.side, dtype=torch.float64) - (self.side - 1) / 2) * self.spacing
        return Mixture(torch.cartesian_prod(ticks, ticks), self.std)

    def load(self) -> Dataset:
        return _dataset("grid", self.mixture, self.num_samples, self.seed)


@dataclass(frozen=True)
class Gaussian:
    """One isotropic Gaussian in the plane."""

    mean: tuple[float, float] = (0.0, 0.0)
    std: float = 1.0
    num_samples: int = 50_000
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.std, self.num_samples)

    @property
    def mixture(self) -> Mixture:
        """The exact density."""
        return Mixture(torch.tensor([self.mean], dtype=torch.float64), self.std)

    def load(self) -> Dataset:
        return _dataset("gaussian", self.mixture, self.num_samples, self.seed)
