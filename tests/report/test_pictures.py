"""Frames that travel inside a page."""

import io
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ganneal.report.pictures import encode_frames, evenly, page_picture, webp


@given(st.integers(1, 200), st.integers(2, 40))
def test_evenly_chosen_keeps_both_ends_and_order_and_spacing(count: int, most: int) -> None:
    chosen = evenly(range(count), most)
    assert len(chosen) == min(count, most) and chosen == sorted(set(chosen))
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    gaps = np.diff(chosen)
    assert count == 1 or gaps.max() - gaps.min() <= 1


def test_enlarged_pixels_are_kept_exactly() -> None:
    tile = np.kron(np.array([[0, 255], [128, 64]], dtype=np.uint8), np.ones((48, 48), dtype=np.uint8))
    data = webp(Image.fromarray(tile))
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data)).convert("L")), tile)


def test_large_pictures_are_scaled_down_and_their_size_is_told() -> None:
    shown = page_picture(webp(Image.new("RGB", (3000, 1500), "red"), side=1024), "red")
    assert (shown.width, shown.height, shown.alt) == (1024, 512, "red")
    assert shown.uri.startswith("data:image/webp;base64,")


def noise(folder: Path, count: int) -> list[tuple[int, Path]]:
    random = np.random.default_rng(0)
    frames = []
    for index in range(count):
        path = folder / f"{index}.png"
        Image.fromarray(random.integers(256, size=(160, 160), dtype=np.uint8)).save(path)
        frames.append((index, path))
    return frames


def test_frames_fit_the_budget_with_both_ends_kept(tmp_path: Path) -> None:
    frames = noise(tmp_path, 12)
    free = encode_frames({"a": frames}, most=12)["a"]
    assert [at for at, _ in free] == list(range(12))
    budget = sum(len(data) for _, data in free) // 2
    tight = encode_frames({"a": frames}, most=12, budget=budget)["a"]
    assert sum(len(data) for _, data in tight) <= budget
    assert (tight[0][0], tight[-1][0]) == (0, 11) and len(tight) < 12


def test_a_budget_out_of_reach_still_shows_the_ends_of_every_track(tmp_path: Path) -> None:
    frames = noise(tmp_path, 6)
    found = encode_frames({"a": frames, "b": frames[:1]}, most=6, budget=1)
    assert [at for at, _ in found["a"]] == [0, 5] and [at for at, _ in found["b"]] == [0]
