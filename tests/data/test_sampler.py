"""The stream of batches: a pure function of data, seed and position."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import ganneal.data.sampler
from ganneal.data import Dataset, Digits, Ring, Sampler
from ganneal.data.moves import Moves
from ganneal.data.sampler import fits
from ganneal.engine.run import Run
from ganneal.experiment import Experiment
from ganneal.models import DCGAN
from ganneal.storage.encoding import difference
from ganneal.storage.pictures import to_uint8

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


@settings(max_examples=30)
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


def test_every_pass_draws_each_change_of_the_images_anew_and_always_the_same() -> None:
    moves = Moves(flip=True, flip_vertical=True, translate=3)
    first, second, again = (moves.draw(50, 7, epoch, np.random.default_rng(epoch)) for epoch in (0, 1, 0))
    assert not any(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def as_before(data: Dataset, seed: int, flip: bool, passes: int) -> np.ndarray:
    """The stream's pixels by the rule that every run so far was made with."""
    shown = []
    for epoch in range(passes):
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(epoch,)))
        order = random.permutation(len(data))
        mirrored = random.random(len(order)) < 0.5 if flip else np.zeros(len(order), dtype=bool)
        shown += [
            data.samples[i, :, :, ::-1] if mirror else data.samples[i]
            for i, mirror in zip(order, mirrored, strict=True)
        ]
    return np.stack(shown)


@given(count=counts, seed=seeds, flip=flips)
def test_runs_without_the_newer_changes_see_the_bits_they_saw(count: int, seed: int, flip: bool) -> None:
    data = images(count, width=3)
    assert np.array_equal(
        to_uint8(Sampler(data, seed, flip).batch(0, 2 * count).samples), as_before(data, seed, flip, 2)
    )


SQUARE = Dataset(np.random.default_rng(0).integers(0, 256, (7, 3, 6, 9), dtype=np.uint8), np.arange(7), 7)
MOVES = st.fixed_dictionaries({"flip": flips, "flip_vertical": flips, "translate": st.integers(0, 5)})


@pytest.mark.runs
@given(seed=seeds, moves=MOVES, start=st.integers(0, 60), parts=sizes)
def test_moved_images_are_one_stream_too(seed: int, moves: dict[str, Any], start: int, parts: list[int]) -> None:
    whole = Sampler(SQUARE, seed, **moves).batch(start, sum(parts)).samples
    used = Sampler(SQUARE, seed, **moves)
    used.batch(start + 1_000, 3)  # elsewhere, in another pass
    places = np.cumsum([start, *parts[:-1]]).tolist()
    assert torch.equal(torch.cat([used.batch(at, size).samples for at, size in zip(places, parts, strict=True)]), whole)


@given(seed=seeds, moves=MOVES)
def test_every_image_is_moved_as_its_own_numbers_say_and_keeps_its_label(seed: int, moves: dict[str, Any]) -> None:
    """Against an index by hand: pixel (y, x) comes from (y - down, x - right), reflected at the edge."""
    batch = Sampler(SQUARE, seed, **moves).batch(0, 7)
    unmoved = Sampler(SQUARE, seed).batch(0, 7)
    assert batch.labels is not None and unmoved.labels is not None and torch.equal(batch.labels, unmoved.labels)
    limit = moves["translate"]

    def ways(image: np.ndarray) -> Iterator[np.ndarray]:
        for mirrored in {False, moves["flip"]}:
            for upended in {False, moves["flip_vertical"]}:
                turned = image[:, :: -1 if upended else 1, :: -1 if mirrored else 1]
                for down in range(-limit, limit + 1):
                    for right in range(-limit, limit + 1):
                        y, x = (
                            np.array([abs(i - by) if i - by < n else 2 * (n - 1) - (i - by) for i in range(n)])
                            for n, by in ((6, down), (9, right))
                        )
                        yield turned[:, y][:, :, x]

    for shown, image in zip(to_uint8(batch.samples), to_uint8(unmoved.samples), strict=True):
        assert any(np.array_equal(shown, way) for way in ways(image))


@given(seed=seeds)
def test_examples_of_a_class_are_the_first_ones_of_it_that_training_meets(seed: int) -> None:
    sampler = Sampler(images(23), seed)
    met = sampler.batch(0, 23)
    assert met.labels is not None
    expected = [met.samples[met.labels == of][:count] for of, count in ((2, 2), (4, 1))]
    assert torch.equal(sampler.examples([2, 2, 4]), torch.cat(expected))


