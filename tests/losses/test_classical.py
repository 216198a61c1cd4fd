"""Losses against values by hand, as means over the batch D(x) = (2, -1, 0.5), D(G(z)) = (-1.5, 0.25, 3)."""

import math

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor

from ganneal.losses import (
    LOSSES,
    Hinge,
    LeastSquares,
    Loss,
    Minimax,
    MinimaxProbability,
    NonSaturating,
    Wasserstein,
    WeightOn,
)

REAL = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.25, 3.0], dtype=torch.float64)
LOGISTIC = ("nonsaturating", "minimax", "minimax-probability")
DIGITS = 1e-11  # the values below carry twelve significant digits


def gradient(loss: Loss, fake: Tensor, weight: float = 1.0) -> Tensor:
    """Derivative of the generator's loss in each fake logit."""
    fake = fake.detach().clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss.generator(fake, weight=weight).sum(), fake)
    return grad


@for_each(
    ("name", "value"),
    [
        *((name, 1.99673557739) for name in LOGISTIC),
        ("lsgan", 2.76041666667),
        ("wgan", 0.0833333333333),
        ("hinge", 2.58333333333),
        ("hinge-hinged", 2.58333333333),
    ],
)
def test_discriminator_loss_on_the_check_batch(name: str, value: float) -> None:
    assert LOSSES[name].discriminator(REAL, FAKE).mean().item() == pytest.approx(value, rel=DIGITS)


@for_each(
    ("name", "value"),
    [
        ("nonsaturating", 0.775313349812),
        ("minimax", -1.35864668315),
        ("minimax-probability", -1.35864668315),
        ("lsgan", 1.80208333333),
        ("wgan", -0.583333333333),
        ("hinge", -0.583333333333),
        ("hinge-hinged", 13 / 12),  # (2.5 + 0.75 + 0) / 3
    ],
)
def test_generator_loss_on_the_check_batch(name: str, value: float) -> None:
    assert LOSSES[name].generator(FAKE).mean().item() == pytest.approx(value, rel=DIGITS)


def test_nonsaturating_gradient_on_the_check_batch() -> None:
    expected = [-1 / (1 + math.exp(t)) / 3 for t in FAKE.tolist()]  # -sigmoid(-t) / 3
    assert expected == pytest.approx([-0.272524825, -0.145941166, -0.015808624], abs=1e-9)
    assert (gradient(NonSaturating(), FAKE) / 3).tolist() == pytest.approx(expected, rel=1e-14)


@for_each("name", LOGISTIC)
def test_undecided_logistic_discriminator_loses_two_log_two(name: str) -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    assert LOSSES[name].discriminator(zero, zero).tolist() == pytest.approx([2 * math.log(2)] * 3, rel=1e-15)


@for_each(
    ("name", "optimum"),
    [("nonsaturating", math.log(0.7 / 0.2)), ("lsgan", 0.7 / (0.7 + 0.2)), ("hinge", 1.0)],
)
def test_discriminator_loss_is_least_at_its_optimal_critic(name: str, optimum: float) -> None:
    # where the data have density p = 0.7 and the generator q = 0.2: log p/q, p/(p+q), sign(p-q)
    score = optimum + torch.tensor([0.0, -0.5, -0.1, -0.01, 0.01, 0.1, 0.5], dtype=torch.float64)
    other = torch.zeros_like(score)  # adds a constant, which moves no minimum
    loss = LOSSES[name].discriminator
    at_optimum, *elsewhere = (0.7 * loss(score, other) + 0.2 * loss(other, score)).tolist()
    assert all(value > at_optimum for value in elsewhere)


@for_each("name", LOGISTIC)
def test_logistic_discriminator_loss_is_linear_where_it_is_badly_wrong(name: str) -> None:
    real = torch.tensor([-100.0], requires_grad=True)
    fake = torch.tensor([100.0], requires_grad=True)
    value = LOSSES[name].discriminator(real, fake)
    d_real, d_fake = torch.autograd.grad(value.sum(), [real, fake])
    assert (value.item(), d_real.item(), d_fake.item()) == (200.0, -1.0, 1.0)


def test_nonsaturating_generator_pulls_on_the_worst_fakes_and_leaves_the_best() -> None:
    fake = torch.tensor([-80.0, 800.0])
    assert NonSaturating().generator(fake).tolist() == [80.0, 0.0]
    assert gradient(NonSaturating(), fake).tolist() == [-1.0, 0.0]


def test_minimax_generator_saturates_on_the_worst_fakes() -> None:
    # sigmoid(-80) = e^-80, still a normal float32
    assert gradient(Minimax(), torch.tensor([-80.0])).item() == pytest.approx(-math.exp(-80), rel=1e-5)


@for_each(
    ("name", "slope"),
    [("nonsaturating", -1.0), ("lsgan", -1e4 - 1), ("wgan", -1.0), ("hinge", -1.0), ("hinge-hinged", -1.0)],
)
def test_no_clamp_stops_the_pull_on_hopeless_fakes(name: str, slope: float) -> None:
    assert gradient(LOSSES[name], torch.tensor([-1e4])).item() == slope


@for_each(("name", "slope"), [("nonsaturating", 1.0), ("lsgan", 1e4), ("wgan", 1.0), ("hinge", 1.0)])
def test_no_clamp_stops_a_hopelessly_wrong_discriminator(name: str, slope: float) -> None:
    real, fake = torch.tensor([-1e4], requires_grad=True), torch.tensor([1e4], requires_grad=True)
    value = LOSSES[name].discriminator(real, fake)
    d_real, d_fake = torch.autograd.grad(value.sum(), [real, fake])
    # the real target of least squares is 1, the fake one 0
    assert (d_real.item(), d_fake.item()) == (-slope - (name == "lsgan"), slope)


