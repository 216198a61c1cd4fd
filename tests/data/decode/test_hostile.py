"""Files that claim more than they hold, or ask for what no image needs, are refused before memory is taken for them."""

import io
import pickle
import resource
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.data import Arrays, Cifar10, Cifar100, Parquet, Zip
from ganneal.data.decode.images import Damaged, Format, decode_image
from ganneal.data.decode.members import read_members
from ganneal.data.decode.pickles import load_pickle


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Half a gigabyte of addresses more than this process has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + 2**29, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def array_file(header: str, content: bytes = b"", *, version: int = 1, length: int | None = None) -> bytes:
    size = (len(header) if length is None else length).to_bytes(2 * version, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode() + content


def described(shape: str, dtype: str = "|u1") -> str:
    return f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}"


HUGE = array_file(described("(1000000000, 1000, 1000)"), bytes(48))
ARRAYS = {
    "claims a shape beyond its end": HUGE,
    "claims a shape that no number holds": array_file(described("(9223372036854775807, 4, 4)"), bytes(48)),
    "claims a negative shape": array_file(described("(-3, -4, 4)"), bytes(48)),
    "claims a header of gigabytes": array_file("", version=2, length=2**32 - 1),
    "has a header that is no Python": array_file("{'descr': (", bytes(48)),
    "holds objects": array_file(described("(1,)", "|O"), pickle.dumps([1])),
    "is no array": b"nothing of the kind",
}


@pytest.mark.parametrize("content", ARRAYS.values(), ids=ARRAYS)
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_an_array_is_held_against_its_file_before_memory_is_taken(
    kind: str, content: bytes, tmp_path: Path, little_memory: None
) -> None:
    path = tmp_path / f"set.{kind}"
    if kind == "npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x_train.npy", content)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"set\.{kind}"):
        Arrays(str(path), labels=None).load()


def test_an_array_that_no_deflated_file_can_become_is_a_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "set.npz", "w", zipfile.ZIP_BZIP2) as archive:  # which packs tighter than deflate
        archive.writestr("x_train.npy", array_file(described("(4096, 32, 32)"), bytes(2**22)))
    with pytest.raises(ValueError, match=r"set\.npz .*decompression bomb"):
        Arrays(str(tmp_path / "set.npz"), labels=None).load()


