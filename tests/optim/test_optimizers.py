"""Optimizers built from configurations against their papers' first steps and torch's plain loops."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor
from torch.nn import Parameter

from ganneal.optim import OPTIMIZERS, SGD, Adam, Cosine, OptimizerConfig, RMSProp

every_optimizer = for_each("name", OPTIMIZERS)
CONFIGS: list[OptimizerConfig] = [
    Adam(),
    Adam(lr=3e-3, beta1=0.0, beta2=0.9, eps=1e-3),
    SGD(),
    SGD(lr=0.3, momentum=0.9),
    RMSProp(),
    RMSProp(lr=0.02, smoothing=0.5, eps=1e-2),
]
INSIDE = [RMSProp(eps=1e-18, eps_inside=True), RMSProp(lr=0.02, smoothing=0.5, eps=1e-2, eps_inside=True)]
"""No optimizer of torch."""


def parameters(dtype: torch.dtype = torch.float64) -> list[Parameter]:
    random = torch.Generator().manual_seed(0)
    return [Parameter(torch.randn(shape, generator=random, dtype=dtype)) for shape in ((3, 2), (5,), ())]


def gradients(step: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(100 + step)
    return [torch.randn(p.shape, generator=random, dtype=torch.float64) for p in parameters()]


def walk(optimizer: torch.optim.Optimizer, weights: list[Parameter], steps: range) -> None:
    for step in steps:
        for weight, gradient in zip(weights, gradients(step), strict=True):
            weight.grad = gradient.to(weight.dtype)
        optimizer.step()


def torchs_own(config: OptimizerConfig, weights: list[Parameter]) -> torch.optim.Optimizer:
    """The optimizer of torch that ``config`` describes, in its plain loop."""
    match config:
        case Adam():
            betas = (config.beta1, config.beta2)
            return torch.optim.Adam(weights, lr=config.lr, betas=betas, eps=config.eps, foreach=False, fused=False)
        case SGD():
            return torch.optim.SGD(weights, lr=config.lr, momentum=config.momentum, foreach=False, fused=False)
        case RMSProp():
            alpha = config.smoothing
            return torch.optim.RMSprop(weights, lr=config.lr, alpha=alpha, eps=config.eps, foreach=False)
    raise AssertionError(config)


@for_each("config", CONFIGS, ids=repr)
@for_each("steps", [1, 5])
def test_steps_are_those_of_torchs_plain_loop(config: OptimizerConfig, steps: int) -> None:
    ours, theirs = parameters(), parameters()
    walk(config.build(ours), ours, range(steps))
    walk(torchs_own(config, theirs), theirs, range(steps))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)  # fused kernels round in another order


@for_each("config", [*CONFIGS, *INSIDE], ids=repr)
def test_first_step_is_the_papers(config: Any) -> None:
    weights, before = parameters(), parameters()
    walk(config.build(weights), weights, range(1))
    for weight, start, g in zip(weights, before, gradients(0), strict=True):
        match config:
            case Adam():  # both averages corrected for their start: g and g^2
                step = config.lr * g / (g.abs() + config.eps)
            case SGD():
                step = config.lr * g
            case RMSProp(eps_inside=True):
                step = config.lr * g / ((1 - config.smoothing) * g.square() + config.eps).sqrt()
            case RMSProp():  # no correction: (1 - smoothing) g^2
                step = config.lr * g / (((1 - config.smoothing) * g.square()).sqrt() + config.eps)
            case _:
                raise AssertionError(config)
        torch.testing.assert_close(weight.detach(), start.detach() - step, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("config", INSIDE, ids=repr)
def test_eps_inside_the_root_walks_as_written_by_hand(config: RMSProp) -> None:
    weights = parameters()
    walk(config.build(weights), weights, range(5))
    for index, (weight, start) in enumerate(zip(weights, parameters(), strict=True)):
        point, average = start.detach().clone(), torch.zeros_like(start)
        for step in range(5):
            gradient = gradients(step)[index]
            average = config.smoothing * average + (1 - config.smoothing) * gradient**2
            point = point - config.lr * gradient / (average + config.eps) ** 0.5
        torch.testing.assert_close(weight.detach(), point, rtol=1e-13, atol=1e-15)


def test_where_eps_stands_matters_unless_it_is_zero() -> None:
    for eps, same in ((0.0, True), (1e-2, False)):
        inside, outside = parameters(), parameters()
        walk(RMSProp(eps=eps, eps_inside=True).build(inside), inside, range(3))
        walk(RMSProp(eps=eps).build(outside), outside, range(3))
        pairs = zip(inside, outside, strict=True)
        assert all(torch.allclose(a, b, rtol=1e-13, atol=1e-15) for a, b in pairs) == same


@pytest.mark.parametrize("eps", [0.0, 1e-18])
def test_eps_inside_leaves_what_has_had_no_gradient_where_it_is(eps: float) -> None:
    still, moving, without = (Parameter(torch.ones(2)) for _ in range(3))
    optimizer = RMSProp(eps=eps, eps_inside=True).build([still, moving, without])
    still.grad, moving.grad = torch.zeros(2), torch.tensor([0.0, 1e-30])  # whose square is 0 in float32
    optimizer.step()
    assert torch.equal(still, torch.ones(2)) and torch.equal(without, torch.ones(2))
    assert moving.isfinite().all() and moving[0] == 1 and without not in optimizer.state


def test_defaults_are_the_published_settings() -> None:
    assert OPTIMIZERS["adam"] == Adam(lr=2e-4, beta1=0.5, beta2=0.999, eps=1e-8)
    assert OPTIMIZERS["rmsprop-cfg"] == RMSProp(lr=2.5e-4, smoothing=0.95, eps=1e-18, eps_inside=True)


@every_optimizer
def test_registered_optimizers_are_frozen_values(name: str) -> None:
    config: Any = OPTIMIZERS[name]
    assert config.lr > 0 and config.rule.at(0) == 1.0
    assert pickle.loads(pickle.dumps(config)) == config and isinstance(hash(config), int)
    for field in fields(config):
        with pytest.raises(FrozenInstanceError):
            setattr(config, field.name, getattr(config, field.name))
    assert isinstance(config, OptimizerConfig)


@every_optimizer
def test_a_configuration_builds_fresh_optimizers_over_exactly_the_given_parameters(name: str) -> None:
    config, weights = OPTIMIZERS[name], parameters()
    one, other = config.build(iter(weights)), config.build(parameters())
    assert one is not other and not one.state
    assert [id(p) for group in one.param_groups for p in group["params"]] == [id(p) for p in weights]
    assert {group["lr"] for group in one.param_groups} == {config.lr}


@every_optimizer
def test_a_changed_rate_of_the_group_is_the_rate_of_the_next_step(name: str) -> None:
    config, weights = OPTIMIZERS[name], parameters()
    optimizer = config.build(weights)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [weight.detach().clone() for weight in weights]
    walk(optimizer, weights, range(2))
    assert all(torch.equal(old, new) for old, new in zip(before, weights, strict=True))


@every_optimizer
@for_each("dtype", [torch.float32, torch.float64], ids=str)
def test_state_round_trips_in_the_middle_of_a_walk(name: str, dtype: torch.dtype) -> None:
    config, weights = OPTIMIZERS[name], parameters(dtype)
    optimizer = config.build(weights)
    walk(optimizer, weights, range(3))
    copies = [Parameter(weight.detach().clone()) for weight in weights]
    resumed = config.build(copies)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    walk(optimizer, weights, range(3, 6))
    walk(resumed, copies, range(3, 6))
    assert all(torch.equal(one, other) for one, other in zip(weights, copies, strict=True))


@for_each("config", [Adam, SGD, RMSProp])
def test_the_rule_is_kept_with_the_optimizer(config: Any) -> None:
    assert config(rule=Cosine(end=10)).rule.at(5) == pytest.approx(0.5)


@for_each("config", [Adam, SGD, RMSProp])
@for_each("lr", [-1e-4, float("nan"), float("inf")])
def test_bad_learning_rates_are_refused(config: Any, lr: float) -> None:
    with pytest.raises(ValueError, match=f"lr must be a finite number >= 0, got {lr}"):
        config(lr=lr)


@for_each(
    ("make", "message"),
    [
        (lambda: Adam(beta1=2.0), "beta1 must be at least 0 and below 1, got 2"),
        (lambda: Adam(eps=-1.0), "eps must be a finite number >= 0, got -1"),
        (lambda: SGD(momentum=1.0), "momentum must be at least 0 and below 1, got 1"),
        (lambda: RMSProp(smoothing=-0.1), "smoothing must be at least 0 and below 1, got -0.1"),
    ],
)
def test_decays_and_eps_out_of_range_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