@for_each(
    ("name", "slope"),
    [
        ("nonsaturating", 0.5),
        ("minimax", 0.5),
        ("lsgan", 1.0),
        ("wgan", 1.0),
        ("hinge", 1.0),
        ("hinge-hinged", 1.0),
    ],
)
def test_small_weights_make_the_generator_loss_linear(name: str, slope: float) -> None:
    weight = 1e-9
    pull = -gradient(LOSSES[name], torch.linspace(-5, 5, 11, dtype=torch.float64), weight) / weight
    assert pull.tolist() == pytest.approx([slope] * 11, abs=1e-8)  # the next term is weight * t


@for_each("weight", [1.0, 0.1, 0.01])
def test_least_squares_target_moves_to_one_over_the_weight(weight: float) -> None:
    around = torch.tensor([0.99, 1.0, 1.01], dtype=torch.float64) / weight
    below, at, above = gradient(LeastSquares(), around, weight).tolist()
    assert below < 0 < above
    assert at == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("weight", [1.0, 0.1])
def test_hinged_generator_stops_exactly_at_its_margin(weight: float) -> None:
    around = torch.tensor([0.999, 1.0, 1.001], dtype=torch.float64) / weight
    below, at, above = gradient(Hinge(hinged_generator=True), around, weight).tolist()
    assert below == pytest.approx(-weight) and (at, above) == (0.0, 0.0)


@for_each("loss", [Wasserstein, Hinge])
@for_each("weight", [1.0, 0.3, 20.0])
def test_placement_of_the_weight_does_not_matter_for_linear_losses(
    loss: type[Wasserstein] | type[Hinge], weight: float
) -> None:
    on_output, on_loss = loss(weight_on="output"), loss(weight_on="loss")
    assert torch.equal(on_output.generator(FAKE, weight=weight), on_loss.generator(FAKE, weight=weight))


def test_minimax_on_the_probability_is_log_one_minus_weighted_probability() -> None:
    fake = torch.linspace(-6, 6, 25, dtype=torch.float64)
    for weight in (0.9, 0.5, 0.1, 0.01):
        expected = torch.log(1 - weight * torch.sigmoid(fake))
        torch.testing.assert_close(
            MinimaxProbability().generator(fake, weight=weight), expected, rtol=1e-12, atol=1e-14
        )


@pytest.mark.parametrize("weight_on", ["output", "loss"])
def test_minimax_on_the_probability_at_weight_one_is_minimax(weight_on: WeightOn) -> None:
    fake = torch.linspace(-1e3, 1e3, 401)
    assert torch.equal(MinimaxProbability(weight_on).generator(fake), Minimax(weight_on).generator(fake))


@for_each("weight", [1.01, 20.0, 2])
def test_minimax_on_the_probability_refuses_weights_above_one(weight: float) -> None:
    with pytest.raises(ValueError, match=rf"weight must be at most 1.*got {weight}; use .*'minimax'"):
        MinimaxProbability().generator(FAKE, weight=weight)
    on_loss = MinimaxProbability(weight_on="loss").generator(FAKE, weight=weight)
    torch.testing.assert_close(on_loss, weight * Minimax().generator(FAKE), rtol=0, atol=0)


def test_registered_hinges_differ_in_the_generator_only() -> None:
    linear, hinged = LOSSES["hinge"], LOSSES["hinge-hinged"]
    assert torch.equal(linear.discriminator(REAL, FAKE), hinged.discriminator(REAL, FAKE))
    assert hinged.generator(FAKE).tolist() == [2.5, 0.75, 0.0]
    assert linear.generator(FAKE).tolist() == [1.5, -0.25, -3.0]


@for_each("targets", [(0.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (0.0, 1.0, 1.5), (1.0, 0.0, 0.0)])
def test_least_squares_with_its_own_targets_is_least_at_their_mean_under_the_densities(targets: tuple) -> None:
    a, b, c = targets
    loss, p, q = LeastSquares(*targets), 0.7, 0.2
    best = (b * p + a * q) / (p + q)
    score = best + torch.tensor([0.0, -0.1, 0.1], dtype=torch.float64)
    other = torch.zeros_like(score)
    at_optimum, *elsewhere = (p * loss.discriminator(score, other) + q * loss.discriminator(other, score)).tolist()
    assert all(value > at_optimum for value in elsewhere)
    assert gradient(loss, torch.tensor([c], dtype=torch.float64)).item() == 0
    # raising the ratio of data to model at a fake lowers its loss, wherever the best output is
    slope = gradient(loss, torch.tensor([best], dtype=torch.float64)).item() * (b - a)
    assert slope < 0


@for_each("targets", [(-1.0, 1.0, 0.0), (0.0, 1.0, 0.5), (1.0, 0.0, 0.5)])
def test_a_generator_target_short_of_the_real_one_is_warned_of(targets: tuple) -> None:
    with pytest.warns(UserWarning, match="generator_target .* is short of real_target .*: fakes .* away from the data"):
        loss = LeastSquares(*targets)
    a, b, c = targets
    near_real = torch.tensor([(c + b) / 2], dtype=torch.float64)  # an output the discriminator gives to good fakes
    assert gradient(loss, near_real).item() * (b - a) > 0


def test_least_squares_with_one_target_for_both_is_refused() -> None:
    with pytest.raises(ValueError, match=r"real_target must differ from fake_target, got 0.5 for both.*use 1 and 0"):
        LeastSquares(fake_target=0.5, real_target=0.5)
