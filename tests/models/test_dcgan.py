"""DCGAN: sizes counted from its layer table, w_i = min(width 2^i, 8 width), and what is refused."""

import importlib.util
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import ganneal.models.dcgan
from ganneal.models import DCGAN, ModelPair
from ganneal.models.dcgan import NormName
from ganneal.models.parts.doubling import UpConvolution

SIZES = [8, 14, 16, 28, 32, 56, 64, 112, 128, 224, 256]
NORMS: list[NormName] = ["batch", "layer", "instance", "none"]
TINY = DCGAN(width=2, latent_size=4)


def on_meta(model: DCGAN, channels: int, size: int) -> ModelPair:
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


def convolutions(module: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]


@for_each(
    ("model", "channels", "size", "generator", "discriminator"),
    [
        (DCGAN(), 3, 32, 1_183_619, 663_361),
        (DCGAN(), 1, 32, 1_181_569, 661_313),
        (DCGAN(), 3, 64, 3_806_083, 2_765_633),
        (DCGAN(), 3, 128, 8_001_411, 6_960_961),
        (DCGAN(width=16, latent_size=64), 1, 32, 106_977, 42_449),
        (DCGAN(width=16, latent_size=16), 1, 8, 4_385, 529),
    ],
    ids=["32-rgb", "32-grey", "64-rgb", "128-rgb", "small", "smallest"],
)
def test_parameter_counts(model: DCGAN, channels: int, size: int, generator: int, discriminator: int) -> None:
    pair = on_meta(model, channels, size)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator)


def test_28_pixels_start_from_a_7_pixel_base() -> None:
    pair = on_meta(DCGAN(), 1, 28)
    # two stages, widths 64 and 128: each convolution in * out * k * k, each batch norm 2 * channels
    assert count(pair.generator) == (128 * 128 * 49 + 2 * 128) + (128 * 64 * 16 + 2 * 64) + (64 * 16 + 1)
    assert count(pair.discriminator) == (64 * 16 + 64) + (64 * 128 * 16 + 2 * 128) + (128 * 49 + 1)


@for_each(
    ("model", "channels", "size", "generator", "discriminator"),
    [
        (DCGAN(), 3, 32, 18.1, 17.6),
        (DCGAN(), 1, 32, 17.6, 17.0),
        (DCGAN(), 3, 64, 104.9, 103.8),
        (DCGAN(), 3, 128, 483.4, 482.4),
        (DCGAN(width=16, latent_size=64), 1, 32, 1.2, 1.1),
    ],
    ids=["32-rgb", "32-grey", "64-rgb", "128-rgb", "small"],
)
def test_multiplications_of_one_forward_pass(
    model: DCGAN, channels: int, size: int, generator: float, discriminator: float
) -> None:
    pair = on_meta(model, channels, size)
    latents = torch.empty(1, model.latent_size, device="meta")
    images = torch.empty(1, channels, size, size, device="meta")
    # the published figures have one decimal
    assert million_macs(pair.generator, latents) == pytest.approx(generator, abs=0.05)
    assert million_macs(pair.discriminator, images) == pytest.approx(discriminator, abs=0.05)


def test_a_64_pixel_discriminator_without_norm_has_biases_in_its_place() -> None:
    assert count(on_meta(DCGAN(d_norm="none"), 3, 64).discriminator) == 2_764_737


@pytest.mark.parametrize("norm", ["layer", "instance"])
def test_layer_and_instance_norm_have_as_many_parameters_as_batch_norm(norm: NormName) -> None:
    assert count(on_meta(DCGAN(d_norm=norm), 3, 64).discriminator) == 2_765_633
    assert count(on_meta(DCGAN(g_norm=norm), 3, 64).generator) == 3_806_083


@for_each("norm", NORMS)
@for_each("size", [8, 28, 64])
def test_inner_layers_have_a_bias_only_without_norm(norm: NormName, size: int) -> None:
    pair = on_meta(DCGAN(g_norm=norm, d_norm=norm), 3, size)
    in_g = [layer.bias is not None for layer in convolutions(pair.generator)]
    first, *inner, last = (layer.bias is not None for layer in convolutions(pair.discriminator))
    assert in_g == [norm == "none"] * (len(in_g) - 1) + [True]
    assert first and last and inner == [norm == "none"] * len(inner)


