"""One rule of sizes for the convolutional families: rectangles, multiples of 8 and of 16, one to four channels."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.models import DCGAN, DDGAN, FC2, R3GAN, SNDCGAN, SNGAN, BigGAN, DCGANExt, FastGAN, Model, Relation, ResNet4
from ganneal.models.parts.grid import grid_of

SMALL: dict[str, Model] = {
    "dcgan": DCGAN(width=2, latent_size=4),
    "dcgan-nearest": DCGAN(width=2, latent_size=4, upsampling="nearest"),
    "dcgan-ext": DCGANExt(width=2, latent_size=4),
    "resnet-4": ResNet4(width=2, latent_size=4),
    "fc-2": FC2(hidden=4, width=2, latent_size=4),
    "sn-dcgan": SNDCGAN(width=1, latent_size=4),
    "sngan": SNGAN(g_width=32, d_width=32, latent_size=4),
    "biggan": BigGAN(width=1, latent_size=4),
    "r3gan": R3GAN(widths=(4,), group_size=8, latent_size=4),
    "r3gan-ordinary": R3GAN(widths=(4,), grouped=False, latent_size=4),
    "fastgan": FastGAN(width=4, latent_size=4),
    "ddgan": DDGAN(width=8, multipliers=(1, 1), latent_size=4, style_size=8, d_width=1, d_time_size=4, attention=None),
    "relation": Relation(width=2, latent_size=4, hidden=4),
}
"""Small members of each convolutional family; a family of images without any fails below."""
SHAPES = [(3, 96, 128), (3, 64, 48), (4, 40, 40), (1, 56, 32), (4, 72, 120), (2, 80, 80), (3, 112, 160)]


@pytest.mark.runs
@for_each("shape", SHAPES, ids=str)
@for_each("name", SMALL)
def test_every_family_makes_and_judges_images_of_any_allowed_shape(name: str, shape: tuple[int, ...]) -> None:
    pair = SMALL[name].build(shape)
    with torch.no_grad():
        latents = pair.latent.sample(2, torch.Generator().manual_seed(0))
        condition = (torch.zeros(2, dtype=torch.int64), torch.zeros(2, *shape)) if pair.denoises else ()
        images = pair.generator.eval()(latents, *condition)
        beside = (images,) if pair.compares_pairs else condition
        logits = pair.discriminator.eval()(images, *beside)
    assert images.shape == (2, *shape) and logits.shape == (2,) and logits.isfinite().all()


@given(st.integers(1, 1100), st.integers(1, 1100), st.sampled_from([range(1, 7), range(3, 9), [3, 4, 5], [3, 4, 5, 6]]))
def test_a_grid_is_the_size_itself_with_the_smallest_base_there_is(height: int, width: int, counts: range) -> None:
    try:
        channels, base, doublings = grid_of("X", (3, height, width), counts)
    except ValueError:
        return
    assert channels == 3 and doublings in counts
    assert (base[0] << doublings, base[1] << doublings) == (height, width) and 4 <= min(base) <= 16
    deeper = [n for n in counts if n > doublings and (height | width) % 2**n == 0]
    assert all(min(height, width) >> n < 4 for n in deeper)


@pytest.mark.slow
@for_each("name", SMALL)
def test_multiples_of_8_up_to_128_and_of_16_up_to_256_are_allowed(name: str) -> None:
    with torch.device("meta"):
        for side in (*range(32, 129, 8), *range(144, 257, 16)):
            SMALL[name].build((3, side, side))


@for_each(
    ("shape", "nearest"),
    [
        ((3, 100, 100), "the nearest sizes, width x height, are 96x96 or 104x104: "),
        ((3, 97, 128), "the nearest sizes, width x height, are 128x96 or 128x104: "),
        ((3, 97, 97), "the nearest sizes, width x height, are 96x96 or 104x104: "),
        ((2,), "got (2,); resize"),
    ],
)
def test_a_refusal_names_the_nearest_sizes(shape: tuple[int, ...], nearest: str) -> None:
    with pytest.raises(ValueError) as refused:
        grid_of("X", shape, range(3, 7))
    assert nearest in str(refused.value)


def test_attention_of_rectangles_is_named_by_the_shorter_side() -> None:
    model = BigGAN(width=8, latent_size=4, attention=24)
    pair = model.build((3, 48, 96))
    assert pair.generator(torch.randn(2, 4)).shape == (2, 3, 48, 96)
    with pytest.raises(ValueError, match=r"attention must be one of \[24, 12\] or None at 48 px, got 32"):
        replace(model, attention=32).build((3, 48, 96))
