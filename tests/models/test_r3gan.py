"""R3GAN: sizes published, resampling given, identities at first, classes by hand."""

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganneal.models import R3GAN
from ganneal.models.parts.fir import Resample
from ganneal.models.r3gan import R3GANBlock, R3GANDiscriminator, R3GANGenerator


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def million_macs(module: nn.Module, *inputs: Tensor) -> float:
    """Multiplications of one image but for the fixed filters' 16 for each of the pixels they multiply."""
    filters: list[int] = []
    for part in module.modules():
        if isinstance(part, Resample):
            part.register_forward_hook(lambda part, given, out: filters.append((given[0] if part.up else out).numel()))
    with FlopCounterMode(display=False) as counter:
        module.eval()(*inputs)
    return (counter.get_total_flops() / 2 - 16 * sum(filters)) / 1e6


# model, size, classes; parameters of G and D, multiplications of G, which D's are about
PUBLISHED = [
    (R3GAN(widths=(768,), blocks=2), 32, 10, 20_781_952, 21_280_512, 7021),
    (R3GAN(widths=(768,), blocks=2), 32, 0, 20_732_160, 20_683_776, 7021),
    (R3GAN(widths=(768, 768, 768, 768, 384), blocks=2), 64, 0, 22_429_824, 22_381_440, 13063),
    (R3GAN(widths=(1536,), group_size=32, blocks=2), 32, 1000, 82_914_304, 86_548_992, 28081),
    (R3GAN(widths=(1536,), group_size=32, blocks=2), 64, 1000, 103_570_432, 107_205_120, 112652),
    (R3GAN(), 32, 0, 145_600, 141_568, 47.6),
]


@pytest.mark.runs
@for_each(("model", "size", "num_classes", "generator", "discriminator", "macs"), PUBLISHED)
def test_published_sizes(
    model: R3GAN, size: int, num_classes: int, generator: int, discriminator: int, macs: float
) -> None:
    labels = (torch.zeros(1, dtype=torch.int64, device="meta"),) if num_classes else ()
    with torch.device("meta"):
        pair = model.build((3, size, size), num_classes)
        latents, images = torch.empty(1, 64), torch.empty(1, 3, size, size)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator)
    rounding = 0.05 if macs % 1 else 0.5  # the published figures have one decimal or none
    assert million_macs(pair.generator, latents, *labels) == pytest.approx(macs, abs=rounding)
    assert million_macs(pair.discriminator, images, *labels) == pytest.approx(macs, rel=2e-3)


@for_each(
    ("widths", "size", "groups"),
    [
        ((768,), 32, [96] * 8),
        ((768, 768, 768, 768, 384), 64, [96] * 8 + [48] * 2),
        ((768, 768, 768, 768, 384, 192, 96), 256, [96] * 8 + [48] * 2 + [24] * 2 + [12] * 2),
    ],
)
def test_groups_and_resampling_stand_where_published(widths: tuple[int, ...], size: int, groups: list[int]) -> None:
    with torch.device("meta"):
        pair = R3GAN(widths=widths, blocks=2).build((3, size, size))
    for player, expected in ((pair.generator, groups), (pair.discriminator, groups[::-1])):
        assert isinstance(player.net, nn.Sequential)
        layers = list(player.net)
        found = [block.net[2].groups for block in layers if isinstance(block, R3GANBlock)]
        assert found == expected
        for before, after in zip(layers, layers[1:], strict=False):
            if isinstance(after, nn.Conv2d):  # of width: in G before the doubling, in D behind the halving
                assert isinstance(before, R3GANBlock if player is pair.generator else Resample)
    assert not any(getattr(m, "bias", None) is not None for m in pair.generator.modules() if isinstance(m, nn.Conv2d))


def test_layers_outside_blocks_have_a_gain_of_one() -> None:
    torch.manual_seed(0)
    pair = R3GAN(widths=(64, 32), latent_size=40).build((3, 8, 8), num_classes=50)
    generator, discriminator = pair.generator, pair.discriminator
    assert isinstance(generator, R3GANGenerator) and isinstance(discriminator, R3GANDiscriminator)
    assert generator.classes is not None and generator.linear.in_features == 40 + 64
    change = next(layer for layer in generator.net if isinstance(layer, nn.Conv2d))
    for weight, expected in [
        (generator.basis, 1.0),
        (generator.classes.weight, 50**-0.5),
        (generator.linear.weight, 104**-0.5),
        (change.weight, 64**-0.5),
        (discriminator.depthwise.weight, 1 / 4),
        (discriminator.linear.weight, 64**-0.5),
    ]:
        assert weight.std().item() == pytest.approx(expected, rel=5 / (2 * weight.numel()) ** 0.5)