@for_each("norm", NORMS)
def test_norm_stands_after_every_inner_layer_and_only_there(norm: NormName) -> None:
    pair = on_meta(DCGAN(g_norm=norm, d_norm=norm), 3, 64)
    kinds = {"batch": nn.BatchNorm2d, "layer": nn.GroupNorm, "instance": nn.InstanceNorm2d}
    widths = {"generator": [512, 256, 128, 64], "discriminator": [128, 256, 512]}
    for player in ("generator", "discriminator"):
        layers = [layer for layer in getattr(pair, player).modules() if isinstance(layer, tuple(kinds.values()))]
        assert all(type(layer) is kinds[norm] for layer in layers)
        assert [layer.weight.numel() for layer in layers] == ([] if norm == "none" else widths[player])


def test_batch_norm_has_the_usual_constants_and_layer_norm_one_group() -> None:
    pair = on_meta(DCGAN(d_norm="layer"), 3, 32)
    batch_norms = [layer for layer in pair.generator.modules() if isinstance(layer, nn.BatchNorm2d)]
    layer_norms = [layer for layer in pair.discriminator.modules() if isinstance(layer, nn.GroupNorm)]
    assert {(norm.eps, norm.momentum, norm.affine) for norm in batch_norms} == {(1e-5, 0.1, True)}
    assert {(norm.num_groups, norm.affine) for norm in layer_norms} == {(1, True)}


def test_discriminator_leaks_a_fifth_and_generator_rectifies() -> None:
    pair = on_meta(DCGAN(), 3, 32)
    slopes = [layer.negative_slope for layer in pair.discriminator.modules() if isinstance(layer, nn.LeakyReLU)]
    assert slopes == [0.2] * 3
    assert sum(isinstance(layer, nn.ReLU) for layer in pair.generator.modules()) == 3


def test_initial_weights_are_torch_defaults() -> None:
    torch.manual_seed(0)
    layer = convolutions(DCGAN().build((3, 32, 32)).discriminator)[1]
    bound = (64 * 16) ** -0.5  # uniform on +- 1 / sqrt(fan_in)
    assert layer.weight.abs().max() <= bound
    assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.01)  # 131,072 draws


@for_each("size", SIZES)
@for_each("channels", [1, 3])
def test_every_size_gives_images_within_one_and_one_logit_each(size: int, channels: int) -> None:
    torch.manual_seed(0)
    pair = TINY.build((channels, size, size))
    images = pair.generator(30 * torch.randn(3, 4))
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert pair.discriminator(images).shape == (3,)


@for_each("norm", NORMS)
@for_each("size", [8, 28, 32])
def test_every_norm_runs_in_both_players(norm: NormName, size: int) -> None:
    pair = DCGAN(width=2, latent_size=4, g_norm=norm, d_norm=norm).build((3, size, size))
    logits = pair.discriminator(pair.generator(torch.randn(2, 4)))
    assert logits.shape == (2,) and logits.isfinite().all()


def test_one_image_gives_one_logit_not_a_scalar() -> None:
    pair = TINY.build((1, 16, 16))
    assert pair.discriminator.eval()(torch.zeros(1, 1, 16, 16)).shape == (1,)


@for_each("norm", ["layer", "instance", "none"])
def test_without_batch_norm_logits_are_independent_in_training_too(norm: NormName) -> None:
    torch.manual_seed(0)
    discriminator = DCGAN(width=4, d_norm=norm).build((1, 16, 16)).discriminator.train()
    one, other = torch.rand(2, 3, 1, 16, 16)
    other[0] = one[0]
    assert discriminator(one)[0] == discriminator(other)[0]
    assert discriminator(one)[1] != discriminator(other)[1]


def test_batch_norm_couples_the_logits_of_a_batch_in_training() -> None:
    torch.manual_seed(0)
    discriminator = DCGAN(width=4).build((1, 16, 16)).discriminator.train()
    one, other = torch.rand(2, 3, 1, 16, 16)
    other[0] = one[0]
    assert discriminator(one)[0] != discriminator(other)[0]


