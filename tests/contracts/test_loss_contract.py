"""What every registered loss promises; where it puts the weights of NATS, arXiv 2501.11318."""

import importlib
import inspect
import math
import pickle
import sys
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError, is_dataclass, replace
from types import ModuleType
from typing import Any, get_args

import pytest
import torch
from jaxtyping import TypeCheckError
from tests.for_each import for_each
from torch import Tensor

import ganneal.losses
from ganneal.losses import LOSSES, Loss, Triplet, WeightOn, output_of, weight_scales_gradient

DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
PLACEMENTS: list[WeightOn] = list(get_args(WeightOn))

OVERFLOWS = frozenset({"exponential"})
"""Losses with exponential terms, which promise nothing at logits of 1e4."""
COUPLES_SAMPLES = frozenset({"ragan", "rahinge"})
"""Losses in which one sample's value depends on the rest of the batch."""
PULLS_BACK = frozenset({"lsgan", "rplsgan"})
"""Losses with a target: beyond it the sign of the gradient turns."""

every_loss = for_each("name", LOSSES)
both_placements = for_each("weight_on", PLACEMENTS)


def placed(name: str, weight_on: WeightOn) -> Loss:
    loss: Any = LOSSES[name]
    return replace(loss, weight_on=weight_on)


def with_gradient(value: Tensor, *inputs: Tensor) -> list[Tensor]:
    """``value`` and its derivative in each of ``inputs``, sample by sample."""
    grads = torch.autograd.grad(value.sum(), inputs, materialize_grads=True)
    return [value.detach(), *grads]


def generator(
    loss: Loss, fake: Tensor, weight: float | Tensor | None = None, real: Tensor | None = None
) -> list[Tensor]:
    fake = fake.detach().clone().requires_grad_()
    real = torch.zeros_like(fake).detach() if real is None else real
    arguments = {} if weight is None else {"weight": weight}
    return with_gradient(loss.generator(fake, real, **arguments), fake)


def discriminator(loss: Loss, real: Tensor, fake: Tensor) -> list[Tensor]:
    real, fake = real.detach().clone().requires_grad_(), fake.detach().clone().requires_grad_()
    return with_gradient(loss.discriminator(real, fake), real, fake)


def same_bits(left: list[Tensor], right: list[Tensor]) -> bool:
    return all(a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(left, right, strict=True))


@every_loss
def test_is_a_frozen_hashable_value(name: str) -> None:
    loss = LOSSES[name]
    assert isinstance(loss, Loss) and is_dataclass(loss)
    with pytest.raises(FrozenInstanceError):
        loss.weight_on = "loss"  # pyright: ignore[reportAttributeAccessIssue]
    copied = pickle.loads(pickle.dumps(loss))
    assert copied == loss and hash(copied) == hash(loss)


def test_no_two_registered_losses_are_equal() -> None:
    assert len(set(LOSSES.values())) == len(LOSSES)


@every_loss
def test_discriminator_sees_no_weight(name: str) -> None:
    assert list(inspect.signature(LOSSES[name].discriminator).parameters) == ["real", "fake"]


@every_loss
@for_each("batch", [1, 2, 7])
def test_gives_one_value_per_sample(name: str, batch: int) -> None:
    real, fake = torch.linspace(-1, 2, batch), torch.linspace(2, -1, batch)
    assert LOSSES[name].discriminator(real, fake).shape == (batch,)
    assert LOSSES[name].generator(fake, real).shape == (batch,)


@every_loss
def test_a_sample_has_the_same_loss_alone_and_in_a_batch(name: str) -> None:
    if name in COUPLES_SAMPLES:
        pytest.skip(f"{name} compares a sample with its batch")
    loss, real, fake = LOSSES[name], torch.linspace(-3, 3, 9), torch.linspace(3, -2, 9)
    whole = [loss.discriminator(real, fake), loss.generator(fake, real, weight=0.3)]
    for i in range(9):
        alone = [
            loss.discriminator(real[i : i + 1], fake[i : i + 1]),
            loss.generator(fake[i : i + 1], real[i : i + 1], weight=0.3),
        ]
        # vectorised and scalar exponentials may differ in the last bits of float32
        torch.testing.assert_close(alone, [values[i : i + 1] for values in whole], rtol=1e-6, atol=1e-7)


