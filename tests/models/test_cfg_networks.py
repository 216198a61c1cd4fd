"""The networks of composite functional gradients: sizes and multiplications published, less inert biases."""

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganneal.models import FC2, DCGANExt, Model, ModelPair, ResNet4
from ganneal.models.resnet4 import DownBlock, UpBlock

FAMILIES = [DCGANExt, ResNet4, FC2]
TINY: list[Model] = [DCGANExt(width=2, latent_size=3), ResNet4(width=2, latent_size=3), FC2(5, width=2, latent_size=3)]
every_tiny = for_each("model", TINY, ids=lambda model: type(model).__name__)


def on_meta(model: Model, channels: int, size: int) -> ModelPair:
    """The players without memory or initialisation, to be counted."""
    with torch.device("meta"):
        return model.build((channels, size, size))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def million_macs(module: nn.Module, inputs: Tensor) -> float:
    counter = FlopCounterMode(display=False)
    with counter:
        module.eval()(inputs)
    return counter.get_total_flops() / 2e6


# model, channels, size; parameters of G and D, biases that the published D has and never adds, multiplications
PUBLISHED = [
    (DCGANExt(width=32), 1, 32, 469_345, 280_513, 384, 7.5, 7.3),
    (DCGANExt(), 3, 32, 1_464_131, 1_117_185, 768, 30.0, 29.5),
    (DCGANExt(), 3, 64, 5_221_699, 4_663_297, 1_792, 175.6, 174.8),
    (DCGANExt(width=32), 1, 28, 369_953, 59_649, 128, 3.2, 2.9),
    (ResNet4(), 3, 64, 3_403_459, 2_544_833, 1_472, 660, 504),
    (ResNet4(), 3, 32, 2_782_915, 2_538_689, 1_472, 165, 126),
]


@for_each(("model", "channels", "size", "generator", "discriminator", "inert", "g_macs", "d_macs"), PUBLISHED)
def test_published_sizes(
    model: Model, channels: int, size: int, generator: int, discriminator: int, inert: int, g_macs: float, d_macs: float
) -> None:
    pair = on_meta(model, channels, size)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator - inert)
    rounding = 0.05 if g_macs < 200 and g_macs % 1 else 0.5  # the published figures have one decimal or none
    latents, images = torch.empty(1, 100, device="meta"), torch.empty(1, channels, size, size, device="meta")
    assert million_macs(pair.generator, latents) == pytest.approx(g_macs, abs=rounding)
    assert million_macs(pair.discriminator, images) == pytest.approx(d_macs, abs=rounding)


@for_each(
    ("channels", "size", "generator"), [(1, 28, 716_560), (1, 32, 839_680), (3, 32, 1_890_304), (3, 64, 6_618_112)]
)
def test_published_sizes_of_the_fully_connected_generator(channels: int, size: int, generator: int) -> None:
    pair = on_meta(FC2(), channels, size)
    assert count(pair.generator) == generator
    assert count(pair.discriminator) == count(on_meta(DCGANExt(), channels, size).discriminator)


def test_a_256_pixel_residual_network_has_six_blocks_and_widths_of_eight_at_most() -> None:
    pair = on_meta(ResNet4(), 3, 256)
    ups = [b for b in pair.generator.modules() if isinstance(b, UpBlock)]
    downs = [b for b in pair.discriminator.modules() if isinstance(b, DownBlock)]
    assert [b.shortcut.out_channels for b in ups] == [512, 512, 256, 128, 64, 64]
    assert [b.shortcut.out_channels for b in downs] == [64, 128, 256, 512, 512, 512]
    # beside the four blocks of 64 px, of the same base: two of 512 to 512, with biases in G only
    block = 2 * 512 * 512 * 9 + 2 * 512 + 512 * 512
    assert count(pair.generator) == 3_403_459 + 2 * (block + 2 * 512)
    assert count(pair.discriminator) == 2_544_833 - 1_472 + 2 * block


@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_layer_and_instance_norm_have_as_many_parameters_as_batch_norm(norm: str) -> None:
    for family in (DCGANExt, ResNet4):
        pair = on_meta(family(g_norm=norm, d_norm=norm), 3, 32)  # type: ignore[arg-type]
        usual = on_meta(family(), 3, 32)
        assert count(pair.generator) == count(usual.generator)
        assert count(pair.discriminator) == count(usual.discriminator)


