"""ConjugateGradient against given values, its definition written again, and the laws of conjugate gradients."""

import math
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor
from torch.nn import Parameter
from torch.utils._python_dispatch import TorchDispatchMode

from ganneal.optim import BETA_RULES, ConjugateGradient
from ganneal.optim.conjugate_gradient import BetaScope

every_rule = for_each("rule", BETA_RULES)
Gradients = Sequence[Sequence[Tensor]]


def noise(steps: int, shapes: Sequence[tuple[int, ...]] = ((4, 3), (5,)), seed: int = 0) -> list[list[Tensor]]:
    """One gradient for each shape and step, in float64."""
    random = torch.Generator().manual_seed(seed)
    return [[torch.randn(shape, generator=random, dtype=torch.float64) for shape in shapes] for _ in range(steps)]


def walk(gradients: Gradients, dtype: torch.dtype = torch.float64, **options: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and directions after prescribed gradients, from parameters of 1."""
    weights = [Parameter(torch.ones_like(g, dtype=dtype)) for g in gradients[0]]
    settings: dict[str, Any] = {"lr": 0.1} | options
    optimizer = ConjugateGradient(weights, **settings)
    for step in gradients:
        for weight, gradient in zip(weights, step, strict=True):
            weight.grad = gradient.to(dtype, copy=True)
        optimizer.step()
    return [w.detach() for w in weights], [optimizer.state[w]["direction"] for w in weights]


def by_hand(
    rule: str, g: Tensor, p: Tensor, d: Tensor, *, c: float, cap: float | None, floor: float | None, mu: float = 2.0
) -> float:
    """beta of one vector, written again from the table of the published rules."""
    y, inf = g - p, math.inf
    top = inf if cap is None else cap
    dot = lambda a, b: float((a * b).sum())  # noqa: E731
    quotient = lambda a, b: a / b if b else 0.0  # noqa: E731
    fr, prp = min(quotient(dot(g, g), dot(p, p)), top), min(quotient(dot(g, y), dot(p, p)), top)
    hs, dy = min(quotient(dot(g, y), dot(d, y)), top), min(quotient(dot(g, g), dot(d, y)), top)
    value = {
        "FR": fr,
        "PRP": prp,
        "HS": hs,
        "DY": dy,
        "HZ": min(hs - mu * quotient(dot(y, y) * dot(g, d), dot(d, y) ** 2), top),
        "FR_PRP": max(0.0, min(fr, prp)),
        "HS_DY": max(0.0, min(hs, dy)),
    }[rule]
    return c * max(value, -inf if floor is None else floor)


# The worked check: f(x, y) = (1 + x^2)(100 - y^2), x first, then y at the new x


def saddle(rule: str, steps: int, lr: float = 1e-3, start: tuple[float, float] = (1.5, -2.0)) -> list[Tensor]:
    x, y = (Parameter(torch.tensor(value, dtype=torch.float64)) for value in start)
    players = ConjugateGradient([x], lr, beta_rule=rule), ConjugateGradient([y], lr, beta_rule=rule, maximize=True)
    seen = []
    for _ in range(steps):
        for player in players:
            player.zero_grad()
            ((1 + x**2) * (100 - y**2)).backward()
            player.step()
        seen.append(torch.stack([x, y]).detach())
    return seen


SGD_X = [1.212, 0.979200480890931, 0.791056161456936]
WORKED_X = {
    "FR": [1.212, 0.83520048089093, 0.49560099111195],
    "PRP": [1.212, 1.02382077743954, 0.851762176931457],
    "HZ": [1.212, 0.835200480890931, 0.514196801253688],
    "DY": [1.212, 0.835200480890931, 0.486298881517774],
    "HS": [1.212, 1.212, 0.979200480890931],
    "FR_PRP": SGD_X,
    "HS_DY": SGD_X,
}


@every_rule
def test_worked_check_on_the_saddle(rule: str) -> None:
    assert [float(point[0]) for point in saddle(rule, 3)] == pytest.approx(WORKED_X[rule], rel=0, abs=1e-9)


def test_worked_check_of_the_ascending_player() -> None:
    expected = [-1.990124224, -1.97874477565272, -1.96812552198917]
    assert [float(point[1]) for point in saddle("FR", 3)] == pytest.approx(expected, rel=0, abs=1e-9)


# Each step by its definition


@every_rule
@for_each("c", [1.0, 0.75])
@for_each(("cap", "floor"), [(0.5, None), (0.5, -0.5), (0.5, 0.0), (None, None), (2.0, 1.0)])
def test_directions_are_those_of_the_definition(rule: str, c: float, cap: float | None, floor: float | None) -> None:
    gradients = noise(8)
    weights, directions = walk(gradients, beta_rule=rule, beta_coeff=c, beta_max=cap, beta_min=floor)
    for index, (weight, direction) in enumerate(zip(weights, directions, strict=True)):
        g = [step[index] for step in gradients]
        x, d = 1 - 0.1 * g[0], -g[0]
        for before, now in zip(g, g[1:], strict=False):
            d = -now + by_hand(rule, now, before, d, c=c, cap=cap, floor=floor) * d
            x = x + 0.1 * d
        torch.testing.assert_close((direction, weight), (d, x), rtol=1e-10, atol=1e-12)


@every_rule
def test_one_beta_for_all_is_that_of_the_long_vector(rule: str) -> None:
    gradients = noise(6)
    together = [[torch.cat([g.flatten() for g in step])] for step in gradients]
    apart, _ = walk(gradients, beta_rule=rule, beta_scope="global")
    whole, _ = walk(together, beta_rule=rule)
    torch.testing.assert_close(torch.cat([w.flatten() for w in apart]), whole[0], rtol=1e-10, atol=1e-12)
    one_each, _ = walk(gradients, beta_rule=rule)
    assert not torch.allclose(torch.cat([w.flatten() for w in one_each]), whole[0], rtol=1e-3)
    torch.testing.assert_close(walk(together, beta_rule=rule, beta_scope="global"), walk(together, beta_rule=rule))


@every_rule
@for_each("scope", ["tensor", "global"])
def test_tensor_by_tensor_is_the_same_walk(rule: str, scope: BetaScope) -> None:
    both = [walk(noise(5), beta_rule=rule, beta_scope=scope, foreach=foreach) for foreach in (False, True)]
    torch.testing.assert_close(*both, rtol=1e-12, atol=1e-14)


def test_hz_takes_the_mu_of_its_own_group() -> None:
    gradients = noise(4, shapes=((3,), (3,)))
    a, b = (Parameter(torch.ones(3, dtype=torch.float64)) for _ in range(2))
    groups = [{"params": [a], "mu": 0.5}, {"params": [b]}]
    optimizer = ConjugateGradient(groups, lr=0.1, beta_rule="HZ", beta_max=None)
    for one, other in gradients:
        a.grad, b.grad = one.clone(), other.clone()
        optimizer.step()
    for index, (weight, mu) in enumerate(((a, 0.5), (b, 2.0))):
        alone, _ = walk([[step[index]] for step in gradients], beta_rule="HZ", beta_max=None, mu=mu)
        torch.testing.assert_close(weight.detach(), alone[0])


def test_groups_with_other_rules_share_the_sums_of_a_global_scope() -> None:
    gradients = noise(4, shapes=((3,), (4,)))
    a, b = (Parameter(torch.ones(n, dtype=torch.float64)) for n in (3, 4))
    groups = [{"params": [a]}, {"params": [b], "beta_rule": "PRP"}]
    optimizer = ConjugateGradient(groups, lr=0.1, beta_scope="global")
    for one, other in gradients:
        a.grad, b.grad = one.clone(), other.clone()
        optimizer.step()
    fr, _ = walk(gradients, beta_rule="FR", beta_scope="global")
    torch.testing.assert_close(a.detach(), fr[0])
    long = [torch.cat(step) for step in gradients]
    d = torch.cat([-long[0][:3], -long[0][3:]])
    x = 1 - 0.1 * long[0]
    for before, now in zip(long, long[1:], strict=False):  # both parts move by a beta of their own from shared products
        betas = [by_hand(rule, now, before, d, c=1, cap=0.5, floor=None) for rule in ("FR", "PRP")]
        d = -now + torch.tensor([betas[0]] * 3 + [betas[1]] * 4) * d
        x = x + 0.1 * d
    torch.testing.assert_close(torch.cat([a, b]).detach(), x)


# Laws


H = 2 * torch.eye(5, dtype=torch.float64) - sum(torch.diag(torch.ones(4, dtype=torch.float64), k) for k in (-1, 1))


def on_quadratic(rule: str, steps: int) -> tuple[list[Tensor], Tensor]:
    """Iterates under an exact line search on x'Hx/2, and the last gradient."""
    x = Parameter(torch.arange(1.0, 6.0, dtype=torch.float64))
    optimizer = ConjugateGradient([x], lr=1.0, beta_rule=rule, beta_max=None, beta_scope="global")
    seen = []
    d: Tensor | None = None
    p = x.detach()
    for _ in range(steps):
        g = H @ x.detach()
        if d is None:
            d = -g
        else:  # the direction that the step will take, to choose its length; the formula by hand
            d = -g + by_hand(rule, g, p, d, c=1, cap=None, floor=None) * d
        optimizer.param_groups[0]["lr"] = float(-(g @ d) / (d @ H @ d))
        x.grad, p = g.clone(), g
        optimizer.step()
        torch.testing.assert_close(optimizer.state[x]["direction"], d, rtol=1e-9, atol=1e-12)
        seen.append(x.detach().clone())
    return seen, H @ x.detach()


@every_rule
def test_a_quadratic_ends_after_as_many_steps_as_it_has_dimensions(rule: str) -> None:
    seen, gradient = on_quadratic(rule, 5)
    assert float(gradient.norm()) < 1e-12
    for one, other in zip(seen, on_quadratic("FR", 5)[0], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@every_rule
def test_maximizing_is_minimizing_the_negative(rule: str) -> None:
    gradients = noise(6)
    up = walk(gradients, beta_rule=rule, maximize=True, weight_decay=0.0)
    down = walk([[-g for g in step] for step in gradients], beta_rule=rule)
    assert all(torch.equal(a, b) for a, b in zip(up[0] + up[1], down[0] + down[1], strict=True))


@every_rule
def test_the_first_step_descends(rule: str) -> None:
    x = Parameter(torch.arange(1.0, 6.0, dtype=torch.float64))
    value = lambda: 0.5 * x @ H @ x  # noqa: E731
    before = value()
    before.backward()
    ConjugateGradient([x], lr=1e-3, beta_rule=rule).step()
    assert value() < before


@every_rule
@for_each("scope", ["tensor", "global"])
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), steps=st.integers(1, 12))
def test_directions_stay_within_twice_the_longest_gradient(
    rule: str, scope: BetaScope, seed: int, scale: float, steps: int
):
    gradients = noise(steps, seed=seed)
    lengths = torch.Generator().manual_seed(seed + 1)
    gradients = [[g * scale ** float(torch.randn((), generator=lengths)) for g in step] for step in gradients]
    weights = [Parameter(torch.ones_like(g)) for g in gradients[0]]
    optimizer = ConjugateGradient(weights, 0.1, beta_rule=rule, beta_scope=scope, beta_min=-0.5, beta_max=0.5)
    longest = [0.0, 0.0]
    for step in gradients:
        for weight, gradient in zip(weights, step, strict=True):
            weight.grad = gradient.clone()
        optimizer.step()
        own = [float(g.norm()) for g in step]
        lengths_now = own if scope == "tensor" else [math.hypot(*own)]
        longest = [max(a, b) for a, b in zip(longest, lengths_now, strict=False)]
        d = [float(optimizer.state[w]["direction"].norm()) for w in weights]
        d = d if scope == "tensor" else [math.hypot(*d)]
        assert all(a <= 2 * b * (1 + 1e-12) for a, b in zip(d, longest, strict=False))


