"""Image files made here: folders, zips in the layout of the StyleGAN tools, numpy arrays; whole, mixed and broken."""

import gc
import io
import json
import os
import re
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.data import Arrays, Folder, Sampler, Zip
from ganneal.task import Labelled

Pixels = np.ndarray


def random_pixels(*shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: Pixels, format: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def write_folder(root: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(root)


def write_zip(root: Path, files: dict[str, bytes], labels: Any = "absent") -> str:
    path = root / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if labels != "absent":
            archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return str(path)


def in_folder(root: Path, files: dict[str, bytes], **options: Any) -> Folder:
    return Folder(write_folder(root / "images", files), **options)


def in_zip(root: Path, files: dict[str, bytes], **options: Any) -> Zip:
    return Zip(write_zip(root, files), **options)


both_containers = for_each("place", [in_folder, in_zip], ids=["folder", "zip"])
Place = Callable[..., Folder | Zip]


@both_containers
def test_images_are_read_exactly_and_in_sorted_order(tmp_path: Path, place: Place) -> None:
    pictures = {f"{name}.png": random_pixels(8, 8, 3, seed=seed) for seed, name in enumerate(["b", "c", "a10", "a9"])}
    data = place(tmp_path, {name: encoded(pixels) for name, pixels in pictures.items()}).load()
    assert data.samples.dtype == np.uint8 and data.samples.shape == (4, 3, 8, 8)
    for sample, name in zip(data.samples, sorted(pictures), strict=True):
        assert np.array_equal(sample, pictures[name].transpose(2, 0, 1)), name
    assert data.description["count"] == 4


@both_containers
def test_more_images_than_one_thread_takes_stay_in_order(tmp_path: Path, place: Place) -> None:
    files = {f"{index:03d}.png": encoded(np.full((8, 8), index, dtype=np.uint8)) for index in range(200)}
    data = place(tmp_path, files).load()
    assert np.array_equal(data.samples[:, 0, 0, 0], np.arange(200))


@both_containers
def test_every_usual_file_type_is_an_image_and_others_are_passed_over(tmp_path: Path, place: Place) -> None:
    pixels = np.full((8, 8, 3), 77, dtype=np.uint8)
    formats = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tif": "TIFF"}
    files = {f"{suffix}.{suffix}": encoded(pixels, format) for suffix, format in formats.items()}
    files |= {"UPPER.PNG": encoded(pixels), "notes.txt": b"no image", "png": b"no suffix", ".hidden": b""}
    data = place(tmp_path, files).load()
    assert len(data) == len(formats) + 1
    assert np.abs(data.samples.astype(int) - 77).max() <= 3  # lossy formats on one flat colour


@both_containers
def test_other_sizes_are_cropped_in_the_middle_and_resized(tmp_path: Path, place: Place) -> None:
    wide = np.full((8, 24, 3), 10, dtype=np.uint8)
    wide[:, 8:16] = 200  # the middle third, a square
    tall = wide.transpose(1, 0, 2).copy()
    large = np.repeat(np.repeat(random_pixels(1, 1, 3), 32, 0), 32, 1)
    files = {"a.png": random_pixels(8, 8, 3), "b.png": wide, "c.png": tall, "d.png": large}
    data = place(tmp_path, {name: encoded(pixels) for name, pixels in files.items()}).load()
    assert data.shape == (3, 8, 8)
    assert (data.samples[1:3] == 200).all()
    assert (data.samples[3] == large[0, 0][:, None, None]).all()


@both_containers
@for_each(
    ("height", "width", "size"),
    [(8, 8, 8), (28, 28, 28), (30, 28, 28), (33, 50, 32), (63, 63, 56), (64, 100, 64), (1, 3, 1), (60, 61, 56)],
)
def test_the_median_image_decides_the_size_wherever_it_stands(
    tmp_path: Path, place: Place, height: int, width: int, size: int
) -> None:
    # the largest of 2^n and 14, 28, 56, 112, 224 that its shorter side fills
    usual, tiny, huge = (encoded(random_pixels(*shape)) for shape in ((height, width), (1, 1), (300, 300)))
    for number, order in enumerate([(usual, tiny, huge), (huge, usual, tiny), (tiny, huge, usual)]):
        (tmp_path / str(number)).mkdir()
        files = {f"{index}.png": content for index, content in enumerate(order)}
        assert place(tmp_path / str(number), files).load().shape == (1, size, size)


@both_containers
@for_each("size", [5, 16])
def test_a_given_size_holds_for_all(tmp_path: Path, place: Place, size: int) -> None:
    files = {"a.png": encoded(random_pixels(8, 8)), "b.png": encoded(random_pixels(40, 16))}
    assert place(tmp_path, files, size=size).load().samples.shape == (2, 1, size, size)


@both_containers
def test_shrinking_averages_instead_of_skipping_pixels(tmp_path: Path, place: Place) -> None:
    stripes = np.zeros((64, 64), dtype=np.uint8)
    stripes[:, ::2] = 255
    inner = place(tmp_path, {"a.png": encoded(stripes)}, size=8).load().samples[0, 0, :, 1:-1]  # whole windows only
    assert np.abs(inner.astype(int) - 127).max() <= 2


@both_containers
def test_one_image_of_colours_makes_a_set_coloured_unless_channels_are_given(tmp_path: Path, place: Place) -> None:
    grey, colour = random_pixels(8, 8), random_pixels(8, 8, 3, seed=1)
    luma = np.asarray(Image.fromarray(colour).convert("L"))
    grey_first = {"a.png": encoded(grey), "b.png": encoded(colour)}
    colour_first = {"a.png": encoded(colour), "b.png": encoded(grey)}
    for folder in "123":
        (tmp_path / folder).mkdir()
    one = place(tmp_path / "1", grey_first).load().samples
    other = place(tmp_path / "2", colour_first).load().samples
    asked_for = place(tmp_path / "3", colour_first, channels=1).load().samples
    assert np.array_equal(other, np.stack([colour.transpose(2, 0, 1), np.stack([grey] * 3)]))
    assert np.array_equal(one, other[::-1])
    assert np.array_equal(asked_for, np.stack([luma[None], grey[None]]))


@both_containers
def test_palettes_alpha_and_one_bit_images_become_plain_ones(tmp_path: Path, place: Place) -> None:
    pixels = random_pixels(8, 8, 3)
    pixels[:] = pixels[:2, :1].repeat(4, 0)  # few colours, so that a palette holds them
    opaque = np.dstack([pixels, np.full((8, 8), 255, dtype=np.uint8)])
    palette = io.BytesIO()
    Image.fromarray(pixels).quantize(16).save(palette, "PNG")
    data = place(tmp_path, {"a.png": palette.getvalue(), "b.png": encoded(opaque)}).load()
    assert np.array_equal(data.samples[0], pixels.transpose(2, 0, 1))
    assert np.array_equal(data.samples[1], pixels.transpose(2, 0, 1))
    bits = np.tile(np.array([[True, False]]), (8, 4))
    (tmp_path / "bits").mkdir()
    assert np.array_equal(place(tmp_path / "bits", {"a.png": encoded(bits)}).load().samples[0, 0], bits * 255)


@both_containers
def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path, place: Place) -> None:
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    shown = place(tmp_path, {"a.png": encoded(levels)}).load().samples[0, 0]
    assert np.abs(shown.astype(float) - levels / 257).max() <= 1  # 65535 = 257 * 255


def enormous_header(content: bytes) -> bytes:
    """The same PNG claiming 60,000 x 60,000 pixels."""
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + content[24:29]
    return content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:]