@for_each("shape", [(3, 60, 60), (1, 4, 4), (1, 7, 7), (3, 2048, 2048), (1, 32, 27), (32, 32), (2,)], ids=str)
def test_a_shape_without_a_network_is_refused_with_the_rule_of_sizes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError) as error:
        DCGAN().build(shape)
    message = str(error.value)
    assert message.startswith("shape must be (channels, height, width) for DCGAN, both sides multiples of 2^n")
    assert f"got {shape}; " in message and "resize" in message and "'mlp'" in message
    assert ("nearest sizes, width x height, are 56x56 or 64x64" in message) == (shape == (3, 60, 60))


def test_nearest_upsampling_has_one_convolution_a_doubling_and_the_same_discriminator() -> None:
    torch.manual_seed(0)
    pair = DCGAN(width=2, latent_size=4, upsampling="nearest").build((3, 32, 48))
    generator, other = pair.generator, DCGAN(width=2, latent_size=4).build((3, 32, 48))
    ups = [layer for layer in generator.modules() if isinstance(layer, UpConvolution)]
    assert len(ups) == 3 and sum(isinstance(m, nn.ConvTranspose2d) for m in generator.modules()) == 1
    assert len([layer for layer in other.generator.modules() if isinstance(layer, nn.ConvTranspose2d)]) == 4
    assert ups[-1].bias is not None and ups[0].bias is None
    assert generator(torch.randn(2, 4)).shape == (2, 3, 32, 48)
    assert str(pair.discriminator) == str(other.discriminator)


def labelled_and_plain() -> tuple[ModelPair, ModelPair]:
    """The players with three classes, and those without classes of the same weights."""
    labelled, plain = (DCGAN(width=4, latent_size=8).build((1, 16, 16), num_classes) for num_classes in (3, 0))
    for one, other in ((labelled.generator, plain.generator), (labelled.discriminator, plain.discriminator)):
        assert other.load_state_dict(one.state_dict(), strict=False) == ([], ["classes.weight"])
    return labelled, plain


def test_without_its_vectors_of_classes_it_is_the_network_without_classes() -> None:
    labelled, plain = labelled_and_plain()
    for player in (labelled.generator, labelled.discriminator):
        torch.nn.init.zeros_(player.classes.weight)  # type: ignore[union-attr]
    latents, labels = torch.randn(5, 8), torch.tensor([0, 1, 2, 2, 1])
    images = plain.generator(latents)
    torch.testing.assert_close(labelled.generator(latents, labels), images, rtol=0, atol=0)
    judged = labelled.discriminator(images, labels), plain.discriminator(images)
    torch.testing.assert_close(*judged, rtol=0, atol=1e-6)


def test_a_class_shifts_the_latents_and_the_first_features_as_a_map_beside_the_image_does() -> None:
    labelled, plain = labelled_and_plain()
    latents, labels = torch.randn(5, 8), torch.tensor([0, 1, 2, 2, 1])
    vectors = labelled.generator.classes.weight[labels]  # type: ignore[union-attr]
    images = labelled.generator(latents, labels)
    torch.testing.assert_close(images, plain.generator(latents + vectors))
    # the bias of the first layer, for a batch of one class
    biases, table = (dict(pair.discriminator.named_parameters()) for pair in (plain, labelled))
    with torch.no_grad():
        biases["net.0.bias"].add_(table["classes.weight"][2])
    same = torch.full((5,), 2)
    torch.testing.assert_close(labelled.discriminator(images, same), plain.discriminator(images))


@pytest.mark.parametrize("value", [0, -1])
def test_empty_layers_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match=f"width must be at least 1, got {value}"):
        DCGAN(width=value)
    with pytest.raises(ValueError, match=f"latent_size must be at least 1, got {value}"):
        DCGAN(latent_size=value)


@pytest.fixture(scope="module")
def unchecked() -> Iterator[ModuleType]:
    """The module as users import it, without the shape checker."""
    spec = importlib.util.spec_from_file_location("dcgan_without_shape_checks", ganneal.models.dcgan.__file__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@for_each("field", ["g_norm", "d_norm"])
@for_each("size", [8, 32])
def test_an_unknown_norm_is_refused_in_production_at_every_size(unchecked: ModuleType, field: str, size: int) -> None:
    with pytest.raises(ValueError, match="norm must be one of batch, layer, instance, none, got 'group'"):
        unchecked.DCGAN(**{field: "group"}).build((1, size, size))