@pytest.mark.parametrize("c", [1.0, 0.5])
def test_fr_at_its_cap_is_heavy_ball_with_half_c(c: float) -> None:
    base = noise(1)[0]
    gradients = [[g * (1 + 0.01 * step) for g in base] for step in range(6)]
    ours, _ = walk(gradients, beta_rule="FR", beta_coeff=c)
    theirs = [Parameter(torch.ones_like(g)) for g in base]
    heavy_ball = torch.optim.SGD(theirs, lr=0.1, momentum=c / 2)
    for step in gradients:
        for weight, gradient in zip(theirs, step, strict=True):
            weight.grad = gradient.clone()
        heavy_ball.step()
    torch.testing.assert_close(ours, [w.detach() for w in theirs], rtol=1e-13, atol=1e-15)


@every_rule
@settings(deadline=None, max_examples=20)
@given(weight=st.floats(1e-3, 1e3), seed=st.integers(0, 10**6))
def test_a_constant_weight_of_the_loss_is_a_factor_of_the_learning_rate(rule: str, weight: float, seed: int) -> None:
    gradients = noise(5, seed=seed)
    weighted, _ = walk([[weight * g for g in step] for step in gradients], beta_rule=rule, beta_max=None)
    scaled, _ = walk(gradients, beta_rule=rule, beta_max=None, lr=0.1 * weight)
    torch.testing.assert_close(weighted, scaled, rtol=1e-6, atol=1e-9)


