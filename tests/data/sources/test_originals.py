"""MNIST's and CIFAR's own files: written here byte by byte, whole, damaged and hostile."""

import gzip
import io
import os
import pickle
import shlex
import struct
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Arrays, Cifar10, Cifar100, Dataset, Idx, ImageNetBatches, Source, StackedMNIST
from ganneal.data.decode.pickles import load_pickle
from ganneal.data.sources.mnist import read_idx
from ganneal.data.tools.download import DOWNLOADS
from ganneal.experiment import Experiment

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.array([3, 1, 4, 1, 5, 9, 2], dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write(root: Path, files: dict[str, bytes]) -> str:
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (root / name).write_bytes(content)
    return str(root)


# idx


@for_each("separator", ["-", "."])
@for_each("zipped", [False, True])
@for_each(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_idx_files_are_read_exactly_under_all_their_names(
    tmp_path: Path, separator: str, zipped: bool, split: Any, prefix: str
) -> None:
    packed = gzip.compress if zipped else bytes
    suffix = ".gz" if zipped else ""
    files = {
        f"{prefix}-images{separator}idx3-ubyte{suffix}": packed(idx(IMAGES)),
        f"{prefix}-labels{separator}idx1-ubyte{suffix}": packed(idx(LABELS)),
    }
    data = Idx(write(tmp_path / "MNIST" / "raw", files), split=split).load()
    assert np.array_equal(data.samples, IMAGES[:, None])
    assert data.labels is not None and [int(data.class_names[n]) for n in data.labels] == LABELS.tolist()


def test_idx_files_below_the_folder_are_found(tmp_path: Path) -> None:
    write(tmp_path / "MNIST" / "raw", {"train-images-idx3-ubyte": idx(IMAGES), "train-labels-idx1-ubyte": idx(LABELS)})
    assert len(Idx(str(tmp_path)).load()) == 7


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_reading_idx_is_the_inverse_of_writing(shape: list[int]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert np.array_equal(read_idx("a", idx(array)), array)


@for_each(
    ("content", "message"),
    [
        (b"", "is no idx file"),
        (b"not an idx file", "is no idx file"),
        (idx(IMAGES)[:9], "cut off within its header"),
        (idx(IMAGES)[:-1], r"must have 5,488 bytes after its header, which says \(7, 28, 28\), got 5,487"),
        (idx(IMAGES) + b"0", "must have 5,488 bytes"),
        (gzip.compress(idx(IMAGES))[:-20], "is cut off"),
        (gzip.compress(idx(IMAGES))[:40] + b"rubbish" * 9, "is damaged|is cut off"),
        (struct.pack(">HBBI", 0, 13, 1, 1) + bytes(4), "is no idx file of bytes"),
        (idx(LABELS), r"must be \[N, H, W\]"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    files = {"train-images-idx3-ubyte.gz": content, "train-labels-idx1-ubyte": idx(LABELS)}
    with pytest.raises(ValueError, match=message):
        Idx(write(tmp_path, files)).load()


def test_a_missing_idx_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no train-images-idx3-ubyte nor train-images-idx3-ubyte.gz"):
        Idx(write(tmp_path, {"train-labels-idx1-ubyte": idx(LABELS)})).load()


@for_each(
    ("labels", "reason"),
    [
        (None, "has no train-labels-idx1-ubyte nor train-labels-idx1-ubyte.gz"),
        (idx(LABELS[:5]), "there are 5 of them for 7 images"),
        (idx(LABELS)[:-1], "must have 7 bytes after its header"),
    ],
)
def test_idx_images_are_read_without_labels_that_fit_them(tmp_path: Path, labels: bytes | None, reason: str) -> None:
    files = {"train-images-idx3-ubyte": idx(IMAGES)} | ({} if labels is None else {"train-labels-idx1-ubyte": labels})
    data = Idx(write(tmp_path, files)).load()
    assert len(data) == 7 and data.labels is None and reason in data.unusable


# Stacked digits


def digits(tmp_path: Path) -> Arrays:
    """Digit n is the flat image of level 20 n."""
    numbers = np.arange(10, dtype=np.uint8).repeat(3)
    images = np.broadcast_to(numbers[:, None, None] * np.uint8(20), (30, 4, 4))
    np.savez(tmp_path / "digits.npz", x_train=images, y_train=numbers)
    return Arrays(str(tmp_path / "digits.npz"))


def test_stacked_digits_are_labelled_with_their_three_digits(tmp_path: Path) -> None:
    data = StackedMNIST(digits(tmp_path), num_samples=2_000).load()
    shown = data.samples[:, :, 0, 0] // 20
    assert data.samples.shape == (2_000, 3, 4, 4) and data.num_classes == 1_000 and data.labels is not None
    assert np.array_equal(data.labels, shown @ np.array([100, 10, 1]))
    assert len(np.unique(data.labels)) > 800  # 865 on average of 2,000 draws


def test_stacked_digits_follow_their_seed_alone(tmp_path: Path) -> None:
    source = digits(tmp_path)
    first, again, other = (StackedMNIST(source, 50, seed).load().samples for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_stacked_digits_need_grey_labelled_digits(tmp_path: Path) -> None:
    np.savez(tmp_path / "colour.npz", x_train=np.zeros((4, 8, 8, 3), np.uint8), y_train=np.arange(4))
    with pytest.raises(ValueError, match="digits must be grey images with labels 0 to 9"):
        StackedMNIST(Arrays(str(tmp_path / "colour.npz"))).load()


# CIFAR


def batch(seed: int, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 3072), dtype=np.uint8), random.integers(0, 10, count)


def binary(images: np.ndarray, *labels: np.ndarray) -> bytes:
    return np.concatenate([*(x[:, None].astype(np.uint8) for x in labels), images], axis=1).tobytes()


def python2(images: np.ndarray, labels: dict[str, np.ndarray]) -> bytes:
    """A batch as Python 2 wrote it: protocol 2, all text and all pixels as byte strings."""

    def string(content: bytes) -> bytes:
        return b"T" + struct.pack("<I", len(content)) + content

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"(" + b"".join(map(number, images.shape)) + b"t"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01" + shape + dtype + b"\x89"
    pickled = b"\x80\x02}(" + string(b"data") + array + string(images.tobytes()) + b"tb"
    for name, values in labels.items():
        pickled += string(name.encode()) + b"](" + b"".join(number(int(v)) for v in values) + b"e"
    return pickled + b"u."


def python3(images: np.ndarray, labels: dict[str, np.ndarray], protocol: int) -> bytes:
    return pickle.dumps({"data": images} | {name: values.tolist() for name, values in labels.items()}, protocol)


BATCHES = [batch(seed) for seed in range(5)]
FILES = {
    "binary": {f"data_batch_{i}.bin": binary(x, y) for i, (x, y) in enumerate(BATCHES, 1)},
    "python2": {f"data_batch_{i}": python2(x, {"labels": y}) for i, (x, y) in enumerate(BATCHES, 1)},
    **{
        f"python3-{protocol}": {
            f"data_batch_{i}": python3(x, {"labels": y}, protocol) for i, (x, y) in enumerate(BATCHES, 1)
        }
        for protocol in (2, 3, 4)
    },
}


def as_archive(root: Path, files: dict[str, bytes], folder: str = "cifar-10-batches", mode: Any = "w:gz") -> str:
    path = root / "cifar.tar.gz"
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return str(path)


def check(data: Dataset) -> None:
    assert np.array_equal(data.samples, np.concatenate([x for x, _ in BATCHES]).reshape(20, 3, 32, 32))
    assert data.labels is not None and data.num_classes == 10
    assert data.labels.tolist() == np.concatenate([y for _, y in BATCHES]).tolist()


@for_each("version", FILES)
def test_cifar_is_the_same_from_every_version_packed_or_not(tmp_path: Path, version: str) -> None:
    check(Cifar10(as_archive(tmp_path, FILES[version])).load())
    check(Cifar10(as_archive(tmp_path, FILES[version], mode="w")).load())
    check(Cifar10(write(tmp_path / "folder", FILES[version])).load())


def test_the_test_batch_is_another_split(tmp_path: Path) -> None:
    images, labels = batch(9)
    data = Cifar10(as_archive(tmp_path, {"test_batch.bin": binary(images, labels)}), split="test").load()
    assert np.array_equal(data.samples.reshape(4, 3072), images)


NAMES = [f"kind_{n}" for n in range(100)]


@for_each(
    "meta",
    [
        {"batches.meta.txt": "\n".join([*NAMES[:10], "", ""]).encode()},
        {"batches.meta": pickle.dumps({"label_names": NAMES[:10], "num_vis": 3072}, 2)},
        {"batches.meta": pickle.dumps({b"label_names": [name.encode() for name in NAMES[:10]]}, 4)},
    ],
    ids=["text", "pickle", "bytes"],
)
def test_classes_have_the_names_that_come_with_the_batches(tmp_path: Path, meta: dict[str, bytes]) -> None:
    data = Cifar10(as_archive(tmp_path, FILES["binary"] | meta)).load()
    check(data)
    assert data.description["classes"] == NAMES[:10]


@pytest.mark.parametrize(("kind", "count"), [("fine", 100), ("coarse", 20)])
def test_classes_of_both_labels_have_their_names(tmp_path: Path, kind: Any, count: int) -> None:
    labels = {"coarse_labels": BATCHES[0][1], "fine_labels": BATCHES[0][1]}
    meta = {"fine_label_names": NAMES, "coarse_label_names": [name.upper() for name in NAMES[:20]]}
    files = {"train": python2(BATCHES[0][0], labels), "meta": pickle.dumps(meta)}
    data = Cifar100(as_archive(tmp_path, files, "cifar-100"), labels=kind).load()
    assert data.description["classes"] == meta[f"{kind}_label_names"] and data.num_classes == count


@for_each(
    "meta",
    [{}, {"batches.meta.txt": b"nine\n" * 9}, {"batches.meta": pickle.dumps([])}, {"batches.meta": pickle.dumps({})}],
)
def test_batches_without_ten_names_have_numbers(tmp_path: Path, meta: dict[str, bytes]) -> None:
    data = Cifar10(as_archive(tmp_path, FILES["binary"] | meta)).load()
    check(data)
    assert "classes" not in data.description


@for_each("kind", ["fine", "coarse"])
@for_each("version", ["binary", "python2"])
def test_cifar100_has_both_of_its_labels(tmp_path: Path, kind: Any, version: str) -> None:
    images, coarse = batch(3)
    fine = coarse * 10 + 7
    files = {
        "binary": {"train.bin": binary(images, coarse, fine)},
        "python2": {"train": python2(images, {"coarse_labels": coarse, "fine_labels": fine})},
    }[version]
    data = Cifar100(as_archive(tmp_path, files, "cifar-100"), labels=kind).load()
    assert data.labels is not None and data.labels.tolist() == {"fine": fine, "coarse": coarse}[kind].tolist()
    assert np.array_equal(data.samples.reshape(4, 3072), images)
    assert data.num_classes == {"fine": 100, "coarse": 20}[kind]


@for_each(
    ("change", "message"),
    [
        (lambda files: files.pop("data_batch_3.bin"), "must hold data_batch_1.bin.* or data_batch_1"),
        (lambda files: files.update({"data_batch_3.bin": b""}), "data_batch_3.bin must hold whole records of 3,073"),
        (lambda files: files.update({"data_batch_3.bin": bytes(3072)}), "got 3,072 bytes"),
        (lambda files: files.update({"data_batch_3.bin": b"\xff" + bytes(3072)}), "must be below 10, got 255"),
    ],
)
def test_damaged_binary_batches_are_named(tmp_path: Path, change: Any, message: str) -> None:
    files = dict(FILES["binary"])
    change(files)
    with pytest.raises(ValueError, match=message):
        Cifar10(write(tmp_path / "folder", files)).load()


@for_each("content", [b"", b"no archive", "cut"])
def test_a_damaged_archive_is_named(tmp_path: Path, content: Any) -> None:
    path = Path(as_archive(tmp_path, FILES["binary"]))
    path.write_bytes(path.read_bytes()[:5000] if content == "cut" else content)
    with pytest.raises(ValueError, match="cifar.tar.gz is neither a folder nor a whole tar archive"):
        Cifar10(str(path)).load()


@pytest.mark.parametrize("source", [Cifar10(), Cifar100(), Idx(), ImageNetBatches()])
def test_a_split_that_is_none_of_the_set_is_refused(source: Any) -> None:
    object.__setattr__(source, "split", "valid")  # the types that are checked in tests would refuse it before
    with pytest.raises(ValueError, match="split must be one of train, (test|val), got 'valid'"):
        source.__post_init__()


def test_an_archive_whose_checksum_is_wrong_is_not_read(tmp_path: Path) -> None:
    content = bytearray(binary(*batch(0, 100)))
    plain = Path(as_archive(tmp_path, {"test_batch.bin": bytes(content)}, mode="w")).read_bytes()
    # Stored without compression, so that a changed pixel leaves a stream that can be unpacked.
    packed = bytearray(gzip.compress(plain, 0))
    packed[packed.index(content[1_000:1_020])] ^= 255
    (tmp_path / "cifar.tar.gz").write_bytes(packed)
    with pytest.raises(ValueError, match="cifar.tar.gz is neither a folder nor a whole tar archive.*CRC check failed"):
        Cifar10(str(tmp_path / "cifar.tar.gz"), split="test").load()


def test_an_archive_is_not_unpacked_and_its_links_are_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "cifar.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("../../data_batch_1.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ValueError, match="must hold"):
        Cifar10(str(path)).load()
    assert list(tmp_path.iterdir()) == [path]


# Pickles that ask for more


class Asks:
    """What a hostile pickle does: it names a function and its arguments."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@for_each("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@for_each("function", [os.mkdir, exec, eval, open, getattr, __import__], ids=lambda f: f.__name__)
def test_what_a_pickle_asks_for_is_not_run(tmp_path: Path, protocol: int, function: Any) -> None:
    mark = tmp_path / "mark"
    arguments = {
        os.mkdir: (str(mark),),
        exec: (f"import os; os.mkdir({str(mark)!r})",),
        eval: (f"__import__('os').mkdir({str(mark)!r})",),
        open: (str(mark), "w"),
        getattr: ("text", "upper"),
        __import__: ("this",),
    }[function]
    content = pickle.dumps({"data": Asks(function, *arguments)}, protocol)
    files = {f"data_batch_{i}": content for i in range(1, 6)}
    with pytest.raises(ValueError, match=r"data_batch_1 cannot be read .*it asks for .*nothing of it was run"):
        Cifar10(as_archive(tmp_path, files)).load()
    assert not mark.exists()


@for_each(
    "value",
    [
        np.array([{}], dtype=object),
        np.zeros(2, dtype=[("a", "u1")]),
        np.array(["text"]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.dtype("O"),
        {1, 2},
        range(3),
        1j,
    ],
    ids=str,
)
def test_only_plain_values_and_arrays_of_numbers_are_read(value: Any) -> None:
    with pytest.raises(ValueError, match="cannot be read as a pickle of arrays"):
        load_pickle("a", pickle.dumps({"data": value}))


@for_each(("shape", "content"), [((2**40,), b"1"), ((3,), b"1"), ((-1,), b"1"), ((1,), [{}])])
def test_an_array_that_is_not_its_bytes_is_refused(shape: tuple[int], content: Any) -> None:
    array = np.zeros(1, dtype=np.uint8).__reduce__()[2]

    class Forged:
        def __reduce__(self) -> Any:
            return np.zeros(1).__reduce__()[0], (np.ndarray, (0,), b"b"), (1, shape, array[2], False, content)

    with pytest.raises(ValueError, match="an array"):
        load_pickle("a", pickle.dumps(Forged()))


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_error(content: bytes) -> None:
    try:
        load_pickle("a", content)
    except ValueError as error:
        assert str(error).startswith("a cannot be read")


@for_each("protocol", range(pickle.HIGHEST_PROTOCOL))
@for_each("dtype", ["u1", "<i8", ">f4", "?"])
@for_each("order", ["C", "F"])
def test_arrays_of_numbers_come_back_exactly(protocol: int, dtype: str, order: Any) -> None:
    array = np.asarray(np.arange(24).reshape(2, 3, 4) % 2, dtype=dtype, order=order)
    read = load_pickle("a", pickle.dumps([array, "text", None, 1.5], protocol))
    assert np.array_equal(read[0], array) and read[0].dtype == array.dtype and read[1:] == ["text", None, 1.5]


# What `ganneal data fetch` says


@for_each("name", DOWNLOADS)
def test_commands_that_are_printed_after_fetching_find_the_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Source] = []

    def train(one: Experiment, *_: Any, **__: Any) -> None:
        read.extend(source for source in (one.data, one.records.held_out) if source is not None)

    monkeypatch.setattr("ganneal.training.session.train", train)
    monkeypatch.chdir(tmp_path)
    folder, labels = tmp_path / "my files", {"coarse_labels": BATCHES[0][1], "fine_labels": BATCHES[0][1]}
    digits = {"images-idx3-ubyte.gz": gzip.compress(idx(IMAGES)), "labels-idx1-ubyte.gz": gzip.compress(idx(LABELS))}
    match name:
        case "cifar10":
            folder.mkdir()
            Path(as_archive(tmp_path, FILES["python2"])).rename(folder / DOWNLOADS[name].files[0][0])
        case "cifar100":
            folder.mkdir()
            archive = as_archive(tmp_path, {"train": python2(BATCHES[0][0], labels)}, "cifar-100-python")
            Path(archive).rename(folder / DOWNLOADS[name].files[0][0])
        case _:
            write(folder, {f"{part}-{name}": content for part in ("train", "t10k") for name, content in digits.items()})
    assert {path.name for path in folder.iterdir()} == {file for file, _ in DOWNLOADS[name].files}
    commands = DOWNLOADS[name].then.format(folder="'my files'").splitlines()
    for command in commands:
        main(shlex.split(command)[1:])
    assert len(read) >= len(commands) and all(len(source.load()) in (4, 7, 20) for source in read)
