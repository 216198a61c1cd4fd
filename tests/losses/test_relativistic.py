"""Relativistic losses against values by hand, and where the schedule's weight goes."""

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor

from ganneal.losses import (
    LOSSES,
    Loss,
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticPaired,
    RelativisticPairedSquares,
    WeightOn,
)
from ganneal.ranks import Ranks, joined

REAL = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
FAKE = torch.tensor([-1.5, 0.25, 3.0], dtype=torch.float64)
NAMES = ("rpgan", "rplsgan", "ragan", "rahinge")


@for_each(
    ("name", "d_loss", "g_loss"),
    [
        ("rpgan", 1.37018974464, 1.28685641130),
        ("ragan", 2.00154483613, 1.83487816946),
        ("rahinge", 2.63888888889, 2.52777777778),
        ("rplsgan", 7.85416666667, None),
    ],
)
def test_losses_on_the_check_batch(name: str, d_loss: float, g_loss: float | None) -> None:
    assert LOSSES[name].discriminator(REAL, FAKE).mean().item() == pytest.approx(d_loss, rel=1e-11)
    # by hand: ((-1.5 - 2 - 1)^2 + (0.25 + 1 - 1)^2 + (3 - 0.5 - 1)^2) / 3
    by_hand = (4.5**2 + 0.25**2 + 1.5**2) / 3
    assert LOSSES[name].generator(FAKE, REAL).mean().item() == pytest.approx(g_loss or by_hand, rel=1e-11)


@for_each("name", NAMES)
def test_the_generators_loss_is_the_discriminators_with_the_sides_exchanged(name: str) -> None:
    loss = LOSSES[name]
    torch.testing.assert_close(loss.generator(FAKE, REAL).mean(), loss.discriminator(FAKE, REAL).mean())


@for_each("name", NAMES)
def test_a_constant_added_to_every_output_changes_nothing(name: str) -> None:
    loss = LOSSES[name]
    torch.testing.assert_close(loss.discriminator(REAL + 7, FAKE + 7), loss.discriminator(REAL, FAKE))
    torch.testing.assert_close(loss.generator(FAKE + 7, REAL + 7), loss.generator(FAKE, REAL))


@for_each("name", NAMES)
@for_each("weight", [0.5, 0.01, 3.0])
def test_a_weight_on_the_output_multiplies_both_sides(name: str, weight: float) -> None:
    loss = LOSSES[name]
    torch.testing.assert_close(loss.generator(FAKE, REAL, weight=weight), loss.generator(weight * FAKE, weight * REAL))


@for_each("kind", [RelativisticPaired, RelativisticPairedSquares, RelativisticAverage, RelativisticAverageHinge])
def test_a_weight_on_the_loss_multiplies_it(kind: type) -> None:
    on: WeightOn = "loss"
    torch.testing.assert_close(kind(weight_on=on).generator(FAKE, REAL, weight=0.3), 0.3 * kind().generator(FAKE, REAL))


def slopes(loss: Loss, fake: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    fake, real = fake.clone().requires_grad_(), real.clone().requires_grad_()
    d_fake, d_real = torch.autograd.grad(loss.generator(fake, real).sum(), (fake, real))
    return d_fake, d_real


def test_each_fake_is_pulled_by_how_far_its_partner_is_above_it() -> None:
    d_fake, d_real = slopes(RelativisticPaired(), FAKE, REAL)
    torch.testing.assert_close(d_fake, -torch.sigmoid(REAL - FAKE))
    torch.testing.assert_close(d_real, -d_fake)


class BesideTen(Ranks):
    """Two processes, on the other of which every mean output is 10."""

    def mean(self, x: Tensor) -> Tensor:
        return (x + 10) / 2


def test_the_means_are_those_of_all_processes() -> None:
    with joined(BesideTen()):
        shared, hinged = (kind().discriminator(REAL, FAKE) for kind in (RelativisticAverage, RelativisticAverageHinge))
    of_real, of_fake = (REAL.mean() + 10) / 2, (FAKE.mean() + 10) / 2
    torch.testing.assert_close(shared, F.softplus(of_fake - REAL) + F.softplus(FAKE - of_real))
    torch.testing.assert_close(hinged, F.relu(1 - REAL + of_fake) + F.relu(1 + FAKE - of_real))


def test_gradients_pass_through_the_means() -> None:
    fake, real = FAKE.clone().requires_grad_(), REAL.clone().requires_grad_()
    d_real, d_fake = torch.autograd.grad(RelativisticAverage().discriminator(real, fake).sum(), (real, fake))
    expected = -torch.sigmoid(FAKE.mean() - REAL) - torch.sigmoid(FAKE - REAL.mean()).mean()
    torch.testing.assert_close(d_real, expected)
    torch.testing.assert_close(d_fake.sum(), -d_real.sum())


def test_averages_of_one_sample_are_the_pair() -> None:
    real, fake = REAL[:1], FAKE[:1]
    torch.testing.assert_close(
        RelativisticAverage().discriminator(real, fake), 2 * RelativisticPaired().discriminator(real, fake)
    )
