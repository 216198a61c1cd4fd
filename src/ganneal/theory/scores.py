"""Score differences: what the gradient of an optimal logistic discriminator is, and how near another gradient comes."""

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.nn.functional import cosine_similarity

from ganneal.metrics.mixture import GaussianMixture
from ganneal.theory.normals import Critic, Normal1D

Points64 = Float64[Tensor, "n d"]


class Agreement(NamedTuple):
    """Agreement of one vector field with another over some points."""

    cosine: float
    """Mean cosine of the angle between them."""
    relative: float
    """L2 norm of their difference over that of the second."""


def mixture_of(normal: Normal1D) -> GaussianMixture:
    """A normal distribution of the line as a mixture of one component."""
    return GaussianMixture.isotropic(torch.tensor([[normal.mean]], dtype=torch.float64), normal.std)


def log_ratio(p: GaussianMixture, q: GaussianMixture) -> Critic:
    """log p/q, the best raw output of the logistic loss for data p and model q."""
    return lambda x: p.log_prob(x) - q.log_prob(x)


def score_difference(p: GaussianMixture, q: GaussianMixture, x: Points64) -> Points64:
    """grad log p - grad log q, the gradient of `log_ratio` (Proposition 1)."""
    return p.score(x) - q.score(x)


def input_gradients(critic: Critic, x: Tensor) -> Tensor:
    """The gradient of the raw output in each point."""
    # A leaf of its own, so that the caller's tensor keeps its graph and its flags.
    x = x.detach().clone().requires_grad_()
    # Also where the caller has switched gradients off.
    with torch.enable_grad():
        # The sum over the batch gives each sample its own gradient, unless a batch norm ties them together.
        return torch.autograd.grad(critic(x).sum(), x)[0]


def agreement(one: Points64, other: Points64) -> Agreement:
    """Agreement of the vectors ``one`` with ``other``, both ``[n, d]``; a vector of length 0 has cosine 0."""
    cosine = cosine_similarity(one, other, dim=1).mean()
    return Agreement(cosine.item(), ((one - other).norm() / other.norm()).item())
