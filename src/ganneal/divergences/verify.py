"""A numeric check of a divergence's row, for whoever adds one."""

from collections.abc import Callable, Iterator
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from ganneal.divergences.table import FDivergence

IDENTITY_TOLERANCE = 1e-8
TAIL = 30.0
# e^80 squared is far from float64's overflow at e^709.
LARGEST_LOGIT = 80.0
FAST = 0.25
"""A limit at d = ±LARGEST_LOGIT is compared where its distance is below e^(-FAST LARGEST_LOGIT) of its size."""


class Check(NamedTuple):
    """One law: the row's own values against what they must be, on log ratios d."""

    law: str
    d: Tensor
    got: Tensor
    expected: Tensor
    tolerance: float = IDENTITY_TOLERANCE


def _derivative(of: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(of(at).sum(), at)
    return slope


def _one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def _logarithmic_slope(row: FDivergence, d: float) -> Tensor:
    around = torch.tensor([d - 0.5, d + 0.5], dtype=torch.float64)
    # b'(d) ~ e^((2 - left) d) and ~ e^((right - 1) d) far out: over a step of 1 the difference is the exponent.
    return row.fake_slope(around).log().diff()


def _values(row: FDivergence, d: Tensor) -> Iterator[Check]:
    u, one, zero = d.exp(), _one(1), _one(0)
    yield Check("f(1) = 0", zero, row.f(one), zero)
    yield Check("f'(1) = 0", zero, row.f_prime(one), zero)
    yield Check("f''(1) = 1", zero, row.f_second(one), one)
    yield Check("f_prime is the derivative of f", d, row.f_prime(u), _derivative(row.f, u))
    yield Check("f_second is the derivative of f_prime", d, row.f_second(u), _derivative(row.f_prime, u))
    yield Check("real_term(d) = f'(e^d)", d, row.real_term(d), row.f_prime(u))
    yield Check("fake_term(d) = e^d f'(e^d) - f(e^d)", d, row.fake_term(d), u * row.f_prime(u) - row.f(u))
    yield Check("real_term(0) = 0", zero, row.real_term(zero), zero)
    yield Check("fake_term(0) = 0", zero, row.fake_term(zero), zero)
    yield Check("fake_slope(d) = e^(2d) f''(e^d)", d, row.fake_slope(d), u**2 * row.f_second(u))
    yield Check("fake_slope is the derivative of fake_term", d, row.fake_slope(d), _derivative(row.fake_term, d))


def _tails(row: FDivergence, tolerance: float) -> Iterator[Check]:
    left, right = row.tail_weights
    for law, d, expected in (("2 - left", -TAIL, 2 - left), ("right - 1", TAIL, right - 1)):
        slope = _logarithmic_slope(row, d)
        law = f"the slope of log fake_slope is {law} of tail_weights"
        yield Check(law, _one(d), slope, _one(expected), tolerance)
    far = _one(LARGEST_LOGIT)
    # An infinite limit, and one that is approached too slowly to be seen at 80, are not compared.
    if 2 - left >= FAST:
        yield Check("at_zero = lim -fake_term(d)", -far, _one(row.at_zero), -row.fake_term(-far))
    if 2 - right >= FAST:
        yield Check("at_infinity = lim real_term(d)", far, _one(row.at_infinity), row.real_term(far))


def _first_failure(check: Check) -> str | None:
    law, d, got, expected, tolerance = check
    # Relative for large values, absolute near 0.
    bound = tolerance * (1 + expected.abs())
    wrong = ~((got - expected).abs() <= bound)  # so that NaN is wrong
    if not wrong.any():
        return None
    at = int(wrong.nonzero()[0])
    return f"{law} fails at d = {d[at].item():g}: got {got[at].item():.9g}, expected {expected[at].item():.9g}"


def verify_divergence(row: FDivergence, *, tail_tolerance: float = 1e-6) -> None:
    """Check a row against the definitions in `FDivergence`, in float64, on log ratios from -8 to 8 and in its tails.

    Args:
        tail_tolerance: For the two tail weights. Raise it for an f'' that is a power only up to logarithms.
    Raises:
        ValueError: A law does not hold; the message names it, where, and both values.
    """
    d = torch.linspace(-8, 8, 65, dtype=torch.float64)
    convex = row.f_second(d.exp())
    if not (convex > 0).all():
        at = d[int((~(convex > 0)).nonzero()[0])].item()
        raise ValueError(f"f_second of {row.symbol} must be above 0, it is not at d = {at:g}; f must be convex.")
    for limit, weight, name in (
        (row.at_zero, row.tail_weights.left, "at_zero"),
        (row.at_infinity, row.tail_weights.right, "at_infinity"),
    ):
        # f'' ~ u^-left integrated twice is finite at 0 exactly for left < 2; reversal gives the same law at infinity.
        if isfinite(limit) != (weight < 2):
            raise ValueError(
                f"{name} of {row.symbol} must be finite exactly if its tail weight is below 2, got {limit} with a "
                f"tail weight of {weight:g}; correct one of them."
            )
    for check in (*_values(row, d), *_tails(row, tail_tolerance)):
        if failure := _first_failure(check):
            raise ValueError(f"{row.symbol}: {failure}; correct the row, or scale it to f(1) = f'(1) = 0, f''(1) = 1.")
