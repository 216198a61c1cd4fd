"""Equation 2: how fast a push along the discriminator's gradient lowers a divergence."""

from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from ganneal.divergences import DIVERGENCES, FDivergence
from ganneal.losses import LOSSES, Loss
from ganneal.push import DELTAS, Delta
from ganneal.theory.normals import CLOSED_FORMS, Normal1D, difference_quotient, divergence, nodes, normal_log_ratio
from ganneal.theory.propositions.chains import ideal_chain
from ganneal.theory.propositions.optimal import DATA, MODEL


class Factor(NamedTuple):
    """A factor delta(x) of training's push, with the generator's loss that it may read."""

    delta: Delta
    loss: Loss = LOSSES["nonsaturating"]


ONE = Factor(DELTAS["one"])
FACTORS = (ONE, *(Factor(DELTAS["loss"], LOSSES[name]) for name in ("nonsaturating", "minimax", "arcsinh")))
"""Bounded ones, so that the tails of the quadrature do not decide: 1, sigmoid(-D), sigmoid(D), 1/sqrt(1 + D²)."""


def finite() -> dict[str, FDivergence]:
    """The divergences that are finite in setting S1."""
    infinite = {name for name, form in CLOSED_FORMS.items() if not isfinite(form(DATA, MODEL))}
    return {name: row for name, row in DIVERGENCES.items() if name not in infinite}


def direction(factor: Factor, x: Tensor, p: Normal1D, q: Normal1D) -> Tensor:
    """delta(x) D'(x) with D = log p/q at points ``[n]``: what training's push adds to a sample, times its step size."""
    at = x if x.requires_grad else x.clone().requires_grad_()
    # A function of D whose gradient is delta grad D: so the push of training has it, in one backward pass.
    potential = factor.delta.potential(normal_log_ratio(p, q)(at), factor.loss)
    # With its graph, for `after_push` differentiates it once more.
    return torch.autograd.grad(potential.sum(), at, create_graph=True)[0]


def after_push(row: FDivergence, factor: Factor, step: Tensor, p: Normal1D, q: Normal1D) -> Tensor:
    """The divergence of p from q pushed by ``step`` (0-dim): a change of variables, differentiable in ``step``.

    Points x of density q(x) go to y = x + step delta(x) D'(x), where their density is q(x)/y'(x).
    """
    x = nodes(p, q).requires_grad_()
    along = direction(factor, x, p, q)
    # Each move depends on its own point alone, so that the sum gives d/dx of all at once.
    (bend,) = torch.autograd.grad(along.sum(), x, retain_graph=True)
    moved, stretch = x.detach() + step * along.detach(), 1 + step * bend.detach()
    of_model = q.log_prob(x.detach())
    # log p/q at the new place, where the pushed density is q(x)/y'(x).
    ratio = p.log_prob(moved) + stretch.log() - of_model
    # Integrated over x in place of y: dy = y'(x) dx.
    weight = (p.log_prob(moved) + stretch.log()).exp()
    integrand = weight * row.real_term(ratio) - of_model.exp() * row.fake_term(ratio)
    return torch.trapezoid(integrand, x.detach())


def measured_rate(row: FDivergence, factor: Factor, p: Normal1D = DATA, q: Normal1D = MODEL) -> float:
    """The derivative of `after_push` in the step size at 0."""
    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(after_push(row, factor, step, p, q), step)[0].item()


def stated_rate(row: FDivergence, factor: Factor, p: Normal1D = DATA, q: Normal1D = MODEL) -> float:
    """Equation 2: -E_q[b'(D) delta D'²], never above 0, b' the slope of the divergence's fake term at D = log p/q."""
    x = nodes(p, q)
    slope = direction(ONE, x, p, q).detach()
    weight = q.log_prob(x).exp() * row.fake_slope(normal_log_ratio(p, q)(x))
    return -torch.trapezoid(weight * direction(factor, x, p, q).detach() * slope, x).item()


def rate_error() -> float:
    """Largest relative difference of measured and stated rate, over finite divergences and bounded factors."""
    errors = []
    for row in finite().values():
        for factor in FACTORS:
            stated = stated_rate(row, factor)
            errors.append(abs(measured_rate(row, factor) - stated) / abs(stated))
    return max(errors)


def chain_rate_error(step: float = 1e-4) -> float:
    """The same with delta 1 by another route: the normal that the push leads to, and differences of fourth order."""
    errors = []
    for row in finite().values():
        rate = difference_quotient(lambda h, row=row: divergence(row, DATA, ideal_chain(DATA, MODEL, [h])[-1]), step)
        stated = stated_rate(row, ONE)
        errors.append(abs(rate - stated) / abs(stated))
    return max(errors)


def largest_rate() -> float:
    """The largest rate of change over all pairs of a finite divergence and a factor: below 0."""
    return max(stated_rate(row, factor) for row in finite().values() for factor in FACTORS)
