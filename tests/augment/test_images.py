"""Changes of images: exact on small cases, linear where they are, twice differentiable."""

import math
from collections.abc import Callable

import pytest
import torch
from tests.for_each import for_each
from torch import Tensor

from ganneal.augment import DiffAugment, flip_and_shift
from ganneal.augment.images import cut_out, eighth, hue_turned, mirrored, saturated, shifted, transformed, with_colours
from ganneal.clocks import Counters


def numbers(*values: int) -> Tensor:
    return torch.tensor(values)


ROW = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4)
SQUARE = torch.arange(1.0, 10.0).view(1, 1, 3, 3)


@for_each(
    ("right", "zeros", "reflection"),
    [(1, [0, 1, 2, 3], [2, 1, 2, 3]), (-2, [3, 4, 0, 0], [3, 4, 3, 2]), (0, [1, 2, 3, 4], [1, 2, 3, 4])],
)
def test_shifts_bring_in_zeros_or_the_reflection(right: int, zeros: list[int], reflection: list[int]) -> None:
    assert shifted(ROW, numbers(0), numbers(right), reflect=False).flatten().tolist() == zeros
    assert shifted(ROW, numbers(0), numbers(right), reflect=True).flatten().tolist() == reflection


def test_each_image_moves_on_its_own_down_and_right() -> None:
    images = SQUARE.repeat(2, 2, 1, 1)
    moved = shifted(images, numbers(1, 0), numbers(0, -1), reflect=False)
    assert moved[0, 0].tolist() == [[0, 0, 0], [1, 2, 3], [4, 5, 6]]
    assert moved[1, 1].tolist() == [[2, 3, 0], [5, 6, 0], [8, 9, 0]]


def test_mirroring_where_chosen() -> None:
    chosen = torch.tensor([True, False]).view(2, 1, 1, 1)
    found = mirrored(ROW.repeat(2, 1, 1, 1), chosen)
    assert found.flatten(1).tolist() == [[4, 3, 2, 1], [1, 2, 3, 4]]


@for_each(("side", "pixels"), [(4, 1), (8, 1), (28, 4), (32, 4), (64, 8)])
def test_an_eighth_is_to_the_nearest_pixel(side: int, pixels: int) -> None:
    assert eighth(side) == pixels


def test_the_cut_square_has_half_the_side_and_ends_at_the_border() -> None:
    images, everyone = torch.ones(3, 2, 8, 8), torch.ones(3, 1, 1, 1, dtype=torch.bool)
    cut = cut_out(images, numbers(4, 0, 7), numbers(4, 0, 7), everyone) == 0
    assert cut[:, 0].sum((1, 2)).tolist() == [16, 4, 9]
    assert torch.equal(cut[:, 0], cut[:, 1])
    assert cut[0, 0, 2:6, 2:6].all() and cut[1, 0, :2, :2].all()
    assert torch.equal(cut_out(images, numbers(4, 4, 4), numbers(4, 4, 4), ~everyone), images)


def matrix(*entries: float) -> Tensor:
    return torch.tensor(entries, dtype=torch.float32).view(1, 2, 3)


def test_the_identity_and_whole_shifts_are_exact() -> None:
    images = torch.rand(1, 3, 5, 4)
    assert torch.equal(transformed(images, matrix(1, 0, 0, 0, 1, 0)), images)
    moved = transformed(images, matrix(1, 0, 1, 0, 1, -2))  # read one to the right and two above
    torch.testing.assert_close(moved, shifted(images, numbers(2), numbers(-1), reflect=True))


def test_quarter_turns_and_mirrors_are_exact() -> None:
    images = torch.rand(1, 2, 5, 5)
    turned = transformed(images, matrix(math.cos(math.pi / 2), -1, 0, 1, math.cos(math.pi / 2), 0))
    torch.testing.assert_close(turned, images.rot90(1, (2, 3)), rtol=0, atol=1e-5)
    torch.testing.assert_close(transformed(images, matrix(-1, 0, 0, 0, 1, 0)), images.flip(3))


