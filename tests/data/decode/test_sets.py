"""One rule for the colours and the size of a set, whatever reads it; what it changes is said with counts."""

import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import CelebA, Folder, Parquet, Zip, load_like
from ganneal.data.decode.images import Reading
from ganneal.data.decode.remarks import remarks
from ganneal.data.decode.survey import BEGINNING, survey_files
from ganneal.data.messages import OWN, TRAINING, Remark, spelled, spelled_for_held_out, way
from ganneal.data.tools.inspection import survey

RANDOM = np.random.default_rng(0)


def image(width: int, height: int | None = None, mode: str = "RGB") -> Image.Image:
    coarse = Image.fromarray(RANDOM.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return coarse.resize((width, height or width)).convert(mode)


def folder(path: Path, images: list[Image.Image], kind: str = "png") -> str:
    path.mkdir(parents=True)
    for number, picture in enumerate(images):
        picture.save(path / f"{number:03d}.{kind}")
    return str(path)


def zipped(path: str) -> str:
    with zipfile.ZipFile(f"{path}.zip", "w") as archive:
        for file in sorted(Path(path).iterdir()):
            archive.write(file, file.name)
    return f"{path}.zip"


def in_parquet(path: str) -> str:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = pyarrow.table({"image": [file.read_bytes() for file in sorted(Path(path).iterdir())]})
    parquet.write_table(table, f"{path}.parquet")
    return f"{path}.parquet"


def said(source: Folder | Zip) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source.load()
    return [str(warning.message) for warning in caught if issubclass(warning.category, Remark)]


# The rule


@for_each("odd", [0, 7, 14], ids=["first", "middle", "last"])
def test_one_odd_image_has_the_same_effect_wherever_it_stands(tmp_path: Path, odd: int) -> None:
    images = [image(32, mode="L") for _ in range(15)]
    images[odd] = image(300, 200)
    path = folder(tmp_path / "d", images)
    readers = [Folder(path), Zip(zipped(path)), Parquet(in_parquet(path))]
    assert [reader.load().shape for reader in readers] == [(3, 32, 32)] * 3


@pytest.mark.runs
def test_every_command_reads_a_set_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path / "d", [image(16, mode="L"), *(image(60) for _ in range(11))])
    archive, out = zipped(path), str(tmp_path / "out.zip")
    monkeypatch.chdir(tmp_path)
    found = []
    for arguments in (
        ["data", "inspect", path],
        ["data", "convert", archive, out],
        ["train", path, "--dry-run", "--batch-size", "4"],
        *(
            ["train", "cifar10-cts", "--data", kind, "--data.path", place, "--batch-size", "4", "--dry-run"]
            for kind, place in (("folder", path), ("zip", archive))
        ),
    ):
        assert main(arguments) == 0, arguments
        shown = capsys.readouterr().out
        found.append(re.search(r"(?:of shape|samples of shape) (\(.*?\))", shown).group(1))  # type: ignore[union-attr]
    assert found == ["(3, 56, 56)"] * 5
    assert Zip(out).load().shape == (3, 56, 56)


def test_two_sides_of_an_evaluation_are_read_by_the_same_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    warnings.simplefilter("always", Remark)
    real = folder(tmp_path / "real", [image(16) for _ in range(8)])
    fake = folder(tmp_path / "fake", [image(16, mode="L"), *(image(16) for _ in range(7))])
    grey = folder(tmp_path / "grey", [image(16, mode="L") for _ in range(8)])
    evaluate = ["evaluate", "--real", real, "--metrics", "kernel", "--fake"]
    monkeypatch.chdir(tmp_path)
    assert main([*evaluate, fake]) == 0
    said = capsys.readouterr().err
    assert "of 8 images 1 is grey and 7 have colours: all are read in colours; --channels 1 makes all grey" in said
    assert main([*evaluate, grey]) == 2
    assert "--channels N" in capsys.readouterr().err
    assert main([*evaluate, grey, "--channels", "1"]) == 0


def test_a_held_out_part_is_read_as_the_data_is(tmp_path: Path) -> None:
    data = Folder(folder(tmp_path / "data", [image(32) for _ in range(3)])).load()
    part = Folder(folder(tmp_path / "part", [image(64, mode="L") for _ in range(3)]))
    assert load_like(part, data).shape == (3, 32, 32)
    assert load_like(Folder(part.path, size=16), data).shape == (3, 16, 16)  # what is given stands


