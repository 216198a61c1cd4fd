"""Proposition 3: the annealed chain of pushes, and where ideal discriminators take a normal distribution."""

from collections.abc import Sequence
from math import prod

import torch

from ganneal.losses import LOSSES
from ganneal.push import Push
from ganneal.theory.normals import Normal1D, kl
from ganneal.theory.propositions.networks import critics, random_points
from ganneal.theory.propositions.optimal import DATA, MODEL
from ganneal.theory.pushes import pushes
from ganneal.theory.scores import log_ratio, mixture_of
from ganneal.weights import Geometric, Ones, Weights

CHAIN_STEPS = 15
CHAIN_STEP_SIZE = 0.1
"""M and eta of the table of T3.2."""
FALLING = Geometric(1, 0.01)
WEIGHT_RULES: dict[str, Weights] = {
    "ones": Ones(),
    "1 to 0.01": FALLING,
    "0.01 to 1": Geometric(0.01, 1),
    "20 to 1": Geometric(20, 1),
}
"""The rows of the table of T3.2."""


def chain_step_sizes(
    rule: Weights = FALLING, step_size: float = CHAIN_STEP_SIZE, count: int = CHAIN_STEPS
) -> list[float]:
    """eta w_m for m = 1..M."""
    return [step_size * weight for weight in rule((1,) * count, 0)]


def chain_error() -> float:
    """T3.1: largest difference of the annealed chain and a loop with each gradient written out; weights as given."""
    of, start = critics(CHAIN_STEPS), random_points(64)
    x = start
    for m, critic in enumerate(of):
        # In another way than `pushes` has it: by backward, with the weight from its formula.
        at = x.clone().requires_grad_()
        critic(at).sum().backward()
        assert at.grad is not None
        x = x + CHAIN_STEP_SIZE * (0.01 ** (m / (CHAIN_STEPS - 1))) * at.grad
    return (pushes(start, of, chain_step_sizes())[-1].samples - x).abs().max().item()


def unit_weights_error() -> float:
    """T3.1: with weights of 1 the annealed chain is the plain one, bit for bit: the largest difference is 0."""
    of, start = critics(CHAIN_STEPS), random_points(64)
    annealed = pushes(start, of, chain_step_sizes(Ones()))
    plain = pushes(start, of, [CHAIN_STEP_SIZE] * CHAIN_STEPS)
    return (annealed[-1].samples - plain[-1].samples).abs().max().item()


def training_chain_error() -> float:
    """T3.1: the moves that training makes, with delta 1, are the annealed chain: the largest difference is 0."""
    of, x = critics(CHAIN_STEPS), random_points(64)
    expected = pushes(x, of, chain_step_sizes())[-1].samples
    # delta is 1 by default: the push then adds its step size times the plain gradient.
    for critic, size in zip(of, chain_step_sizes(), strict=True):
        x = Push()(critic, x, size, LOSSES["nonsaturating"])
    return (x - expected).abs().max().item()


def ideal_chain(p: Normal1D, q: Normal1D, step_sizes: Sequence[float]) -> list[Normal1D]:
    """q and where each push along the exact score difference takes it; it stays normal.

    mean <- mean + h (mean_* - mean)/std_*², std <- std |1 + h (1/std² - 1/std_*²)|.
    """
    path = [q]
    for h in step_sizes:
        mean = q.mean + h * (p.mean - q.mean) / p.std**2
        # The score difference of two normals is linear in x, and a linear map of a normal is normal: the chain is two
        # numbers.
        q = Normal1D(mean, q.std * abs(1 + h * (1 / q.std**2 - 1 / p.std**2)))
        path.append(q)
    return path


def annealed(weights: Weights, step_size: float = CHAIN_STEP_SIZE, count: int = CHAIN_STEPS) -> list[Normal1D]:
    """The ideal chain of setting S1 under ``weights``."""
    return ideal_chain(DATA, MODEL, chain_step_sizes(weights, step_size, count))


def divergences(path: Sequence[Normal1D]) -> list[float]:
    """KL(p_* ‖ q) along a path of setting S1."""
    return [kl(DATA, q) for q in path]


TABLE = {
    "ones": (0.882700, 0.802638, 0.010690),
    "1 to 0.01": (0.160973, 0.979316, 0.402912),
    "0.01 to 1": (0.160973, 0.978248, 0.403351),
    "20 to 1": (0.999831, 0.800027, 0.0),
}
"""Final mean, std and KL of each rule, to six digits; from 0.840537."""


def table_error() -> float:
    """T3.2: largest difference of the computed table and `TABLE`: below half of the last digit, 5e-7.

    The KL of the last row is 0 to six digits.
    """
    ends = {name: annealed(rule)[-1] for name, rule in WEIGHT_RULES.items()}
    return max(
        abs(computed - printed)
        for name, end in ends.items()
        for computed, printed in zip((end.mean, end.std, kl(DATA, end)), TABLE[name], strict=True)
    )


def simulated_chain_error(count: int = 20_000) -> float:
    """T3.2: that the chain stays normal with those moments: points moved by exact discriminators against the formula.

    The points are quantiles, so that nothing is drawn; every point is on the straight line that the formula says.
    """
    path = annealed(FALLING)
    # Quantiles in place of random points: the only error left is rounding.
    z = torch.special.ndtri((torch.arange(count, dtype=torch.float64) + 0.5) / count)[:, None]
    data = mixture_of(DATA)
    exact = [log_ratio(data, mixture_of(q)) for q in path[:-1]]
    moved = pushes(MODEL.mean + MODEL.std * z, exact, chain_step_sizes())[-1].samples
    return (moved - (path[-1].mean + path[-1].std * z)).abs().max().item()


def largest_rise(rule: Weights) -> float:
    """T3.2: the largest rise of the KL in one push, 0 where it falls at every one."""
    values = divergences(annealed(rule))
    return max(max(after - before for before, after in zip(values, values[1:], strict=False)), 0.0)


def contraction_error() -> float:
    """T3.2: the mean's distance falls by the product of 1 - eta w_m/std_*², which no order of the weights changes."""
    errors = []
    for rule in WEIGHT_RULES.values():
        # Sorted, as a product does not know the order; the standard deviation does.
        factor = prod(1 - size / DATA.std**2 for size in sorted(chain_step_sizes(rule)))
        end = annealed(rule)[-1]
        errors.append(abs((DATA.mean - end.mean) - factor * (DATA.mean - MODEL.mean)))
    return max(errors)