WHOLE = encoded(random_pixels(16, 16, 3))
DAMAGED = {
    "empty": b"",
    "text": b"<html>not found</html>",
    "cut": WHOLE[: len(WHOLE) // 2],
    "changed": WHOLE[:60] + bytes(reversed(WHOLE[60:90])) + WHOLE[90:],
    "enormous": enormous_header(WHOLE),
    "cut-jpeg": encoded(random_pixels(16, 16, 3), "JPEG")[:-200],
    "cut-webp": encoded(random_pixels(16, 16, 3), "WEBP")[:-100],
}


@both_containers
@for_each("damage", DAMAGED)
@for_each("first", [True, False], ids=["first", "later"])
def test_a_damaged_image_is_named_with_the_way_out(tmp_path: Path, place: Place, damage: str, first: bool) -> None:
    name = "classes/a.png" if first else "classes/z.png"
    source = place(tmp_path, {name: DAMAGED[damage], "classes/m.png": WHOLE})
    with pytest.raises(ValueError) as error:
        source.load()
    assert f"the image {name}" in str(error.value) and "remove or replace the file" in str(error.value)


@both_containers
def test_no_images_is_said_with_the_place_and_the_known_types(tmp_path: Path, place: Place) -> None:
    source = place(tmp_path, {"notes.txt": b"no image", "dataset.json": b'{"labels": null}'})
    with pytest.raises(ValueError) as error:
        source.load()
    assert "no images" in str(error.value) and source.path in str(error.value)
    assert all(suffix in str(error.value) for suffix in (".png", ".jpg", ".webp"))


@for_each("source", [Folder, Zip])
@for_each("size", [0, -8, "0x8", "8x", "8x8x8", "wide", "8 x 8"])
def test_empty_sizes_are_refused(source: type[Folder] | type[Zip], size: int | str) -> None:
    with pytest.raises(
        ValueError, match=rf"size must be a side of at least 1 pixel, or WIDTHxHEIGHT .* got {size}; leave it out"
    ):
        source(size=size)


@for_each("source", [Folder, Zip])
@for_each("channels", [0, 2, 5])
def test_channels_other_than_grey_rgb_and_rgba_are_refused(source: type[Folder] | type[Zip], channels: int) -> None:
    with pytest.raises(ValueError, match=rf"channels must be 1 \(grey\), 3 \(RGB\) or 4 \(RGBA\), got {channels}"):
        source(channels=channels)


@for_each("source", [Folder("pictures"), Zip("pictures"), Arrays("pictures")], ids=repr)
def test_a_missing_path_names_both_places_and_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Folder | Zip | Arrays
) -> None:
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError) as error:
        source.load()
    message = str(error.value)
    assert f"no data at pictures nor at {tmp_path / 'elsewhere' / 'pictures'}; " in message
    assert "GANNEAL_DATA" in message