def test_original_sets_follow_the_rule_too(tmp_path: Path) -> None:
    folder(tmp_path / "c" / "img_align_celeba", [image(178, 218, "L"), image(178, 218)], "jpg")
    assert CelebA(str(tmp_path / "c"), attribute=None).load().shape == (3, 128, 128)


# What is read of files


def test_a_palette_of_greys_is_grey_and_one_of_colours_is_not(tmp_path: Path) -> None:
    for kind in ("png", "gif", "bmp", "tif"):
        for mode, grey in (("L", True), ("RGB", False)):
            path = folder(tmp_path / f"{kind}-{mode}", [image(8, mode=mode).quantize(8)], kind)
            assert survey(Folder(path)).grey is grey, (kind, mode)


def test_headers_longer_than_what_is_read_first_are_found(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    image(24, 40).save(tmp_path / "d" / "a.jpg", exif=exif, icc_profile=bytes(2 * BEGINNING))
    found = survey(Folder(str(tmp_path / "d")))
    assert found.sizes == {(40, 24): 1} and (tmp_path / "d" / "a.jpg").stat().st_size > BEGINNING


def test_the_beginnings_of_files_are_read_and_not_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.fromarray(RANDOM.integers(0, 256, (400, 400, 3), dtype=np.uint8))
    path = folder(tmp_path / "d", [noise] * 3, "jpg")
    read: list[int] = []
    opened = Folder(path).listing().container.open

    def counted(self: object) -> object:
        from contextlib import contextmanager

        @contextmanager
        def reader():  # type: ignore[no-untyped-def]
            with opened() as inner:

                def reading(name: str, most: int = -1) -> bytes:
                    content = inner(name, most)
                    read.append(len(content))
                    return content

                yield reading

        return reader()

    monkeypatch.setattr("ganneal.data.sources.folder.FolderImages.open", counted)
    assert survey(Folder(path)).side == 400
    assert read == [BEGINNING] * 3


# What is said


def test_a_mixture_is_said_in_one_line_with_counts(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", [image(16, mode="L"), *(image(64) for _ in range(5))])
    colours, sizes = said(Folder(path))
    assert colours == "of 6 images 1 is grey and 5 have colours: all are read in colours; channels=1 makes all grey."
    assert sizes.startswith(
        "6 images have 2 sizes and shorter sides of 16 to 64 px, median 64: all are made 64 x 64 px"
    )
    assert "1 is smaller and is enlarged" in sizes
    assert [text.split(":")[1] for text in said(Folder(path, channels=1, size=16))][0].startswith(
        " all are read as grey"
    )


def test_a_set_of_one_kind_is_read_without_a_word(tmp_path: Path) -> None:
    for mode in ("L", "RGB"):
        assert said(Folder(folder(tmp_path / mode, [image(16, mode=mode) for _ in range(3)]))) == []


def test_a_set_that_is_made_smaller_is_told_to_what(tmp_path: Path) -> None:
    path = folder(tmp_path / "d", [image(60) for _ in range(3)])
    (text,) = said(Folder(path))
    assert text == "images of 60 x 60 px are made 56 x 56 px; size=N takes another size."
    assert said(Folder(path, size=32)) == []


def test_a_crop_of_more_than_a_third_is_said_with_the_way_out(tmp_path: Path) -> None:
    wide, usual = image(64, 16), image(64, 43)
    path = folder(tmp_path / "d", [wide, *[usual] * 3])
    texts = said(Folder(path, size=16))
    assert any("more than a third of 1 of 4 images, 75 % at most; fit='pad' keeps whole images" in t for t in texts)
    assert not any("a third" in text for text in said(Folder(path, size=16, fit="pad")))
    Path(path, "000.png").unlink()
    assert not any("a third" in text for text in said(Folder(path, size=16)))


def test_transparency_animation_and_cut_colours_are_counted(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    image(16, mode="RGBA").save(tmp_path / "d" / "a.png")
    image(16, mode="LA").save(tmp_path / "d" / "b.png")
    frames = [image(16), image(16)]
    for name in ("c.gif", "d.webp", "e.apng"):
        frames[0].save(tmp_path / "d" / name, save_all=True, append_images=frames[1:])
    image(16).save(tmp_path / "d" / "f.png")
    (tmp_path / "d" / "g.png").write_bytes(png_of_48_bits(16))
    texts = " ".join(said(Folder(str(tmp_path / "d"))))
    assert "2 of 7 images have transparency and are laid on white" in texts
    assert "3 of 7 images hold several pictures, of which the first is read" in texts
    assert "1 of 7 images have colours of more than 8 bits, of which the upper 8 are read" in texts


def png_of_48_bits(side: int) -> bytes:
    """A PNG of 16 bits for each colour, which Pillow reads and does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + bytes(6 * side) for _ in range(side))
    header = struct.pack(">2I5B", side, side, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_a_sample_says_that_it_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganneal.data.decode.survey.MOST_HEADERS", 5)
    listing = Folder(folder(tmp_path / "d", [image(16 + n, mode="L") for n in range(12)])).listing()
    texts = remarks(survey_files(listing), Reading(channels=1), listing)
    assert all("4 images, an evenly spread sample of 12," in text for text in texts) and len(texts) == 2
    assert "all of 4 images, an evenly spread sample of 12, are grey" in texts[0] and "channels=3" in texts[0]
    assert not survey_files(listing, 12).partial


COMMANDS = {
    "train": (["train", "{}", "--dry-run"], ["train", "digits-cts", "--data", "folder", "--help-all"]),
    "convert": (["data", "convert", "{}", "out.zip"], ["data", "convert", "--help"]),
    "inspect": (["data", "inspect", "{}"], ["data", "inspect", "--help"]),
    "evaluate": (["evaluate", "--real", "{}", "--fake", "{}", "--metrics", "kernel"], ["evaluate", "--help"]),
}
"""How a command is called with a path, and how it lists its options."""


@pytest.mark.runs
@pytest.mark.filterwarnings("ignore:passed over")
@for_each("command", COMMANDS)
def test_every_option_that_a_message_names_is_one_of_the_command_that_prints_it(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder(tmp_path / "d", [image(64, 16), image(16, mode="L"), *(image(60) for _ in range(8))])
    (tmp_path / "d" / "broken.png").write_bytes(b"")
    call, listing = COMMANDS[command]
    warnings.simplefilter("always", Remark)
    monkeypatch.chdir(tmp_path)
    main(listing)
    known = set(re.findall(r"--[a-z][a-z.-]*", capsys.readouterr().out))
    prefix = "--data." if command == "train" else "--"
    skipping = [f"{prefix}on-damaged", "skip"] if command != "inspect" else []
    named: set[str] = set()
    small = [f"{prefix}size", "8"]
    for options in ([], small, skipping, [*skipping, *small]):
        main([word.format(path) for word in call] + options)
        named |= set(re.findall(r"--[a-z][a-z.-]*", "".join(capsys.readouterr())))
    assert named <= known, named - known
    assert {f"{prefix}{name}" for name in ("size", "channels", "fit")} <= named
    assert command == "inspect" or f"{prefix}on-damaged" in named


def test_fewer_headers_are_read_where_each_comes_with_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganneal.data.decode.survey.MOST_HEADERS", 6)
    monkeypatch.setattr("ganneal.data.decode.survey.FEWER_HEADERS", 3)
    path = folder(tmp_path / "d", [image(8) for _ in range(12)])
    for source, count in ((Folder(path), 6), (Zip(zipped(path)), 6), (Parquet(in_parquet(path)), 3)):
        assert survey(source).looked_at == count


def test_options_are_called_as_the_command_that_runs_calls_them() -> None:
    assert (way("fit", "pad"), way("levels", 0, 1), way("size")) == ("fit='pad'", "levels=(0, 1)", "size=N")
    with spelled(TRAINING):
        assert way("on_damaged", "skip") == "--data.on-damaged skip"
        with spelled_for_held_out():
            assert way("levels", 0, 1) == "--records.held-out.levels 0 1"
    with spelled(OWN), spelled_for_held_out():
        assert way("size") == "--size N"
    with spelled(None):
        assert way("size") is None
