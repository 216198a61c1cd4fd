"""Annealed Langevin sampling, from exact and from learned scores of smoothed data: where annealing has its name from.

References:
    Song and Ermon, Generative Modeling by Estimating Gradients of the Data Distribution, NeurIPS 2019, Algorithm 1;
    Improved Techniques for Training Score-Based Generative Models, NeurIPS 2020, Technique 2.
"""

from collections.abc import Callable, Sequence
from math import erf, sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.data.protocol import PointBatch
from ganneal.metrics.mixture import GaussianMixture
from ganneal.theory.descent import descend
from ganneal.weights import Geometric

Stds = Float[Tensor, "n 1"]
ScoreFunction = Callable[[Tensor, Tensor], Tensor]
"""Points ``[n, d]`` and the noise on each ``[n, 1]`` to the gradient of the smoothed log density ``[n, d]``."""


def noise_levels(first: float, last: float, count: int) -> tuple[float, ...]:
    """Standard deviations sigma_1 > ... > sigma_L, geometric.

    >>> noise_levels(1.0, 0.01, 3)
    (1.0, 0.1, 0.01)
    """
    return Geometric(first, last)((1,) * count, 0)


def step_sizes(levels: Sequence[float], eps: float) -> tuple[float, ...]:
    """alpha_i = eps sigma_i²/sigma_L²: the last one is eps, and a step is as long beside the noise at every level."""
    return tuple(eps * (level / levels[-1]) ** 2 for level in levels)


def overlap(dim: int, ratio: float) -> float:
    """Φ(√(2d)(γ - 1) + 3γ) - Φ(√(2d)(γ - 1) - 3γ), how likely noise of one level is seen at the next, γ times less.

    Symbols: d -> ``dim``, γ -> ``ratio`` of neighbouring levels.
    """
    # The norm of noise in many dimensions lies near sigma sqrt(d) with a deviation of sigma / sqrt 2: levels overlap
    # where the shells do.
    shift, width = sqrt(2 * dim) * (ratio - 1), 3 * ratio
    return 0.5 * (erf((shift + width) / sqrt(2)) - erf((shift - width) / sqrt(2)))


def noise_ratio(dim: int, probability: float = 0.5) -> float:
    """The ratio of neighbouring noise levels whose `overlap` is ``probability``, by bisection.

    >>> [round(noise_ratio(3 * side**2), 4) for side in (32, 64, 256)]
    [1.0398, 1.0195, 1.0048]
    """
    if dim < 5:
        raise ValueError(f"dim must be at least 5, got {dim}; below, levels of any ratio overlap by more than a half.")
    if not 0 < probability < overlap(dim, 1.0):
        raise ValueError(f"probability must be above 0 and below {overlap(dim, 1.0):.4f}, got {probability}; use 0.5.")
    low, high = 1.0, 2.0
    # The overlap falls as the ratio grows, so that one doubling too many brackets the root.
    while overlap(dim, high) > probability:
        high *= 2
    # As many halvings as a float64 has binary digits, and a few more.
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if overlap(dim, middle) > probability else (low, middle)
    return (low + high) / 2


def exact_score(mixture: GaussianMixture) -> ScoreFunction:
    """The score of ``mixture`` smoothed by the noise of each point."""

    def score(x: PointBatch, stds: Stds) -> PointBatch:
        result = torch.empty_like(x)
        # Each noise has a smoothed mixture of its own, and a batch has few different ones.
        for std in stds.unique().tolist():
            at = stds[:, 0] == std
            result[at] = mixture.smoothed(std).score(x[at].double()).to(x)
        return result

    return score


class ScoreNetwork(nn.Module):
    """A perceptron of points and of the logarithm of their noise, divided by the noise."""

    def __init__(self, dim: int = 2, width: int = 128):
        super().__init__()
        layers = nn.Linear(dim + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, dim)
        self.net = nn.Sequential(*layers)

    def forward(self, x: PointBatch, stds: Stds) -> PointBatch:
        # A score at noise sigma is of the size 1 / sigma, so the network itself has outputs of one size at all levels.
        # Levels are geometric, so their logarithms are evenly spaced.
        return self.net(torch.cat([x, stds.log()], dim=1)) / stds


def denoising_loss(score: ScoreFunction, x: PointBatch, stds: Stds, noise: PointBatch) -> Float[Tensor, " n"]:
    """½ σ² ‖s(x + σ ε, σ) + ε/σ‖² of each point: least, over the noise, at the score of the smoothed density.

    Symbols: σ -> ``stds``, ε -> ``noise``, s -> ``score``.

    References:
        Vincent, A Connection Between Score Matching and Denoising Autoencoders, 2011; Song and Ermon, 2019, Eq. 5, 6.
    """
    # The target -eps / sigma times sigma is -eps: all levels weigh alike.
    return 0.5 * (stds * score(x + stds * noise, stds) + noise).square().sum(1)


def fit_score(
    points: PointBatch,
    levels: Sequence[float],
    *,
    steps: int = 4_000,
    width: int = 128,
    batch: int = 256,
    seed: int = 0,
) -> ScoreNetwork:
    """A network fitted to the scores of ``points`` smoothed by each of ``levels``: Adam, lr 2e-3 along a cosine."""
    random = torch.Generator().manual_seed(seed)
    # Modules draw their weights from the global generator, which is left as it was.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ScoreNetwork(points.shape[1], width)
    choices = torch.tensor(levels, dtype=torch.float32)[:, None]

    def loss() -> Tensor:
        x = points[torch.randint(len(points), (batch,), generator=random)].float()
        # [batch, 1]: a level for each point, so that one network learns all of them at once.
        stds = choices[torch.randint(len(choices), (batch,), generator=random)]
        return denoising_loss(network, x, stds, torch.randn(x.shape, generator=random)).mean()

    return descend(network, loss, steps)


@torch.no_grad()
def annealed_langevin(
    score: ScoreFunction, start: PointBatch, levels: Sequence[float], *, eps: float, steps: int, random: torch.Generator
) -> list[PointBatch]:
    """Samples after each noise level, from ``start``: ``steps`` times x <- x + ½ α_i s(x, σ_i) + √α_i z.

    Algorithm 1 of 2019. That of 2020 has x + α_i s + √(2 α_i) z, the same step with half the α: give twice its ε.

    Symbols: α_i -> `step_sizes`, σ_i -> ``levels``, ε -> ``eps``, T -> ``steps``.
    """
    x, after = start, []
    for level, alpha in zip(levels, step_sizes(levels, eps), strict=True):
        stds = torch.full((len(x), 1), level, dtype=x.dtype)
        for _ in range(steps):
            z = torch.randn(x.shape, generator=random, dtype=x.dtype)
            # Without the noise this would climb to the modes and stay there.
            # Euler's step of the Langevin diffusion, which rests at the smoothed density up to an error that falls with
            # alpha.
            x = x + 0.5 * alpha * score(x, stds) + sqrt(alpha) * z
        after.append(x)
    return after