def test_a_directory_that_points_before_the_archive_is_named(tmp_path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", b"")
    content = bytearray(file.getvalue())
    content[-6:-2] = (2**31).to_bytes(4, "little")  # where the directory begins, in the record at the end
    for name, source in (("set.zip", Zip), ("set.npz", Arrays)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            source(str(tmp_path / name)).load()


def test_a_part_of_a_tar_archive_that_claims_gigabytes_is_read_as_far_as_it_goes(
    tmp_path: Path, little_memory: None
) -> None:
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2**34
    (tmp_path / "cifar.tar").write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(2048))
    with pytest.raises(ValueError, match=r"cifar\.tar"):
        Cifar10(str(tmp_path / "cifar.tar")).load()


@pytest.mark.runs
@for_each("packing", ["", "gz", "bz2", "xz"])
def test_archives_are_read_through_every_packing(packing: str, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(3 * 2**20)  # more than is read at a time
    with tarfile.open(tmp_path / "set.tar", f"w:{packing}") as archive:  # type: ignore
        entry = tarfile.TarInfo("inner/test.bin")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    assert read_members(tmp_path / "set.tar", {"test.bin"}) == {"test.bin": content}


def test_a_pickle_may_not_put_things_at_places_beyond_its_length(little_memory: None) -> None:
    assert load_pickle("a", b"K\x05r\x02\x00\x00\x00.") == 5
    with pytest.raises(ValueError, match="cannot be so long"):
        load_pickle("a", b"K\x05r\xff\xff\xff\x7f.")  # the reader would make a list of 2^31 places


@pytest.mark.parametrize("claim", [b"B\xff\xff\xff\x7f", b"\x8e" + (2**40).to_bytes(8, "little")])
def test_a_pickle_may_not_claim_bytes_beyond_its_end(claim: bytes, tmp_path: Path, little_memory: None) -> None:
    (tmp_path / "batch").write_bytes(b"\x80\x04" + claim + b"abc.")
    with open(tmp_path / "batch", "rb") as file, pytest.raises(ValueError, match="batch cannot be read") as caught:
        load_pickle("batch", file)
    assert not isinstance(caught.value.__cause__, MemoryError)


def doubled(levels: int) -> list[object]:
    """A list of two that are one, and so on: a few bytes a level as a pickle, twice as much at every level as text."""
    value: list[object] = [1, 2]
    for _ in range(levels):
        value = [value, value]
    return value


def test_what_a_pickle_names_twice_is_copied_once(tmp_path: Path) -> None:
    copied = load_pickle("a", pickle.dumps(doubled(200)))
    assert isinstance(copied, list) and copied[0] is copied[1]
    batch = {"data": np.zeros((2, 3072), np.uint8), "fine_labels": doubled(60)}
    (tmp_path / "train").write_bytes(pickle.dumps(batch))
    with pytest.raises(ValueError, match=r"train must hold 'fine_labels', a number for each of its 2 images"):
        Cifar100(str(tmp_path)).load()


def test_a_list_that_holds_itself_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(ValueError, match="holds itself"):
        load_pickle("a", pickle.dumps(value))


def test_a_damaged_page_of_a_parquet_file_names_the_file(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "set.parquet"
    parquet.write_table(pyarrow.table({"image": [b"x" * 99], "label": [0]}), path, compression="none")
    content = bytearray(path.read_bytes())
    for place in range(4, content.index(b"x" * 99)):  # the header of the first page
        content[place] = 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"set\.parquet"):
        Parquet(str(path), size=4).load()


def test_labels_beyond_the_classes_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "test_batch.bin").write_bytes(bytes([13]) + bytes(3072))
    with pytest.raises(ValueError, match=f"{tmp_path.name} must be below 10, got 13"):
        Cifar10(str(tmp_path), split="test").load()


def test_an_image_that_its_file_cannot_hold_is_refused_before_its_pixels_are_there(little_memory: None) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "BMP")
    content = bytearray(picture.getvalue())
    content[22:26] = (6_000_000).to_bytes(4, "little")
    with pytest.raises(Damaged, match="claims 8 x 6000000 pixels in 246 bytes"):
        decode_image(lambda name: bytes(content), "a.bmp", Format(8, 3))


def test_a_blank_image_of_many_pixels_is_read() -> None:
    picture = io.BytesIO()
    Image.new("1", (5_000, 5_000)).save(picture, "PNG")
    assert decode_image(lambda name: picture.getvalue(), "a.png", Format(8, 1)).shape == (1, 8, 8)


@for_each("shape", ["(0, 4, 4)", "(3, 0, 4)", "(3, 4, 0, 3)"])
def test_an_array_without_pixels_is_named(shape: str, tmp_path: Path) -> None:
    (tmp_path / "set.npy").write_bytes(array_file(described(shape), bytes(48)))
    with pytest.raises(ValueError, match=r"set\.npy"):
        Arrays(str(tmp_path / "set.npy")).load()


def test_an_archive_is_named_with_its_damaged_member(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "cifar.tar.gz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("test.bin"), io.BytesIO())
    with pytest.raises(ValueError, match=r"cifar\.tar\.gz: test\.bin must hold whole records"):
        Cifar100(str(tmp_path / "cifar.tar.gz"), split="test").load()


@for_each("version", [(1, 0), (2, 0)])
def test_headers_of_either_length_are_read(tmp_path: Path, version: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    with open(tmp_path / "a.npy", "wb") as file:
        np.lib.format.write_array(file, pixels, version=version)
    assert np.array_equal(Arrays(str(tmp_path / "a.npy")).load().samples[:, 0], pixels)
