"""Proposition 1: the gradient of the optimal logistic discriminator is the score difference, and no other loss's is."""

from math import log
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from ganneal.losses import LOSSES, Loss
from ganneal.metrics.mixture import GaussianMixture
from ganneal.theory.descent import descend
from ganneal.theory.normals import Normal1D, difference_quotient, nodes, normal_log_ratio
from ganneal.theory.scores import Agreement, agreement, input_gradients, mixture_of, score_difference

PointsOnLine = Float64[Tensor, " n"]

DATA, MODEL = Normal1D(1.0, 0.8), Normal1D(-0.5, 1.3)
"""Setting S1: p_* and p_g on the line."""


def plane() -> tuple[GaussianMixture, GaussianMixture]:
    """Setting S2: p_* and p_g in the plane, normals with full covariances."""
    ones = torch.ones(1, dtype=torch.float64)
    data = torch.tensor([[[0.8, 0.3], [0.3, 0.6]]], dtype=torch.float64)
    model = torch.tensor([[[1.2, -0.4], [-0.4, 0.9]]], dtype=torch.float64)
    means = torch.tensor([[0.8, 0.2], [-0.4, -0.3]], dtype=torch.float64)
    # Weights [1], means [1, 2] and covariances [1, 2, 2] of a mixture of one.
    return GaussianMixture(ones, means[:1], data), GaussianMixture(ones, means[1:], model)


class Parabola(NamedTuple):
    """D(x) = a x² + b x + c."""

    a: float
    b: float
    c: float


def optimum(p: Normal1D, q: Normal1D) -> Parabola:
    """log p/q of two normals on the line.

    >>> [round(value, 6) for value in optimum(DATA, MODEL)]
    [-0.485392, 1.858358, -0.221778]
    """
    a = 0.5 * (1 / q.std**2 - 1 / p.std**2)
    b = p.mean / p.std**2 - q.mean / q.std**2
    c = log(q.std / p.std) - p.mean**2 / (2 * p.std**2) + q.mean**2 / (2 * q.std**2)
    return Parabola(a, b, c)


def closed_form_error() -> float:
    """T1.1: largest difference of 2 a x + b and the score difference on [-4, 4]."""
    x = torch.linspace(-4, 4, 401, dtype=torch.float64)
    best = optimum(DATA, MODEL)
    scores = score_difference(mixture_of(DATA), mixture_of(MODEL), x[:, None]).squeeze(1)
    return (2 * best.a * x + best.b - scores).abs().max().item()


