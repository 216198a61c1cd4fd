"""The stream of batches: a pure function of data, seed and position."""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ganneal.data import Dataset, Ring, Sampler
from ganneal.grid import to_uint8

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=8)
counts = st.integers(1, 23)
seeds = st.integers(0, 2**63 - 1)
flips = st.booleans()


@cache
def images(count: int, width: int = 2, labelled: bool = True) -> Dataset:
    """Images of which every one is known by its first row, left to right or mirrored."""
    samples = np.zeros((count, 1, 2, width), dtype=np.uint8)
    samples[:, 0, 0, 0] = np.arange(count) % 250 + 1
    samples[:, 0, 1, 0] = np.arange(count) // 250
    labels = np.arange(count, dtype=np.int64) * 7 % 5
    return Dataset(samples, labels if labelled else None, 5 if labelled else 0)


def identities(samples: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Which image each sample is, and whether it is mirrored."""
    values = to_uint8(samples).astype(int)[:, 0]
    mirrored = values[:, 0, 0] == 0
    shown = np.where(mirrored[:, None], values[:, :, -1], values[:, :, 0])
    return shown[:, 0] - 1 + 250 * shown[:, 1], mirrored


@given(count=counts, seed=seeds, flip=flips, start=st.integers(0, 100), parts=sizes)
def test_batches_of_any_sizes_are_one_stream(count: int, seed: int, flip: bool, start: int, parts: list[int]) -> None:
    whole = Sampler(images(count), seed, flip).batch(start, sum(parts))
    sampler, position = Sampler(images(count), seed, flip), start
    samples, labels = [], []
    for size in parts:
        batch = sampler.batch(position, size)
        assert len(batch.samples) == size
        samples.append(batch.samples)
        labels.append(batch.labels)
        position += size
    assert torch.equal(torch.cat(samples), whole.samples)
    assert whole.labels is not None and torch.equal(torch.cat(labels), whole.labels)


@given(count=counts, seed=seeds, flip=flips, passes=st.integers(1, 5))
def test_every_pass_shows_every_image_once(count: int, seed: int, flip: bool, passes: int) -> None:
    stream, _ = identities(Sampler(images(count), seed, flip).batch(0, passes * count).samples)
    for shown in stream.reshape(passes, count):
        assert sorted(shown) == list(range(count))


@given(count=counts, seed=seeds, flip=flips, positions=st.lists(st.integers(0, 10**6), min_size=2, max_size=6))
def test_a_stream_resumes_at_any_position_in_any_order(count: int, seed: int, flip: bool, positions: list[int]) -> None:
    used = Sampler(images(count), seed, flip)
    for position in positions:
        fresh = Sampler(images(count), seed, flip).batch(position, 5)
        again = used.batch(position, 5)
        assert torch.equal(again.samples, fresh.samples)
        assert again.labels is not None and fresh.labels is not None and torch.equal(again.labels, fresh.labels)


@given(count=counts, seed=seeds, flip=flips, size=st.integers(1, 60))
def test_labels_follow_their_images(count: int, seed: int, flip: bool, size: int) -> None:
    batch = Sampler(images(count), seed, flip).batch(3, size)
    shown, _ = identities(batch.samples)
    assert batch.labels is not None and batch.labels.dtype == torch.int64
    assert batch.labels.tolist() == (shown * 7 % 5).tolist()


@given(count=counts, seed=seeds, size=st.integers(1, 60))
def test_flips_change_neither_order_nor_pixels(count: int, seed: int, size: int) -> None:
    plain = Sampler(images(count), seed).batch(0, size).samples
    flipped = Sampler(images(count), seed, flip=True).batch(0, size).samples
    _, mirrored = identities(flipped)
    for one, other, mirror in zip(plain, flipped, mirrored, strict=True):
        assert torch.equal(other, one.flip(2) if mirror else one)


def test_half_of_the_images_are_mirrored_anew_in_each_pass() -> None:
    count, passes = 2_000, 4
    shown, mirrored = identities(Sampler(images(count), 0, flip=True).batch(0, passes * count).samples)
    by_image = np.zeros((passes, count), dtype=bool)
    for row, (order, mirrors) in enumerate(
        zip(shown.reshape(passes, count), mirrored.reshape(passes, count), strict=True)
    ):
        by_image[row, order] = mirrors
    five_errors = 5 * 0.5 / count**0.5
    assert np.abs(by_image.mean(1) - 0.5).max() < five_errors
    for mirrors in (by_image, mirrored.reshape(passes, count)):  # of an image, and of a place in the pass
        for one in range(passes):
            for other in range(one):
                assert abs((mirrors[one] == mirrors[other]).mean() - 0.5) < five_errors


def test_mirrors_are_horizontal_and_of_whole_images() -> None:
    pixels = np.arange(2 * 3 * 4 * 4, dtype=np.uint8).reshape(2, 3, 4, 4)
    stream = Sampler(Dataset(pixels), 0, flip=True).batch(0, 64).samples
    allowed = [image for x in pixels for image in (x, x[:, :, ::-1])]
    seen = {
        next(index for index, image in enumerate(allowed) if np.array_equal(image, shown)) for shown in to_uint8(stream)
    }
    assert seen == {0, 1, 2, 3}


@pytest.mark.parametrize("flip", [False, True])
def test_other_seeds_and_other_passes_have_other_orders(flip: bool) -> None:
    count = 100
    orders = [
        tuple(identities(Sampler(images(count), seed, flip).batch(start, count).samples)[0])
        for seed in (0, 1, 2, 2**62)
        for start in (0, count, 2 * count)
    ]
    assert len(set(orders)) == len(orders)


def test_positions_of_an_image_are_uniform_over_passes() -> None:
    count, passes = 10, 2_000
    stream, _ = identities(Sampler(images(count), 0).batch(0, count * passes).samples)
    places = np.bincount(np.nonzero(stream.reshape(passes, count) == 3)[1], minlength=count)
    assert np.abs(places - passes / count).max() < 5 * (passes / count) ** 0.5  # five standard deviations of a count


def test_torch_and_numpy_generators_are_left_alone() -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    Sampler(images(20), 0, flip=True).batch(15, 30)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()  # type: ignore[index]


def test_the_256_levels_are_shown_in_minus_one_to_one_and_come_back_exactly() -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 1, 16, 16)
    shown = Sampler(Dataset(pixels), 0).batch(0, 1).samples
    assert shown.dtype == torch.float32
    assert (shown.min(), shown.max()) == (-1, 1)
    assert np.array_equal(to_uint8(shown), pixels)
    assert torch.equal(shown.flatten(), torch.arange(256) / 127.5 - 1)


def test_points_are_shown_as_they_are_and_cannot_be_mirrored() -> None:
    data = Ring(num_samples=50).load()
    shown = Sampler(data, 0).batch(0, 50)
    assert shown.samples.dtype == torch.float32 and shown.labels is not None and data.labels is not None
    order = torch.from_numpy(data.samples)[:, None].eq(shown.samples).all(2).int().argmax(1)
    assert torch.equal(shown.samples[order], torch.from_numpy(data.samples))
    assert torch.equal(shown.labels[order], torch.from_numpy(data.labels))
    with pytest.raises(ValueError, match="flip must be False for points"):
        Sampler(data, 0, flip=True)


def test_data_without_labels_gives_none() -> None:
    assert Sampler(images(4, labelled=False), 0).batch(0, 6).labels is None


def test_the_data_are_never_written_to() -> None:
    data = images(9, width=3)
    before = data.samples.copy()
    batch = Sampler(data, 0, flip=True).batch(0, 30)
    batch.samples.fill_(0)
    assert batch.labels is not None
    batch.labels.fill_(0)
    assert np.array_equal(data.samples, before)
    assert data.labels is not None and data.labels.any()


def test_a_dataset_must_hold_something_and_a_label_for_each() -> None:
    with pytest.raises(ValueError, match="samples must not be empty"):
        Dataset(np.zeros((0, 1, 4, 4), dtype=np.uint8))
    with pytest.raises(ValueError, match="one entry per sample, got 2 labels for 3 samples"):
        Dataset(np.zeros((3, 1, 4, 4), dtype=np.uint8), np.zeros(2, dtype=np.int64), 1)