@pytest.mark.parametrize(("up", "edge", "corner"), [(True, 0.75, 0.5625), (False, 0.875, 0.765625)])
def test_resampling_keeps_a_constant_but_at_the_edges(up: bool, edge: float, corner: float) -> None:
    found = Resample(up=up)(torch.ones(1, 2, 8, 8))
    assert found.shape[2:] == ((16, 16) if up else (4, 4))
    assert found[0, 1, 1:-1, 1:-1].unique().tolist() == [1]
    assert found[0, 1, 0, 1:-1].unique().tolist() == [edge] and found[0, 1, 1:-1, -1].unique().tolist() == [edge]
    assert found[0, 1, 0, 0].item() == found[0, 1, -1, 0].item() == corner


def test_blocks_are_identities_at_first_and_their_inner_layers_have_fixups_scale() -> None:
    torch.manual_seed(0)
    pair = R3GAN(widths=(64, 32), blocks=2).build((3, 16, 16))
    blocks = [
        m for player in (pair.generator, pair.discriminator) for m in player.modules() if isinstance(m, R3GANBlock)
    ]
    assert len(blocks) == 12
    for block in blocks:
        first, grouped, last = (m for m in block.net if isinstance(m, nn.Conv2d))
        x = torch.randn(2, first.in_channels, 4, 4)
        assert torch.equal(block(x), x) and not last.weight.any()
        gain = (2 / 1.04) ** 0.5 * 6**-0.25
        assert first.weight.std().item() == pytest.approx(gain / first.in_channels**0.5, rel=0.05)
        assert grouped.groups == first.out_channels // 16
        assert grouped.weight.std().item() == pytest.approx(gain / (9 * 16) ** 0.5, rel=0.05)


def test_classes_add_a_vector_to_the_latents_and_choose_a_direction_of_the_features() -> None:
    torch.manual_seed(0)
    pair = R3GAN(widths=(8,), latent_size=5).build((1, 8, 8), num_classes=3)
    generator, discriminator = pair.generator, pair.discriminator
    assert isinstance(generator, R3GANGenerator) and isinstance(discriminator, R3GANDiscriminator)
    latents, labels, images = torch.randn(4, 5), torch.tensor([0, 2, 1, 2]), torch.randn(4, 1, 8, 8)
    hot = torch.eye(3)[labels]
    assert generator.classes is not None and discriminator.classes is not None
    first = generator.linear(torch.cat([latents, generator.classes(hot)], 1))
    expected = generator.net(first[:, :, None, None] * generator.basis)
    torch.testing.assert_close(generator(latents, labels), expected)
    features = discriminator.linear(discriminator.depthwise(discriminator.net(images)).flatten(1))
    torch.testing.assert_close(discriminator(images, labels), (features * discriminator.classes(hot)).sum(1))
    wide = R3GAN(widths=(64,)).build((1, 8, 8), num_classes=200).discriminator
    assert isinstance(wide, R3GANDiscriminator) and wide.classes is not None
    assert wide.classes.weight.std().item() == pytest.approx((64 * 200) ** -0.5, rel=0.05)


def test_what_is_not_allowed_is_refused() -> None:
    with pytest.raises(ValueError, match=r"2 times each divisible by group_size=16, got 12"):
        R3GAN(widths=(64, 12))
    with pytest.raises(ValueError, match="widths must have at least one number of channels, got none"):
        R3GAN(widths=())
    with pytest.raises(ValueError, match="widths must be at most 2 at 8 px, one a stage, got 3"):
        R3GAN(widths=(8, 8, 8)).build((3, 8, 8))
    with pytest.raises(
        ValueError, match=r"for R3GAN, .* got \(3, 50, 50\); the nearest sizes, width x height, are 48x48 or 56x56"
    ):
        R3GAN().build((3, 50, 50))
    with pytest.raises(ValueError, match="widths must be above 0 and even without groups, got 7"):
        R3GAN(widths=(7,), grouped=False)


def test_without_groups_the_middle_is_an_ordinary_convolution_on_half_of_the_width() -> None:
    torch.manual_seed(0)
    pair = R3GAN(widths=(64, 32), blocks=2, grouped=False, group_size=5).build((3, 16, 16))
    blocks = [
        m for player in (pair.generator, pair.discriminator) for m in player.modules() if isinstance(m, R3GANBlock)
    ]
    gain = (2 / 1.04) ** 0.5 * 6**-0.25
    assert len(blocks) == 12
    for block in blocks:
        first, middle, last = (m for m in block.net if isinstance(m, nn.Conv2d))
        assert middle.groups == 1 and middle.in_channels == middle.out_channels == first.in_channels // 2
        assert middle.weight.std().item() == pytest.approx(gain / (9 * middle.in_channels) ** 0.5, rel=0.06)
        assert not last.weight.any()
