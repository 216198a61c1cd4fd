r"""The averaged variational-inequality gap of a player, and a bound on it for steps with a bounded beta.

A player with gradients g_n at points x_n is stationary on average where, for all x near the equilibrium,
(1/N) sum of <x_n - x, g_n> is at most 0 in the limit.

.. code-block:: text

    x_{n+1} = x_n + alpha_n d_n,    d_n = -g_n + beta_n d_{n-1},    |beta_n| <= beta_bound <= 1/2
    (1/N) sum <x_n - x, g_n>  <=  Delta / (2 alpha_N N) + (2 M^2 / N) sum alpha_n + 2 M sqrt(Delta) beta_bound

with ‖g_n‖ <= M, ‖x_n - x‖² <= Delta, and alpha_n that do not grow: |beta_n| <= 1/2 gives ‖d_n‖ <= 2 M, and the rest is
‖x_{n+1} - x‖² expanded and summed. Plain gradient steps have beta_bound 0. The last term does not vanish with N:
the bound says nothing of the last point, nor that the gap itself becomes small under beta_bound > 0.

References:
    Naganuma and Iiduka, Conjugate Gradient Method for Generative Adversarial Networks, AISTATS 2023, section 3.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

from ganneal.registry import check_not_negative
from ganneal.theory.games.playing import Walk
from ganneal.theory.games.problems import Vector

Steps = Float64[Tensor, " steps"]


def averaged_gap(walk: Walk, around: Vector, radius: float = 0.0) -> Steps:
    """The largest (1/N) sum of <x_n - x, g_n> over the x within ``radius`` of ``around``, for N = 1, 2, ... steps.

    The sum is linear in x: the largest is the value at ``around`` plus ``radius`` times the norm of the mean gradient.
    """
    check_not_negative(radius=radius)
    number = torch.arange(1, len(walk.gradients) + 1, dtype=torch.float64)
    # [steps]; the last point is where the walk ended, and no gradient was taken there.
    products = ((walk.points[:-1] - around) * walk.gradients).sum(dim=1)
    # [steps, n]: the mean up to each step.
    mean_gradients = walk.gradients.cumsum(dim=0) / number[:, None]
    return products.cumsum(dim=0) / number + radius * torch.linalg.vector_norm(mean_gradients, dim=1)


def gap_bound(walk: Walk, around: Vector, radius: float = 0.0, *, beta_bound: float) -> Steps:
    """The bound above on :func:`averaged_gap`, with M and Delta of the first N steps of the walk itself.

    Args:
        beta_bound: At least every |beta_n| of the walk: 0 for plain gradient steps, the momentum of a heavy ball,
            beta_coeff times the larger of beta_max and -beta_min for conjugate gradients.
    Raises:
        ValueError: ``beta_bound`` is outside [0, 1/2], where there is no bound, or the learning rate grows.
    """
    check_not_negative(radius=radius)
    if not 0 <= beta_bound <= 0.5:
        raise ValueError(f"beta_bound must be between 0 and 0.5, got {beta_bound}; beyond it there is no bound.")
    if bool((walk.rates.diff() > 0).any()):
        raise ValueError("rates must not grow from step to step; use a decay of at least 0.")
    number = torch.arange(1, len(walk.gradients) + 1, dtype=torch.float64)
    norms, distances = (torch.linalg.vector_norm(v, dim=1) for v in (walk.gradients, walk.points[:-1] - around))
    # Of the first N steps, so that each N has a bound of its own; x may lie on the far side of the ball.
    steepest, furthest = norms.cummax(dim=0).values, distances.cummax(dim=0).values + radius
    return (
        furthest.square() / (2 * walk.rates * number)
        + 2 * steepest.square() * walk.rates.cumsum(dim=0) / number
        + 2 * steepest * furthest * beta_bound
    )
