"""FastGAN: published sizes, doubling by one convolution, gates, noise, both paths and the reconstruction by hand."""

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.clocks import Counters
from ganneal.logits import per_sample
from ganneal.models import FastGAN, ModelPair
from ganneal.models.fastgan import FastGANGenerator, NoiseInjection
from ganneal.models.fastgan_discriminator import FastGANDiscriminator, HalvingBlock, quarter
from ganneal.models.parts.attention import SkipExcitation
from ganneal.models.parts.doubling import UpConvolution
from ganneal.models.parts.spectral import CONVOLUTIONS, SpectralWeight
from ganneal.ranks import Ranks, joined
from ganneal.regularizers import Context, Sum
from ganneal.regularizers.reconstruction import Reconstruction, with_own_term

SMALL_HEAD = 64 * 3
"""Weights of the published generator's second output, an image of 128 px, which this one does not have."""


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(shape: tuple[int, ...] = (3, 32, 32), **fields: object) -> ModelPair:
    torch.manual_seed(0)
    return FastGAN(width=4, latent_size=8, **fields).build(shape)  # type: ignore[arg-type]


def discriminator_of(pair: ModelPair) -> FastGANDiscriminator:
    assert isinstance(pair.discriminator, FastGANDiscriminator)
    return pair.discriminator


@for_each(("size", "parameters"), [(128, 30_435_533), (256, 30_622_319), (512, 30_668_865)])
def test_generators_of_projected_gans_have_the_published_sizes(size: int, parameters: int) -> None:
    with torch.device("meta"):
        assert count(FastGAN(layout="sauer").build((3, size, size)).generator) == parameters


def test_the_players_have_the_published_sizes() -> None:
    with torch.device("meta"):
        pair = FastGAN().build((3, 256, 256))
    assert (count(pair.generator) + SMALL_HEAD, count(pair.discriminator)) == (29_127_846, 11_526_160)


@pytest.mark.runs
@for_each("layout", ["liu", "sauer"])
@for_each(
    ("shape", "logits"),
    [
        ((3, 32, 32), 50),
        ((1, 40, 56), 7 * 11 + 7 * 11),
        ((4, 64, 64), 50),
        ((3, 96, 128), 9 * 13 + 9 * 13),
        ((3, 256, 256), 50),
        ((3, 512, 512), 50),
        ((1, 1024, 1024), 50),
    ],
)
def test_sizes_of_any_number_of_doublings_and_any_base(shape: tuple[int, ...], logits: int, layout: str) -> None:
    with torch.no_grad():
        pair = FastGAN(width=8, latent_size=4, layout=layout).build(shape)  # type: ignore[arg-type]
        images = pair.generator.eval()(torch.randn(2, 4))
        judgement = discriminator_of(pair).eval().outputs(images)
        quarters = torch.zeros(2, dtype=torch.int64)
        error = discriminator_of(pair).reconstruction_error(judgement.features, images, quarters)
    assert images.shape == (2, *shape) and judgement.logits.shape == (2, 1, logits) and error.shape == (2,)


