"""SN-DCGAN and the residual networks: sizes and multiplications published, and the blocks by hand."""

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganneal.models import SNDCGAN, SNGAN, Model, ModelPair
from ganneal.models.parts.checks import checked_labels
from ganneal.models.parts.conditional import ConditionalBatchNorm, ProjectionHead
from ganneal.models.parts.residual import DiscriminatorBlock, GeneratorBlock, ResidualDiscriminator


def on_meta(model: Model, shape: tuple[int, ...], num_classes: int = 0) -> ModelPair:
    """The players without memory or initialisation, to be counted."""
    with torch.device("meta"):
        return model.build(shape, num_classes)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def million_macs(module: nn.Module, *inputs: Tensor) -> float:
    """Multiplications of one image, the shortcuts counted at the larger size as the published figures have them."""
    saved: list[int] = []

    def at_half_the_size(shortcut: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(shortcut, nn.Conv2d)
        saved.append(3 * shortcut.in_channels * output.numel())

    for block in module.modules():
        if isinstance(block, GeneratorBlock) or (isinstance(block, DiscriminatorBlock) and not block.first):
            resized = isinstance(block, GeneratorBlock) or block.down
            if resized and block.shortcut is not None:
                block.shortcut.register_forward_hook(at_half_the_size)
    with FlopCounterMode(display=False) as counter:
        module.eval()(*inputs)
    return (counter.get_total_flops() / 2 + sum(saved)) / 1e6


# model, size, classes; parameters and multiplications of G and D
PUBLISHED = [
    (SNDCGAN(), 32, 0, 3_813_379, 5_860_865, 103.5, 215.7),
    (SNDCGAN(), 48, 0, 5_134_339, 5_871_105, 232.8, 485.3),
    (SNGAN(), 32, 0, 4_276_739, 1_053_825, 1681, 272),
    (SNGAN(), 48, 0, 4_878_083, 10_141_441, 827, 363),
    (SNGAN(), 32, 10, 4_304_387, 1_055_105, 1681, 272),
    (SNGAN(g_width=32, d_width=32), 32, 0, 126_019, 66_849, 27, 18),
    (SNGAN(g_width=32, d_width=32), 32, 10, 129_475, 67_169, 27, 18),
]


@for_each(("model", "size", "num_classes", "generator", "discriminator", "g_macs", "d_macs"), PUBLISHED)
def test_published_sizes(
    model: Model, size: int, num_classes: int, generator: int, discriminator: int, g_macs: float, d_macs: float
) -> None:
    pair = on_meta(model, (3, size, size), num_classes)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator)
    rounding = 0.05 if g_macs % 1 else 0.5  # the published figures have one decimal or none
    latents, images = torch.empty(1, 128, device="meta"), torch.empty(1, 3, size, size, device="meta")
    labels = (torch.zeros(1, dtype=torch.int64, device="meta"),) if num_classes else ()
    assert million_macs(pair.generator, latents, *labels) == pytest.approx(g_macs, abs=rounding)
    assert million_macs(pair.discriminator, images, *labels) == pytest.approx(d_macs, abs=rounding)


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
def test_a_generator_block_is_the_formula_with_the_shortcut_at_the_larger_size(upsampling: str) -> None:
    torch.manual_seed(0)
    norms = (nn.BatchNorm2d(3), nn.BatchNorm2d(5))
    block = GeneratorBlock(3, 5, norms, upsampling).double()  # type: ignore[arg-type]
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    kept = x.clone()

    def up(images: Tensor) -> Tensor:
        return F.interpolate(images, scale_factor=2, mode=upsampling)

    h = block.conv1(up(norms[0](x).relu()))
    expected = block.conv2(norms[1](h).relu()) + block.shortcut(up(x))
    torch.testing.assert_close(block(x), expected)
    assert torch.equal(x, kept)


@for_each("first", [True, False])
@for_each("down", [True, False])
def test_a_discriminator_block_is_the_formula_with_the_shortcut_at_the_larger_size(first: bool, down: bool) -> None:
    torch.manual_seed(0)
    block = DiscriminatorBlock(3, 4, 5, down=down, first=first).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    kept = x.clone()
    assert block.shortcut is not None
    expected = block.conv2(block.conv1(x if first else x.relu()).relu()) + block.shortcut(x)
    torch.testing.assert_close(block(x), F.avg_pool2d(expected, 2) if down else expected)
    assert torch.equal(x, kept)


def test_a_block_that_changes_neither_size_nor_width_has_no_shortcut() -> None:
    block = DiscriminatorBlock(3, 3, 3, down=False)
    nn.init.zeros_(block.conv2.weight)
    nn.init.constant_(block.conv2.bias, 2.0)  # type: ignore[arg-type]
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(block(x), x + 2)