def test_between_pixels_values_are_linear() -> None:
    images = torch.tensor([0.0, 1.0, 4.0, 9.0]).view(1, 1, 1, 4)
    read = transformed(images, matrix(1, 0, 0.25, 0, 1, 0)).flatten()
    assert read.tolist() == pytest.approx([0.25, 1.75, 5.25, 7.75])  # the last between 9 and its reflection 4


@for_each("angle", [0.0, 2 * math.pi / 3, 2 * math.pi])
def test_a_third_of_a_turn_of_hue_exchanges_the_channels(angle: float) -> None:
    images = torch.rand(1, 3, 2, 2)
    turned = hue_turned(images, torch.tensor(angle).view(1, 1, 1, 1))
    expected = images.roll(1, 1) if angle == 2 * math.pi / 3 else images
    torch.testing.assert_close(turned, expected)


def test_hue_and_saturation_leave_grey_and_lightness_alone() -> None:
    images, amount = torch.rand(4, 3, 2, 2), torch.rand(4, 1, 1, 1)
    for change in (hue_turned, saturated):
        torch.testing.assert_close(change(images, amount).mean(1), images.mean(1))
        grey = images[:, :1].expand(-1, 3, -1, -1)
        torch.testing.assert_close(change(grey, amount), grey)
    torch.testing.assert_close(hue_turned(images, amount).norm(dim=1), images.norm(dim=1))
    assert torch.allclose(saturated(images, torch.zeros(4, 1, 1, 1)).std(1), torch.zeros(4, 2, 2), atol=1e-6)


SKEWED = torch.tensor([[0.9, -0.3, 0.4], [0.2, 1.1, -0.6]], dtype=torch.float64).repeat(2, 1, 1)
CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "shifted": lambda x: shifted(x, numbers(1, 0), numbers(-1, 2), reflect=True),
    "transformed": lambda x: transformed(x, SKEWED),
    "hue": lambda x: hue_turned(x, torch.tensor([0.3, 1.0]).view(2, 1, 1, 1)),
    "flip and shift": lambda x: flip_and_shift(x, torch.Generator().manual_seed(0)),
}


@for_each("name", CHANGES)
def test_changes_are_linear_and_twice_differentiable(name: str) -> None:
    change = CHANGES[name]
    a, b = torch.rand(2, 2, 3, 3, 3, dtype=torch.float64)
    torch.testing.assert_close(change(2 * a - 3 * b), 2 * change(a) - 3 * change(b))
    x = a.requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: change(x).pow(3), x, fast_mode=True)


def test_consistency_moves_by_an_eighth_at_most_and_mirrors_half_the_time() -> None:
    count, side = 4_000, 16
    images = torch.arange(float(side)).expand(count, 1, side, side).contiguous()  # each pixel tells its column
    moved = flip_and_shift(images, torch.Generator().manual_seed(0))[:, 0, 8]
    slope = moved[:, 9] - moved[:, 8]
    mirrored_share = (slope < 0).float().mean().item()
    assert set(slope.tolist()) == {-1.0, 1.0}
    assert mirrored_share == pytest.approx(0.5, abs=5 * 0.5 / count**0.5)
    offset = torch.where(slope > 0, 8 - moved[:, 8], 8 - (15 - moved[:, 8]))
    assert set(offset.tolist()) == {-2.0, -1.0, 0.0, 1.0, 2.0}


def test_colours_change_without_the_transparency() -> None:
    images = torch.rand(4, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    changed = DiffAugment(translation=False, cutout=False)(images, torch.Generator().manual_seed(1), {}, Counters())
    plain = DiffAugment(translation=False, cutout=False)(
        images[:, :3], torch.Generator().manual_seed(1), {}, Counters()
    )
    assert torch.equal(changed[:, 3], images[:, 3]) and torch.equal(changed[:, :3], plain)
    assert torch.equal(with_colours(images[:, :3], torch.neg), -images[:, :3])