@every_loss
@for_each("dtype", DTYPES, ids=str)
def test_values_are_in_at_least_float32_whatever_the_weight_is_in(name: str, dtype: torch.dtype) -> None:
    expected = torch.float64 if dtype == torch.float64 else torch.float32
    logits = torch.tensor([-1.5, 0.25, 3.0], dtype=dtype)
    assert LOSSES[name].discriminator(logits, logits.flip(0)).dtype == expected
    for weight in (0.5, torch.tensor(0.5), torch.tensor(0.5, dtype=torch.float64)):
        assert LOSSES[name].generator(logits, logits.flip(0), weight=weight).dtype == expected


@every_loss
@for_each("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_logits_are_computed_on_in_float32(name: str, dtype: torch.dtype) -> None:
    loss, half = LOSSES[name], torch.tensor([-1.5, 0.1, 3.3], dtype=dtype)
    assert torch.equal(loss.discriminator(half, half.flip(0)), loss.discriminator(half.float(), half.float().flip(0)))
    assert torch.equal(loss.generator(half, half, weight=0.3), loss.generator(half.float(), half.float(), weight=0.3))


EXTREMES = torch.tensor([0.0, 1.0, -1.0, 21.0, -21.0, 100.0, -100.0, 800.0, -800.0, 1e4, -1e4])


@every_loss
@for_each("dtype", DTYPES, ids=str)
def test_values_and_gradients_are_finite_up_to_logits_of_ten_thousand(name: str, dtype: torch.dtype) -> None:
    if name in OVERFLOWS:
        pytest.skip(f"{name} has exponential terms")
    real, fake = (logits.to(dtype) for logits in torch.cartesian_prod(EXTREMES, EXTREMES).unbind(1))
    assert all(tensor.isfinite().all() for tensor in discriminator(LOSSES[name], real, fake))
    for weight_on in PLACEMENTS:
        for weight in (1.0, 0.5, 0.01):
            outcome = generator(placed(name, weight_on), fake, weight, real)
            assert all(tensor.isfinite().all() for tensor in outcome), (weight_on, weight)


@every_loss
@for_each("weight", [1.0, 0.01])
def test_nan_in_gives_nan_out(name: str, weight: float) -> None:
    clean, broken = torch.zeros(3), torch.tensor([0.0, math.nan, 0.0])
    others = slice(None, None, 2)
    outcomes = {
        "real": LOSSES[name].discriminator(broken, clean),
        "fake": LOSSES[name].discriminator(clean, broken),
        **{on: placed(name, on).generator(broken, clean, weight=weight) for on in PLACEMENTS},
    }
    for where, values in outcomes.items():
        assert values[1].isnan(), where
        assert name in COUPLES_SAMPLES or values[others].isfinite().all(), where


@every_loss
@for_each(("num_real", "num_fake"), [(3, 1), (1, 3), (4, 2)])
def test_unequal_batches_are_refused(name: str, num_real: int, num_fake: int) -> None:
    # under the shape checker its own error comes first
    with pytest.raises((ValueError, TypeCheckError)):
        LOSSES[name].discriminator(torch.zeros(num_real), torch.zeros(num_fake))


@every_loss
def test_a_column_of_logits_is_refused(name: str) -> None:
    with pytest.raises(TypeCheckError):
        LOSSES[name].discriminator(torch.zeros(3, 1), torch.zeros(3, 1))
    with pytest.raises(TypeCheckError):
        LOSSES[name].generator(torch.zeros(3, 1))


@every_loss
def test_real_logits_are_read_by_the_generator_only_if_the_loss_says_so(name: str) -> None:
    loss, fake = LOSSES[name], torch.tensor([-1.5, 0.25, 3.0])
    one, other = (loss.generator(fake, real) for real in (torch.zeros(3), torch.tensor([4.0, -1.0, 0.3])))
    assert torch.equal(one, other) != loss.needs_real
    assert loss.needs_real or torch.equal(loss.generator(fake), one)


# Between the least-squares targets and short of every margin, where each registered loss is active.
ACTIVE = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)


@every_loss
@both_placements
@for_each("weight", [1.0, 0.5, 0.01])
def test_raising_fake_logits_lowers_the_generator_loss(name: str, weight_on: WeightOn, weight: float) -> None:
    _, grad = generator(placed(name, weight_on), ACTIVE, weight)
    assert (grad < 0).all()