@settings(max_examples=30)
@given(seed=seeds, start=st.integers(0, 60), share=st.integers(1, 9), ranks=st.integers(2, 4))
def test_the_parts_of_all_ranks_are_the_batch_of_one_process(seed: int, start: int, share: int, ranks: int) -> None:
    sampler = Sampler(images(23), seed, True)
    whole = sampler.batch(start, ranks * share)
    parts = [sampler.batch(start, ranks * share, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert torch.equal(torch.cat([part.samples for part in parts]), whole.samples)
    labels = [part.labels for part in parts if part.labels is not None]
    assert whole.labels is not None and torch.equal(torch.cat(labels), whole.labels)


@given(seed=seeds, moves=MOVES, start=st.integers(0, 60), count=counts, ranks=st.integers(1, 3))
def test_a_resident_stream_is_the_same_to_the_bit(
    seed: int, moves: dict[str, Any], start: int, count: int, ranks: int
) -> None:
    there, here = Sampler(SQUARE, seed, resident=True, **moves), Sampler(SQUARE, seed, **moves)
    assert there.resident is not None and here.resident is None
    for rank in range(ranks):
        one, other = (sampler.batch(start, count * ranks, rank=rank, ranks=ranks) for sampler in (there, here))
        assert torch.equal(one.samples, other.samples)
        assert one.labels is not None and other.labels is not None and torch.equal(one.labels, other.labels)
    assert torch.equal(there.examples([3, 0, 3]), here.examples([3, 0, 3]))


def test_resident_samples_are_all_of_them_whatever_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ganneal.data.sampler, "COPIED_BYTES", 2 * SQUARE.samples[0].nbytes + 1)
    resident = Sampler(SQUARE, 0, resident=True).resident
    assert resident is not None and np.array_equal(resident.numpy(), SQUARE.samples)
    points = Ring(num_samples=50).load()
    assert torch.equal(Sampler(points, 0, resident=True).batch(3, 70).samples, Sampler(points, 0).batch(3, 70).samples)


@pytest.mark.parametrize(
    ("free", "expected"), [(4 * SQUARE.samples.nbytes, True), (4 * SQUARE.samples.nbytes - 1, False)]
)
def test_an_accelerator_holds_data_that_takes_a_quarter_of_its_free_memory(
    free: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
    assert fits(SQUARE, torch.device("cuda")) is expected
    assert not fits(SQUARE, torch.device("cpu"))


def test_one_change_moves_neither_another_nor_the_order() -> None:
    """What is drawn for flips, the other flips and shifts does not depend on which of them are made."""
    together = Moves(True, True, 3).draw(50, 1, 2, np.random.default_rng(5))
    for alone in (Moves(flip=True), Moves(flip_vertical=True), Moves(translate=3)):
        drawn = alone.draw(50, 1, 2, np.random.default_rng(5))
        kept = [np.array_equal(one, other) for one, other in zip(drawn, together, strict=True)]
        assert kept == [alone.flip, alone.flip_vertical, alone.translate > 0]


def test_shifts_are_uniform_between_their_ends_and_mirrors_are_halves() -> None:
    count, most = 30_000, 2
    mirrored, upside_down, shift = (
        x.numpy() for x in Moves(True, True, most).draw(count, 0, 0, np.random.default_rng(0))
    )
    for halves in (mirrored, upside_down, mirrored ^ upside_down):
        assert abs(halves.mean() - 0.5) < 5 * 0.5 / count**0.5  # five standard deviations
    assert shift.min() == -most and shift.max() == most
    both = (shift[:, 0] + most) * (2 * most + 1) + shift[:, 1] + most
    share = np.bincount(both, minlength=25) / count
    assert np.abs(share - 1 / 25).max() < 5 * (1 / 25 / count) ** 0.5


@pytest.mark.parametrize(
    ("translate", "message"),
    [
        (-1, "translate must be at least 0 pixels, got -1"),
        (6, "translate must be below the side of the images, 6 pixels, got 6"),
    ],
)
def test_a_shift_must_fit_the_images(translate: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sampler(SQUARE, 0, translate=translate)


def test_a_run_moves_images_as_its_experiment_says() -> None:
    plain = Experiment("moved", Digits(8), DCGAN(width=2, latent_size=2), batch_size=4)
    assert Run(plain).data.moves == Moves()
    moved = replace(plain, flip=True, flip_vertical=True, translate=2)
    assert Run(moved).data.moves == Moves(True, True, 2)
    assert "translate: 0 -> 2" in difference(plain.identity(), moved.identity())
    with pytest.raises(ValueError, match="translate must be at least 0 pixels, got -2"):
        replace(plain, translate=-2)


@pytest.mark.parametrize("change", [{"flip_vertical": True}, {"translate": 1}])
def test_points_are_not_moved(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be False for points"):
        Sampler(Ring(num_samples=50).load(), 0, **change)


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


def test_examples_show_each_class_as_it_is_asked_for() -> None:
    labels = np.array([0, 1, 0, 1, 0])
    dataset = Dataset(np.arange(5, dtype=np.uint8)[:, None, None, None].repeat(4, 2), labels, 2)
    shown = to_uint8(Sampler(dataset, seed=1).examples([0, 0, 0, 1, 1, 1]))[:, 0, 0, 0]
    assert sorted(shown[:3]) == [0, 2, 4]
    assert sorted(shown[3:5]) == [1, 3] and shown[5] == shown[3]
