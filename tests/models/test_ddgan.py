"""DDGAN players: published sizes and work, initial outputs, parts by hand, less memory for the same bits."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganneal.models import DDGAN, DenoisingMLP, ModelPair
from ganneal.models.ddgan_discriminator import DDGANDiscriminator, MinibatchDeviation, TimedDiscriminatorBlock
from ganneal.models.ddgan_generator import DDGANGenerator
from ganneal.models.parts.ddgan_blocks import (
    AdaptiveGroupNorm,
    PixelAttention,
    ResidualBlock,
    fan_convolution,
    fan_linear,
    groups,
)
from ganneal.models.parts.fir import Resample, Smooth
from ganneal.models.parts.times import waves
from ganneal.normalization import Spectral, Unnormalized

CIFAR = DDGAN(128, (1, 2, 2, 2), 2, 16, 100, style_size=256, mapping_layers=4, d_width=64, d_time_size=256)
FACES = replace(CIFAR, width=64, multipliers=(1, 1, 2, 2, 4, 4), mapping_layers=3, d_layout="large")
TINY = DDGAN(16, (1, 2), 1, 8, 16, style_size=32, mapping_layers=2, d_width=8, d_time_size=32)
TINIEST = replace(TINY, attention=4)
# model, shape; parameters of G and D
SIZES = [
    (CIFAR, (3, 32, 32), 48_432_515, 12_741_633),
    (FACES, (3, 256, 256), 39_726_979, 27_737_217),
    (TINY, (3, 16, 16), 230_339, 200_321),
    (TINIEST, (1, 8, 8), 229_473, 200_257),
]
# model, size; millions of multiplications of G and D for an image of three channels
WORK = [
    (CIFAR, 32, 7034, 1474),
    (FACES, 256, 70414, 75545),
    (TINY, 16, 19.6, 5.8),
    (TINIEST, 8, 4.8, 1.5),
]


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def million_macs(module: nn.Module, *inputs: Tensor) -> float:
    """Multiplications of one image but for the fixed filters' 16 for each of the pixels they make."""
    filters: list[int] = []
    for part in module.modules():
        if isinstance(part, Resample | Smooth):
            part.register_forward_hook(lambda part, inputs, out: filters.append(16 * _filtered(part, inputs[0], out)))
    with FlopCounterMode(display=False) as counter:
        module.eval()(*inputs)
    return (counter.get_total_flops() / 2 - sum(filters)) / 1e6


def _filtered(part: nn.Module, x: Tensor, out: Tensor) -> int:
    """Pixels the counter multiplies 16 times: a transposed convolution's are those that go in."""
    return x.numel() if isinstance(part, Resample) and part.up else out.numel()


def tiny(seed: int = 0, **changes: object) -> ModelPair:
    torch.manual_seed(seed)
    return replace(TINY, **changes).build((3, 16, 16))  # type: ignore[arg-type]


