"""Features of real images from the cache: the bits of the computation, or the computation again."""

import errno
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganneal.data import Dataset, Digits, Ring
from ganneal.data.identity import content_hash
from ganneal.metrics import references
from ganneal.metrics.extractors import Extracted, Extractor, Pixels, Points, Precision, Random
from ganneal.metrics.references import chosen_samples, extract, reference_features
from ganneal.storage import atomic


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def entries(cache: Path) -> list[Path]:
    return sorted(cache.iterdir()) if cache.exists() else []


@dataclass
class Counting:
    """Twice the points, with logits, and how many samples it has been given."""

    name: str = "twice"
    sha256: str | None = None
    layer: str = "last"
    dimensions: int = 2
    resize: str = "none"
    input_scaling: str = "none"
    precision: Precision = "float32"
    given: int = 0

    def __call__(self, samples: Tensor) -> Extracted:
        self.given += len(samples)
        return Extracted(2 * samples, samples.sum(dim=1, keepdim=True))


def points(count: int = 40, seed: int = 0) -> Dataset:
    return Ring(num_samples=count, seed=seed).load()


def same(left: Extracted, right: Extracted) -> bool:
    if (left.logits is None) != (right.logits is None):
        return False
    pairs = zip(left, right, strict=True)
    return all(a is None or b is None or (a.dtype == b.dtype and torch.equal(a, b)) for a, b in pairs)


# What comes back


@pytest.mark.parametrize(
    ("dataset", "extractor"),
    [
        (Digits().load(), Pixels(4).build((1, 16, 16))),
        (Digits().load(), Random(width=4).build((1, 16, 16))),
        (points(), Points().build((2,))),
    ],
    ids=["pixels", "a network with logits", "points"],
)
def test_features_from_the_cache_are_the_computed_ones_bit_for_bit(
    dataset: Dataset, extractor: Extractor, cache: Path
) -> None:
    expected = extract(dataset, extractor, np.arange(len(dataset)))
    first = reference_features(dataset, extractor)
    assert len(entries(cache)) == 1
    second = reference_features(dataset, extractor)
    assert same(first, expected) and same(second, expected)


def test_the_second_time_nothing_is_computed(cache: Path) -> None:
    extractor = Counting()
    reference_features(points(), extractor)
    written = entries(cache)[0].stat().st_mtime_ns
    reference_features(points(), extractor)
    assert extractor.given == 40
    assert entries(cache)[0].stat().st_mtime_ns == written


def test_features_come_in_the_order_of_the_data_at_any_block_size() -> None:
    dataset, extractor = points(25), Counting()
    expected = 2 * torch.from_numpy(dataset.samples)
    for block in (1, 7, 25, 1000):
        assert torch.equal(extract(dataset, extractor, np.arange(25), block=block).features, expected)
    indices = chosen_samples(dataset, 10, seed=3)
    assert torch.equal(reference_features(dataset, extractor, count=10, seed=3).features, expected[indices])


def test_changing_what_came_back_does_not_change_the_cache() -> None:
    extractor = Counting()
    reference_features(points(), extractor)
    reference_features(points(), extractor).features.zero_()
    assert same(reference_features(points(), extractor), extract(points(), extractor, np.arange(40)))


@given(count=st.integers(1, 60), of=st.integers(1, 50), seed=st.integers(0, 100))
def test_samples_are_drawn_without_replacement_and_kept_in_order(count: int, of: int, seed: int) -> None:
    dataset = Dataset(np.zeros((of, 2), dtype=np.float32))
    chosen = chosen_samples(dataset, count, seed)
    assert len(chosen) == min(count, of)
    assert (np.diff(chosen) > 0).all() and chosen.min() >= 0 and chosen.max() < of
    assert np.array_equal(chosen, chosen_samples(dataset, count, seed))


def test_every_sample_is_equally_likely_to_be_chosen() -> None:
    dataset = points(20)
    times = np.bincount(np.concatenate([chosen_samples(dataset, 5, seed) for seed in range(2000)]), minlength=20)
    assert np.abs(times - 500).max() < 5 * np.sqrt(500)  # binomial, standard deviation 19.4


# What is another entry


CHANGES: dict[str, Any] = {
    "data": lambda d, e: (points(seed=1), e, {}),
    "one sample": lambda d, e: (replace(d, samples=_with_one_changed(d.samples)), e, {}),
    "order of the data": lambda d, e: (replace(d, samples=d.samples[::-1]), e, {}),
    "shape of the data": lambda d, e: (replace(d, samples=d.samples.reshape(20, 4), labels=None), e, {}),
    "count": lambda d, e: (d, e, {"count": 20}),
    "extractor": lambda d, e: (d, replace(e, name="thrice"), {}),
    "weights": lambda d, e: (d, replace(e, sha256="ab"), {}),
    "layer": lambda d, e: (d, replace(e, layer="first"), {}),
    "resize": lambda d, e: (d, replace(e, resize="bilinear"), {}),
    "scaling": lambda d, e: (d, replace(e, input_scaling="u/255"), {}),
    "precision": lambda d, e: (d, replace(e, precision="bf16"), {}),
}


def _with_one_changed(samples: np.ndarray) -> np.ndarray:
    changed = samples.copy()
    changed[7, 1] = np.nextafter(changed[7, 1], np.float32(9))
    return changed


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_anything_is_another_entry(change: str, cache: Path) -> None:
    reference_features(points(), Counting())
    dataset, extractor, options = CHANGES[change](points(), Counting())
    found = reference_features(dataset, extractor, **options)
    assert extractor.given == len(found.features)
    assert len(entries(cache)) == 2
    assert same(found, extract(dataset, extractor, chosen_samples(dataset, options.get("count"), 0)))