def regression_error(samples: int = 200_000, seed: int = 0) -> float:
    """T1.2: relative L2 error on [-2, 2.5] of the gradient that logistic regression on (x², x, 1) finds."""
    random = torch.Generator().manual_seed(seed)
    real, fake = (n.mean + n.std * torch.randn(samples, generator=random).double() for n in (DATA, MODEL))
    features = [torch.stack([x**2, x, torch.ones_like(x)], dim=1) for x in (real, fake)]
    weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    # Convex in three weights: what is left at the end is the error of the samples.
    optimizer = torch.optim.LBFGS([weights], max_iter=100, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = LOSSES["nonsaturating"].discriminator(features[0] @ weights, features[1] @ weights).mean()
        value.backward()
        return value

    optimizer.step(loss)  # pyright: ignore[reportArgumentType]
    x = torch.linspace(-2, 2.5, 451, dtype=torch.float64)
    a, b, _ = weights.detach()
    best = optimum(DATA, MODEL)
    exact = 2 * best.a * x + best.b
    return ((2 * a * x + b - exact).norm() / exact.norm()).item()


def trained_discriminator(
    p: GaussianMixture, q: GaussianMixture, *, steps: int = 4_000, width: int = 64, seed: int = 0
) -> nn.Module:
    """A 2-64-64-1 softplus perceptron that minimises the logistic loss: Adam, batch 512, lr 2e-3 along a cosine."""
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = nn.Linear(2, width), nn.Softplus(), nn.Linear(width, width), nn.Softplus(), nn.Linear(width, 1)
    network = nn.Sequential(*layers, nn.Flatten(0))

    def loss() -> Tensor:
        real, fake = (density.sample(512, random).float() for density in (p, q))
        return LOSSES["nonsaturating"].discriminator(network(real), network(fake)).mean()

    return descend(network, loss, steps)


def network_agreement(steps: int = 4_000) -> Agreement:
    """T1.3: the trained network's gradient against the score difference, over samples of both; 10 s of one core."""
    p, q = plane()
    network = trained_discriminator(p, q, steps=steps)
    # Other samples than those of training.
    random = torch.Generator().manual_seed(1)
    x = torch.cat([p.sample(2_000, random), q.sample(2_000, random)])
    return agreement(input_gradients(network, x.float()).double(), score_difference(p, q, x))


def pointwise_optimum(loss: Loss, ratio: PointsOnLine, limit: float = 60.0) -> PointsOnLine:
    """The raw outputs that minimise ``loss`` where the log ratio of data and model is ``ratio``, by bisection.

    For a loss that judges real and fake samples apart and is convex in each; ``limit`` where it falls for ever.
    """
    # p/(p + q) and q/(p + q), for only their ratio decides where the minimum lies.
    p, q, zero = ratio.sigmoid(), (-ratio).sigmoid(), torch.zeros_like(ratio)

    def slope(t: Tensor) -> Tensor:
        t = t.clone().requires_grad_()
        # The term at 0 is constant and drops out of the slope.
        value = (p * loss.discriminator(t, zero) + q * loss.discriminator(zero, t)).sum()
        return torch.autograd.grad(value, t)[0]

    low, high = torch.full_like(ratio, -limit), torch.full_like(ratio, limit)
    for _ in range(80):  # to the last digit
        middle = (low + high) / 2
        rising = slope(middle) > 0
        low, high = torch.where(rising, low, middle), torch.where(rising, middle, high)
    return (low + high) / 2


def optimal_slope(loss: Loss, x: PointsOnLine, step: float = 1e-3) -> PointsOnLine:
    """The derivative in x of the pointwise optimum in setting S1, by differences of fourth order."""
    ratio = normal_log_ratio(DATA, MODEL)
    return difference_quotient(lambda t: pointwise_optimum(loss, ratio(x + t)), step)


def _line() -> tuple[PointsOnLine, PointsOnLine]:
    """Points of [-2, 2.5], none at a sign change of log p/q, and the score difference there."""
    x = torch.linspace(-2, 2.5, 46, dtype=torch.float64)
    return x, score_difference(mixture_of(DATA), mixture_of(MODEL), x[:, None]).squeeze(1)


def logistic_slope_error() -> float:
    """The logistic loss's optimum found without knowing it: largest difference of its slope and the scores'."""
    x, scores = _line()
    return (optimal_slope(LOSSES["nonsaturating"], x) - scores).abs().max().item()


def least_squares_slope_error() -> float:
    """T1.4: of LSGAN's optimum, D = p/(p + q), the slope is D (1 - D) times the score difference."""
    x, scores = _line()
    best = normal_log_ratio(DATA, MODEL)(x).sigmoid()
    return (optimal_slope(LOSSES["lsgan"], x) - best * (1 - best) * scores).abs().max().item()


def hinge_slope() -> float:
    """T1.4: the hinge loss's optimum is the sign of p - q, so that its largest slope away from the change is 0."""
    x, _ = _line()
    ratio = normal_log_ratio(DATA, MODEL)(x)
    best = pointwise_optimum(LOSSES["hinge"], ratio)
    return max((best - ratio.sign()).abs().max().item(), optimal_slope(LOSSES["hinge"], x).abs().max().item())


def kantorovich_slope(x: PointsOnLine, p: Normal1D, q: Normal1D) -> PointsOnLine:
    """The slope of WGAN's optimum on the line: the sign of Q(x) - P(x), distribution functions of model and data."""
    below = [torch.special.ndtr((x - n.mean) / n.std) for n in (p, q)]
    return (below[1] - below[0]).sign()


def kantorovich_error() -> float:
    """T1.4: E_p[D] - E_q[D] of the critic of that slope less the Wasserstein distance, by quantiles; slopes are 1."""
    x = nodes(DATA, MODEL, 200_001)
    slope = kantorovich_slope(x, DATA, MODEL)
    # Up to a constant, which cancels: both densities have the mass 1.
    critic = torch.cumulative_trapezoid(slope, x)
    weight = DATA.log_prob(x).exp() - MODEL.log_prob(x).exp()
    # On the line the Wasserstein distance is the mean distance of equal quantiles.
    u = torch.special.ndtri(torch.linspace(0, 1, 2_000_002, dtype=torch.float64)[1:-1])
    distance = ((DATA.mean - MODEL.mean) + (DATA.std - MODEL.std) * u).abs().mean()
    return abs((torch.trapezoid((critic * weight[1:]), x[1:]) - distance).item())


def kantorovich_distance_from_scores() -> float:
    """T1.4: relative L2 distance on [-2, 2.5] of WGAN's slope from the score difference, which it is not."""
    x, scores = _line()
    return ((kantorovich_slope(x, DATA, MODEL) - scores).norm() / scores.norm()).item()