def test_under_weights_that_change_beta_compares_the_weighted_gradients() -> None:
    """From weight v to w FR's ratio is multiplied by (w / v)^2, as nested annealed training does at each level."""
    v, w = 1.0, 0.215443
    first, second = noise(2, shapes=((6,),))
    _, (direction,) = walk([[v * first[0]], [w * second[0]]], beta_rule="FR", beta_max=None)
    plain = float(second[0].square().sum() / first[0].square().sum())
    expected = -w * second[0] + (w / v) ** 2 * plain * (-v * first[0])
    torch.testing.assert_close(direction, expected, rtol=1e-12, atol=1e-14)


# State


@every_rule
@for_each("scope", ["tensor", "global"])
@for_each("dtype", [torch.float32, torch.float64], ids=str)
def test_a_loaded_state_goes_on_bit_for_bit(rule: str, scope: BetaScope, dtype: torch.dtype) -> None:
    def go(optimizer: ConjugateGradient, weights: list[Parameter], gradients: Gradients) -> None:
        for step in gradients:
            for weight, gradient in zip(weights, step, strict=True):
                weight.grad = gradient.to(dtype)
            optimizer.step()

    gradients = noise(8)
    make = lambda weights: ConjugateGradient(weights, 0.1, beta_rule=rule, beta_scope=scope)  # noqa: E731
    weights = [Parameter(torch.ones_like(g, dtype=dtype)) for g in gradients[0]]
    optimizer = make(weights)
    go(optimizer, weights, gradients[:4])
    copies = [Parameter(w.detach().clone()) for w in weights]
    resumed = make(copies)
    resumed.load_state_dict(deepcopy(optimizer.state_dict()))
    go(optimizer, weights, gradients[4:])
    go(resumed, copies, gradients[4:])
    assert all(torch.equal(a, b) for a, b in zip(weights, copies, strict=True))
    assert all(int(optimizer.state[w]["step"]) == 8 for w in weights)


