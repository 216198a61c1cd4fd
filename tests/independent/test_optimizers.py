"""Conjugate-gradient rules, the walks of the other optimizers and learning-rate rules, written out in plain Python."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from tests.for_each import for_each

from ganneal.optim import (
    ConjugateGradient,
    Cosine,
    ExponentialDecay,
    LinearDecay,
    Power,
    Rise,
    RMSProp,
    StepDecay,
)

Vector = np.ndarray
random = np.random.default_rng(11)
GRADIENTS = [[random.standard_normal(4), random.standard_normal(3)] for _ in range(6)]
"""Of two tensors, over six steps."""
START = [random.standard_normal(4), random.standard_normal(3)]
RULES = ("FR", "PRP", "HS", "DY", "HZ", "FR_PRP", "HS_DY")


def beta(rule: str, g: Vector, before: Vector, d: Vector, mu: float, cap: float) -> float:
    y = g - before
    over_g, over_d = before @ before, d @ y

    def capped(value: Any) -> float:
        return min(float(value), cap)

    match rule:
        case "FR":
            return capped(g @ g / over_g)
        case "PRP":
            return capped(g @ y / over_g)
        case "HS":
            return capped(g @ y / over_d)
        case "DY":
            return capped(g @ g / over_d)
        case "HZ":
            return capped(capped(g @ y / over_d) - mu * (y @ y) * (g @ d) / over_d**2)
        case "FR_PRP":
            return max(0.0, min(capped(g @ g / over_g), capped(g @ y / over_g)))
        case _:
            return max(0.0, min(capped(g @ y / over_d), capped(g @ g / over_d)))


def walk(
    rule: str, *, lr: float, c: float, mu: float, cap: float, least: float, decay: float, together: bool
) -> Vector:
    """Where six steps end, both tensors in one vector."""
    groups = [slice(0, 7)] if together else [slice(0, 4), slice(4, 7)]
    x, before, direction = np.concatenate(START), np.zeros(7), np.zeros(7)
    for step, pair in enumerate(GRADIENTS):
        g = np.concatenate(pair) + decay * x
        new = -g.copy()
        for part in groups if step else []:
            b = max(beta(rule, g[part], before[part], direction[part], mu, cap), least)
            new[part] += c * b * direction[part]
        x, before, direction = x + lr * new, g, new
    return x


def walked(lr: float, maximize: bool = False, **options: Any) -> Vector:
    parameters = [torch.nn.Parameter(torch.from_numpy(start.copy())) for start in START]
    optimizer = ConjugateGradient(parameters, lr, maximize=maximize, **options)
    for pair in GRADIENTS:
        for parameter, gradient in zip(parameters, pair, strict=True):
            parameter.grad = torch.from_numpy(-gradient if maximize else gradient.copy())
        optimizer.step()
    return torch.cat([parameter.detach() for parameter in parameters]).numpy()


@for_each("together", [False, True], ids=["tensor", "global"])
@for_each("rule", RULES)
def test_conjugate_gradients(rule: str, together: bool) -> None:
    scope = "global" if together else "tensor"
    plain = walk(rule, lr=0.01, c=1.0, mu=2.0, cap=0.5, least=-math.inf, decay=0.0, together=together)
    np.testing.assert_allclose(walked(0.01, beta_rule=rule, beta_scope=scope), plain, rtol=1e-11)
    np.testing.assert_allclose(walked(0.01, True, beta_rule=rule, beta_scope=scope), plain, rtol=1e-11)
    other = walk(rule, lr=0.02, c=0.75, mu=1.3, cap=0.8, least=-0.4, decay=0.1, together=together)
    found = walked(
        0.02, beta_rule=rule, beta_scope=scope, beta_coeff=0.75, mu=1.3, beta_max=0.8, beta_min=-0.4, weight_decay=0.1
    )
    np.testing.assert_allclose(found, other, rtol=1e-11)


@for_each("rule", RULES)
def test_the_published_variant(rule: str) -> None:
    """The first step ascends; later u = b D - g moves, and D <- b u - g is kept, with g without weight decay."""
    lr, decay = 0.01, 0.2
    parts = []
    for index in (0, 1):
        x, before, kept = START[index].copy(), np.zeros(0), np.zeros(0)
        for step, pair in enumerate(GRADIENTS):
            raw = pair[index]
            if step == 0:
                x, before, kept = x + lr * raw, raw, -raw
                continue
            g = raw + decay * x
            b = beta(rule, g, before, kept, 2.0, 0.5)
            u = b * kept - g
            x, before, kept = x + lr * u, raw, b * u - raw
        parts.append(x)
    found = walked(lr, beta_rule=rule, weight_decay=decay, compat="published")
    np.testing.assert_allclose(found, np.concatenate(parts), rtol=1e-10)


def test_the_references_rmsprop_adds_eps_before_the_root() -> None:
    x, average = START[0].copy(), np.zeros(4)
    for pair in GRADIENTS:
        average = 0.9 * average + 0.1 * pair[0] ** 2
        x = x - 0.003 * pair[0] / np.sqrt(average + 1e-4)
    parameter = torch.nn.Parameter(torch.from_numpy(START[0].copy()))
    optimizer = RMSProp(lr=0.003, smoothing=0.9, eps=1e-4, eps_inside=True).build([parameter])
    for pair in GRADIENTS:
        parameter.grad = torch.from_numpy(pair[0].copy())
        optimizer.step()
    np.testing.assert_allclose(parameter.detach().numpy(), x, rtol=1e-11)


@for_each("ticks", [0, 1, 7, 99, 150, 200, 9_999, 10_000, 25_000])
def test_learning_rate_rules(ticks: int) -> None:
    share = min(max((ticks - 50) / 150, 0.0), 1.0)
    expected = {
        Power(eta=0.5): 1 / math.sqrt(ticks + 1),
        Power(eta=0.75): 1 / math.sqrt(math.sqrt((ticks + 1) ** 3)),
        StepDecay(): 0.9 ** (ticks // 10_000),
        ExponentialDecay(): 0.99999**ticks,
        LinearDecay(end=200, start=50, final=0.2): 1 - 0.8 * share,
        Cosine(end=200, start=50, final=0.2): (
            ticks / 50 if ticks < 50 else 0.2 + 0.8 * (1 + math.cos(math.pi * share)) / 2
        ),
        Rise(end=200, start=50, initial=0.2): 0.2 + 0.8 * (1 - math.cos(math.pi * share)) / 2,
    }
    for rule, value in expected.items():
        assert rule.at(ticks) == pytest.approx(value, rel=1e-12, abs=1e-15), rule