def test_conditional_batch_norm_scales_and_shifts_each_sample_by_its_class() -> None:
    gain, bias = nn.Embedding(2, 3), nn.Embedding(2, 3)
    norm = ConditionalBatchNorm(3, gain, bias)
    x, labels = torch.randn(4, 3, 5, 5), torch.tensor([0, 1, 1, 0])
    normed = (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = (1 + gain(labels)[:, :, None, None]) * normed + bias(labels)[:, :, None, None]
    torch.testing.assert_close(norm(x, labels), expected)


def test_projection_adds_the_class_vector_times_the_features() -> None:
    head = ProjectionHead(3, num_classes=2)
    features, labels = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    assert head.embedding is not None
    expected = features @ head.linear.weight[0] + head.linear.bias + (features * head.embedding(labels)).sum(1)
    torch.testing.assert_close(head(features, labels), expected)


def test_a_discriminator_sums_its_last_map_over_all_pixels() -> None:
    torch.manual_seed(0)
    discriminator = ResidualDiscriminator((3, 8, 8), (4, 6), 1, 0, wide=False).double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    features = discriminator.blocks(images).relu().flatten(2).sum(2)
    assert discriminator.blocks(images).shape == (2, 6, 4, 4)
    torch.testing.assert_close(discriminator(images), discriminator.head.linear(features).squeeze(1))


def test_initial_weights_are_the_published_ones() -> None:
    torch.manual_seed(0)
    pair = SNGAN(g_width=64, d_width=64).build((3, 32, 32), num_classes=200)
    block = next(m for m in pair.generator.modules() if isinstance(m, GeneratorBlock))
    fans = 9 * (64 + 64)
    assert block.conv1.weight.std().item() == pytest.approx((2 * 2 / fans) ** 0.5, rel=0.02)
    assert block.shortcut.weight.std().item() == pytest.approx((2 / (64 + 64)) ** 0.5, rel=0.05)
    norm = block.norm1
    assert isinstance(norm, ConditionalBatchNorm) and isinstance(norm.gain, nn.Embedding)
    assert norm.gain.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert isinstance(norm.bias, nn.Embedding) and not norm.bias.weight.any()
    plain = SNDCGAN(width=16).build((3, 32, 32))
    for player in (plain.generator, plain.discriminator):
        for layer in player.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                error = 5 / (2 * layer.weight.numel()) ** 0.5
                assert layer.weight.std().item() == pytest.approx(0.02, rel=error)
                assert layer.bias is not None and not layer.bias.any()


def test_every_layer_of_sngan_starts_glorot_uniform_and_by_root_two_larger_in_the_blocks() -> None:
    torch.manual_seed(0)
    pair = SNGAN(g_width=64, d_width=128).build((3, 48, 48), num_classes=50)
    for player in (pair.generator, pair.discriminator):
        for name, layer in player.named_modules():
            table = isinstance(layer, nn.Embedding) and name == "head.embedding"
            if not (table or isinstance(layer, nn.Conv2d | nn.Linear)):
                continue
            assert isinstance(layer.weight, nn.Parameter)
            pixels = layer.weight[0, 0].numel()
            gain = 2**0.5 if ".conv" in name else 1
            variance = gain**2 * 2 / (pixels * sum(layer.weight.shape[:2]))
            error = 5 * (0.8 / layer.weight.numel()) ** 0.5
            assert layer.weight.square().mean().item() == pytest.approx(variance, rel=error), name
            assert layer.weight.abs().max().item() <= (3 * variance) ** 0.5, name
            assert table or layer.bias.any(), name  # type: ignore[operator]  # where torch starts it


@for_each(
    ("model", "shape", "num_classes", "message"),
    [
        (
            SNGAN(),
            (3, 42, 40),
            0,
            r"for SNGAN, .* got \(3, 42, 40\); the nearest sizes, width x height, are 40x40 or 40x48: resize",
        ),
        (SNGAN(), (3, 24, 48), 0, "shape must be"),
        (SNGAN(), (2,), 0, "for points use the model 'mlp'"),
        (SNGAN(g_width=12), (3, 48, 48), 0, "g_width must be a multiple of 8 at this size, got 12"),
        (SNDCGAN(), (3, 28, 28), 0, "for SNDCGAN, both sides multiples of"),
        (SNDCGAN(), (3, 32, 32), 5, "num_classes must be 0 for SNDCGAN, got 5; train without labels"),
    ],
)
def test_what_a_family_does_not_allow_is_refused(
    model: Model, shape: tuple[int, ...], num_classes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model.build(shape, num_classes)


@for_each("labels", [torch.zeros(3, dtype=torch.int64), torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2)])
def test_labels_are_one_whole_number_a_sample(labels: Tensor) -> None:
    with pytest.raises(
        ValueError, match=r"labels must be whole numbers, one for each of 2 samples, got (int64|float32)"
    ):
        checked_labels(labels, 5, torch.zeros(2, 1))


def test_images_of_another_size_are_refused() -> None:
    discriminator = SNGAN(g_width=4, d_width=4).build((3, 32, 32)).discriminator
    with pytest.raises(ValueError, match=r"images must be \[batch, 3, 32, 32\].*got \[2, 3, 64, 64\]"):
        discriminator(torch.zeros(2, 3, 64, 64))


def test_bad_fields_are_refused() -> None:
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        SNDCGAN(width=0)
    with pytest.raises(ValueError, match="d_width must be at least 1, got 0"):
        SNGAN(d_width=0)