@every_rule
def test_the_stored_gradient_is_a_copy(rule: str) -> None:
    """Zeroing gradients in place, leaving them out, or writing into them after the step changes nothing."""
    gradients = noise(5)

    def clear(how: str, weight: Parameter, optimizer: ConjugateGradient) -> None:
        assert weight.grad is not None
        match how:
            case "none":
                optimizer.zero_grad(set_to_none=True)
            case "zero":
                optimizer.zero_grad(set_to_none=False)
            case "garbage":
                weight.grad.fill_(1e6)

    ends = []
    for how in ("none", "zero", "garbage"):
        weight = Parameter(torch.ones(4, 3, dtype=torch.float64))
        optimizer = ConjugateGradient([weight], 0.1, beta_rule=rule)
        for step in gradients:
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
            weight.grad.copy_(step[0])
            optimizer.step()
            clear(how, weight, optimizer)
        ends.append(weight.detach())
    assert torch.equal(ends[0], ends[1]) and torch.equal(ends[0], ends[2])


def test_a_tensor_without_gradient_keeps_its_state_and_place() -> None:
    a, b = (Parameter(torch.ones(3)) for _ in range(2))
    optimizer = ConjugateGradient([a, b], 0.1)
    a.grad, b.grad = torch.ones(3), torch.ones(3)
    optimizer.step()
    kept, state = b.detach().clone(), deepcopy(optimizer.state[b])
    a.grad, b.grad = torch.ones(3), None
    optimizer.step()
    assert torch.equal(b, kept) and int(optimizer.state[a]["step"]) == 2
    assert all(torch.equal(optimizer.state[b][key], value) for key, value in state.items())