@every_loss
def test_raising_real_and_lowering_fake_logits_lowers_the_discriminator_loss(name: str) -> None:
    _, d_real, d_fake = discriminator(LOSSES[name], ACTIVE, ACTIVE.flip(0))
    assert (d_real < 0).all() and (d_fake > 0).all()


@every_loss
def test_gradients_are_those_of_the_values(name: str) -> None:
    """Nothing is held constant: a sample has its pull in another's loss too, where that reads a mean."""
    loss = LOSSES[name]
    random = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(5, generator=random, dtype=torch.float64).requires_grad_() for _ in range(2))
    assert torch.autograd.gradcheck(lambda r, f: loss.discriminator(r, f).mean(), (real, fake))
    given = (fake, real) if loss.needs_real else (fake,)
    assert torch.autograd.gradcheck(lambda f, r=None: loss.generator(f, r, weight=0.7).mean(), given)


@every_loss
def test_gradients_never_turn_for_losses_without_a_target(name: str) -> None:
    if name in PULLS_BACK:
        pytest.skip(f"{name} pulls back beyond its target")
    limit = 50.0 if name in OVERFLOWS else 1e4
    logits = torch.cat([torch.linspace(-limit, limit, 101), torch.linspace(-30, 30, 241)]).double()
    _, d_real, d_fake = discriminator(LOSSES[name], logits, logits.flip(0))
    assert (d_real <= 0).all() and (d_fake >= 0).all()
    for weight_on in PLACEMENTS:
        for weight in (1.0, 0.5, 0.01):
            assert (generator(placed(name, weight_on), logits, weight)[1] <= 0).all(), (weight_on, weight)


@every_loss
@for_each("dtype", [torch.float32, torch.float64], ids=str)
def test_weight_one_is_no_weight_bit_for_bit_wherever_it_is_placed(name: str, dtype: torch.dtype) -> None:
    fake = torch.cat([torch.linspace(-30, 30, 301), EXTREMES]).to(dtype)
    real = fake.flip(0)
    plain = generator(LOSSES[name], fake, None, real)
    for weight_on in PLACEMENTS:
        for weight in (1.0, 1, torch.tensor(1.0, dtype=dtype)):
            assert same_bits(generator(placed(name, weight_on), fake, weight, real), plain), (
                weight_on,
                weight,
            )


@every_loss
@both_placements
@for_each("dtype", [torch.float32, torch.float64], ids=str)
def test_a_weight_in_a_tensor_is_the_weight_in_a_float(name: str, weight_on: WeightOn, dtype: torch.dtype) -> None:
    loss, fake = placed(name, weight_on), torch.linspace(-30, 30, 301).to(dtype)
    for weight in (1.0, 0.3, 0.01):
        tensor = torch.tensor(weight, dtype=dtype)
        assert same_bits(generator(loss, fake, tensor), generator(loss, fake, weight)), weight


@every_loss
@both_placements
def test_no_loss_lets_its_weight_cancel(name: str, weight_on: WeightOn) -> None:
    full, half = (generator(placed(name, weight_on), ACTIVE, weight)[1] for weight in (1.0, 0.5))
    assert not torch.allclose(full, half, rtol=1e-3)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