def test_another_seed_is_another_entry_where_it_decides_and_only_there(cache: Path) -> None:
    for seed, count, number in ((0, 20, 1), (1, 20, 2), (0, None, 3), (1, None, 3), (1, 40, 3), (1, 99, 3)):
        reference_features(points(), Counting(), count=count, seed=seed)
        assert len(entries(cache)) == number


def test_labels_and_descriptions_are_no_part_of_the_key(cache: Path) -> None:
    reference_features(points(), Counting())
    reference_features(replace(points(), labels=None, num_classes=0, description={}), extractor := Counting())
    assert extractor.given == 0


def test_the_hash_is_of_the_content_however_it_lies_in_memory(tmp_path: Path) -> None:
    dataset = Digits(size=8).load()
    expected = content_hash(dataset)
    np.save(tmp_path / "digits.npy", dataset.samples)
    mapped = np.load(tmp_path / "digits.npy", mmap_mode="r")
    strided = np.repeat(dataset.samples, 2, axis=0)[::2]
    assert [content_hash(replace(dataset, samples=samples)) for samples in (mapped, strided)] == [expected] * 2
    assert content_hash(replace(dataset, samples=dataset.samples.reshape(-1, 1, 4, 16))) != expected


# What is not what it should be


def test_every_flipped_byte_of_an_entry_is_noticed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic.os, "fsync", lambda descriptor: None)  # hundreds of entries are written
    dataset, extractor = points(3), Counting()
    expected = reference_features(dataset, extractor)
    (path,) = entries(cache)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        assert same(reference_features(dataset, extractor), expected), f"byte {place} of {len(whole)}"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.data())
def test_a_truncated_or_overwritten_entry_is_made_again(cache: Path, data: st.DataObject) -> None:
    dataset, extractor = points(10), Counting()
    expected = reference_features(dataset, extractor)
    (path,) = entries(cache)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut] + data.draw(st.binary(max_size=20).filter(lambda tail: whole[cut:] != tail)))
    assert same(reference_features(dataset, extractor), expected)
    assert path.read_bytes() == whole


def test_an_entry_of_other_data_in_its_place_is_made_again(cache: Path) -> None:
    reference_features(points(seed=1), Counting())
    (foreign,) = entries(cache)
    expected = reference_features(points(), Counting())
    (own,) = (path for path in entries(cache) if path != foreign)
    own.write_bytes(foreign.read_bytes())
    assert same(reference_features(points(), Counting()), expected)


def test_a_folder_in_place_of_an_entry_costs_the_cache_only(cache: Path) -> None:
    expected = reference_features(points(), Counting())
    (path,) = entries(cache)
    path.unlink()
    (path / "inside").mkdir(parents=True)
    assert same(reference_features(points(), Counting()), expected)


def test_features_that_are_no_numbers_are_given_as_they_are(cache: Path) -> None:
    dataset = points(5)
    dataset.samples[2, 0] = np.nan
    for _ in range(2):
        found = reference_features(dataset, Counting()).features
        assert found.isnan().sum() == 1 and found.isnan()[2, 0]


# No room, no right


def _no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "file" / "cache"))


def _read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # permissions do not hold root back
    def refuse(path: Any, flags: int = 0, *rest: Any, **options: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)


def _full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic.os, "fsync", refuse)


@pytest.mark.parametrize("arrange", [_no_folder, _read_only, _full])
def test_a_cache_that_cannot_be_written_costs_the_cache_only(
    arrange: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    expected = extract(points(), Counting(), np.arange(40))
    arrange(tmp_path, monkeypatch)
    for _ in range(2):
        extractor = Counting()
        assert same(reference_features(points(), extractor), expected)
        assert extractor.given == 40
    assert entries(cache) == []


def test_more_features_than_are_kept_are_computed_each_time(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    size = 40 * (2 + 1) * 4  # bytes of the features and logits
    for largest, number in ((size - 1, 0), (size, 1)):
        monkeypatch.setattr(references, "LARGEST_ENTRY", largest)
        reference_features(points(), Counting())
        assert len(entries(cache)) == number


# Several processes

DRIVER = '''
"""Processes that read, write and damage one entry as fast as they can; each checks what it gets."""

import os, sys
from pathlib import Path

import torch

from ganneal.data import Ring
from ganneal.metrics.extractors import Points
from ganneal.metrics.references import reference_features

torch.set_num_threads(1)
dataset, extractor = Ring(num_samples=5000).load(), Points().build((2,))
expected = torch.from_numpy(dataset.samples)
folder = Path(os.environ["GANNEAL_CACHE"]) / "features"


def child(number):
    for turn in range(15):
        if turn % 3 == number:
            for path in folder.glob("*.safetensors"):
                path.unlink(missing_ok=True)
        if not torch.equal(reference_features(dataset, extractor, sha256="known").features, expected):
            return 1
    return 0


children = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = child(number)
        finally:
            os._exit(code)
    children.append(pid)
statuses = [os.waitpid(pid, 0)[1] for pid in children]
left = [path.name for path in folder.iterdir() if path.suffix != ".safetensors"]
sys.exit(f"{statuses} {left}" if any(statuses) or left else 0)
'''


@pytest.mark.runs
def test_processes_that_write_one_entry_at_once_all_get_whole_features(tmp_path: Path) -> None:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GANNEAL_CACHE": str(tmp_path / "shared")}
    result = subprocess.run(
        [sys.executable, "-c", DRIVER], capture_output=True, text=True, env=environment, timeout=120
    )
    assert result.returncode == 0, result.stderr


# The folder


def test_the_named_folder_is_used_and_the_home_directory_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    reference_features(points(), Counting())
    assert len(entries(cache)) == 1 and not (tmp_path / "home").exists()