@every_rule
@for_each("scope", ["tensor", "global"])
def test_a_group_added_later_starts_with_plain_descent_and_leaves_the_others_alone(rule: str, scope: BetaScope) -> None:
    gradients = noise(4)
    a, late = Parameter(torch.ones(4, 3, dtype=torch.float64)), Parameter(torch.ones(5, dtype=torch.float64))
    optimizer = ConjugateGradient([a], 0.1, beta_rule=rule, beta_scope=scope)
    for number, (one, other) in enumerate(gradients[:3]):
        if number == 2:
            optimizer.add_param_group({"params": [late], "lr": 0.3})
            late.grad = other.clone()
        a.grad = one.clone()
        optimizer.step()
    torch.testing.assert_close(late.detach(), 1 - 0.3 * gradients[2][1])
    alone, _ = walk([[step[0]] for step in gradients[:3]], beta_rule=rule)
    torch.testing.assert_close(a.detach(), alone[0])


def test_weight_decay_enters_what_is_compared_and_stored() -> None:
    gradients = noise(5, shapes=((6,),))
    weight = Parameter(torch.ones(6, dtype=torch.float64))
    optimizer = ConjugateGradient([weight], 0.1, weight_decay=0.3, beta_max=None)
    x, d, p = torch.ones(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64), None
    for (gradient,) in gradients:
        g = gradient + 0.3 * x
        d = -g if p is None else -g + by_hand("FR", g, p, d, c=1, cap=None, floor=None) * d
        x, p = x + 0.1 * d, g
        weight.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(weight.detach(), x)


def test_the_published_variant_ascends_first_and_applies_beta_twice() -> None:
    gradients, decay = noise(5, shapes=((6,),)), 0.3
    weight = Parameter(torch.ones(6, dtype=torch.float64))
    optimizer = ConjugateGradient([weight], 0.1, weight_decay=decay, beta_rule="PRP", compat="published")
    x = 1 + 0.1 * gradients[0][0]
    d, p = -gradients[0][0], gradients[0][0]
    weight.grad = gradients[0][0].clone()
    optimizer.step()
    for (gradient,) in gradients[1:]:
        decayed = gradient + decay * x
        beta = by_hand("PRP", decayed, p, d, c=1, cap=0.5, floor=None)
        update = beta * d - decayed
        x, d, p = x + 0.1 * update, beta * update - gradient, gradient
        weight.grad = gradient.clone()
        optimizer.step()
    torch.testing.assert_close(weight.detach(), x)
    torch.testing.assert_close(optimizer.state[weight]["direction"], d)