Pull = Callable[[float, float], float]
PULLS: dict[tuple[str, WeightOn], Pull] = {
    ("nonsaturating", "output"): lambda w, t: w * sigmoid(-w * t),
    ("nonsaturating", "loss"): lambda w, t: w * sigmoid(-t),
    ("minimax", "output"): lambda w, t: w * sigmoid(w * t),
    ("minimax", "loss"): lambda w, t: w * sigmoid(t),
    # w d (1 - d) / (1 - w d) with d = sigmoid(t), 1 - w d = (1 - d) + (1 - w) d: no cancellation
    ("minimax-probability", "output"): lambda w, t: w * sigmoid(t) * sigmoid(-t) / (sigmoid(-t) + (1 - w) * sigmoid(t)),
    ("minimax-probability", "loss"): lambda w, t: w * sigmoid(t),
    ("lsgan", "output"): lambda w, t: w * (1 - w * t),
    ("lsgan", "loss"): lambda w, t: w * (1 - t),
    ("wgan", "output"): lambda w, t: w,
    ("wgan", "loss"): lambda w, t: w,
    ("hinge", "output"): lambda w, t: w,
    ("hinge", "loss"): lambda w, t: w,
    ("hinge-hinged", "output"): lambda w, t: w * (w * t < 1),
    ("hinge-hinged", "loss"): lambda w, t: w * (t < 1),
    ("hybrid", "output"): lambda w, t: 2 * w * sigmoid(-w * t),
    ("hybrid", "loss"): lambda w, t: 2 * w * sigmoid(-t),
    ("total-variation", "output"): lambda w, t: 0.5 * w / math.cosh(w * t) ** 2,
    ("total-variation", "loss"): lambda w, t: 0.5 * w / math.cosh(t) ** 2,
    ("arcsinh", "output"): lambda w, t: w / math.hypot(1, w * t),
    ("arcsinh", "loss"): lambda w, t: w / math.hypot(1, t),
    ("shifted-minimax", "output"): lambda w, t: w * sigmoid(w * t + 5),
    ("shifted-minimax", "loss"): lambda w, t: w * sigmoid(t + 5),
    ("exponential", "output"): lambda w, t: 1.5 * w * math.exp(1.5 * w * t),
    ("exponential", "loss"): lambda w, t: 1.5 * w * math.exp(1.5 * t),
    ("rpgan", "output"): lambda w, t: w * sigmoid(-w * t),
    ("rpgan", "loss"): lambda w, t: w * sigmoid(-t),
    ("rplsgan", "output"): lambda w, t: 2 * w * (1 - w * t),
    ("rplsgan", "loss"): lambda w, t: 2 * w * (1 - t),
}
"""The generator's update follows E_z[a(t) J^T grad D], t = D(G(z)), at real outputs of 0; a(t) of each loss and
placement. Losses that couple the samples of a batch have tests of their own."""


def assert_pull(name: str, weight_on: WeightOn, weight: float, logits: list[float]) -> None:
    grad = generator(placed(name, weight_on), torch.tensor(logits, dtype=torch.float64), weight)[1]
    expected = torch.tensor([PULLS[name, weight_on](weight, t) for t in logits], dtype=torch.float64)
    torch.testing.assert_close(-grad, expected, rtol=1e-12, atol=1e-12)


@for_each(("name", "weight_on"), PULLS)
@for_each("weight", [1.0, 0.5, 0.1, 0.01, 20.0])
def test_generator_gradient_is_the_pull_of_the_table(name: str, weight_on: WeightOn, weight: float) -> None:
    if (name, weight_on) == ("minimax-probability", "output") and weight > 1:
        pytest.skip("1 - w d leaves the logarithm's domain; refused, and tested so")
    assert_pull(name, weight_on, weight, [-6.0, -1.5, -0.3, 0.0, 0.04, 0.4, 0.9, 2.5, 7.0, 15.0])


@for_each("name", ["nonsaturating", "minimax", "minimax-probability"])
@both_placements
def test_logistic_gradients_are_exact_in_float64_where_torch_softplus_turns_linear(
    name: str, weight_on: WeightOn
) -> None:
    # beyond 20, torch's softplus is the identity: 2e-9 off, invisible in float32 but not here
    assert_pull(name, weight_on, 1.0, [-25.0, -22.0, -20.5, 20.5, 22.0, 25.0])
    assert_pull(name, weight_on, 0.5, [-25.0, -22.0, -20.5, 20.5, 22.0, 25.0])


def test_every_registered_loss_is_in_the_table_of_pulls() -> None:
    assert {name for name, _ in PULLS} | COUPLES_SAMPLES == set(LOSSES)


@pytest.fixture(scope="module")
def unchecked() -> Iterator[ModuleType]:
    """The losses as users import them, without the shape checker."""
    checker = [finder for finder in sys.meta_path if type(finder).__module__.startswith("jaxtyping")]
    checked = {name: module for name, module in sys.modules.items() if name.startswith("ganneal.losses")}
    assert checker and checked
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in checker]
    for name in checked:
        del sys.modules[name]
    yield importlib.import_module("ganneal.losses")
    for name in [name for name in sys.modules if name.startswith("ganneal.losses")]:
        del sys.modules[name]
    sys.modules.update(checked)
    sys.meta_path[:0] = checker
    ganneal.losses = checked["ganneal.losses"]