def test_one_transposed_convolution_doubles_and_convolves() -> None:
    torch.manual_seed(0)
    layer = UpConvolution(3, 5, bias=True).double()
    maps = torch.randn(2, 3, 4, 6, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(F.interpolate(maps, scale_factor=2, mode="nearest"), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(maps), expected)
    inputs = (maps, layer.weight)
    weights = torch.randn_like(expected)
    for ours, theirs in zip(
        *(torch.autograd.grad((x * weights).sum(), inputs) for x in (layer(maps), expected)), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_every_convolution_of_the_published_players_is_spectrally_normalised_once_a_pass() -> None:
    pair = small()
    for player in (pair.generator, pair.discriminator):
        layers = [module for module in player.modules() if isinstance(module, CONVOLUTIONS)]
        assert layers and all(hasattr(layer, "parametrizations") for layer in layers)
    layer = next(module for module in pair.generator.modules() if isinstance(module, UpConvolution))
    (spectral,) = (module for module in layer.modules() if isinstance(module, SpectralWeight))
    before = spectral.u
    matrix = layer.parametrizations.weight.original.detach().flatten(1)  # type: ignore[union-attr]
    layer(torch.randn(1, layer.in_channels, 4, 4))
    once = F.normalize(F.normalize(before @ matrix, dim=1) @ matrix.T, dim=1)
    torch.testing.assert_close(spectral.u, once)
    assert not any(hasattr(m, "parametrizations") for m in small(layout="sauer").generator.modules())


def test_noise_stands_where_published_and_is_fixed_in_eval_mode() -> None:
    def sides(layout: str) -> list[int]:
        with torch.device("meta"):
            player = FastGAN(layout=layout).build((3, 256, 256)).generator  # type: ignore[arg-type]
        return [module.fixed.shape[2] for module in player.modules() if isinstance(module, NoiseInjection)]

    assert sides("liu") == [8, 8, 32, 32, 128, 128]
    assert sides("sauer") == [8, 8, 16, 16, 32, 32, 64, 64, 128, 128, 256, 256]
    noise = NoiseInjection((4, 6))
    maps = torch.randn(3, 2, 4, 6)
    assert torch.equal(noise(maps), maps)  # its scale starts at 0
    nn.init.constant_(noise.scale, 0.5)
    added = (noise(maps) - maps).detach()
    torch.testing.assert_close(added[:, 0], added[:, 1])  # all channels alike
    assert not torch.allclose(added[0], added[1]) and not torch.equal(noise(maps), noise(maps))
    noise.eval()
    torch.testing.assert_close(noise(maps), maps + 0.5 * noise.fixed)


def test_two_processes_draw_the_noise_of_one() -> None:
    noise = NoiseInjection((4, 4))
    nn.init.ones_(noise.scale)
    maps, parts = torch.zeros(4, 1, 4, 4), []
    for rank in (0, 1):
        torch.manual_seed(3)
        with joined(Ranks(rank, 2)):
            parts.append(noise(maps[:2]))
    torch.manual_seed(3)
    assert torch.equal(torch.cat(parts), noise(maps))


@for_each(("size", "gates"), [(32, ["3"]), (64, ["4"]), (256, ["4", "5", "6"])])
def test_each_large_map_is_gated_by_the_one_four_doublings_before(size: int, gates: list[str]) -> None:
    with torch.device("meta"):
        generator = FastGAN().build((3, size, size)).generator
    assert isinstance(generator, FastGANGenerator) and list(generator.gates) == gates


def test_a_gate_is_one_number_for_each_channel_of_the_large_map() -> None:
    torch.manual_seed(0)
    gate = SkipExcitation(3, 5)
    source, maps = torch.randn(2, 3, 6, 8), torch.randn(2, 5, 16, 16)
    factors = gate(source, maps) / maps
    torch.testing.assert_close(factors, factors[:, :, :1, :1].expand_as(factors))
    pooled = F.adaptive_avg_pool2d(source, 4)
    first, second = (layer for layer in gate.gate if isinstance(layer, nn.Conv2d))
    hidden = F.silu((pooled[:, None] * first.weight).sum((2, 3, 4)))
    torch.testing.assert_close(factors[:, :, 0, 0], torch.sigmoid(hidden @ second.weight[:, :, 0, 0].T))


def test_latents_of_projected_gans_have_unit_length_only_in_their_direction() -> None:
    generator = small(layout="sauer").generator.eval()
    latents = torch.randn(4, 8)
    torch.testing.assert_close(generator(latents), generator(7 * latents), rtol=1e-4, atol=1e-5)
    published = small().generator.eval()
    assert not torch.allclose(published(latents), published(7 * latents), atol=1e-3)


def test_a_halving_is_the_mean_of_its_two_ways() -> None:
    torch.manual_seed(0)
    block = HalvingBlock(3, 4).eval()
    maps = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(block(maps), 0.5 * block.main(maps) + 0.5 * block.beside(maps))
    assert block(maps).shape == (2, 4, 4, 4)


def test_an_output_is_the_mean_of_all_logits_of_both_paths() -> None:
    pair = small((3, 64, 64))
    discriminator, images = discriminator_of(pair).eval(), torch.rand(2, 3, 64, 64) * 2 - 1
    logits = discriminator.outputs(images).logits
    assert logits.shape == (2, 1, 50)
    torch.testing.assert_close(discriminator(images), logits.mean((1, 2)))
    # The second path sees the image averaged down to half its size: what differs within a 2x2 block is lost on it.
    mixed = images.view(2, 3, 32, 2, 32, 2).flip(3, 5).reshape(images.shape)
    other = discriminator.outputs(mixed).logits
    torch.testing.assert_close(other[..., 25:], logits[..., 25:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(other[..., :25], logits[..., :25], atol=1e-4)


def test_quarters_are_counted_in_reading_order() -> None:
    maps = torch.arange(16.0).view(1, 1, 4, 4).expand(4, 1, 4, 4)
    found = quarter(maps, torch.arange(4))
    assert found[:, 0, 0, 0].tolist() == [0, 2, 8, 10] and found[3, 0].tolist() == [[10, 11], [14, 15]]


def test_the_reconstruction_error_is_three_mean_squares_and_zero_for_perfect_decoders() -> None:
    discriminator = discriminator_of(small())
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    features = discriminator.outputs(images).features
    quarters = torch.tensor([1, 2])
    made: list[Tensor] = [torch.zeros(2, 3, 32, 32), torch.zeros(2, 3, 16, 16), images]
    discriminator.decoders = nn.ModuleList(Constant(each) for each in made)
    error = discriminator.reconstruction_error(features, images, quarters)
    wholes = images.square().mean((1, 2, 3))
    parts = torch.stack([images[0, :, :16, 16:], images[1, :, 16:, :16]]).square().mean((1, 2, 3))
    torch.testing.assert_close(error, wholes + parts)


class Constant(nn.Module):
    def __init__(self, value: Tensor):
        super().__init__()
        self.value = value

    def forward(self, maps: Tensor) -> Tensor:
        return self.value


def test_the_discriminator_brings_its_term_which_reads_the_pass_that_was_made() -> None:
    discriminator = discriminator_of(small(reconstruction=0.5)).eval()
    term = with_own_term(Sum(), discriminator)
    assert term == Sum((Sum(), Reconstruction(0.5)))
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    judgement = discriminator.outputs(images)
    logits = per_sample(judgement.logits)
    context = Context(
        discriminator, images, images, logits, logits, Counters(), torch.Generator().manual_seed(0),
        player=discriminator, real_seen=images, real_features=judgement.features,
    )  # fmt: skip
    value = term.discriminator_term(context, term.init_state())
    quarters = torch.randint(4, (2,), generator=torch.Generator().manual_seed(0))
    error = discriminator.reconstruction_error(judgement.features, images, quarters)
    torch.testing.assert_close(value, 0.5 * error.mean())
    assert value is not None
    reached = torch.autograd.grad(value, list(discriminator.parameters()), allow_unused=True)
    names = [name for name, _ in discriminator.named_parameters()]
    missed = {name.partition(".")[0] for name, gradient in zip(names, reached, strict=True) if gradient is None}
    assert missed == {"head", "small_head"}  # a decoder trains all maps that it reads, and no logit
    without = discriminator_of(small(reconstruction=0.0))
    assert without.decoders is None and with_own_term(Sum(), without) == Sum()


def test_what_is_not_allowed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"reconstruction must be at least 0 \(no decoders\), got -1"):
        FastGAN(reconstruction=-1)
    with pytest.raises(ValueError, match="width must be a multiple of 4 for images of this size, got 6"):
        FastGAN(width=6).build((3, 256, 256))
    with pytest.raises(ValueError, match="num_classes must be 0 for FastGAN, got 3"):
        FastGAN().build((3, 64, 64), 3)
    for shape in ((3, 16, 16), (3, 50, 50), (2,), (3, 24, 24)):
        with pytest.raises(ValueError, match=r"for FastGAN, both sides multiples of 2\^n.* n from 3 to 8"):
            FastGAN().build(shape)
