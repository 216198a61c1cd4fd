"""R3GAN: sizes published, resampling given, identities at first, classes by hand."""

import pytest
import torch
from torch import nn

from ganneal.models import R3GAN
from ganneal.models.fir import Resample
from ganneal.models.r3gan import Block, R3GANDiscriminator, R3GANGenerator


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# model, size, classes; parameters of G and D
PUBLISHED = [
    (R3GAN(widths=(768,), blocks=2), 32, 10, 20_781_952, 21_280_512),
    (R3GAN(widths=(768,), blocks=2), 32, 0, 20_732_160, 20_683_776),
    (R3GAN(widths=(768, 768, 768, 768, 384), blocks=2), 64, 0, 22_429_824, 22_381_440),
    (R3GAN(widths=(1536,), group_size=32, blocks=2), 32, 1000, 82_914_304, 86_548_992),
    (R3GAN(widths=(1536,), group_size=32, blocks=2), 64, 1000, 103_570_432, 107_205_120),
    (R3GAN(), 32, 0, 145_600, 141_568),
]


@pytest.mark.parametrize(("model", "size", "num_classes", "generator", "discriminator"), PUBLISHED)
def test_published_sizes(model: R3GAN, size: int, num_classes: int, generator: int, discriminator: int) -> None:
    with torch.device("meta"):
        pair = model.build((3, size, size), num_classes)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator)


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
    blocks = [m for player in (pair.generator, pair.discriminator) for m in player.modules() if isinstance(m, Block)]
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
    with pytest.raises(ValueError, match=r"for R3GAN, got \(3, 48, 48\); resize the images"):
        R3GAN().build((3, 48, 48))
