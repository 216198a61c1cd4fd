"""Which files are images: by ending, by content where the ending says nothing; the others are counted, never lost."""

import io
import os
import subprocess
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.data import Folder, Zip
from ganneal.data.decode.images import Damaged, Format, decode_image
from ganneal.data.decode.kinds import SIGNATURES, SIGNED_FORMATS, UNSIGNED, begins_as_image, formats, image_endings
from ganneal.data.messages import Remark

PIXELS = np.full((8, 8, 3), (77, 120, 33), dtype=np.uint8)
ENDINGS = {
    **{"jfif": "JPEG", "jpe": "JPEG", "avif": "AVIF", "ppm": "PPM", "jp2": "JPEG2000", "tga": "TGA", "pcx": "PCX"},
    **{"WEBP": "WEBP", "Tiff": "TIFF", "qoi": "QOI", "dib": "DIB", "sgi": "SGI", "mpo": "MPO", "apng": "PNG"},
}


def encoded(kind: str = "PNG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, kind)
    return file.getvalue()


def in_folder(root: Path, files: dict[str, bytes]) -> Folder:
    for name, content in files.items():
        (root / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "d" / name).write_bytes(content)
    return Folder(str(root / "d"))


def in_zip(root: Path, files: dict[str, bytes]) -> Zip:
    with zipfile.ZipFile(root / "d.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return Zip(str(root / "d.zip"))


both = for_each("place", [in_folder, in_zip], ids=["folder", "zip"])
Place = Callable[[Path, dict[str, bytes]], Folder | Zip]


@for_each("channels", [1, 3, 4])
@for_each("shape", [(8, 8), (6, 9)])
def test_every_pixel_comes_where_it_was(tmp_path: Path, channels: int, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, channels), dtype=np.uint8)
    pixels[..., 3:] = 255
    file = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, "PNG")
    format = Format(f"{shape[1]}x{shape[0]}", channels)
    assert np.array_equal(decode_image(lambda name: file.getvalue(), "a.png", format), pixels.transpose(2, 0, 1))


@both
def test_every_ending_that_pillow_knows_is_read(tmp_path: Path, place: Place) -> None:
    files = {f"a.{suffix}": encoded(kind) for suffix, kind in ENDINGS.items()}
    data = place(tmp_path, files).load()
    assert len(data) == len(ENDINGS)
    for pixels, name in zip(data.samples, sorted(files), strict=True):
        assert np.abs(pixels.astype(int) - PIXELS.transpose(2, 0, 1)).max() <= 4, (
            name
        )  # lossy formats on one flat colour


@both
def test_content_decides_where_the_ending_says_nothing(tmp_path: Path, place: Place) -> None:
    files = {
        **{"none": encoded(), "b.HEIC": encoded("JPEG"), "c.jpg_large": encoded("JPEG"), "d.2020": encoded("WEBP")},
        **{"e": encoded("PPM"), "f": encoded("AVIF"), "g": encoded("QOI"), "h.bin": encoded("JPEG2000")},
        **{"i": encoded("BMP"), "j": encoded("GIF"), "k": encoded("TIFF"), "l.png": encoded("JPEG")},
    }
    assert place(tmp_path, files).listing().names == sorted(files)
    assert len(place(tmp_path, files).load()) == len(files)


@both
def test_what_is_no_image_is_counted_by_ending_and_system_files_are_not(tmp_path: Path, place: Place) -> None:
    others = {
        "a.txt": b"P6 is a road",
        "b.TXT": b"",
        "c.csv": b"1,2",
        "Makefile": b"all:",
        "d.heic": b"\0\0\0\x18ftypheic",
    }
    system = [".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._a.png", "x/.hidden/a.png", "@eaDir/a.png"]
    source = place(tmp_path, {"a.png": encoded(), **others, **dict.fromkeys(system, b"\x89PNG\r\n\x1a\n")})
    assert source.listing().left_out == {".txt": 2, ".csv": 1, "": 1, ".heic": 1}
    with pytest.warns(Remark, match=r"5 files are no images .*: \.txt 2, .*no ending 1"):
        assert len(source.load()) == 1


@both
def test_a_label_file_that_is_read_is_not_left_out(tmp_path: Path, place: Place) -> None:
    source = place(tmp_path, {"a.png": encoded(), "dataset.json": b'{"labels": [["a.png", 0]]}'})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert source.load().num_classes == 1


@both
def test_a_place_of_other_files_alone_is_refused_with_their_endings(tmp_path: Path, place: Place) -> None:
    with pytest.raises(ValueError, match=r"no images in .*it has other files: \.heic 2, \.txt 1; known file types are"):
        place(tmp_path, {"a.heic": b"x", "b.HEIC": b"y", "c.txt": b"z"}).load()


def test_a_text_is_no_image_by_its_first_words() -> None:
    for text in (
        b"Python 3",
        b"BMW and BMX are words",
        b"P5 is a size\n",
        b"P6",
        b"GIF89",
        b"qoi",
        b"RIFF1234WAVE",
        b"",
    ):
        assert not begins_as_image(text + b" " * 64), text
    assert len(SIGNATURES) == len(SIGNED_FORMATS) - 1  # all but MPO, which begins as JPEG


def test_formats_without_a_signature_are_read_by_their_ending_alone() -> None:
    for kind, suffix in (("TGA", "tga"), ("PCX", "pcx"), ("SGI", "sgi"), ("DIB", "dib")):
        assert decode_image(lambda name, kind=kind: encoded(kind), f"a.{suffix}", Format(8, 3)).shape == (3, 8, 8)
        with pytest.raises(Damaged, match="no image"):
            decode_image(lambda name, kind=kind: encoded(kind), "a.png", Format(8, 3))


def test_formats_that_run_a_program_are_no_images_under_any_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: pytest.fail("a program was run"))
    script = encoded("EPS")
    assert ".eps" not in image_endings() and not begins_as_image(script)
    for suffix in ("", ".eps", ".png", ".tga"):
        assert "EPS" not in formats(suffix)
        with pytest.raises(Damaged, match="no image"):
            decode_image(lambda name: script, f"a{suffix}", Format(8, 3))
    assert in_folder(tmp_path, {"a.png": encoded(), "b.eps": script, "c": script}).listing().left_out == {
        ".eps": 1,
        "": 1,
    }
    assert set(image_endings().values()) <= {*SIGNED_FORMATS, *UNSIGNED}


def test_an_icon_that_holds_a_larger_image_than_it_says_is_left_out(tmp_path: Path) -> None:
    assert in_folder(tmp_path, {"a.png": encoded(), "b.ico": encoded("ICO")}).listing().left_out == {".ico": 1}


def test_a_pipe_and_a_file_without_rights_are_left_out_and_never_waited_for(tmp_path: Path) -> None:
    source = in_folder(tmp_path, {"a.png": encoded()})
    os.mkfifo(tmp_path / "d" / "pipe")
    (tmp_path / "d" / "gone").symlink_to(tmp_path / "nowhere")
    assert source.listing().left_out == {"": 2}


@pytest.mark.runs
def test_an_entry_of_an_archive_is_not_unpacked_to_see_what_it_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "d.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", encoded())
        with archive.open("bomb", "w", force_zip64=True) as entry:
            for _ in range(300):
                entry.write(bytes(2**20))
    assert Zip(str(tmp_path / "d.zip")).listing().left_out == {"": 1}
