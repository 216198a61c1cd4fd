"""The triplet loss of relation GAN and its critic of pairs."""

import pytest
import torch
from torch import nn

from ganneal.losses import PairwiseCritic, Triplet

REAL_REAL = torch.tensor([0.2, 1.0], dtype=torch.float64)
FAKE_REAL = torch.tensor([0.9, 0.4], dtype=torch.float64)
FAKE_FAKE = torch.tensor([0.5, -0.3], dtype=torch.float64)


def test_values_by_hand() -> None:
    loss = Triplet(margin=1.0)
    assert loss.discriminator(REAL_REAL, FAKE_REAL, FAKE_FAKE).mean().item() == pytest.approx(1.4, rel=1e-14)
    assert loss.generator(REAL_REAL, FAKE_REAL, FAKE_FAKE).mean().item() == pytest.approx(2.6, rel=1e-14)


def test_it_is_rectified_per_pair() -> None:
    loss = Triplet(margin=1.0)
    settled = loss.discriminator(torch.tensor([-9.0, 0.0]), torch.tensor([9.0, 0.0]), torch.tensor([-9.0, 0.0]))
    assert settled.tolist() == [0.0, 2.0]


def test_half_precision_is_computed_on_in_float32() -> None:
    half = [part.bfloat16() for part in (REAL_REAL, FAKE_REAL, FAKE_FAKE)]
    assert Triplet().discriminator(*half).dtype == Triplet().generator(*half).dtype == torch.float32


def test_the_critic_of_pairs_is_symmetric_and_gives_one_value_a_pair() -> None:
    critic = PairwiseCritic(nn.Sequential(nn.Linear(2, 8), nn.ReLU()), nn.Linear(8, 1))
    first, second = torch.randn(5, 2), torch.randn(5, 2)
    assert critic(first, second).shape == (5,)
    assert torch.equal(critic(first, second), critic(second, first))


@pytest.mark.parametrize("margin", [0.0, -1.0])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match=f"margin must be above 0, got {margin}; the authors use 100"):
        Triplet(margin)


def test_generator_and_critic_pull_the_distance_of_fakes_to_real_samples_apart() -> None:
    distance = FAKE_REAL.clone().requires_grad_()
    (critics,) = torch.autograd.grad(Triplet().discriminator(REAL_REAL, distance, FAKE_FAKE).sum(), distance)
    (generators,) = torch.autograd.grad(Triplet().generator(REAL_REAL, distance, FAKE_FAKE).sum(), distance)
    assert (critics < 0).all() and (generators > 0).all()
