"""Weight averaging: the half-life formula, its closed form, and what happens to buffers."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.models.parts.spectral import spectral_norm
from ganneal.optim import Averaging, average_


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))


def shifted(module: nn.Module, seed: int) -> nn.Module:
    """A copy with other weights and other batch-norm statistics."""
    other = deepcopy(module)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(torch.rand(tensor.shape, generator=random))
            else:
                tensor.add_(seed)
    return other


def floats(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items() if value.is_floating_point()}


@for_each(
    ("half_life", "batch", "decay"),
    [
        (5e5, 512, 0.999290469),
        (5e6, 512, 0.999929024),
        (346_556, 50, 0.9999),  # h = B log(1/2) / log(d)
        (1_774_368, 256, 0.9999),
    ],
)
def test_decay_per_batch(half_life: float, batch: int, decay: float) -> None:
    assert Averaging(half_life, rampup=None).decay(batch, 0) == pytest.approx(decay, abs=5e-10)


def test_half_of_the_old_average_is_left_after_the_half_life() -> None:
    assert Averaging(10_000, rampup=None).decay(25_000, 15_000) == 0.5


@given(images=st.lists(st.integers(1, 5_000), min_size=1, max_size=6), half_life=st.floats(100, 1e6))
def test_batch_size_does_not_matter(images: list[int], half_life: float) -> None:
    averaging, position, product = Averaging(half_life, rampup=None), 0, 1.0
    for count in images:
        product *= averaging.decay(position + count, position)
        position += count
    assert product == pytest.approx(averaging.decay(position, 0), rel=1e-12)


def test_rampup_caps_the_half_life_at_a_share_of_the_images_seen() -> None:
    averaging = Averaging(half_life=10_000, rampup=0.05)
    assert averaging.decay(1_000, 936) == pytest.approx(0.5 ** (64 / 50))
    assert averaging.decay(200_000, 199_936) == pytest.approx(0.5 ** (64 / 10_000))
    assert averaging.decay(10**9, 10**9 - 64) == pytest.approx(0.5 ** (64 / 10_000))
    assert averaging.decay(64, 0) < 1e-6  # the first batch all but replaces the initial weights


def test_without_rampup_the_half_life_holds_from_the_first_batch() -> None:
    assert Averaging(half_life=10_000, rampup=None).decay(64, 0) == pytest.approx(0.5 ** (64 / 10_000))


@pytest.mark.parametrize("since", [0, 64])  # 64: two runs of generator updates without real images between them
@pytest.mark.parametrize("rampup", [None, 0.05])
def test_half_life_zero_copies_bit_for_bit(rampup: float | None, since: int) -> None:
    decay = Averaging(half_life=0, rampup=rampup).decay(64, since)
    assert decay == 0.0
    average, current = network(0), shifted(network(1), 3)
    average_(average, current, decay)
    assert all(torch.equal(value, current.state_dict()[key]) for key, value in average.state_dict().items())


def test_infinite_half_life_keeps_the_first_weights() -> None:
    decay = Averaging(half_life=float("inf"), rampup=None).decay(64, 0)
    average, current = network(0), shifted(network(0), 3)
    before = floats(average)
    average_(average, current, decay)
    assert decay == 1.0 and all(torch.equal(value, before[key]) for key, value in floats(average).items())


def test_average_of_constant_weights_is_constant() -> None:
    average, current = network(), network()
    before = floats(average)
    for decay in (0.0, 0.1, 0.5, 0.9, 0.9999, 1.0):
        average_(average, current, decay)
        assert all(torch.equal(value, before[key]) for key, value in floats(average).items()), decay


@pytest.mark.parametrize("decay", [0.25, 0.9])
def test_closed_form_after_many_updates(decay: float) -> None:
    first = network().double()
    visited = [shifted(first, seed) for seed in range(1, 7)]
    average = deepcopy(first)
    for current in visited:
        average_(average, current, decay)
    n, start, states = len(visited), floats(first), [floats(current) for current in visited]
    for key, value in floats(average).items():
        expected = decay**n * start[key]
        for k, state in enumerate(states, start=1):
            expected = expected + (1 - decay) * decay ** (n - k) * state[key]
        torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-14)


def test_batch_norm_statistics_are_averaged_and_their_counter_copied() -> None:
    average, current = network(), network()
    norm_average, norm_current = average[1], current[1]  # type: ignore[index]
    current.train()
    for _ in range(3):
        current(torch.randn(4, 1, 4, 4) * 5 + 2)
    average_(average, current, 0.75)
    torch.testing.assert_close(norm_average.running_mean, 0.25 * norm_current.running_mean)
    torch.testing.assert_close(norm_average.running_var, 0.75 + 0.25 * norm_current.running_var)
    assert norm_average.num_batches_tracked == norm_current.num_batches_tracked == 3


def test_other_buffers_are_copied() -> None:
    class WithVector(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((2,), value))
            self.u: Tensor
            self.register_buffer("u", torch.full((2,), value))  # a power-iteration vector

    average, current = WithVector(1.0), WithVector(3.0)
    average_(average, current, 0.5)
    assert average.weight.tolist() == [2.0, 2.0] and average.u.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("statistics", ["copy", "recompute"])
def test_batch_norm_statistics_are_copied_by_the_other_rules(statistics: Any) -> None:
    average, current = network(), shifted(network(), 3)
    expected = (average[0].weight + 3 * current[0].weight) / 4  # type: ignore[index]
    average_(average, current, 0.25, statistics=statistics)
    assert all(torch.equal(a, b) for a, b in zip(average.buffers(), current.buffers(), strict=True))
    torch.testing.assert_close(average[0].weight, expected)  # type: ignore[index]


def test_the_vector_of_spectral_normalisation_is_copied_and_the_weight_before_it_averaged() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(3, 2) for _ in range(2)]
    raw = [layer.weight.detach().clone() for layer in layers]
    for layer in layers:
        spectral_norm(layer, 1e-8)
        layer(torch.ones(1, 3))  # u moves
    average_(layers[0], layers[1], 0.5)
    buffers = [dict(layer.named_buffers())["parametrizations.weight.0.u"] for layer in layers]
    original = dict(layers[0].named_parameters())["parametrizations.weight.original"]
    assert torch.equal(*buffers)
    torch.testing.assert_close(original, (raw[0] + raw[1]) / 2)


def test_before_its_start_the_average_is_a_copy() -> None:
    averaging = Averaging(half_life=100.0, rampup=None, start=200)
    assert [averaging.decay(seen, seen - 50) for seen in (50, 150, 199)] == [0.0, 0.0, 0.0]
    assert averaging.decay(200, 150) == pytest.approx(0.5**0.5)
    assert averaging.decay(250, 200) == Averaging(half_life=100.0, rampup=None).decay(250, 200)
    assert averaging.decay(250, 50) == 0.25  # a copy until 50 was seen: its half-lives since then


def test_the_published_average_of_biggan_average_in_real_images() -> None:
    averaging = Averaging(half_life=1_386_225, rampup=None, start=200_000)
    images = 4 * 50  # of the four discriminator updates before one of the generator
    decays = [averaging.decay(images * update, images * (update - 1)) for update in (1, 999, 1000, 125_000)]
    assert decays == [0.0, 0.0, pytest.approx(0.9999, abs=1e-9), pytest.approx(0.9999, abs=1e-9)]


def test_a_negative_start_is_refused() -> None:
    with pytest.raises(ValueError, match="start must be at least 0 real images, got -1; 0 averages from the first on"):
        Averaging(start=-1)


def test_current_weights_are_only_read_and_no_graph_is_kept() -> None:
    average, current = network(0).requires_grad_(False), network(1)
    before = {key: value.clone() for key, value in current.state_dict().items()}
    average_(average, current, 0.5)
    assert all(torch.equal(value, before[key]) for key, value in current.state_dict().items())
    assert all(parameter.requires_grad for parameter in current.parameters())
    assert all(p.grad_fn is None and not p.requires_grad for p in average.parameters())
    assert not {p.data_ptr() for p in average.parameters()} & {p.data_ptr() for p in current.parameters()}


@pytest.mark.parametrize("half_life", [-1.0, float("nan")])
def test_bad_half_lives_are_refused(half_life: float) -> None:
    with pytest.raises(ValueError, match=f"half_life must be >= 0 real images, got {half_life}"):
        Averaging(half_life=half_life)


@for_each("rampup", [0.0, -0.05, float("nan")])
def test_bad_rampups_are_refused(rampup: float) -> None:
    with pytest.raises(ValueError, match=f"rampup must be above 0 or None, got {rampup}"):
        Averaging(rampup=rampup)
