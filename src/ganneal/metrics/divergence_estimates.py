"""The Kullback-Leibler divergence without a grid: closed form, through an invertible generator, from neighbours."""

from collections.abc import Callable
from dataclasses import dataclass
from math import log, pi, sqrt

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.func import jacrev, vmap

from ganneal.data.protocol import PointBatch
from ganneal.metrics.distances import nearest_distances
from ganneal.metrics.moments import Features, checked_features

LogDensity = Callable[[PointBatch], Float[Tensor, " n"]]

_CHUNK = 1000


@dataclass(frozen=True)
class EstimatedKL:
    """An average over samples, in nats, with its standard error."""

    value: float
    standard_error: float


def gaussian_kl(
    mean: Float[Tensor, " d"],
    covariance: Float[Tensor, "d d"],
    target_mean: Float[Tensor, " d"],
    target_covariance: Float[Tensor, "d d"],
) -> float:
    r"""Divergence :math:`KL(N(\mu, \Sigma) \| N(\mu', \Sigma'))` in nats.

    >>> one = torch.ones(1, 1)
    >>> round(gaussian_kl(torch.ones(1), one / 4, torch.zeros(1), one), 7)
    0.8181472
    """
    root, target_root = _root("covariance", covariance), _root("target_covariance", target_covariance)
    shift = (target_mean - mean).cpu().double()
    # With Cholesky factors the trace and the quadratic form are one sum of squares, over [d, d + 1], and no
    # matrix is inverted.
    scaled = torch.linalg.solve_triangular(target_root, torch.cat([root, shift[:, None]], dim=1), upper=False)
    log_volumes = (target_root.diagonal().log() - root.diagonal().log()).sum()
    return float(0.5 * (scaled.square().sum() - len(shift)) + log_volumes)


def _root(name: str, covariance: Float[Tensor, "d d"]) -> Float64[Tensor, "d d"]:
    given = covariance.detach().cpu().double()
    root, failed = torch.linalg.cholesky_ex(given)
    if failed or not torch.allclose(given, given.T, rtol=1e-9, atol=0):
        raise ValueError(f"{name} must be symmetric and positive definite; without a width the divergence is infinite.")
    return root


def standard_normal_log_prob(latents: PointBatch) -> Float[Tensor, " n"]:
    """Log density of the standard normal distribution, in nats."""
    return -0.5 * latents.square().sum(dim=1) - 0.5 * latents.shape[1] * log(2 * pi)


def pushforward_log_prob(
    generator: Callable[[PointBatch], PointBatch],
    latents: PointBatch,
    *,
    log_prior: LogDensity = standard_normal_log_prob,
) -> tuple[Float64[Tensor, "n d"], Float64[Tensor, " n"]]:
    r"""Samples :math:`G(z)` and their log density :math:`\ln \pi(z) - \frac{1}{2} \ln \det J^\top J`.

    Args:
        generator: Invertible, which is not checked: where several latents meet in one sample the density of only
            one of them is counted. Samples may not depend on each other: batch normalisation in evaluation mode.
        log_prior: Log density of the latents.
    Raises:
        ValueError: Samples have another dimension than latents, or the generator is flat at some of them.
    """
    # Checked in float64 and given on in the type and on the device of the latents, as the generator expects them.
    given = checked_features("latents", latents).to(latents)
    with torch.no_grad():
        samples = generator(given)
        if samples.shape != given.shape:
            raise ValueError(
                f"generator must keep the latents' shape {list(given.shape)}, got {list(samples.shape)}; a density "
                f"in d dimensions needs as many latents, use knn_divergence or binned_divergence."
            )
        # reverse mode: as cheap as forward for square Jacobians, and forward raises a deprecation in torch 2.13
        jacobians = vmap(jacrev(lambda z: generator(z[None])[0]), chunk_size=_CHUNK)(given)
        # Change of variables: ln q(G(z)) = ln pi(z) - ln |det J(z)|.
        log_volumes = torch.linalg.slogdet(jacobians.cpu().double()).logabsdet
        log_density = log_prior(given).cpu().double() - log_volumes
    flat = int((~log_volumes.isfinite()).sum())
    if flat:
        raise ValueError(f"generator must be invertible, its derivative is singular at {flat} of {len(given)} latents.")
    return samples.cpu().double(), log_density


def pushforward_kl(
    generator: Callable[[PointBatch], PointBatch],
    latents: PointBatch,
    *,
    log_target: LogDensity,
    log_prior: LogDensity = standard_normal_log_prob,
) -> EstimatedKL:
    """Divergence of an invertible generator's distribution from a target with known density.

    Unbiased: the mean of ln q - ln p over the latents, which are drawn from ``log_prior``. See
    `pushforward_log_prob` for what the generator must be.

    >>> latents = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    >>> result = pushforward_kl(lambda z: 1 + z / 2, latents, log_target=standard_normal_log_prob)
    >>> round(result.value, 7)
    0.8181472
    """
    if len(latents) < 2:
        raise ValueError(f"latents must have at least 2 rows, got {len(latents)}; give more.")
    samples, log_density = pushforward_log_prob(generator, latents, log_prior=log_prior)
    # ln q - ln p at samples of q: its mean is the divergence, whatever the sample size.
    differences = log_density - log_target(samples).detach().cpu().double()
    bad = int((~differences.isfinite()).sum())
    if bad:
        raise ValueError(f"log_target must be finite at every sample, got {bad} of {len(differences)} that are not.")
    return EstimatedKL(float(differences.mean()), float(differences.std()) / sqrt(len(differences)))


def knn_divergence(x: Features, y: Features, *, k: int = 5) -> float:
    r"""Estimate of the divergence of the distribution of ``x`` from that of ``y``, from distances to neighbours.

    .. math:: \frac{d}{n} \sum_i \ln \frac{\nu_k(i)}{\rho_k(i)} + \ln \frac{m}{n - 1}

    Here rho is the distance of x_i to its k-th neighbour among the other x and nu that among y. To be called ``knn``
    in tables: it is biased, more so in many dimensions, far too low where ``x`` reaches beyond ``y``, and may be
    negative.

    Args:
        x: Samples [n, d] of the first distribution: the generated ones for the direction model to target.
        y: Samples [m, d] of the second.
    References:
        Wang et al., Divergence Estimation for Multidimensional Densities via k-Nearest-Neighbor Distances, IEEE
        Transactions on Information Theory 55(5), 2009.
    """
    first, second = checked_features("x", x), checked_features("y", y)
    (n, d), m = first.shape, len(second)
    if second.shape[1] != d:
        raise ValueError(f"x and y must have the same d, got d={d} and d={second.shape[1]}.")
    if not 1 <= k <= min(n - 1, m):
        raise ValueError(f"k must be between 1 and {min(n - 1, m)}, got {k}; x has {n} rows and y {m}.")
    within = nearest_distances(first, first, k=k, exclude_self=True)[0][:, -1]  # [n]
    across = nearest_distances(first, second, k=k)[0][:, -1]  # [n]
    for name, distances in (("x", within), ("y", across)):
        copies = int((distances == 0).sum())
        if copies:
            raise ValueError(
                f"x must not be {k} or more times in {name} again, got {copies} rows that are; samples that repeat "
                f"have no density: take continuous ones or a larger k."
            )
    # Volumes of balls cancel but for their radii to the power d; n - 1, as a sample is no neighbour of its own.
    return d * float((across / within).log().mean()) + log(m / (n - 1))
