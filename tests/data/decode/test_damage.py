"""Odd and damaged image files, folders and archives: every one read as a person sees it, or named and passed over."""

import io
import json
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.for_each import for_each

from ganneal.data import Folder, Zip, source_at
from ganneal.data.decode.images import Damaged, Format, Reading, decode_image, shown
from ganneal.data.tools.inspection import survey


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def saved(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def encoded(pixels: np.ndarray, format: str = "PNG", **options: Any) -> bytes:
    return saved(Image.fromarray(pixels), format, **options)


WHOLE = encoded(random_pixels(16, 16, 3))


def in_folder(root: Path, files: dict[str, bytes], **options: Any) -> Folder:
    for name, content in files.items():
        path = root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Folder(str(root / "images"), **options)


def in_zip(root: Path, files: dict[str, bytes], **options: Any) -> Zip:
    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return Zip(str(root / "images.zip"), **options)


both_containers = for_each("place", [in_folder, in_zip], ids=["folder", "zip"])
Place = Callable[..., Folder | Zip]


def pixels_of(content: bytes, size: int, channels: int, fit: Any = "crop") -> np.ndarray:
    return decode_image(lambda name: content, "a", Format(size, channels, fit)).transpose(1, 2, 0)


# What a person sees


@for_each("orientation", range(1, 9))
def test_rotated_photographs_are_read_upright(orientation: int) -> None:
    upright = np.zeros((8, 8), dtype=np.uint8)
    upright[:2, :3] = 255
    # EXIF 2.32: the 0th row and column of what is stored are these sides of what is seen
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(np.ascontiguousarray(stored), exif=exif)
    assert np.array_equal(pixels_of(content, 8, 1)[:, :, 0], upright)


def test_transparent_pixels_are_white_whatever_colour_they_hide() -> None:
    hidden = random_pixels(8, 8, 3)
    alpha = np.zeros((8, 8), dtype=np.uint8)
    alpha[:4] = 255
    seen = pixels_of(encoded(np.dstack([hidden, alpha])), 8, 3)
    assert np.array_equal(seen[:4], hidden[:4]) and (seen[4:] == 255).all()
    grey = pixels_of(encoded(np.dstack([hidden[:, :, 0], alpha])), 8, 1)
    assert np.array_equal(grey[:4, :, 0], hidden[:4, :, 0]) and (grey[4:] == 255).all()


def test_half_transparent_black_is_middle_grey() -> None:
    content = encoded(np.dstack([np.zeros((8, 8, 3), np.uint8), np.full((8, 8), 128, np.uint8)]))
    assert (pixels_of(content, 8, 3) == 127).all()


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.fromarray(np.tile(np.array([[0, 1]], dtype=np.uint8), (8, 4)), "P")
    image.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    seen = pixels_of(saved(image, transparency=1), 8, 3)
    assert (seen[:, ::2] == [255, 0, 0]).all() and (seen[:, 1::2] == 255).all()


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_the_colours_it_prints(format: str) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    seen = pixels_of(saved(cyan, format), 16, 3)
    assert np.abs(seen.astype(int) - [0, 255, 255]).max() <= 3


def test_sixteen_bit_colour_keeps_its_range() -> None:
    # Pillow writes none: an 8x8 RGB PNG of 16 bits a channel by hand
    levels = np.arange(8 * 8 * 3, dtype=np.uint16).reshape(8, 8, 3) * 300
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    assert np.abs(pixels_of(content, 8, 3).astype(float) - levels / 257).max() <= 1


@for_each("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_picture_of_an_animation_is_the_image(format: str) -> None:
    frames = [Image.new("RGB", (8, 8), (level, level, level)) for level in (40, 120, 200)]
    content = saved(
        frames[0], format, save_all=True, append_images=frames[1:], **({"lossless": True} if format == "WEBP" else {})
    )
    assert (pixels_of(content, 8, 3) == 40).all()


def test_pixels_of_unknown_range_are_refused() -> None:
    with pytest.raises(Damaged, match="floating-point"):
        pixels_of(encoded(np.ones((8, 8), dtype=np.float32), "TIFF"), 8, 1)


def test_five_channels_are_no_picture() -> None:
    # a TIFF with SamplesPerPixel = 5, which Pillow knows no mode for
    content = bytearray(encoded(random_pixels(8, 8, 3), "TIFF"))
    entry = content.index(struct.pack("<HHI", 277, 3, 1))
    content[entry + 8 : entry + 10] = struct.pack("<H", 5)
    with pytest.raises(Damaged):
        pixels_of(bytes(content), 8, 3)


# Shapes


def bars() -> np.ndarray:
    """16 wide, 8 high: four quarters of 4 columns."""
    return np.repeat(np.array([10, 90, 170, 250], dtype=np.uint8), 4)[None].repeat(8, 0)


def test_crop_shows_the_middle_at_its_own_scale() -> None:
    assert np.array_equal(pixels_of(encoded(bars()), 8, 1)[:, :, 0], bars()[:, 4:12])


def test_pad_shows_everything_between_black() -> None:
    seen = pixels_of(encoded(bars()), 16, 1, "pad")[:, :, 0]
    assert np.array_equal(seen[4:12], bars()) and (seen[:4] == 0).all() and (seen[12:] == 0).all()


def test_stretch_shows_everything_at_two_scales() -> None:
    seen = pixels_of(encoded(bars()), 8, 1, "stretch")[:, :, 0]
    quarters = seen[0].reshape(4, 2).mean(1)
    assert np.abs(quarters - [10, 90, 170, 250]).max() <= 15  # Lanczos rings beside an edge
    assert np.array_equal(seen, seen[:1].repeat(8, 0))


@both_containers
@for_each("fit", ["crop", "pad", "stretch"])
def test_every_fit_gives_one_size(tmp_path: Path, place: Place, fit: str) -> None:
    files = {f"{n}.png": encoded(random_pixels(h, w, 3)) for n, (h, w) in enumerate([(16, 16), (9, 31), (40, 5)])}
    assert place(tmp_path, files, fit=fit, size=16).load().samples.shape == (3, 3, 16, 16)


@pytest.mark.parametrize("options", [{"fit": "squash"}, {"on_damaged": "ignore"}])
def test_unknown_options_are_refused_with_the_known_ones(options: dict[str, str]) -> None:
    ((name, value),) = options.items()
    reading = Reading()
    object.__setattr__(reading, name, value)  # the types that are checked in tests would refuse it before
    with pytest.raises(ValueError, match=f"{name} must be one of .*, got '{value}'"):
        reading.__post_init__()


# Damage


DAMAGED = {
    "empty.png": b"",
    "cut.png": WHOLE[: len(WHOLE) // 2],
    "cut.jpg": encoded(random_pixels(16, 16, 3), "JPEG")[:-200],
    "text.gif": b"<html>not found</html>",
}


@both_containers
def test_every_damaged_image_is_named_and_nothing_is_read(tmp_path: Path, place: Place) -> None:
    with pytest.raises(ValueError) as error:
        place(tmp_path, DAMAGED | {"whole.png": WHOLE}).load()
    message = str(error.value)
    assert "cannot read 4 of 5 images" in message and "on_damaged='skip'" in message and "\n" not in message
    assert all(f"the image {name}: " in message for name in DAMAGED) and "whole.png" not in message


@both_containers
def test_many_damaged_images_are_counted(tmp_path: Path, place: Place) -> None:
    files = {f"{index:02d}.png": b"" for index in range(20)} | {"whole.png": WHOLE}
    with pytest.raises(ValueError, match="cannot read 20 of 21 images.*04.png.*; and 15 more; remove"):
        place(tmp_path, files).load()


@both_containers
def test_damaged_images_are_passed_over_on_request_with_their_labels(tmp_path: Path, place: Place) -> None:
    flat = {f"{label}/{value}.png": encoded(np.full((16, 16), value, np.uint8)) for label in "ab" for value in (1, 2)}
    files = flat | {f"{label}/{name}": content for label in "ab" for name, content in DAMAGED.items()}
    with pytest.warns(UserWarning, match="passed over: cannot read 8 of 12 images.*empty.png"):
        data = place(tmp_path, files, on_damaged="skip").load()
    assert data.samples[:, 0, 0, 0].tolist() == [1, 2, 1, 2]
    assert data.description["count"] == 4 and data.description["passed_over"] == 8
    if isinstance(data.labels, np.ndarray):
        assert data.labels.tolist() == [0, 0, 1, 1]


@both_containers
@for_each("on_damaged", ["fail", "skip"])
def test_where_every_image_is_damaged_there_is_nothing_to_train_on(
    tmp_path: Path, place: Place, on_damaged: str
) -> None:
    with pytest.raises(ValueError, match="cannot read 4 of 4 images"):
        place(tmp_path, DAMAGED, on_damaged=on_damaged).load()


@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_changed_bytes_give_a_picture_or_a_reason_never_a_crash(format: str, data: st.DataObject) -> None:
    content = bytearray(encoded(random_pixels(12, 10, 3), format))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            assert pixels_of(bytes(content), 8, 3).shape == (8, 8, 3)
        except Damaged as reason:
            assert str(reason)


# Folders


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(WHOLE)
    with pytest.raises(ValueError, match="path must be a folder of images, got the file"):
        Folder(str(tmp_path / "a.png")).load()


def test_an_empty_folder_has_no_images(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no images in"):
        Folder(str(tmp_path)).load()


def test_links_are_followed_and_their_loops_are_not(tmp_path: Path) -> None:
    source = in_folder(tmp_path, {"cat/a.png": WHOLE, "dog/b.png": WHOLE})
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "c.png").write_bytes(WHOLE)
    root = Path(source.path)
    (root / "bird").symlink_to(outside)
    (root / "cat" / "again").symlink_to(root)
    (root / "loop").symlink_to(root / "loop")
    data = source.load()
    assert data.description["classes"] == ["bird", "cat", "dog"] and len(data) == 3


def test_a_link_that_leads_nowhere_is_a_damaged_image(tmp_path: Path) -> None:
    source = in_folder(tmp_path, {"a.png": WHOLE})
    (Path(source.path) / "b.png").symlink_to("nowhere.png")
    with pytest.raises(ValueError, match=r"the image b.png: it cannot be opened \(No such file"):
        source.load()


def test_names_that_are_no_utf8_are_read_and_shown(tmp_path: Path) -> None:
    source = in_folder(tmp_path, {"a.png": WHOLE})
    folder = os.fsencode(source.path)
    for name, content in ((b"caf\xe9.png", WHOLE), (b"\xff.png", b"")):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    with pytest.raises(ValueError, match=r"the image \\xff.png: the file is empty") as error:
        source.load()
    str(error.value).encode("ascii")
    with pytest.warns(UserWarning, match="xff"):
        assert len(Folder(source.path, on_damaged="skip").load()) == 2


def test_classes_whose_names_are_no_utf8_can_be_written_to_a_record(tmp_path: Path) -> None:
    source = in_folder(tmp_path, {"a/a.png": WHOLE})
    folder = os.path.join(os.fsencode(source.path), b"caf\xe9")
    os.mkdir(folder)
    with open(os.path.join(folder, b"b.png"), "wb") as file:
        file.write(WHOLE)
    data = source.load()
    assert json.dumps(data.description["classes"], ensure_ascii=False).encode() and data.num_classes == 2


def test_the_longest_names_are_read_and_shortened_in_messages(tmp_path: Path) -> None:
    longest = "n" * 251 + ".png"
    assert len(in_folder(tmp_path, {longest: WHOLE}).load()) == 1
    (tmp_path / "images" / longest).write_bytes(b"")
    with pytest.raises(ValueError) as error:
        Folder(str(tmp_path / "images")).load()
    assert "nnn...nnn" in str(error.value) and len(str(error.value)) < 300
    assert shown("short.png") == "short.png"


@both_containers
def test_hidden_files_of_other_systems_are_passed_over(tmp_path: Path, place: Place) -> None:
    files = {"a.png": WHOLE, "._a.png": b"\0\5\x16\7", "__MACOSX/a.png": b"", ".thumbnails/a.png": b""}
    assert len(place(tmp_path, files).load()) == 1


def test_a_label_file_in_a_folder_goes_before_its_sub_folders(tmp_path: Path) -> None:
    labels = {"labels": [["cat/a.png", 4], ["dog/b.png", 2]]}
    files = {"cat/a.png": WHOLE, "dog/b.png": WHOLE, "dataset.json": json.dumps(labels).encode()}
    data = in_folder(tmp_path, files).load()
    assert data.labels is not None and [data.class_names[label] for label in data.labels] == ["4", "2"]


# Label files that disagree


def labelled(root: Path, place: Place, names: list[str], labels: Any, **options: Any) -> Folder | Zip:
    files = {name: encoded(np.full((8, 8), index, np.uint8)) for index, name in enumerate(names)}
    return place(root, files | {"dataset.json": json.dumps({"labels": labels}).encode()}, **options)


@both_containers
def test_labels_without_an_image_are_named_or_passed_over(tmp_path: Path, place: Place) -> None:
    labels = [["a.png", 1], ["gone.png", 0], ["lost.png", 0]]
    data = labelled(tmp_path, place, ["a.png"], labels).load()
    assert data.labels is None
    assert re.search(r"dataset.json in .* labels for 2 images that are not there, .* 'gone.png'", data.unusable)
    data = labelled(tmp_path, place, ["a.png"], labels, on_damaged="skip").load()
    assert data.labels is not None and data.labels.tolist() == [0] and data.class_names == ["1"]


@both_containers
def test_images_without_a_label_are_named_or_passed_over(tmp_path: Path, place: Place) -> None:
    data = labelled(tmp_path, place, ["a.png", "b.png", "c.png"], [["c.png", 1], ["a.png", 0]]).load()
    assert data.labels is None and "no label for 1 of 3 images, the first 'b.png'" in data.unusable
    with pytest.warns(UserWarning, match="the image b.png: dataset.json in .* has no label for it"):
        data = labelled(
            tmp_path, place, ["a.png", "b.png", "c.png"], [["c.png", 1], ["a.png", 0]], on_damaged="skip"
        ).load()
    assert data.labels is not None and data.labels.tolist() == [0, 1]
    assert data.samples[:, 0, 0, 0].tolist() == [0, 2]


@both_containers
@for_each("on_damaged", ["fail", "skip"])
def test_a_label_file_of_other_images_altogether_is_refused(tmp_path: Path, place: Place, on_damaged: str) -> None:
    data = labelled(tmp_path, place, ["a.png"], [["b.png", 1]], on_damaged=on_damaged).load()
    assert data.labels is None and "no label for 1 of 1 images" in data.unusable


@both_containers
def test_two_labels_for_one_image_are_refused(tmp_path: Path, place: Place) -> None:
    data = labelled(tmp_path, place, ["a.png"], [["a.png", 0], ["a.png", 1]]).load()
    assert data.labels is None and "a.png has the labels 0 and 1" in data.unusable


@both_containers
@for_each("content", [b"\xff\xfe", b'{"labels": [[1, 2]]}', b'{"labels": [["a.png"]]}', b"[" * 100_000])
def test_a_label_file_that_is_none_is_named(tmp_path: Path, place: Place, content: bytes) -> None:
    data = place(tmp_path, {"a.png": WHOLE, "dataset.json": content}).load()
    assert data.labels is None and re.search("dataset.json in .* must be", data.unusable)


# Archives


def test_a_folder_is_no_zip(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not a zip file"):
        Zip(str(tmp_path)).load()


def test_names_that_lead_out_of_an_archive_are_refused(tmp_path: Path) -> None:
    source = in_zip(tmp_path, {"a.png": WHOLE, "../b.png": WHOLE, "/c.png": WHOLE}, on_damaged="skip")
    with pytest.warns(UserWarning, match="the image ../b.png: its name leads out of the archive"):
        assert len(source.load()) == 1


def change_entries(path: Path, offset_local: int, offset_central: int, value: bytes) -> None:
    """Overwrite a field of every entry of a zip, in both of its headers."""
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", offset_local), (b"PK\1\2", offset_central)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset : place + offset + len(value)] = value
            place = content.find(mark, place + 4)
    path.write_bytes(content)


def test_an_encrypted_archive_is_named(tmp_path: Path) -> None:
    source = in_zip(tmp_path, {"a.png": WHOLE})
    change_entries(Path(source.path), 6, 8, b"\1\0")
    with pytest.raises(ValueError, match="the image a.png: it is encrypted"):
        source.load()


def test_an_unknown_compression_is_named(tmp_path: Path) -> None:
    source = in_zip(tmp_path, {"a.png": WHOLE})
    change_entries(Path(source.path), 8, 10, b"\x63\0")
    with pytest.raises(ValueError, match="the image a.png: NotImplementedError"):
        source.load()


@pytest.mark.runs
def test_a_decompression_bomb_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "images.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.png", "w") as entry:
        for _ in range(300):
            entry.write(bytes(2**20))
    assert bomb.stat().st_size < 2**20
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *arguments: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="the image a.png: it claims 314,572,800 bytes, as a decompression bomb does"):
        Zip(str(bomb)).load()


def test_an_archive_of_damaged_and_refused_files_names_all(tmp_path: Path) -> None:
    source = in_zip(tmp_path, {"../b.png": WHOLE, "cut.png": DAMAGED["cut.png"], "a.png": WHOLE})
    with pytest.raises(ValueError, match=r"cannot read 2 of 3 images.*\.\./b\.png.*cut\.png"):
        source.load()


# The format of a set


@both_containers
def test_the_whole_images_decide_the_format(tmp_path: Path, place: Place) -> None:
    files = {"a.png": b"", "b.png": encoded(random_pixels(32, 32)), "c.png": WHOLE}
    with pytest.warns(UserWarning, match="passed over"):
        assert place(tmp_path, files, on_damaged="skip").load().shape == (3, 32, 32)


def test_a_header_is_read_without_decoding(tmp_path: Path) -> None:
    cut = in_folder(tmp_path, {"a.jpg": encoded(random_pixels(40, 70, 3), "JPEG")[:700]})
    found = survey(cut)
    assert (found.sides, found.channels, found.size) == ((40,), 3, 32)


def test_the_source_of_a_path_is_by_its_kind(tmp_path: Path) -> None:
    assert source_at(in_folder(tmp_path, {"a.png": WHOLE}).path).load().shape == (3, 16, 16)


@for_each("levels", [(1.0, 1.0), (2.0, 1.0), (0.0, float("nan")), (float("-inf"), 0.0)])
def test_a_range_of_levels_that_is_none_is_refused(levels: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="levels must be two numbers, the lower one first"):
        Folder(levels=levels)
