"""Weight clipping: every parameter within the limit, nothing else touched."""

import pytest
import torch
from tests.for_each import for_each
from torch import nn

from ganneal.regularizers import REGULARIZERS, WeightClipping


def discriminator() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(16, 1))


def test_default_is_the_limit_of_the_wasserstein_gan_paper() -> None:
    assert REGULARIZERS["clipping"] == WeightClipping(limit=0.01)


@for_each("limit", [0.01, 0.1, 10.0])
def test_parameters_are_clamped_to_the_limit_and_smaller_ones_kept(limit: float) -> None:
    network = discriminator()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    WeightClipping(limit).constrain(network)
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.equal(new, old.clamp(-limit, limit))


def test_buffers_and_gradient_flags_are_left_alone() -> None:
    network = discriminator()
    network(torch.randn(8, 1, 4, 4))
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    WeightClipping(0.01).constrain(network)
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in network.named_buffers())
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in network.parameters())


def test_clipping_is_idempotent_and_infinity_clips_nothing() -> None:
    network = discriminator()
    before = [parameter.detach().clone() for parameter in network.parameters()]
    WeightClipping(float("inf")).constrain(network)
    assert all(torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True))
    WeightClipping(0.05).constrain(network)
    once = [parameter.detach().clone() for parameter in network.parameters()]
    WeightClipping(0.05).constrain(network)
    assert all(torch.equal(old, new) for old, new in zip(once, network.parameters(), strict=True))


@for_each("limit", [0.0, -0.01, float("nan")])
def test_limits_that_leave_no_weight_are_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=f"limit must be above 0, got {limit}"):
        WeightClipping(limit)