def test_state_is_no_more_than_adams() -> None:
    def tensors(optimizer: torch.optim.Optimizer) -> int:
        return sum(t.numel() * t.element_size() for state in optimizer.state.values() for t in state.values())

    counts = []
    for make in (ConjugateGradient, torch.optim.Adam):
        weight = Parameter(torch.ones(100, 7))
        weight.grad = torch.ones_like(weight)
        optimizer = make([weight])
        optimizer.step()
        counts.append(tensors(optimizer))
    assert counts[0] <= counts[1]


# Layout, precision, device


@every_rule
@for_each("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_low_precision_keeps_beta(rule: str, dtype: torch.dtype) -> None:
    """beta, read from a step of rate 0, is that of the same rounded gradients in float32."""
    gradients = [[g.to(dtype).float() for g in step] for step in noise(2)]

    def beta(precision: torch.dtype) -> list[float]:
        _, directions = walk(gradients, dtype=precision, beta_rule=rule, lr=0.0)
        pairs = zip(directions, *gradients, strict=True)
        # d_1 = -g_1 - beta g_0, in least squares
        return [float(-((d.float() + now) * before).sum() / before.square().sum()) for d, before, now in pairs]

    low, single = beta(dtype), beta(torch.float32)
    assert low == pytest.approx(single, abs=1e-2)


@every_rule
def test_channels_last_is_the_same_walk(rule: str) -> None:
    gradients = noise(5, shapes=((4, 3, 2, 2),))
    plain, _ = walk(gradients, beta_rule=rule)
    weight = Parameter(torch.ones(4, 3, 2, 2, dtype=torch.float64).contiguous(memory_format=torch.channels_last))
    optimizer = ConjugateGradient([weight], 0.1, beta_rule=rule)
    for number, (gradient,) in enumerate(gradients):  # a gradient may come in either layout
        layout = torch.channels_last if number % 2 else torch.contiguous_format
        weight.grad = gradient.contiguous(memory_format=layout)
        optimizer.step()
    torch.testing.assert_close(weight.detach(), plain[0], rtol=1e-12, atol=1e-14)
    assert optimizer.state[weight]["direction"].stride() == weight.stride()


class Reads(TorchDispatchMode):
    """Counts what would stop the host until the device has caught up."""

    WAITING = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select")

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ in self.WAITING
        return func(*args, **(kwargs or {}))


def test_the_counter_of_reads_counts() -> None:
    with Reads() as reads:
        torch.ones(()).item()
    assert reads.count == 1


@every_rule
@for_each("scope", ["tensor", "global"])
def test_a_step_reads_nothing_back_from_the_device(rule: str, scope: BetaScope) -> None:
    weights = [Parameter(torch.ones(3, 2)), Parameter(torch.ones(4))]
    optimizer = ConjugateGradient(weights, 0.1, beta_rule=rule, beta_scope=scope, beta_min=-0.5, weight_decay=0.1)
    for _ in range(3):
        for weight in weights:
            weight.grad = torch.randn_like(weight)
        with Reads() as reads:
            optimizer.step()
        assert reads.count == 0


@every_rule
@for_each("scope", ["tensor", "global"])
def test_a_step_runs_where_nothing_can_be_read(rule: str, scope: BetaScope) -> None:
    """Tensors on the meta device have no values: reading one would raise."""
    weights = [Parameter(torch.ones(3, 2, device="meta")), Parameter(torch.ones(4, device="meta"))]
    optimizer = ConjugateGradient(weights, 0.1, beta_rule=rule, beta_scope=scope)
    for _ in range(2):
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimizer.step()


def test_tensors_of_two_precisions_go_together() -> None:
    gradients = noise(4)
    weights = [Parameter(torch.ones(4, 3, dtype=torch.float32)), Parameter(torch.ones(5, dtype=torch.float64))]
    optimizer = ConjugateGradient(weights, 0.1, beta_rule="HZ")
    for step in gradients:
        for weight, gradient in zip(weights, step, strict=True):
            weight.grad = gradient.to(weight.dtype)
        optimizer.step()
    expected, _ = walk(gradients, beta_rule="HZ")
    torch.testing.assert_close(weights[0].detach().double(), expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights[1].detach(), expected[1], rtol=1e-12, atol=1e-14)


# Odd and bad input


@every_rule
@for_each("scope", ["tensor", "global"])
def test_zero_gradients_give_beta_0_and_no_nan(rule: str, scope: BetaScope) -> None:
    zero, one = [torch.zeros(3, dtype=torch.float64)], [torch.ones(3, dtype=torch.float64)]
    weights, (direction,) = walk([zero, zero, one, one, zero], beta_rule=rule, beta_scope=scope)
    assert torch.isfinite(weights[0]).all() and torch.isfinite(direction).all()
    assert torch.equal(walk([zero, one], beta_rule=rule)[1][0], -one[0])


@every_rule
def test_a_beta_that_is_not_finite_is_0(rule: str) -> None:
    """Squares of 1e25 overflow float32: what is left is plain descent, not NaN."""
    large = [[torch.full((3,), 1e25 * sign, dtype=torch.float32)] for sign in (1, -2)]
    weights, (direction,) = walk(large, dtype=torch.float32, beta_rule=rule, beta_max=None, lr=1e-30)
    assert torch.equal(direction, -large[1][0]) and torch.isfinite(weights[0]).all()


@every_rule
def test_nan_in_a_gradient_is_seen_in_its_tensor_alone(rule: str) -> None:
    gradients = noise(3)
    gradients[1][0][0, 0] = math.nan
    weights, _ = walk(gradients, beta_rule=rule)
    clean, _ = walk([[step[1]] for step in gradients], beta_rule=rule)
    assert weights[0].isnan().any() and torch.equal(weights[1], clean[0])


def test_the_restart_guard_makes_hs_plain_descent_after_a_vanished_direction() -> None:
    """In one dimension HS's direction is exactly 0; the step after it is plain descent."""
    gradients = [[torch.tensor([g], dtype=torch.float64)] for g in (1.0, 0.3, 0.7)]
    _, (direction,) = walk(gradients[:2], beta_rule="HS", beta_max=None)
    assert abs(float(direction)) < 1e-15
    assert float(walk(gradients, beta_rule="HS", beta_max=None)[1][0]) == -0.7


def test_the_closures_value_is_returned_and_its_gradients_followed() -> None:
    weight = Parameter(torch.tensor([3.0, -4.0]))
    optimizer = ConjugateGradient([weight], 0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 25.0
    torch.testing.assert_close(weight.detach(), torch.tensor([2.4, -3.2]))


def test_torchs_schedulers_and_clipping_go_with_it() -> None:
    weight = Parameter(torch.tensor([3.0, -4.0]))
    optimizer = ConjugateGradient([weight], 1.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    weight.grad = torch.tensor([30.0, -40.0])
    torch.nn.utils.clip_grad_norm_([weight], 1.0)
    optimizer.step()
    scheduler.step()
    torch.testing.assert_close(optimizer.state[weight]["prev_grad"], torch.tensor([0.6, -0.8]))
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_it_fits_a_generator_to_a_pool_as_any_optimizer() -> None:
    """The regression of functional gradient methods: least squares to moved samples."""
    torch.manual_seed(0)
    latents, generator = torch.randn(64, 4), torch.nn.Linear(4, 2)
    pool = latents @ torch.randn(4, 2) + 1
    optimizer = ConjugateGradient(generator.parameters(), 0.3, beta_rule="FR_PRP", beta_scope="global")
    for _ in range(300):
        optimizer.zero_grad()
        (generator(latents) - pool).square().mean().backward()
        optimizer.step()
    assert float((generator(latents) - pool).detach().square().mean()) < 1e-6


@for_each(
    ("options", "message"),
    [
        ({"lr": -1e-3}, "lr must be a finite number >= 0, got -0.001; use maximize=True"),
        ({"lr": math.nan}, "lr must be a finite number >= 0, got nan"),
        ({"beta_rule": "CD"}, "beta_rule must be one of FR, PRP, HS, DY, HZ, FR_PRP, HS_DY, got 'CD'"),
        ({"beta_coeff": -0.5}, "beta_coeff must be a finite number >= 0, got -0.5"),
        ({"mu": 0.0}, "mu must be a finite number > 0, got 0.0"),
        ({"beta_max": 0.0}, "beta_max must be > 0, or None for no upper bound, got 0.0"),
        ({"beta_min": 0.6}, "beta_min must be <= beta_max=0.5, or None for no lower bound, got 0.6"),
        ({"beta_min": 0.1, "beta_max": None}, "beta_min must be <= 0, or None"),
        ({"beta_scope": "layer"}, "beta_scope must be 'tensor' or 'global', got 'layer'"),
        ({"restart_tol": -1.0}, "restart_tol must be a finite number >= 0, got -1.0"),
        ({"weight_decay": math.inf}, "weight_decay must be a finite number >= 0, got inf"),
        ({"compat": "torch"}, "compat must be None or 'published', got 'torch'"),
    ],
)
def test_bad_options_are_refused_for_all_and_for_a_group(options: dict[str, Any], message: str) -> None:
    weight = Parameter(torch.ones(2))
    with pytest.raises(ValueError, match=message):
        ConjugateGradient([{"params": [weight], **options}])
    if not {"beta_scope", "compat"} & set(options):  # those the types of the signature already refuse under test
        with pytest.raises(ValueError, match=message):
            ConjugateGradient([weight], **options)


@for_each("spelled", ["hs-dy", "HS_DY", "Hs-Dy"])
def test_rules_are_named_in_any_case(spelled: str) -> None:
    weights, _ = walk(noise(3), beta_rule=spelled)
    torch.testing.assert_close(weights, walk(noise(3), beta_rule="HS_DY")[0])


def _sparse(weight: Parameter) -> Tensor:
    return torch.ones_like(weight).detach().to_sparse()


@pytest.mark.parametrize(
    ("make", "gradient", "message"),
    [
        (lambda: Parameter(torch.ones(2)), _sparse, "needs dense gradients, got one of layout torch.sparse_coo"),
        (
            lambda: Parameter(torch.ones(2, dtype=torch.complex64)),
            lambda weight: torch.ones_like(weight).detach(),
            "needs real gradients, got torch.complex64",
        ),
    ],
)
def test_sparse_and_complex_gradients_are_refused_before_any_weight_moves(
    make: Callable[[], Parameter], gradient: Callable[[Parameter], Tensor], message: str
) -> None:
    good, bad = Parameter(torch.ones(2)), make()
    optimizer = ConjugateGradient([good, bad], 0.1)
    good.grad, bad.grad = torch.ones(2), gradient(bad)
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    assert torch.equal(good.detach(), torch.ones(2)) and not optimizer.state


@for_each(("last", "beta"), [(0.2, 0.5), (0.11, 0.5), (0.09, 0.0), (0.01, 0.0)])
def test_it_restarts_where_the_last_direction_is_shorter_than_the_tolerance_times_the_gradient(
    last: float, beta: float
) -> None:
    x = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = ConjugateGradient([x], 1.0, beta_rule="FR", restart_tol=0.1)
    for gradient in (last, 1.0):
        before = x.item()
        x.grad = torch.full_like(x, gradient)
        optimizer.step()
    assert x.item() - before == pytest.approx(-1 - beta * last)