@every_loss
@for_each(("num_real", "num_fake"), [(3, 1), (1, 3)])
def test_unequal_batches_are_refused_in_production_instead_of_broadcast(
    unchecked: ModuleType, name: str, num_real: int, num_fake: int
) -> None:
    real, fake, loss = torch.zeros(num_real), torch.zeros(num_fake), unchecked.LOSSES[name]
    message = rf"real and fake .* equal size, got \({num_real},\) and \({num_fake},\); "
    with pytest.raises(ValueError, match=message):
        loss.discriminator(real, fake)
    if loss.needs_real:
        with pytest.raises(ValueError, match=message):
            loss.generator(fake, real)


@every_loss
def test_a_generator_loss_that_needs_real_outputs_says_so(name: str) -> None:
    if not LOSSES[name].needs_real:
        assert LOSSES[name].generator(torch.zeros(3)).shape == (3,)
        return
    with pytest.raises(ValueError, match="real must be given, got None: .* pass the raw outputs"):
        LOSSES[name].generator(torch.zeros(3))


@every_loss
def test_an_unknown_placement_is_refused_in_production(unchecked: ModuleType, name: str) -> None:
    with pytest.raises(ValueError, match="weight_on must be 'output' or 'loss', got 'logits'"):
        replace(unchecked.LOSSES[name], weight_on="logits").generator(torch.zeros(3), torch.zeros(3), weight=0.5)


# What the best output means


def two_places(loss: Loss, outputs: Tensor) -> Tensor:
    """The discriminator's loss for p = (0.8, 0.2) and q = (0.3, 0.7) on two places, in every pair of real and fake."""
    real = outputs[torch.tensor([0] * 8 + [1] * 2)].repeat_interleave(10)
    fake = outputs[torch.tensor([0] * 3 + [1] * 7)].repeat(10)
    return loss.discriminator(real, fake).mean()


def best_outputs(loss: Loss) -> Tensor:
    """The outputs at both places after 400 steps of gradient descent, in float64; of linear losses there are none."""
    outputs = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([outputs], lr=0.5, max_iter=400, tolerance_change=0, tolerance_grad=1e-9)

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = two_places(loss, outputs)
        value.backward()
        return value

    optimizer.step(closure)
    return outputs.detach()


@every_loss
def test_the_best_output_is_the_log_ratio_exactly_where_the_loss_says_so(name: str) -> None:
    best, ratio = best_outputs(LOSSES[name]), torch.tensor([0.8 / 0.3, 0.2 / 0.7], dtype=torch.float64).log()
    close = abs(float(best[0] - best[1] - (ratio[0] - ratio[1]))) < 1e-3
    assert output_of(LOSSES[name]).log_ratio == close, best
    if close and output_of(LOSSES[name]).boundary == 0.0:
        torch.testing.assert_close(best, ratio, rtol=0, atol=1e-3)


@every_loss
def test_an_output_between_real_and_fake_exists_unless_only_differences_count(name: str) -> None:
    loss, boundary = LOSSES[name], output_of(LOSSES[name]).boundary
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    shifted = loss.discriminator(real + 3, fake + 3)
    assert (boundary is None) == torch.allclose(shifted, loss.discriminator(real, fake))
    if boundary is not None:  # at p = q the loss is least there
        grid = torch.linspace(-3, 3, 601, dtype=torch.float64)
        at_boundary = torch.full((1,), boundary, dtype=torch.float64)
        least = loss.discriminator(at_boundary, at_boundary).item()
        assert least <= loss.discriminator(grid, grid).min().item() + 1e-12


@every_loss
def test_only_a_critic_of_distances_has_a_loss_in_the_unit_of_its_output(name: str) -> None:
    loss, generator = LOSSES[name], torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 16, generator=generator, dtype=torch.float64)
    tripled = torch.allclose(loss.discriminator(3 * real, 3 * fake), 3 * loss.discriminator(real, fake))
    assert tripled == output_of(loss).distance


@both_placements
@every_loss
def test_a_weight_scales_the_gradient_on_the_loss_and_in_linear_losses(name: str, weight_on: WeightOn) -> None:
    linear = name in ("wgan", "hinge")
    assert weight_scales_gradient(placed(name, weight_on)) == (weight_on == "loss" or linear)


def test_a_weight_scales_the_gradient_of_the_linear_triplet() -> None:
    for weight_on in PLACEMENTS:
        triplet: Any = Triplet(weight_on=weight_on)  # with a method of three batches of pairs
        assert weight_scales_gradient(triplet)
