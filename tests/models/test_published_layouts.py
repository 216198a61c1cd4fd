"""Every published layout of the residual families, block by block: widths, halvings, shortcuts, attention, counts.

A row is written as the papers' tables have it: "3 128v 128v 128 128" are the channels of the image and after each
block, ``v`` and ``^`` mark blocks that halve and double the size, ``A64`` is attention over 64 x 64 pixels.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from tests.for_each import for_each
from torch import Tensor, nn

from ganneal.models import DDGAN, SNGAN, BigGAN, Model, ModelPair
from ganneal.models.ddgan_discriminator import TimedDiscriminatorBlock as DiffusedBlock
from ganneal.models.ddgan_generator import DDGANGenerator
from ganneal.models.parts.attention import SelfAttention
from ganneal.models.parts.conditional import ConditionalBatchNorm, ProjectionHead
from ganneal.models.parts.ddgan_blocks import PixelAttention
from ganneal.models.parts.residual import DiscriminatorBlock, GeneratorBlock, ResidualGenerator

IMAGENET = BigGAN(width=96, latent_size=120, shared_size=128, hierarchical=True, attention=64)
STUDIO = replace(IMAGENET, layout="studio", norm_eps=1e-4)
STUDIO_32 = replace(STUDIO, latent_size=80, attention=16)
STUDIO_64 = replace(STUDIO, width=80, latent_size=100, attention=32)
BROCK_64 = replace(IMAGENET, width=64, attention=32)


class Row(NamedTuple):
    """One published pair."""

    model: Model
    size: int
    classes: int
    generator: str
    discriminator: str
    wide: bool
    """Whether a discriminator block's inner width is that of its output."""
    counts: tuple[int | None, int | None]
    """Published numbers of parameters."""


SNGAN_64 = ("1024 512^ 256^ 128^ 64^", "3 64v 128v 256v 512v 1024v")
SNGAN_128 = ("1024 1024^ 512^ 256^ 128^ 64^", "3 64v 128v 256v 512v 1024v 1024")
BIG_128 = ("1536 1536^ 768^ 384^ 192^ A64 96^", "3 96v A64 192v 384v 768v 1536v 1536")
ROWS = {
    "sngan-32": Row(SNGAN(), 32, 0, "256 256^ 256^ 256^", "3 128v 128v 128 128", False, (4_276_739, 1_053_825)),
    "sngan-32-classes": Row(
        SNGAN(), 32, 10, "256 256^ 256^ 256^", "3 128v 128v 128 128", False, (4_304_387, 1_055_105)
    ),
    "sngan-48": Row(SNGAN(), 48, 0, "512 256^ 128^ 64^", "3 64v 128v 256v 512v 1024", False, (4_878_083, 10_141_441)),
    "sngan-64": Row(SNGAN(), 64, 0, *SNGAN_64, False, (None, None)),
    "sngan-128": Row(SNGAN(), 128, 0, *SNGAN_128, False, (None, 29_017_857)),
    "sngan-128-classes": Row(SNGAN(), 128, 1000, *SNGAN_128, False, (None, 30_041_857)),
    "biggan-32": Row(BigGAN(), 32, 10, "256 256^ 256^ 256^", "3 256v 256v 256 256", True, (4_304_387, 4_207_361)),
    "biggan-64": Row(
        BROCK_64,
        64,
        1000,
        "1024 1024^ 512^ 256^ A32 128^",
        "3 64v A32 128v 256v 512v 1024",
        True,
        (31_969_540, 20_571_842),
    ),
    "biggan-128": Row(IMAGENET, 128, 1000, *BIG_128, True, (70_433_988, 87_982_370)),
    "biggan-256": Row(
        IMAGENET,
        256,
        1000,
        "1536 1536^ 768^ 768^ 384^ A64 192^ 96^",
        "3 96v 192v A64 384v 768v 768v 1536v 1536",
        True,
        (None, None),
    ),
    "studio-32": Row(
        STUDIO_32,
        32,
        10,
        "384 384^ 384^ A16 384^",
        "3 192v A16 192v 192 192",
        True,
        (9_416_196, 2_415_170),
    ),
    "studio-64": Row(
        STUDIO_64,
        64,
        100,
        "1280 640^ 320^ 160^ A32 80^",
        "3 80v A32 160v 320v 640v 1280",
        True,
        (17_322_404, 30_668_722),
    ),
    "studio-128": Row(STUDIO, 128, 1000, *BIG_128, True, (70_433_988, 87_982_370)),
}
every_row = for_each("row", ROWS.values(), ids=ROWS)
BLOCKS = (GeneratorBlock, DiscriminatorBlock)