def test_a_path_as_given_comes_before_the_folder_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, value in (("here", 1), ("shared", 2)):
        write_folder(tmp_path / place / "images", {"a.png": encoded(np.full((8, 8), value, dtype=np.uint8))})
    monkeypatch.setenv("GANNEAL_DATA", str(tmp_path / "shared"))
    monkeypatch.chdir(tmp_path / "here")
    assert Folder("images").load().samples.max() == 1
    monkeypatch.chdir(tmp_path)
    assert Folder("images").load().samples.max() == 2


def test_sub_folders_are_classes_in_sorted_order(tmp_path: Path) -> None:
    names = ["dog/1.png", "cat/9.png", "cat/deep/er/0.png", "Zebra/1.png"]
    data = in_folder(tmp_path, {name: WHOLE for name in names}).load()
    assert data.labels is not None and data.labels.dtype == np.int64
    assert data.labels.tolist() == [0, 1, 1, 2] and data.num_classes == 3
    assert data.description["classes"] == ["Zebra", "cat", "dog"]


def test_images_are_labelled_with_their_own_folder(tmp_path: Path) -> None:
    files = {
        f"{name}/{index}.png": encoded(np.full((8, 8), 10 * value + index, dtype=np.uint8))
        for value, name in enumerate(["ant", "bee", "cow"])
        for index in range(4)
    }
    data = in_folder(tmp_path, files).load()
    assert data.labels is not None
    assert np.array_equal(data.labels, data.samples[:, 0, 0, 0] // 10)


@pytest.mark.parametrize("names", [["a.png", "b.png"], ["a.png", "cat/b.png"]], ids=["flat", "mixed"])
def test_images_outside_every_sub_folder_mean_no_classes(tmp_path: Path, names: list[str]) -> None:
    data = in_folder(tmp_path, {name: WHOLE for name in names}).load()
    assert data.labels is None and data.num_classes == 0 and len(data) == 2


def test_a_zip_takes_its_labels_from_dataset_json_whatever_the_order(tmp_path: Path) -> None:
    files = {
        f"{name}.png": encoded(np.full((8, 8), value, dtype=np.uint8)) for name, value in [("z", 3), ("a", 0), ("y", 1)]
    }
    data = Zip(write_zip(tmp_path, files, [["y.png", 1], ["z.png", 3], ["a.png", 0]])).load()
    assert data.labels is not None and data.labels.dtype == np.int64 and data.class_names == ["0", "1", "3"]
    assert [int(data.class_names[label]) for label in data.labels] == data.samples[:, 0, 0, 0].tolist() == [0, 1, 3]


def test_a_zip_that_says_it_has_no_labels_has_none(tmp_path: Path) -> None:
    data = Zip(write_zip(tmp_path, {"cat/a.png": WHOLE, "dog/b.png": WHOLE}, None)).load()
    assert data.labels is None and data.num_classes == 0 and not data.unusable


def test_an_image_missing_from_dataset_json_is_named(tmp_path: Path) -> None:
    path = write_zip(tmp_path, {"a.png": WHOLE, "b.png": WHOLE, "c.png": WHOLE}, [["a.png", 0]])
    data = Zip(path).load()
    assert data.labels is None
    assert path in data.unusable and "no label for 2 of 3 images, the first 'b.png'" in data.unusable


@for_each(
    ("labels", "reason"),
    [
        ([0, -1], "are no classes: 1 of 2 are negative"),
        ([0, 0.5], "are no classes: they are no whole numbers, as 0.5"),
        ([0, None], "has no label for 1 of 2 images, the first 'b.png'"),
        ([0, "cat"], "are no classes: they are words beside numbers, as 'cat'"),
        ([[1, 0.5], [0, 1]], r"are no classes: they are float64 of shape \(2, 2\)"),
        ([[1, 0], [1]], "are no classes: they are lists of several lengths"),
        ([2**70, 1], "are no classes: they are beyond 64 bits"),
    ],
)
def test_labels_that_are_no_classes_say_why_and_block_nothing(tmp_path: Path, labels: list[Any], reason: str) -> None:
    files = {"a.png": WHOLE, "b.png": WHOLE}
    data = Zip(write_zip(tmp_path, files, list(zip(files, labels, strict=True)))).load()
    assert data.labels is None and len(data) == 2 and re.search(reason, data.unusable)
    with pytest.raises(ValueError, match=f"task 'labelled' needs labels.*{reason}"):
        Labelled().num_classes(data)


@for_each("content", ["{", "[]", "{}", '{"labels": 3}'], ids=["cut", "list", "no-labels", "number"])
def test_a_dataset_json_of_another_kind_is_a_value_error_naming_the_file(tmp_path: Path, content: str) -> None:
    path = write_zip(tmp_path, {"a.png": WHOLE, "dataset.json": content.encode()})
    data = Zip(path).load()
    assert data.labels is None and "dataset.json" in data.unusable


@for_each("content", [b"", b"no zip file at all", "cut"], ids=["empty", "text", "cut"])
def test_a_file_that_is_no_zip_is_named(tmp_path: Path, content: bytes | str) -> None:
    path = Path(write_zip(tmp_path, {"a.png": WHOLE}))
    path.write_bytes(path.read_bytes()[:-40] if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=f"{path} is not a zip file"):
        Zip(str(path)).load()


def test_a_zip_with_changed_bytes_names_the_image(tmp_path: Path) -> None:
    path = Path(write_zip(tmp_path, {"a.png": WHOLE, "b.png": WHOLE}))
    content = bytearray(path.read_bytes())
    content[content.rindex(b"IDAT") + 100] ^= 255  # inside b.png, whose checksum is now wrong
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"b\.png"):
        Zip(str(path)).load()