def test_without_norm_every_norm_is_dropped_and_nothing_added() -> None:
    for family in (DCGANExt, ResNet4):
        plain, usual = on_meta(family(g_norm="none", d_norm="none"), 3, 32), on_meta(family(), 3, 32)
        for name in ("generator", "discriminator"):
            norms = [m for m in getattr(usual, name).modules() if isinstance(m, nn.BatchNorm2d)]
            assert norms and count(getattr(plain, name)) == count(getattr(usual, name)) - sum(map(count, norms))


def test_initial_weights_are_those_of_the_published_code() -> None:
    torch.manual_seed(0)
    pair = ResNet4(width=32).build((3, 32, 32))
    shortcuts = [b.shortcut for b in pair.generator.modules() if isinstance(b, UpBlock)]
    shortcuts += [b.shortcut for b in pair.discriminator.modules() if isinstance(b, DownBlock)]
    for player in (pair.generator, pair.discriminator, DCGANExt(width=32).build((3, 32, 32)).generator):
        for layer in player.modules():
            match layer:
                case nn.Linear() | nn.Conv2d() if isinstance(layer, nn.Linear) or layer in shortcuts:
                    fan_in = layer.weight[0].numel()
                    expected = (2 / fan_in) ** 0.5
                case nn.Conv2d() | nn.ConvTranspose2d():
                    expected = 0.01
                case nn.BatchNorm2d():
                    assert layer.weight.min() >= 0 and layer.weight.max() <= 1
                    assert layer.weight.std() > 0.2 and not layer.bias.any()  # uniform: 0.289
                    continue
                case _:
                    continue
            error = 5 / (2 * layer.weight.numel()) ** 0.5  # five standard errors of a standard deviation
            assert layer.weight.std().item() == pytest.approx(expected, rel=error)
            assert layer.bias is None or not layer.bias.any()


@every_tiny
@for_each(("size", "channels"), [(8, 1), (16, 3), (28, 1), (32, 3), (48, 3), (56, 1), (64, 3), (112, 1)])
def test_every_even_size_gives_images_within_one_and_one_logit_each(model: Model, size: int, channels: int) -> None:
    torch.manual_seed(0)
    pair = model.build((channels, size, size))
    images = pair.generator(30 * torch.randn(3, 3))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert pair.discriminator(images).shape == (3,)


@every_tiny
def test_one_image_gives_one_logit_not_a_scalar(model: Model) -> None:
    discriminator = model.build((1, 16, 16)).discriminator.eval()
    assert discriminator(torch.zeros(1, 1, 16, 16)).shape == (1,)


def test_the_shortcut_sees_the_rectified_input() -> None:
    torch.manual_seed(0)
    up, down = UpBlock(2, 3, "none"), DownBlock(2, 2, 3, "none", first=False)
    first = DownBlock(2, 2, 3, "none", first=True)
    x = -torch.rand(1, 2, 4, 4)
    for block in (up, down):
        assert torch.equal(block(x), block(torch.zeros_like(x)))
    assert not torch.equal(first(x), first(torch.zeros_like(x)))


@for_each("shape", [(2,), (3, 32, 27), (1, 7, 7), (3, 100, 100), (1, 1, 1)], ids=str)
@every_tiny
def test_a_shape_without_a_network_is_refused_with_a_way_out(model: Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must (be \(channels, height, width\)|halve evenly).*data\.size"):
        model.build(shape)


@for_each("family", FAMILIES)
def test_a_depth_that_does_not_divide_the_size_is_refused(family: type[DCGANExt]) -> None:
    # three halvings do not fit 28 px: the published nets pad MNIST to 32
    with pytest.raises(ValueError, match="depth must be at most 2 for 28 px.*got 3; use None"):
        family(depth=3).build((1, 28, 28))
    with pytest.raises(ValueError, match="num_classes must be 0 for"):
        family().build((1, 28, 28), num_classes=10)


@for_each("family", FAMILIES)
@for_each("field", ["width", "latent_size", "depth"])
def test_empty_layers_are_refused(family: type[DCGANExt], field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1.* got 0"):
        family(**{field: 0})  # type: ignore[arg-type]
