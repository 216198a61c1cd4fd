"""Proposition 2: fitting the generator to pushed samples lowers the accumulated score difference."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from ganneal.theory.normals import Normal1D
from ganneal.theory.propositions.chains import CHAIN_STEPS, FALLING, annealed, chain_step_sizes
from ganneal.theory.propositions.networks import LATENTS, critics, generator, random_points
from ganneal.theory.propositions.optimal import DATA, MODEL
from ganneal.theory.pushes import pushes


class FirstPass(NamedTuple):
    """The first pass of the fit of A = G to its pushed samples."""

    loss: Tensor
    """Mean of ½‖A(z) - y‖²."""
    gradients: tuple[Tensor, ...]
    """In each parameter of the generator."""
    moves: Tensor
    """V(z) = sum of eta_m w_m grad D_m(x_{m-1}), ``[n, d]``."""


def first_pass(network: nn.Module, of: Sequence[nn.Module], z: Tensor) -> FirstPass:
    """The fit's loss and gradient at its start, and the moves added up push by push."""
    sizes = chain_step_sizes()
    trail = pushes(network(z).detach(), of, sizes)
    target = trail[-1].samples
    loss = 0.5 * (network(z) - target).square().sum(1).mean()
    moves = torch.stack([size * push.gradients for size, push in zip(sizes, trail, strict=True)]).sum(0)
    return FirstPass(loss, torch.autograd.grad(loss, list(network.parameters())), moves)


def first_pass_error() -> float:
    """T2.1: relative difference of the first-pass loss and ½ E‖V‖²."""
    fit = first_pass(generator(), critics(CHAIN_STEPS), random_points(64, LATENTS))
    expected = 0.5 * fit.moves.square().sum(1).mean()
    return ((fit.loss - expected).abs() / expected).item()


def gradient_error() -> float:
    """T2.2: relative difference of the first-pass gradient and -E[Jᵀ V], J written out for each latent."""
    network, z = generator(), random_points(64, LATENTS)
    fit = first_pass(network, critics(CHAIN_STEPS), z)
    parameters = dict(network.named_parameters())
    # [n, d, *parameter]: in full, where the backward pass of a fit never forms them.
    jacobians = jacrev(lambda values: functional_call(network, values, (z,)))(parameters)
    expected = [-torch.einsum("nd,nd...->...", fit.moves, jacobians[name]) / len(z) for name in parameters]
    difference = sum((a - b).square().sum() for a, b in zip(fit.gradients, expected, strict=True))
    return (torch.as_tensor(difference).sqrt() / sum(b.square().sum() for b in expected) ** 0.5).item()


def ideal_loss_error() -> float:
    """T2.1 with ideal discriminators: the loss of x = mean + std z against the moments that the chain ends at.

    ½ E‖V‖² with V(z) = (mean_M - mean) + (std_M - std) z has the closed form ½ (Δmean² + Δstd²); the other side
    adds up eta_m w_m (s_* - s_{g_m}) along the chain, over the quantiles of z and their weights.
    """
    path = annealed(FALLING)
    z = torch.linspace(-12, 12, 4_001, dtype=torch.float64)
    x, moves = MODEL.mean + MODEL.std * z, torch.zeros_like(z)
    for q, h in zip(path, chain_step_sizes(), strict=False):
        # The exact score difference at the moving points: of the data, less that of the normal they have by then.
        step = h * (-(x - DATA.mean) / DATA.std**2 + (x - q.mean) / q.std**2)
        x, moves = x + step, moves + step
    measured = 0.5 * torch.trapezoid(moves.square() * Normal1D(0, 1).log_prob(z).exp(), z).item()
    closed = 0.5 * ((path[-1].mean - MODEL.mean) ** 2 + (path[-1].std - MODEL.std) ** 2)
    return abs(measured - closed) / closed