LAYOUTS = {
    "N,H,W": (random_pixels(5, 8, 6), lambda x: x[:, None]),
    "N,H,W,1": (random_pixels(5, 8, 6, 1), lambda x: x.transpose(0, 3, 1, 2)),
    "N,H,W,3": (random_pixels(5, 8, 6, 3), lambda x: x.transpose(0, 3, 1, 2)),
    "N,1,H,W": (random_pixels(5, 1, 8, 6), lambda x: x),
    "N,3,H,W": (random_pixels(5, 3, 8, 6), lambda x: x),
}
LABELS = np.array([2, 0, 1, 1, 2], dtype=np.uint8)


@for_each("layout", LAYOUTS)
@for_each("suffix", ["npz", "npy"])
def test_every_layout_is_read_as_channels_first(tmp_path: Path, layout: str, suffix: str) -> None:
    pixels, arranged = LAYOUTS[layout]
    path = tmp_path / f"images.{suffix}"
    np.save(path, pixels) if suffix == "npy" else np.savez(path, images=pixels)
    data = Arrays(str(path), images="images", labels=None).load()
    assert np.array_equal(data.samples, arranged(pixels)) and data.is_images
    assert data.labels is None and data.num_classes == 0


def test_labels_of_an_npz_are_read_beside_its_images(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez_compressed(path, x_train=random_pixels(5, 8, 8), y_train=LABELS, x_test=random_pixels(1, 8, 8))
    data = Arrays(str(path)).load()
    assert data.labels is not None and data.labels.dtype == np.int64
    assert data.labels.tolist() == LABELS.tolist() and data.num_classes == 3


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_the_description_counts_the_samples(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"images.{suffix}"
    np.save(path, random_pixels(5, 8, 8)) if suffix == "npy" else np.savez(path, images=random_pixels(5, 8, 8))
    description = Arrays(str(path), images="images", labels=None).load().description
    assert description["name"] == path.name and description["count"] == 5


@pytest.mark.parametrize("channels_last", [False, True])
def test_an_npy_is_mapped_not_read(tmp_path: Path, channels_last: bool) -> None:
    path, count = tmp_path / "large.npy", 4_096
    shape = (count, 64, 64, 3) if channels_last else (count, 3, 64, 64)  # 48 MiB, sparse on disk
    written = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    written[-1] = 9
    written.flush()
    del written
    tracemalloc.start()
    data = Arrays(str(path)).load()
    batch = Sampler(data, 0).batch(0, 8).samples
    last = data.samples[-1].max()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert data.samples.shape == (count, 3, 64, 64) and last == 9
    assert batch.shape == (8, 3, 64, 64)
    assert peak < 1_000_000
    with pytest.raises(ValueError, match="read-only"):
        data.samples[0] = 0


def test_a_wrong_key_is_named_with_the_right_ones(tmp_path: Path) -> None:
    path = tmp_path / "set.npz"
    np.savez(path, x_train=random_pixels(5, 8, 8), y_train=LABELS)
    with pytest.raises(ValueError, match=f"{path} has no array 'pictures'; it holds x_train, y_train; name the one"):
        Arrays(str(path), images="pictures").load()
    data = Arrays(str(path), labels="kinds").load()
    assert data.labels is None and data.unusable.endswith("has no array 'kinds'; it holds x_train, y_train")


@for_each("dtype", ["float32", "float64", "int64", "uint16", "bool"])
@for_each("suffix", ["npz", "npy"])
def test_a_wrong_dtype_is_named_with_the_right_one(tmp_path: Path, dtype: str, suffix: str) -> None:
    path, pixels = tmp_path / f"images.{suffix}", random_pixels(5, 8, 8).astype(dtype)
    np.save(path, pixels) if suffix == "npy" else np.savez(path, images=pixels)
    with pytest.raises(ValueError, match=rf"images.* must be uint8 \(0\.\.255\), got {dtype}; "):
        Arrays(str(path), images="images", labels=None).load()


@for_each("shape", [(5,), (5, 64), (5, 8, 8, 4), (5, 2, 8, 8), (5, 1, 1, 8, 8)], ids=str)
def test_a_wrong_shape_is_named_with_the_right_ones(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "images.npy", random_pixels(*shape))
    with pytest.raises(ValueError) as error:
        Arrays(str(tmp_path / "images.npy")).load()
    assert "[N, H, W], [N, H, W, C] or [N, C, H, W]" in str(error.value) and f"got {shape}" in str(error.value)


@pytest.mark.parametrize("labels", ["y_train", None])
def test_empty_arrays_are_refused(tmp_path: Path, labels: str | None) -> None:
    np.savez(tmp_path / "set.npz", x_train=random_pixels(0, 8, 8), y_train=np.zeros(0, dtype=np.int64))
    with pytest.raises(ValueError, match="must not be empty"):
        Arrays(str(tmp_path / "set.npz"), labels=labels).load()


class Payload:
    """An object whose unpickling would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_pickled_objects_are_refused_and_never_run(tmp_path: Path, suffix: str) -> None:
    path, mark = tmp_path / f"images.{suffix}", tmp_path / "ran"
    objects = np.array([Payload(mark)], dtype=object)
    np.save(path, objects, allow_pickle=True) if suffix == "npy" else np.savez(path, images=objects)
    with pytest.raises(ValueError):
        Arrays(str(path), images="images", labels=None).load()
    assert not mark.exists()


@for_each("suffix", ["npz", "npy"])
@for_each("damage", ["empty", "text", "cut"])
def test_a_damaged_array_file_is_a_value_error_naming_it(tmp_path: Path, suffix: str, damage: str) -> None:
    gc.freeze()  # what is there already need not be looked through below
    path = tmp_path / f"images.{suffix}"
    np.save(path, random_pixels(5, 8, 8)) if suffix == "npy" else np.savez(path, images=random_pixels(5, 8, 8))
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"not an array", "cut": content[: len(content) // 2]}[damage])
    with pytest.raises(ValueError, match=path.name):
        Arrays(str(path), images="images", labels=None).load()
    gc.collect()  # a handle left open would warn here rather than in another test
    gc.unfreeze()
