"""Samples against a Gaussian mixture that is known exactly: quality, modes and their shares."""

from dataclasses import dataclass
from math import log, pi

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from ganneal.data.sources.toys import Mixture
from ganneal.metrics.moments import Features, checked_features

# VEEGAN's three standard deviations, measured along each component's own axes.
_HIGH_QUALITY = 3.0
"""Largest Mahalanobis distance to the nearest component of a sample that counts as good."""
_ROBUST_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    r"""The density :math:`\sum_k w_k N(\mu_k, \Sigma_k)`, in float64 on the CPU."""

    weights: Float64[Tensor, " modes"]
    means: Float64[Tensor, "modes d"]
    covariances: Float64[Tensor, "modes d d"]

    def __post_init__(self) -> None:
        modes, d = self.means.shape
        if self.weights.shape != (modes,) or self.covariances.shape != (modes, d, d):
            raise ValueError(
                f"weights, means and covariances must have shapes [modes], [modes, d] and [modes, d, d], got "
                f"{list(self.weights.shape)}, {[modes, d]} and {list(self.covariances.shape)}."
            )
        if not (self.weights.min() > 0 and abs(float(self.weights.sum()) - 1) < 1e-9):
            raise ValueError("weights must be above 0 and sum to 1; divide them by their sum.")
        if not self.means.isfinite().all():
            raise ValueError("means must be finite, got NaN or infinity.")
        if (
            not torch.equal(self.covariances, self.covariances.mT)
            or torch.linalg.cholesky_ex(self.covariances)[1].any()
        ):
            raise ValueError("covariances must be symmetric and positive definite; a component needs a width.")

    @staticmethod
    def isotropic(
        means: Float[Tensor, "modes d"],
        std: float | Float[Tensor, " modes"],
        weights: Float[Tensor, " modes"] | None = None,
    ) -> "GaussianMixture":
        """Components that are equally wide in all directions, of equal weight where none is given."""
        modes, d = means.shape
        variances = torch.as_tensor(std, dtype=torch.float64).square().expand(modes)
        shares = torch.full((modes,), 1 / modes, dtype=torch.float64) if weights is None else weights.cpu().double()
        return GaussianMixture(
            shares, means.cpu().double(), variances[:, None, None] * torch.eye(d, dtype=torch.float64)
        )

    @staticmethod
    def of(mixture: "GaussianMixture | Mixture") -> "GaussianMixture":
        """The mixture itself, or that of a toy data set such as ``Ring().mixture``."""
        if isinstance(mixture, GaussianMixture):
            return mixture
        return GaussianMixture.isotropic(mixture.means, mixture.std)

    def mahalanobis(self, x: Float64[Tensor, "n d"]) -> Float64[Tensor, "n modes"]:
        """Distance of each point to each component in that component's standard deviations."""
        roots = torch.linalg.cholesky(self.covariances)
        columns = [
            # |L^-1 (x - mu)| with Sigma = L L': no covariance is inverted.
            torch.linalg.solve_triangular(root, (x - mean).T, upper=False).norm(dim=0)
            for root, mean in zip(roots, self.means, strict=True)
        ]
        return torch.stack(columns, dim=1)

    def log_prob(self, x: Float64[Tensor, "n d"]) -> Float64[Tensor, " n"]:
        """Log density in nats."""
        volumes = torch.linalg.cholesky(self.covariances).diagonal(dim1=1, dim2=2).log().sum(dim=1)
        constants = self.weights.log() - volumes - 0.5 * self.means.shape[1] * log(2 * pi)
        # Far from all components every density is 0 in floating point, and its logarithm is not.
        return torch.logsumexp(constants - 0.5 * self.mahalanobis(x).square(), dim=1)

    def score(self, x: Float64[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
        """Gradient of the log density in each point."""
        volumes = torch.linalg.cholesky(self.covariances).diagonal(dim1=1, dim2=2).log().sum(dim=1)
        # Posterior probabilities of the components; the score is their mean of Sigma_k^-1 (mu_k - x).
        shares = torch.softmax(self.weights.log() - volumes - 0.5 * self.mahalanobis(x).square(), dim=1)
        pulls = torch.linalg.solve(self.covariances, (self.means - x[:, None]).movedim(0, 2)).movedim(2, 0)
        return (shares[:, :, None] * pulls).sum(1)

    def smoothed(self, std: float) -> "GaussianMixture":
        """The density of x + std z, z standard normal."""
        # Adding normal noise adds its covariance to every component: the smoothed density is known exactly.
        noise = std**2 * torch.eye(self.means.shape[1], dtype=torch.float64)
        return GaussianMixture(self.weights, self.means, self.covariances + noise)

    def sample(self, count: int, random: torch.Generator) -> Float64[Tensor, "count d"]:
        """Independent points."""
        modes = torch.multinomial(self.weights, count, replacement=True, generator=random)  # independent draws
        noise = torch.randn(count, self.means.shape[1], generator=random, dtype=torch.float64)  # [count, d]
        roots = torch.linalg.cholesky(self.covariances)[modes]
        return self.means[modes] + (roots @ noise[:, :, None]).squeeze(2)  # mu + L z


@dataclass(frozen=True)
class MixtureQuality:
    """Fit of samples to a mixture.

    Attributes:
        high_quality: Share of samples within 3 standard deviations (Mahalanobis) of the nearest component.
        perfect_high_quality: The same share for samples of one component of that dimension; to be shown beside it.
        counts: High-quality samples of each component.
        modes_captured: Components with at least ``min_count`` of them.
        modes_robust: Components with at least a tenth of the samples that they should have.
        weights_kl: Divergence in nats of the components' shares among high-quality samples from their weights;
            None without such samples.
        weights_kl_bias: Its expectation, to first order, for a perfect generator.
    """

    high_quality: float
    perfect_high_quality: float
    counts: tuple[int, ...]
    modes_captured: int
    modes_robust: int
    weights_kl: float | None
    weights_kl_bias: float | None


def mixture_quality(x: Features, mixture: GaussianMixture | Mixture, *, min_count: int = 1) -> MixtureQuality:
    """Share of good samples, modes captured and the balance of the modes.

    Args:
        x: Generated samples [n, d].
        min_count: Good samples that capture a mode. The literature takes 1, which one stray sample can reach.
    References:
        Srivastava et al., VEEGAN, NeurIPS 2017; Lin et al., PacGAN, NeurIPS 2018.

    >>> two = GaussianMixture.isotropic(torch.tensor([[0.0], [9.0]]), 1.0)
    >>> quality = mixture_quality(torch.tensor([[0.5], [-1.0], [4.5], [2.0]]), two)
    >>> quality.high_quality, quality.counts, quality.modes_captured
    (0.75, (3, 0), 1)
    """
    if min_count < 1:
        raise ValueError(f"min_count must be at least 1 sample, got {min_count}; 1 is what the literature takes.")
    target = GaussianMixture.of(mixture)
    rows = checked_points(x, target)
    n, (modes, d) = len(rows), target.means.shape
    distances, nearest = target.mahalanobis(rows).min(dim=1)
    # A sample counts for its nearest mode only if it is a good one: strays between modes capture none.
    counts = torch.bincount(nearest[distances <= _HIGH_QUALITY], minlength=modes)
    good = int(counts.sum())
    return MixtureQuality(
        high_quality=good / n,
        perfect_high_quality=_chi_square_share(d),
        counts=tuple(counts.tolist()),
        modes_captured=int((counts >= min_count).sum()),
        # the factor absorbs the rounding of a weight such as 1/3
        modes_robust=int((counts >= _ROBUST_SHARE * target.weights * n * (1 - 1e-12)).sum()),
        weights_kl=_kl_of_counts(counts, target.weights) if good else None,
        # The KL of shares counted from n samples is about (modes - 1) / (2 n) for perfect ones, to first order.
        weights_kl_bias=(modes - 1) / (2 * good) if good else None,
    )


def checked_points(x: Features, mixture: GaussianMixture) -> Float64[Tensor, "n d"]:
    """``x`` as `checked_features`, at least two rows of the mixture's dimension."""
    rows = checked_features("x", x)
    if rows.shape[1] != mixture.means.shape[1]:
        raise ValueError(f"x must have the mixture's d={mixture.means.shape[1]}, got d={rows.shape[1]}.")
    if len(rows) < 2:
        raise ValueError(f"x must have at least 2 rows, got {len(rows)}; give more samples.")
    return rows


def _chi_square_share(d: int) -> float:
    """The chi-square distribution function with ``d`` degrees of freedom at 9: a Gaussian's share within 3 sigma."""
    half = torch.tensor([d / 2, _HIGH_QUALITY**2 / 2], dtype=torch.float64)
    return float(torch.special.gammainc(half[0], half[1]))


def _kl_of_counts(counts: Int64[Tensor, " modes"], weights: Float64[Tensor, " modes"]) -> float:
    shares = counts / counts.sum(dtype=torch.float64)
    return float(torch.special.xlogy(shares, shares / weights).sum())  # 0 log 0 = 0
