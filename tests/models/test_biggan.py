"""BigGAN: sizes and multiplications published, where latents and classes go, attention by hand."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganneal.models import BigGAN, ModelPair
from ganneal.models.parts.attention import SelfAttention
from ganneal.models.parts.conditional import ConditionalBatchNorm, SharedEmbedding
from ganneal.models.parts.residual import DiscriminatorBlock, GeneratorBlock, ResidualGenerator
from ganneal.models.parts.spectral import SpectralWeight
from ganneal.normalization import Spectral

IMAGENET = BigGAN(width=96, latent_size=120, shared_size=128, hierarchical=True, attention=64)
STUDIO = BigGAN(width=96, latent_size=80, shared_size=128, hierarchical=True, attention=16, layout="studio")
SMALL = BigGAN(width=8, latent_size=50, shared_size=16, hierarchical=True, attention=32, layout="studio")


def on_meta(model: BigGAN, size: int, num_classes: int) -> ModelPair:
    """The players without memory or initialisation, to be counted."""
    with torch.device("meta"):
        return replace(model, init="torch").build((3, size, size), num_classes)


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
    (BigGAN(), 32, 10, 4_304_387, 4_207_361, 1681, 1081),
    (IMAGENET, 128, 1000, 70_433_988, 87_982_370, 21122, 10837),
    (replace(IMAGENET, layout="studio"), 128, 1000, 70_433_988, 87_982_370, 21122, 10837),
    (replace(IMAGENET, width=64, attention=32), 64, 1000, 31_969_540, 20_571_842, 7255, 1114),
    (STUDIO, 32, 10, 9_416_196, 2_415_170, 3828, 623),
    (replace(STUDIO, width=80, latent_size=100, attention=32), 64, 100, 17_322_404, 30_668_722, 3110, 1734),
    (BigGAN(width=8), 32, 10, 129_475, 67_169, 27, 18),
    (SMALL, 64, 10, 200_084, 307_690, 34, 19),
]


@for_each(("model", "size", "num_classes", "generator", "discriminator", "g_macs", "d_macs"), PUBLISHED)
def test_published_sizes(
    model: BigGAN, size: int, num_classes: int, generator: int, discriminator: int, g_macs: float, d_macs: float
) -> None:
    pair = on_meta(replace(model, g_spectral=False), size, num_classes)
    assert (count(pair.generator), count(pair.discriminator)) == (generator, discriminator)
    latents, images = torch.empty(1, model.latent_size, device="meta"), torch.empty(1, 3, size, size, device="meta")
    labels = torch.zeros(1, dtype=torch.int64, device="meta")
    assert million_macs(pair.generator, latents, labels) == pytest.approx(g_macs, abs=0.5)
    assert million_macs(pair.discriminator, images, labels) == pytest.approx(d_macs, abs=0.5)


@pytest.mark.parametrize(("model", "size", "layers"), [(BigGAN(), 32, (11, 12)), (IMAGENET, 128, (41, 23))])
def test_spectral_normalisation_is_on_as_many_layers_as_published(
    model: BigGAN, size: int, layers: tuple[int, int]
) -> None:
    pair = on_meta(model, size, 10)
    normalized = pair.generator, Spectral().apply(pair.discriminator)
    assert tuple(sum(isinstance(m, SpectralWeight) for m in player.modules()) for player in normalized) == layers
    embeddings = [m for m in pair.generator.modules() if isinstance(m, nn.Embedding)]
    assert embeddings and not any(hasattr(m, "parametrizations") for m in embeddings)


def test_normalised_layers_of_the_generator_come_to_a_singular_value_of_one() -> None:
    torch.manual_seed(0)
    generator = BigGAN(width=2, latent_size=8, init="orthogonal").build((1, 32, 32), 3).generator
    latents, labels = torch.randn(2, 8), torch.tensor([0, 2])
    for _ in range(50):
        generator(latents, labels)
    layers = [m for m in generator.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == 11
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2).item() <= 1.01


def test_a_chunk_of_the_latents_reaches_its_own_block_only() -> None:
    torch.manual_seed(0)
    pair = SMALL.build((3, 64, 64), 3)
    generator = pair.generator.eval()
    assert isinstance(generator, ResidualGenerator)
    seen: list[list[Tensor]] = []
    for block in generator.blocks:
        block.register_forward_hook(lambda _, given, __: seen[-1].append(given[1]))
    latents, labels = torch.randn(2, 50), torch.tensor([0, 2])
    changed = latents.clone()
    changed[:, 20:30] += 1
    for given in (latents, changed):
        seen.append([])
        generator(given, labels)
    same = [torch.equal(one, other) for one, other in zip(*seen, strict=True)]
    assert same == [True, False, True, True]  # the linear layer has the first ten, block i the ten from 10 i on
    assert generator.shared is not None
    for index, condition in enumerate(seen[0], 1):
        vectors = [generator.shared(labels), latents[:, 10 * index : 10 * (index + 1)]]
        torch.testing.assert_close(condition, torch.cat(vectors, 1))


def test_latents_shrink_to_equal_chunks() -> None:
    assert replace(SMALL, latent_size=54).build((3, 64, 64)).latent.sample(1, torch.Generator()).shape == (1, 50)


@pytest.mark.parametrize("hierarchical", [False, True])
def test_without_classes_there_is_no_class_vector_and_no_projection(hierarchical: bool) -> None:
    pair = replace(SMALL, hierarchical=hierarchical).build((3, 64, 64))
    embeddings = [m for player in (pair.generator, pair.discriminator) for m in player.modules()]
    assert not any(isinstance(m, nn.Embedding) for m in embeddings)
    norms = [m for m in pair.generator.modules() if isinstance(m, ConditionalBatchNorm)]
    assert len(norms) == (8 if hierarchical else 0)  # two in each of four blocks, from the latents alone


def test_attention_is_the_formula() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(16).double()
    x = torch.randn(2, 16, 4, 4, dtype=torch.float64)
    assert torch.equal(attention(x), x)  # the scale starts at 0
    nn.init.constant_(attention.scale, 0.5)
    query = torch.einsum("bchw,dc->bdhw", x, attention.query.weight[:, :, 0, 0])
    key, value = (
        F.max_pool2d(torch.einsum("bchw,dc->bdhw", x, layer.weight[:, :, 0, 0]), 2)
        for layer in (attention.key, attention.value)
    )
    weights = torch.einsum("bdhw,bdij->bhwij", query, key).flatten(3).softmax(3)
    attended = torch.einsum("bhwk,bdk->bdhw", weights, value.flatten(2))
    expected = x + 0.5 * torch.einsum("bchw,dc->bdhw", attended, attention.out.weight[:, :, 0, 0])
    torch.testing.assert_close(attention(x), expected)


def test_attention_stands_where_the_image_has_its_size() -> None:
    pair = SMALL.build((3, 64, 64))
    sizes: list[int] = []
    for player in (pair.generator, pair.discriminator):
        found = [m for m in player.modules() if isinstance(m, SelfAttention)]
        assert len(found) == 1
        found[0].register_forward_hook(lambda _, given, __: sizes.append(given[0].shape[-1]))
    pair.discriminator(pair.generator(torch.randn(2, 50)))
    assert sizes == [32, 32]


def test_initial_weights() -> None:
    torch.manual_seed(0)
    pair = replace(SMALL, init="orthogonal", g_spectral=False, zero_biases=True).build((3, 64, 64), 20)
    for player in (pair.generator, pair.discriminator):
        for layer in [m for m in player.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]:
            matrix = layer.weight.detach().flatten(1)
            gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
            torch.testing.assert_close(gram, torch.eye(len(gram)), atol=1e-5, rtol=0)
            assert layer.bias is None or not layer.bias.any()
    normal = replace(SMALL, init="normal", g_spectral=False).build((3, 64, 64), 200).generator
    assert isinstance(normal, ResidualGenerator) and isinstance(normal.shared, SharedEmbedding)
    for weight in (normal.shared.weight, normal.linear.weight):
        assert weight.std().item() == pytest.approx(0.02, rel=0.05)


@for_each(
    ("model", "size", "num_classes", "message"),
    [
        (BigGAN(), 44, 0, r"n from 3 to 6, got \(3, 44, 44\); the nearest sizes, width x height, are 40x40 or 48x48"),
        (BigGAN(layout="studio"), 544, 0, r"n from 3 to 5, got \(3, 544, 544\)"),
        (BigGAN(hierarchical=True), 32, 10, r"shared_size must be above 0.*use --model.shared-size 128"),
        (BigGAN(hierarchical=True, latent_size=3), 32, 0, "latent_size must be at least 4 where hierarchical"),
        (BigGAN(attention=32), 32, 0, r"attention must be one of \[16, 8\] or None at 32 px, got 32"),
        (BigGAN(attention=32, width=4, layout="studio"), 64, 0, "multiple of 8 channels, got 4; use a larger width"),
    ],
)
def test_what_biggan_does_not_allow_is_refused(model: BigGAN, size: int, num_classes: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model.build((3, size, size), num_classes)


@for_each(("field", "value"), [("width", 0), ("latent_size", 0), ("shared_size", -1), ("norm_eps", 0.0)])
def test_bad_fields_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{field} must be .*got {value}"):
        BigGAN(**{field: value})  # type: ignore[arg-type]
