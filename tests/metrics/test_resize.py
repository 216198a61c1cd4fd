import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.for_each import for_each
from torch import Tensor
from torch.testing import assert_close

from ganneal.metrics.resize import INCEPTION_SCALINGS, RESIZE_RULES, TO_SIGNED, Resize, Scaling, network_input

RAMP = torch.arange(32).mul(8).float().expand(1, 1, 32, 32)
STRIPES = torch.arange(598).remainder(2).mul(255).float().expand(1, 1, 598, 598)
PILLOW = {"clean": Image.Resampling.BICUBIC, "friendly": Image.Resampling.BILINEAR}


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


@for_each(
    ("rule", "values"),
    [
        ("pytorch-fid", (0, 0.709030, 124.856186, 248)),
        ("friendly", (0, 0.709030, 124.856186, 248)),
        ("tf-legacy", (0, 4.280936, 128.428085, 248)),
        ("clean", (0, 0.399853, 124.856186, 248.965485)),
    ],
)
def test_a_ramp_of_32_pixels_enlarged_to_299_has_the_published_programs_values(rule, values):
    # single precision at 250: an ulp is 1.5e-5, and PIL rounds its filter to it as well
    row = Resize(rule, 299)(RAMP)[0, 0, 150]
    assert_close(row[[0, 5, 150, 298]], torch.tensor(values), atol=2e-4, rtol=0)


@for_each(("rule", "grey"), [("pytorch-fid", 127.5), ("tf-legacy", 0), ("clean", 127.5)])
def test_stripes_halved_turn_grey_but_for_the_rule_that_drops_every_second_pixel(rule, grey):
    assert Resize(rule, 299)(STRIPES)[0, 0, 150, 150].item() == pytest.approx(grey, abs=1e-3)


@for_each("rule", PILLOW)
@for_each(("side", "size"), [(32, 299), (299, 64), (64, 28), (300, 299), (29, 28)])
def test_antialiased_rules_are_pillows_floating_point_filters(rule, side, size):
    image = noise(1, 1, side, side).float()
    pillow = Image.fromarray(image[0, 0].numpy()).resize((size, size), PILLOW[rule])
    expected = np.asarray(pillow).clip(0, 255)
    # PyTorch places the filter in single precision: 1e-5 of a pixel at column 300, times steps of up to 255 in noise
    assert_close(Resize(rule, size)(image)[0, 0], torch.from_numpy(expected), atol=2e-2, rtol=0)


def test_tensorflows_bilinear_is_the_definition_written_out():
    image = noise(1, 1, 7, 7).double()
    for row in range(10):
        for column in range(10):
            (top, down), (left, right) = (divmod(place * 7 / 10, 1) for place in (row, column))
            top, left = int(top), int(left)
            below, beside = min(top + 1, 6), min(left + 1, 6)
            a, b, c, d = (image[0, 0, y, x] for y in (top, below) for x in (left, beside))
            expected = (a * (1 - right) + b * right) * (1 - down) + (c * (1 - right) + d * right) * down
            assert_close(Resize("tf-legacy", 10)(image)[0, 0, row, column], expected, atol=1e-10, rtol=0)


@given(st.sampled_from(sorted(RESIZE_RULES)), st.integers(1, 40), st.integers(1, 40), st.integers(0, 255))
def test_a_constant_image_stays_constant(rule, side, size, value):
    image = torch.full((1, 2, side, side), float(value))
    assert_close(Resize(rule, size)(image), torch.full((1, 2, size, size), float(value)), atol=1e-3, rtol=0)


@for_each("rule", RESIZE_RULES)
def test_an_image_of_the_size_already_is_untouched_whether_or_not_the_rule_is_applied(rule):
    image = noise(2, 3, 24, 24).float()
    assert Resize(rule, 24)(image) is image
    assert_close(RESIZE_RULES[rule](image, 24), image, atol=1e-3, rtol=0)


@for_each("rule", RESIZE_RULES)
@for_each("size", [16, 50])
def test_rules_commute_with_exchanging_rows_and_columns(rule, size):
    image = noise(1, 1, 33, 33).float()
    turned = Resize(rule, size)(image.mT).mT
    assert_close(Resize(rule, size)(image), turned, atol=1e-3, rtol=0)


def test_oblong_images_become_square():
    assert Resize("clean", 20)(noise(2, 1, 10, 40).float()).shape == (2, 1, 20, 20)


def test_bicubic_overshoot_is_clipped_not_rounded():
    edge = torch.tensor([0.0, 255.0]).repeat_interleave(16).expand(1, 1, 32, 32)
    enlarged = Resize("clean", 299)(edge)
    assert enlarged.min() == 0 and enlarged.max() == 255
    assert (enlarged != enlarged.round()).any()


def test_a_quantised_level_is_scaled_back_to_where_it_came_from():
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    signed = network_input(levels, None, TO_SIGNED, None)
    assert torch.equal((signed * 127.5 + 128).clamp(0, 255).byte(), levels)


@pytest.mark.parametrize(("rule", "black", "white"), [("tf-legacy", -1, 127 / 128), ("pytorch-fid", -1, 1)])
def test_black_and_white_reach_inception_as_its_programs_feed_them(rule, black, white):
    ends = INCEPTION_SCALINGS[rule](torch.tensor([0.0, 255.0]).reshape(1, 1, 1, 2)).flatten()
    assert_close(ends, torch.tensor([black, white], dtype=torch.float32))


def test_each_channel_has_its_own_scaling():
    scaled = Scaling((1, 2, 3), (1, 2, 4))(torch.full((1, 3, 2, 2), 11.0))
    assert scaled[0, :, 0, 0].tolist() == [10, 4.5, 2]


def test_names_in_records_tell_rules_sizes_and_scalings_apart():
    assert [str(Resize("clean", size)) for size in (299, 128)] == ["clean", "clean-128"]
    assert str(TO_SIGNED) == "(u - 127.5) / 127.5"
    assert str(Scaling((1, 2), (3, 4))) == "(u - (1, 2)) / (3, 4)"


def test_grey_images_are_repeated_to_the_channels_asked_for():
    images = noise(2, 1, 5, 5)
    assert torch.equal(network_input(images, None, TO_SIGNED, 3), TO_SIGNED(images.float()).repeat(1, 3, 1, 1))


@pytest.mark.parametrize(("rule", "size", "message"), [("nearest", 8, "rule must be one of"), ("clean", 0, "size")])
def test_unknown_rules_and_empty_sizes_are_refused(rule, size, message):
    with pytest.raises(ValueError, match=message):
        Resize(rule, size)