def on_meta(row: Row) -> ModelPair:
    """The players without memory or initialisation."""
    model = replace(row.model, init="torch", g_spectral=False) if isinstance(row.model, BigGAN) else row.model
    with torch.device("meta"):
        return model.build((3, row.size, row.size), row.classes)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def drawn(player: nn.Module, *inputs: Tensor) -> str:
    """The blocks that ``player`` passes, in the order of passing, by what they do to their input."""
    found: list[str] = []

    def seen(part: nn.Module, given: tuple[Any, ...], out: Tensor) -> None:
        if isinstance(part, SelfAttention):
            found.append(f"A{out.shape[-1]}")
            return
        if not found:
            found.append(str(given[0].shape[1]))
        ratio = out.shape[-1] / given[0].shape[-1]
        found.append(f"{out.shape[1]}{ {0.5: 'v', 1: '', 2: '^'}[ratio] }")

    for part in player.modules():
        if isinstance(part, (*BLOCKS, SelfAttention)):
            part.register_forward_hook(seen)
    player(*inputs)
    return " ".join(found)


def convolution(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def counted(row: Row) -> tuple[int, int]:
    """Parameters of G and D from the row alone, by the formulas of the blocks."""
    own = row.model
    g, d = ([token for token in text.split()] for text in (row.generator, row.discriminator))
    totals = [0, 0]
    for player, tokens in enumerate((g, d)):
        width = 0
        for index, token in enumerate(tokens):
            if token.startswith("A"):  # three maps to an eighth, an eighth and a half, one back, and the scale
                totals[player] += width * width // 8 * 2 + width * width // 2 * 2 + 1
                continue
            outputs, changes = int(token.rstrip("v^")), token[-1] in "v^"
            if index and player == 0:
                totals[0] += convolution(width, outputs, 3) + convolution(outputs, outputs, 3)
                totals[0] += (
                    convolution(width, outputs, 1) + norm_counted(own, row, width) + norm_counted(own, row, outputs)
                )
            elif index:
                hidden = outputs if row.wide or index == 1 else width
                totals[1] += convolution(width, hidden, 3) + convolution(hidden, outputs, 3)
                totals[1] += convolution(width, outputs, 1) if changes or width != outputs else 0
            width = outputs
        if player == 0:
            totals[0] += 2 * width + convolution(width, 3, 3) + head_counted(own, row, int(g[0]))
        else:
            totals[1] += width + 1 + row.classes * width
    return totals[0], totals[1]


def chunks(row: Row) -> int:
    return row.generator.count("^") + 1


def norm_counted(model: Model, row: Row, channels: int) -> int:
    """A scale and a shift: of their own, one for each class, or linear in the class vector and a chunk of latents."""
    if isinstance(model, BigGAN) and model.hierarchical:
        return 2 * channels * (model.shared_size + model.latent_size // chunks(row))
    return 2 * channels * max(row.classes, 1)


def head_counted(model: Model, row: Row, width: int) -> int:
    """The linear layer behind the latents, and the class vectors that all norms share."""
    assert isinstance(model, SNGAN | BigGAN)
    base = row.size // 2 ** row.generator.count("^")
    hierarchical = isinstance(model, BigGAN) and model.hierarchical
    latents = model.latent_size // chunks(row) if hierarchical else model.latent_size
    shared = row.classes * model.shared_size if isinstance(model, BigGAN) else 0
    return (latents + 1) * width * base**2 + shared


@every_row
def test_blocks_widths_halvings_and_attention_are_the_published_ones(row: Row) -> None:
    pair = on_meta(row)
    labels = (torch.zeros(2, dtype=torch.int64, device="meta"),) if row.classes else ()
    size = pair.latent.sample(1, torch.Generator()).shape[1]
    assert drawn(pair.generator, torch.empty(2, size, device="meta"), *labels) == row.generator
    assert drawn(pair.discriminator, torch.empty(2, 3, row.size, row.size, device="meta"), *labels) == row.discriminator


@every_row
def test_numbers_of_parameters_are_the_published_ones_and_follow_from_the_row(row: Row) -> None:
    pair = on_meta(row)
    found = count(pair.generator), count(pair.discriminator)
    assert found == counted(row)
    assert all(published in (None, own) for published, own in zip(row.counts, found, strict=True))


@every_row
def test_only_blocks_that_change_neither_size_nor_width_have_no_shortcut(row: Row) -> None:
    pair = on_meta(row)
    tokens = [token for token in row.discriminator.split() if not token.startswith("A")]
    widths = [int(token.rstrip("v")) for token in tokens]
    expected = ["v" in after or a != b for after, a, b in zip(tokens[1:], widths, widths[1:], strict=False)]
    blocks = [block for block in pair.discriminator.modules() if isinstance(block, DiscriminatorBlock)]
    assert [block.shortcut is not None for block in blocks] == expected
    assert [block.first for block in blocks] == [True] + [False] * (len(blocks) - 1)
    inner = [block.conv1.out_channels for block in blocks]
    assert inner == [widths[1], *(widths[2:] if row.wide else widths[1:-1])]


@every_row
def test_norms_have_the_published_constants_and_the_last_one_follows_no_class(row: Row) -> None:
    pair = on_meta(row)
    eps = row.model.norm_eps if isinstance(row.model, BigGAN) else 1e-5
    norms = [m for m in pair.generator.modules() if isinstance(m, nn.BatchNorm2d)]
    blocks = [m for m in pair.generator.modules() if isinstance(m, GeneratorBlock)]
    assert len(norms) == 2 * len(blocks) + 1
    assert {(norm.eps, norm.momentum) for norm in norms} == {(eps, 0.1)}
    assert norms[-1].affine and norms[-1] is pair.generator.norm
    conditional = [isinstance(part, ConditionalBatchNorm) for block in blocks for part in (block.norm1, block.norm2)]
    assert set(conditional) == {bool(row.classes)}
    assert not any(isinstance(m, nn.BatchNorm2d) for m in pair.discriminator.modules())


@for_each(
    ("name", "latents", "chunk", "shared", "inputs"),
    [
        ("biggan-32", 128, 0, None, None),
        ("biggan-64", 120, 24, 128, 152),
        ("biggan-128", 120, 20, 128, 148),
        ("biggan-256", 119, 17, 128, 145),
        ("studio-32", 80, 20, 128, 148),
        ("studio-64", 100, 20, 128, 148),
    ],
)
def test_latents_are_split_and_classes_embedded_as_published(
    name: str, latents: int, chunk: int, shared: int | None, inputs: int | None
) -> None:
    row = ROWS[name]
    pair = on_meta(row)
    generator, head = pair.generator, pair.discriminator.head
    assert isinstance(generator, ResidualGenerator) and isinstance(head, ProjectionHead)
    assert pair.latent.sample(1, torch.Generator()).shape == (1, latents)
    assert (generator.chunk, generator.linear.in_features) == (chunk, chunk or latents)
    assert (generator.shared is None) == (shared is None)
    if generator.shared is not None:
        assert tuple(generator.shared.weight.shape) == (row.classes, shared)
    norm: Any = generator.blocks[0].norm1
    assert isinstance(norm, ConditionalBatchNorm)
    width = int(row.generator.split()[0])
    expected = (row.classes, width) if inputs is None else (width, inputs)
    assert norm.gain.weight.shape == norm.bias.weight.shape == expected
    assert head.embedding is not None
    assert tuple(head.embedding.weight.shape) == (row.classes, int(row.discriminator.split()[-1]))


@pytest.mark.parametrize("model", [SNGAN(8, 8, 8), BigGAN(width=2, latent_size=8, g_spectral=False)])
def test_features_are_rectified_and_summed_over_pixels_and_images_leave_through_norm_relu_and_tanh(
    model: SNGAN | BigGAN,
) -> None:
    torch.manual_seed(0)
    pair = model.build((3, 32, 32), 3)
    generator: Any = pair.generator
    discriminator: Any = pair.discriminator
    seen: dict[str, Tensor] = {}
    discriminator.blocks[-1].register_forward_hook(lambda *parts: seen.update(last=parts[2]))
    discriminator.head.register_forward_hook(lambda *parts: seen.update(features=parts[1][0]))
    generator.blocks[-1].register_forward_hook(lambda *parts: seen.update(block=parts[2]))
    labels = torch.tensor([0, 2])
    images = generator(torch.randn(2, 8), labels)
    discriminator(images, labels)
    torch.testing.assert_close(seen["features"], F.relu(seen["last"]).flatten(2).sum(2))
    block = seen["block"]
    normed = (block - block.mean((0, 2, 3), keepdim=True)) / (
        block.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5
    ).sqrt()
    torch.testing.assert_close(images, generator.last(F.relu(normed)).tanh(), atol=1e-5, rtol=1e-4)


def test_ddgan_for_cifar10_has_the_published_widths_and_attends_at_16_pixels() -> None:
    model = DDGAN(128, (1, 2, 2, 2), 2, 16, 100, style_size=256, mapping_layers=4, d_width=64, d_time_size=256)
    with torch.device("meta"):
        pair = model.build((3, 32, 32))
    generator = pair.generator
    assert isinstance(generator, DDGANGenerator)
    halves: Any = generator.downs, generator.ups
    downs, ups = ([[block.first for block in part.blocks] for part in half] for half in halves)
    assert [[layer.out_channels for layer in part] for part in downs] == [[128, 128]] + [[256, 256]] * 3
    given = [[512] * 3, [512] * 3, [512, 512, 384], [384, 256, 256]]
    assert [[layer.in_channels for layer in part] for part in ups] == given
    attend = [sum(isinstance(m, PixelAttention) for m in part.modules()) for part in (*generator.downs, *generator.ups)]
    assert attend == [0, 2, 0, 0, 0, 0, 1, 0]
    assert isinstance(generator.attention, PixelAttention) and len(generator.middle) == 2


@pytest.mark.parametrize(
    ("layout", "size", "widths"),
    [("small", 32, "128 128 256v 512v 512v"), ("large", 256, "128 256v 512v 512v 512v 512v 512v")],
)
def test_ddgan_discriminators_halve_as_published(layout: str, size: int, widths: str) -> None:
    model = DDGAN(8, (1,), attention=None, d_width=64, d_time_size=256, d_layout=layout)  # type: ignore[arg-type]
    with torch.device("meta"):
        discriminator = model.build((3, size, size)).discriminator
    blocks = [block for block in discriminator.modules() if isinstance(block, DiffusedBlock)]
    found = [str(blocks[0].first.in_channels)]
    for block in blocks:
        x = torch.empty(2, block.first.in_channels, 8, 8, device="meta")
        out = block(x, torch.empty(2, 256, device="meta"))
        found.append(f"{out.shape[1]}{'v' if out.shape[-1] == 4 else ''}")
        assert block.shortcut.bias is None and block.shortcut.kernel_size == (1, 1)
    assert " ".join(found) == widths
