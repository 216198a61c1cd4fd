"""Divergences between samples and a Gaussian mixture over the cells of a grid, whose masses are known.

Binning only lowers a divergence, and more so the wider the cells: compare values of one grid only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, log, pi, prod, sqrt

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from ganneal.data.sources.toys import Mixture
from ganneal.metrics.mixture import GaussianMixture, checked_points
from ganneal.metrics.moments import Features

Edges = Sequence[Float[Tensor, " _"] | Float[np.ndarray, " _"] | Sequence[float]]
"""Increasing positions for each axis; the cells beyond the first and the last reach to infinity."""

_MOST_CELLS = 10_000_000
_NODES = 8
_REACH = 9.0  # standard deviations beyond which a Gaussian has 1e-19 of its mass


@dataclass(frozen=True)
class BinnedDivergence:
    """Divergences over cells, in nats.

    Attributes:
        kl_model_to_target: Of the samples' shares from the target's masses.
        kl_target_to_model: The other direction, with half a sample added to each cell.
        js: Jensen-Shannon divergence, at most ln 2.
    """

    kl_model_to_target: float
    kl_target_to_model: float
    js: float
    cells: int
    samples: int


def binned_divergence(x: Features, mixture: GaussianMixture | Mixture, edges: Edges) -> BinnedDivergence:
    """Divergences between samples and mixture over a product grid with outer cells.

    Args:
        x: Generated samples [n, d].
        edges: One increasing sequence for each axis; a cell holds its lower edge, not its upper.

    >>> target = GaussianMixture.isotropic(torch.tensor([[-9.0], [9.0]]), 1.0)
    >>> one_mode = binned_divergence(torch.tensor([[8.0], [9.5]]), target, [[0.0]])
    >>> round(one_mode.kl_model_to_target, 6), round(one_mode.js, 6)
    (0.693147, 0.215762)
    """
    target = GaussianMixture.of(mixture)
    rows = checked_points(x, target)
    log_masses = cell_log_masses(target, edges)
    counts = _counts(rows, _checked_edges(edges, rows.shape[1]), log_masses.shape)
    log_p, n, cells = log_masses.flatten(), len(rows), log_masses.numel()
    p, q = log_p.exp(), counts / n
    # Half a sample in each cell keeps KL(target || model) finite where the model has none; the other direction and JS
    # need no smoothing.
    smoothed, middle = (counts + 0.5) / (n + 0.5 * cells), ((p + q) / 2).log()
    return BinnedDivergence(
        kl_model_to_target=_kl(q, q.log(), log_p),
        kl_target_to_model=_kl(p, log_p, smoothed.log()),
        js=(_kl(q, q.log(), middle) + _kl(p, log_p, middle)) / 2,
        cells=cells,
        samples=n,
    )


def _kl(share: Float64[Tensor, " cells"], log_share: Float64[Tensor, " cells"], log_other: Tensor) -> float:
    # 0 log 0 is 0, and written out it is NaN.
    held = share > 0
    return float((share * (log_share - log_other))[held].sum())


def _counts(rows: Float64[Tensor, "n d"], edges: list[Tensor], shape: torch.Size) -> Float64[Tensor, " cells"]:
    # right: a point on an edge belongs to the cell above it.
    places = [torch.bucketize(rows[:, axis].contiguous(), edge, right=True) for axis, edge in enumerate(edges)]
    index = torch.from_numpy(np.ravel_multi_index([place.numpy() for place in places], tuple(shape)))
    return torch.bincount(index, minlength=prod(shape)).double()


def cell_log_masses(mixture: GaussianMixture | Mixture, edges: Edges) -> Float64[Tensor, "..."]:
    """Log mass of the mixture in each cell, one axis of the result for each axis of the grid.

    Exact for components with diagonal covariance. For others in the plane the second axis is exact and the first
    integrated by 8-point Gauss-Legendre in steps below the width of the integrand.
    """
    target = GaussianMixture.of(mixture)
    grid = _checked_edges(edges, target.means.shape[1])
    total = torch.full([len(edge) + 1 for edge in grid], -inf, dtype=torch.float64)
    for weight, mean, covariance in zip(target.weights, target.means, target.covariances, strict=True):
        # In logarithms: the mass of a cell at 40 standard deviations is below float64's smallest number.
        total = torch.logaddexp(total, weight.log() + _component_log_masses(mean, covariance, grid))
    return total


def _checked_edges(edges: Edges, d: int) -> list[Float64[Tensor, " _"]]:
    if len(edges) != d:
        raise ValueError(f"edges must hold one sequence for each of the {d} axes, got {len(edges)}.")
    grid = [torch.as_tensor(edge, dtype=torch.float64).cpu() for edge in edges]
    for axis, edge in enumerate(grid):
        if edge.ndim != 1 or len(edge) == 0 or not edge.isfinite().all() or not (edge.diff() > 0).all():
            raise ValueError(
                f"edges must be finite and increasing, at least one an axis; those of axis {axis} are not."
            )
    cells = prod(len(edge) + 1 for edge in grid)
    if cells > _MOST_CELLS:
        raise ValueError(f"edges must make at most {_MOST_CELLS:,} cells, got {cells:,}; use a coarser grid.")
    return grid


def _component_log_masses(
    mean: Float64[Tensor, " d"], covariance: Float64[Tensor, "d d"], grid: list[Tensor]
) -> Float64[Tensor, "..."]:
    deviations = covariance.diagonal().sqrt()
    if torch.equal(covariance, covariance.diagonal().diag()):
        axes = [_log_masses((edge - m) / s) for edge, m, s in zip(grid, mean, deviations, strict=True)]
        total = axes[0]
        for masses in axes[1:]:
            # Independent axes: masses multiply, and every axis becomes one of the result.
            total = total[..., None] + masses
        return total
    if len(grid) != 2:
        raise ValueError(
            f"mixture must have diagonal covariances or two dimensions, got d={len(grid)}; rotate the axes or use "
            f"knn_divergence."
        )
    return _correlated_log_masses(mean, covariance, grid[0], grid[1])


def _log_masses(z: Float64[Tensor, "*rows edges"]) -> Float64[Tensor, "*rows cells"]:
    """Log of the standard normal mass between neighbouring ``z``, and beyond the outer ones.

    Differences are taken in the lower tail and in logarithms: cells at 50 standard deviations keep their digits.
    """
    outer = torch.full_like(z[..., :1], inf)
    low, high = torch.cat([-outer, z], dim=-1), torch.cat([z, outer], dim=-1)
    # Cells above the mean are mirrored to below it: Phi(high) - Phi(low) near 1 has no digits left, near 0 it has all
    # of them.
    low, high = torch.where(low > 0, -high, low), torch.where(low > 0, -low, high)
    below, above = torch.special.log_ndtr(low), torch.special.log_ndtr(high)
    # log(e^above - e^below) without leaving logarithms.
    return above + torch.log(-torch.expm1(below - above))


def _correlated_log_masses(
    mean: Float64[Tensor, " 2"],
    covariance: Float64[Tensor, "2 2"],
    first: Float64[Tensor, " _"],
    second: Float64[Tensor, " _"],
) -> Float64[Tensor, "rows columns"]:
    """Masses as integrals over the first coordinate t of its density times the exact conditional mass given t."""
    deviations = covariance.diagonal().sqrt()
    # Given the first coordinate t the second is normal with mean linear in t and a variance that does not depend on it.
    # Not 0: diagonal covariances were dealt with before.
    slope = float(covariance[0, 1] / covariance[0, 0])
    rest = sqrt(float(covariance[1, 1]) - slope * float(covariance[0, 1]))
    # along t the integrand is a Gaussian as wide as the first axis, cut by edges as soft as rest / slope
    step = min(float(deviations[0]), rest / abs(slope))
    farthest = max(
        float(((edge - m) / s).abs().max()) for edge, m, s in zip((first, second), mean, deviations, strict=True)
    )
    reach = (farthest + _REACH) * deviations[:1]
    # The outer cells end where no mass is left, beyond all edges and the component alike.
    bounds = torch.cat([mean[:1] - reach, first, mean[:1] + reach])
    rows = []
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        t, log_weights = _gauss_legendre(float(low), float(high), step)  # [nodes]
        log_density = -0.5 * ((t - mean[0]) / deviations[0]).square() - deviations[0].log() - 0.5 * log(2 * pi)
        conditional = _log_masses((second - mean[1] - slope * (t - mean[0])[:, None]) / rest)  # [nodes, columns]
        rows.append(torch.logsumexp((log_weights + log_density)[:, None] + conditional, dim=0))
    return torch.stack(rows)


def _gauss_legendre(low: float, high: float, step: float) -> tuple[Float64[Tensor, " n"], Float64[Tensor, " n"]]:
    """Nodes and log weights of the 8-point rule on equal parts of [low, high], none longer than ``step``."""
    nodes, weights = (torch.from_numpy(array) for array in np.polynomial.legendre.leggauss(_NODES))
    # On each part the integrand is about as smooth as a Gaussian over one deviation, where 8 points leave
    # little but rounding.
    parts = max(1, ceil((high - low) / step))
    width = (high - low) / parts
    centres = low + width * (torch.arange(parts, dtype=torch.float64) + 0.5)
    return (centres[:, None] + nodes * width / 2).flatten(), (weights * width / 2).log().repeat(parts)
