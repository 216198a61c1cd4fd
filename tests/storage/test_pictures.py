"""Pictures: levels that come back exactly, tiles where they belong."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.for_each import for_each

from ganneal.storage.pictures import (
    CHECK_SIDE,
    CHECKS,
    SMALLEST_TILE,
    image_grid,
    on_checkerboard,
    picture,
    save_png,
    scatter,
    to_uint8,
)

GAP = 2


def shown(levels: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Levels 0..255 as players see them."""
    return torch.as_tensor(levels).float() / 127.5 - 1


def tiles_of(picture: Image.Image, height: int, width: int) -> list[np.ndarray]:
    """The cells of a grid, row by row; everything between them must be white."""
    pixels = np.asarray(picture)
    rows, down = divmod(pixels.shape[0] - GAP, height + GAP)
    columns, right = divmod(pixels.shape[1] - GAP, width + GAP)
    assert (down, right) == (0, 0)
    between, cells = np.ones(pixels.shape[:2], dtype=bool), []
    for row in range(rows):
        for column in range(columns):
            top, left = GAP + row * (height + GAP), GAP + column * (width + GAP)
            cells.append(pixels[top : top + height, left : left + width])
            between[top : top + height, left : left + width] = False
    assert (pixels[between] == 255).all()
    return cells


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_all_256_levels_come_back_exactly(dtype: torch.dtype) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    images = torch.from_numpy(levels).to(dtype) / 127.5 - 1
    assert to_uint8(images).dtype == np.uint8
    assert np.array_equal(to_uint8(images), levels)


def test_levels_come_back_after_the_smallest_disturbance() -> None:
    levels = torch.arange(256)
    for direction in (-2.0, 2.0):
        disturbed = torch.nextafter(shown(levels), torch.tensor(direction))
        assert torch.equal(torch.from_numpy(to_uint8(disturbed.reshape(1, 1, 16, 16))).flatten().int(), levels.int())


@given(st.floats(-3, 3, width=32))
def test_a_value_becomes_the_level_whose_bin_it_is_in(value: float) -> None:
    level = to_uint8(torch.full((1, 1, 1, 1), value))[0, 0, 0, 0]
    # 256 bins of width 2/255 around the levels; float32 rounding of 127.5 x + 128 is below 2e-5
    exact = min(max(127.5 * value + 128, 0), 255)
    assert level <= exact + 2e-5 and (exact - level < 1 + 2e-5)


def test_values_beyond_one_saturate() -> None:
    images = torch.tensor([-torch.inf, -1e9, -1.01, 1.01, 1e9, torch.inf]).reshape(1, 1, 2, 3)
    assert to_uint8(images).flatten().tolist() == [0, 0, 0, 255, 255, 255]


@for_each("channels", [1, 3])
@for_each(
    ("count", "columns", "rows", "across"),
    [(1, None, 1, 1), (4, None, 2, 2), (5, None, 2, 3), (7, None, 3, 3), (64, None, 8, 8), (5, 5, 1, 5), (5, 2, 3, 2)],
)
def test_tiles_lie_row_by_row_two_pixels_apart(
    channels: int, count: int, columns: int | None, rows: int, across: int
) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (count, channels, 48, 64), dtype=np.uint8)
    picture = image_grid(shown(levels), columns)
    assert picture.mode == ("L" if channels == 1 else "RGB")
    assert picture.size == (across * (64 + GAP) + GAP, rows * (48 + GAP) + GAP)
    cells = tiles_of(picture, 48, 64)
    for tile, cell in zip(levels, cells, strict=False):
        assert np.array_equal(tile.transpose(1, 2, 0).squeeze(), cell.squeeze())
    assert len(cells) == rows * across and all((cell == 255).all() for cell in cells[count:])


@for_each(("size", "factor"), [(1, 48), (8, 6), (16, 3), (28, 2), (32, 2), (47, 2), (48, 1), (64, 1)])
def test_small_tiles_are_enlarged_by_a_whole_factor(size: int, factor: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (2, 3, size, size), dtype=np.uint8)
    cells = tiles_of(image_grid(shown(levels)), size * factor, size * factor)
    assert size * factor >= SMALLEST_TILE == 48
    for tile, cell in zip(levels, cells, strict=True):
        for down in (0, factor - 1):
            assert np.array_equal(cell[down::factor, down::factor], tile.transpose(1, 2, 0))


def test_a_grid_written_as_png_is_read_back_unchanged(tmp_path: Path) -> None:
    picture = image_grid(torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    save_png(picture, tmp_path / "samples" / "grid.png")
    with Image.open(tmp_path / "samples" / "grid.png") as loaded:
        assert loaded.format == "PNG" and np.array_equal(np.asarray(loaded), np.asarray(picture))
    assert os.listdir(tmp_path / "samples") == ["grid.png"]


def test_scatter_shows_points_and_data_without_touching_the_global_figures() -> None:
    import matplotlib

    backend = matplotlib.get_backend()
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    pictures = scatter(None, points), scatter(points + 5, points), scatter(points)
    assert {picture.size for picture in pictures} == {(500, 500)}
    exact = [np.asarray(picture.convert("RGB")).reshape(-1, 3).astype(int) for picture in pictures]
    blue = [int((pixels[:, 2] > pixels[:, 0] + 40).sum()) for pixels in exact]  # "tab:blue", what was generated
    light = [
        int(((pixels == pixels[:, :1]).all(1) & (pixels[:, 0] > 190) & (pixels[:, 0] < 225)).sum()) for pixels in exact
    ]
    assert (
        min(blue[:2]) > 300 and blue[2] == 0
    )  # fifty markers of several pixels; the data alone shows nothing generated
    assert min(light[1:]) > light[0] + 300  # the data, in light grey
    assert matplotlib.get_backend() == backend


def test_scatter_keeps_axes_to_scale() -> None:
    wide = scatter(None, torch.tensor([[-10.0, 0.0], [10.0, 0.0], [0.0, 1.0]]))
    tall = scatter(None, torch.tensor([[0.0, -10.0], [0.0, 10.0], [1.0, 0.0]]))

    def frame(picture: Image.Image) -> tuple[int, int]:
        """Width and height of the black box around the points."""
        black = np.asarray(picture.convert("L")) < 40
        rows = np.nonzero(black.sum(1) > 20)[0]
        columns = np.nonzero(black.sum(0) > 20)[0]
        return int(np.ptp(columns)), int(np.ptp(rows))

    assert frame(wide)[0] > 3 * frame(wide)[1]
    assert frame(tall)[1] > 3 * frame(tall)[0]


def test_transparency_shows_a_checkerboard_in_grids_and_stays_in_single_images() -> None:
    images = np.zeros((2, 4, 2 * CHECK_SIDE, 3 * CHECK_SIDE), np.uint8)
    images[0, :3], images[0, 3] = 100, 255
    images[1, :3], images[1, 3, :, : 2 * CHECK_SIDE] = 100, 51
    found = on_checkerboard(images)
    assert found.shape == (2, 3, 2 * CHECK_SIDE, 3 * CHECK_SIDE) and (found[0] == 100).all()
    light, dark = CHECKS
    blocks = found[1, 0, ::CHECK_SIDE, ::CHECK_SIDE].tolist()
    mixed = [round(0.2 * 100 + 0.8 * level) for level in (light, dark)]
    assert blocks == [[mixed[0], mixed[1], light], [mixed[1], mixed[0], dark]]
    assert image_grid(shown(images)).mode == "RGB"
    alone = picture(shown(images[1:]))
    assert alone.mode == "RGBA" and np.array_equal(np.asarray(alone).transpose(2, 0, 1), images[1])