def inputs(batch: int = 4) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents, times, noisier samples, samples."""
    torch.manual_seed(1)
    noisier, samples = torch.randn(2, batch, 3, 16, 16)
    return torch.randn(batch, 16), torch.arange(batch) % 4, noisier, samples


@for_each(("model", "shape", "generator", "discriminator"), SIZES)
def test_published_sizes(model: DDGAN, shape: tuple[int, ...], generator: int, discriminator: int) -> None:
    with torch.device("meta"):
        pair = model.build(shape)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator)


@pytest.mark.runs
@for_each(("model", "size", "generator", "discriminator"), WORK)
def test_published_work(model: DDGAN, size: int, generator: float, discriminator: float) -> None:
    with torch.device("meta"):
        pair = model.build((3, size, size))
        t, x = torch.zeros(1, dtype=torch.int64), torch.empty(1, 3, size, size)
        rounding = 0.05 if generator % 1 else 0.5  # the published figures have one decimal or none
        found = million_macs(pair.generator, torch.empty(1, model.latent_size), t, x)
        assert found == pytest.approx(generator, abs=rounding)
        assert million_macs(pair.discriminator, x, t, x) == pytest.approx(discriminator, abs=rounding)


def test_the_smoothed_image_is_halved_by_a_convolution_of_stride_two() -> None:
    found = Smooth()(torch.ones(1, 2, 8, 8))
    assert found.shape == (1, 2, 9, 9)
    assert found[0, 0, 2:-2, 2:-2].unique().tolist() == [1]
    assert found[0, 0, 0, 4].item() == 0.5 and found[0, 0, 0, 0].item() == 0.25  # half of the filter is outside
    impulse = torch.zeros(1, 1, 8, 8)
    impulse[0, 0, 4, 4] = 64
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    assert torch.equal(Smooth()(impulse)[0, 0, 3:7, 3:7], torch.outer(taps, taps))


def test_the_generator_is_about_zero_at_first_and_bounded_always() -> None:
    pair = tiny()
    latents, t, noisier, _ = inputs()
    at_first = pair.generator(latents, t, noisier).abs().max().item()
    assert 0 < at_first < 1e-4
    with torch.no_grad():
        for parameter in pair.generator.parameters():
            parameter.mul_(100)
    assert pair.generator(latents, t, noisier).abs().max() <= 1


def test_deviations_of_a_minibatch_are_of_every_fourth_part() -> None:
    values = torch.tensor([0.0, 1, 2, 3, 10, 20, 30, 40])[:, None, None, None].expand(-1, 3, 2, 2)
    found = MinibatchDeviation()(values)
    assert torch.equal(found[:, :3], values)
    expected = torch.tensor([11.8638, 15.7003] * 4)[:, None, None].expand(-1, 2, 2)
    torch.testing.assert_close(found[:, 3], expected, rtol=1e-5, atol=0)
    assert MinibatchDeviation()(values[:3]).shape == (3, 4, 2, 2)
    with pytest.raises(ValueError, match="batch must be below 4 or a multiple of it, .* got 6"):
        MinibatchDeviation()(values[:6])


def test_adaptive_norm_is_group_norm_scaled_and_shifted_by_the_style() -> None:
    torch.manual_seed(0)
    norm = AdaptiveGroupNorm(8, 5)
    x, style = torch.randn(2, 8, 3, 3), torch.randn(2, 5)
    plain = F.group_norm(x, 2, eps=1e-6)
    torch.testing.assert_close(norm(x, torch.zeros(2, 5)), plain)  # biases of 1 and 0
    scale, shift = norm.affine(style).chunk(2, 1)
    torch.testing.assert_close(norm(x, style), plain * scale[:, :, None, None] + shift[:, :, None, None])
    assert [groups(channels) for channels in (4, 6, 16, 48, 128, 384, 512)] == [1, 1, 4, 12, 32, 32, 32]
    with pytest.raises(ValueError, match="whole groups of channels, got a layer of 14"):
        groups(14)


def test_latents_are_normalised_before_they_steer() -> None:
    pair = tiny()
    latents, t, noisier, _ = inputs()
    torch.testing.assert_close(pair.generator(7 * latents, t, noisier), pair.generator(latents, t, noisier))


def test_at_first_a_block_is_its_shortcut_over_the_root_of_two() -> None:
    torch.manual_seed(0)
    x, vectors = torch.randn(2, 8, 4, 4), (torch.randn(2, 6), torch.randn(2, 5))
    block = ResidualBlock(8, 8, 6, 5)
    torch.testing.assert_close(block(x, *vectors), x / 2**0.5, atol=1e-3, rtol=0)
    attention = PixelAttention(8)
    torch.testing.assert_close(attention(x), x / 2**0.5, atol=1e-3, rtol=0)
    half = TimedDiscriminatorBlock(8, 12, 6, halve=True)
    expected = half.shortcut(Resample(up=False)(x)) / 2**0.5
    torch.testing.assert_close(half(x, vectors[0]), expected, atol=1e-3, rtol=0)


def test_attention_is_softmax_of_scaled_products_over_all_pixels() -> None:
    torch.manual_seed(0)
    attention, x = PixelAttention(8), torch.randn(2, 8, 3, 3)
    nn.init.normal_(attention.out.weight)
    normed = attention.norm(x)
    query, key, value = (part(normed).flatten(2) for part in (attention.query, attention.key, attention.value))
    weights = (query.transpose(1, 2) @ key / 8**0.5).softmax(2)
    attended = (value @ weights.transpose(1, 2)).view(2, 8, 3, 3)
    torch.testing.assert_close(attention(x), (x + attention.out(attended)) / 2**0.5)


@pytest.mark.parametrize(("fan", "expected"), [("average", 2 / (9 * (32 + 64))), ("outputs", 1 / (9 * 64))])
def test_initial_variances(fan: str, expected: float) -> None:
    torch.manual_seed(0)
    weight = fan_convolution(32, 64, 3, fan=fan).weight  # type: ignore[arg-type]
    assert weight.var().item() == pytest.approx(expected, rel=0.03)
    assert weight.abs().max().item() <= (3 * expected) ** 0.5  # uniform, whose variance is a third of the square
    layer = fan_linear(32, 64, fan=fan)  # type: ignore[arg-type]
    assert layer.weight.var().item() == pytest.approx(9 * expected, rel=0.1) and not layer.bias.any()


def test_every_layer_of_the_players_has_its_published_initial_variance() -> None:
    torch.manual_seed(0)
    pair = replace(CIFAR, width=32, style_size=64, d_width=16).build((3, 32, 32))
    for player in (pair.generator, pair.discriminator):
        for name, layer in player.named_modules():
            if not isinstance(layer, nn.Linear | nn.Conv2d):
                continue
            out, into = (layer.weight.shape[axis] * layer.weight[0, 0].numel() for axis in (0, 1))
            by_outputs = player is pair.discriminator or "mapping" in name or "affine" in name
            fan = out if by_outputs else (out + into) / 2
            last_of_its_part = name.endswith((".second", ".out")) and not name.startswith(("time.", "times."))
            scale = 1e-10 if last_of_its_part or name == "last" else 1.0
            scale = 0.1 if name.endswith((".query", ".key", ".value")) else scale
            # five standard errors of the variance of uniform draws, sqrt(0.8 / n)
            expected = pytest.approx(scale / fan, rel=5 * (0.8 / layer.weight.numel()) ** 0.5)
            assert layer.weight.square().mean().item() == expected, name
            if layer.bias is not None:
                assert layer.bias.unique().tolist() == ([0, 1] if "affine" in name else [0]), name


def test_the_large_discriminator_ends_at_full_scale() -> None:
    torch.manual_seed(0)
    last = replace(FACES, d_width=8).build((3, 256, 256)).discriminator.last
    assert isinstance(last, nn.Conv2d)
    assert last.weight.var().item() == pytest.approx(1 / (64 * 9), rel=0.05)


@pytest.mark.parametrize("normalization", [Unnormalized(), Spectral()], ids=["none", "spectral"])
@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_checkpointing_gives_the_same_bits_and_the_penalty_goes_through_it(player: str, normalization: Any) -> None:
    latents, t, noisier, samples = inputs()
    found, buffers = [], []
    for checkpointing in (False, True):
        torch.manual_seed(1)  # spectral normalisation draws its vectors
        module = normalization.apply(getattr(tiny(checkpointing=checkpointing), player))
        x = samples.clone().requires_grad_()
        out = module(latents if player == "generator" else x, t, noisier)
        loss = out.square().sum() * 1e6
        if player == "discriminator":
            (gradient,) = torch.autograd.grad(out.sum(), x, create_graph=True)
            loss = loss + 1e6 * gradient.square().sum()
        found.append(torch.autograd.grad(loss, list(module.parameters())))
        buffers.append(list(module.buffers()))
    for plain, saving in [*zip(*found, strict=True), *zip(*buffers, strict=True)]:
        assert torch.equal(plain, saving)


def test_without_the_pyramid_the_noisier_sample_enters_once() -> None:
    with_it, without = tiny(), tiny(pyramid=False)
    assert count(with_it.generator) - count(without.generator) == 16 * 3 * 9 + 16
    latents, t, noisier, _ = inputs()
    assert without.generator(latents, t, noisier).shape == noisier.shape


def test_players_are_of_the_classes_named() -> None:
    pair = tiny()
    assert isinstance(pair.generator, DDGANGenerator) and isinstance(pair.discriminator, DDGANDiscriminator)
    assert pair.denoises and pair.judged_together == 4


@for_each(
    ("model", "shape", "message"),
    [
        (
            replace(TINY, attention=None),
            (3, 28, 28),
            r"for DDGAN, both sides .* n = 3, got .* nearest sizes, width x height, are 24x24 or 32x32",
        ),
        (TINY, (2,), "for points use"),
        (TINY, (3, 32, 32), r"attention must be one of \[32, 16\] or None at 32 px, got 8"),
        (replace(TINY, multipliers=(1,) * 6), (3, 16, 16), "multipliers must be at most 5 at 16 px, got 6"),
        (replace(TINY, d_layout="large"), (3, 16, 16), "halves 6 times and needs at least 64 px, got 16; use 'small'"),
        (replace(TINY, width=36, multipliers=(1, 7)), (3, 16, 16), "whole groups of channels, got a layer of"),
        (DenoisingMLP(), (1, 8, 8), "for images use the model 'ddgan'"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(model: DDGAN | DenoisingMLP, shape: tuple[int, ...], message: str) -> None:
    with torch.device("meta"), pytest.raises(ValueError, match=message):
        model.build(shape)


@for_each(
    ("wrong", "message"),
    [
        ({"width": 7}, "width must be even and at least 4"),
        ({"d_time_size": 2}, "d_time_size must be even and at least 4"),
        ({"blocks": 0}, "blocks must be at least 1, got 0"),
        ({"multipliers": ()}, r"multipliers must be whole numbers above 0, one a size, got \(\)"),
    ],
)
def test_fields_that_are_not_allowed_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_classes must be 0 for DDGAN, got 3"):
        TINY.build((3, 16, 16), 3)


def test_times_are_told_by_waves_from_one_to_a_ten_thousandth_evenly_in_their_logarithm() -> None:
    t = torch.tensor([0, 1, 3])
    frequencies = torch.tensor([1.0, 10 ** (-4 / 3), 10 ** (-8 / 3), 1e-4])
    expected = torch.cat([(t[:, None] * frequencies).sin(), (t[:, None] * frequencies).cos()], 1)
    torch.testing.assert_close(waves(t, 8), expected)
