"""Hugging Face data sets made here: saved folders, Hugging Face's cache, streams; nothing goes over a network."""

import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from datasets import config
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import Encoded, Hub, source_at
from ganneal.data.decode import streaming, worker
from ganneal.data.decode.images import Format
from ganneal.data.tools import huggingface
from ganneal.data.tools.huggingface import HubSplit, load_split
from ganneal.storage.encoding import encode

STREAM: dict[str, Any] = {"streaming": True, "size": 8, "channels": 3}
CLASSES = ["cat", "dog", "owl", "bee", "cow"]


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Caches of the test's own, and no network: whoever asks for it fails."""
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    yield
    if not bars:
        datasets.enable_progress_bars()


def picture(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 8), (level, level, level)).save(file, "PNG")
    return file.getvalue()


def made(levels: range, **columns: tuple[Any, list[Any]]) -> datasets.Dataset:
    """Image n is flat, of level n; ``columns`` are more of them, each with its kind."""
    features = {"img": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)}
    content = {"img": [{"bytes": picture(n), "path": None} for n in levels], "label": [n % 4 for n in levels]}
    features |= {name: kind for name, (kind, _) in columns.items()}
    content |= {name: values for name, (_, values) in columns.items()}
    return datasets.Dataset.from_dict(content, features=datasets.Features(features))


def saved(folder: Path, levels: range = range(10), **columns: tuple[Any, list[Any]]) -> str:
    made(levels, **columns).save_to_disk(str(folder))
    return str(folder)


def levels(samples: Any) -> list[int]:
    return np.asarray(samples[:])[:, 0, 0, 0].tolist()


def files(folder: Path) -> str:
    """A folder of parquet files as on the hub."""
    (folder / "data").mkdir(parents=True)
    made(range(7)).to_parquet(str(folder / "data" / "train-00000-of-00002.parquet"))
    made(range(7, 100)).to_parquet(str(folder / "data" / "train-00001-of-00002.parquet"))
    return str(folder)


def test_a_saved_folder_is_recognised_and_read_in_order(tmp_path: Path) -> None:
    source = source_at(saved(tmp_path / "set"))
    assert source == Hub(str(tmp_path / "set")) and isinstance(source, Encoded)
    data = source.load()
    assert levels(data.samples) == list(range(10)) and data.shape == (3, 8, 8)
    assert data.labels is not None and data.labels.tolist() == [n % 4 for n in range(10)]
    assert data.num_classes == 5 and data.description["classes"] == CLASSES


def test_of_several_splits_the_one_asked_for_is_read(tmp_path: Path) -> None:
    splits = {"train": made(range(6)), "test": made(range(20, 23))}
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "set"))  # type: ignore[arg-type]
    assert levels(source_at(tmp_path / "set").load().samples) == list(range(6))
    assert levels(Hub(str(tmp_path / "set"), split="test").load().samples) == [20, 21, 22]
    with pytest.raises(ValueError, match="unknown split of .*'tset'. Did you mean 'test'. Known: train, test"):
        Hub(str(tmp_path / "set"), split="tset").load()


def test_streamed_and_read_by_row_the_images_are_the_same(tmp_path: Path) -> None:
    saved(tmp_path / "set", range(150))
    files(tmp_path / "files")
    for name, count in (("set", 150), ("files", 100)):
        by_row = Hub(str(tmp_path / name), size=8, channels=3).load()
        stream = Hub(str(tmp_path / name), **STREAM).load()
        assert np.array_equal(stream.samples, by_row.samples) and levels(stream.samples) == list(range(count))
        assert stream.labels is not None and by_row.labels is not None
        assert stream.labels.tolist() == by_row.labels.tolist() and stream.labels.dtype == by_row.labels.dtype
        assert (stream.num_classes, stream.description) == (by_row.num_classes, by_row.description)


def test_a_stream_is_read_once_and_again_where_files_or_what_is_asked_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, read = files(tmp_path / "files"), []
    whole = streaming.streamed
    monkeypatch.setattr(streaming, "streamed", lambda part: read.append(part) or whole(part))
    first = Hub(name, **STREAM).load()
    again = Hub(name, **STREAM).load()
    assert len(read) == 1 and isinstance(first.samples.base, np.memmap)
    assert np.array_equal(first.samples, again.samples) and first.labels is not None and again.labels is not None
    assert first.labels.tolist() == again.labels.tolist() and first.description == again.description
    other_size: dict[str, Any] = STREAM | {"size": 4}
    other_fit: dict[str, Any] = STREAM | {"fit": "pad"}
    assert Hub(name, **other_size).load().shape == (3, 4, 4) and len(read) == 2
    assert Hub(name, **other_fit).load().shape == (3, 8, 8) and len(read) == 3
    made(range(7, 12)).to_parquet(f"{name}/data/train-00001-of-00002.parquet")
    assert levels(Hub(name, **STREAM).load().samples) == list(range(12)) and len(read) == 4
    shutil.rmtree(tmp_path / "kept")
    assert levels(Hub(name, **STREAM).load().samples) == list(range(12)) and len(read) == 5


@pytest.mark.parametrize("how", [{}, STREAM])
def test_rows_without_a_whole_image_are_named_or_passed_over(tmp_path: Path, how: dict[str, Any]) -> None:
    content: list[Any] = [{"bytes": picture(n), "path": None} for n in range(70)]
    content[3], content[68] = None, {"bytes": picture(1)[:40], "path": None}
    name = saved(tmp_path / "set", range(70), other=(datasets.Image(), content))
    with pytest.raises(ValueError, match=r"cannot read 2 of 70 images.*row 3: there are no bytes.*row 68: "):
        Hub(name, image_column="other", **how).load()
    with pytest.warns(UserWarning, match="passed over: cannot read 2 of 70"):
        data = Hub(name, image_column="other", on_damaged="skip", **how).load()
    left = [n for n in range(70) if n not in (3, 68)]
    assert levels(data.samples) == left and data.labels is not None
    assert data.labels.tolist() == [n % 4 for n in left]


def test_bytes_without_a_description_are_images_too_streamed_or_not(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    table = pyarrow.table({"raw": [picture(n) for n in range(5)], "label": list(range(5)), "text": ["x"] * 5})
    pyarrow.parquet.write_table(table, tmp_path / "set" / "train.parquet")
    for how in ({}, STREAM):
        data = Hub(str(tmp_path / "set"), **how).load()
        assert levels(data.samples) == list(range(5)) and data.labels is not None and data.num_classes == 5


def test_another_process_reads_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = Hub(saved(tmp_path / "set", range(40))).listing()
    (tmp_path / "out").write_bytes(bytes(40))
    order = {"container": encode(listing.container), "format": encode(Format(1, 1)), "path": str(tmp_path / "out")}
    worker.work(json.loads(json.dumps(order | {"start": 10, "names": listing.names[10:30]})))
    assert list((tmp_path / "out").read_bytes()) == [0] * 10 + list(range(10, 30)) + [0] * 10
    assert json.loads(capsys.readouterr().out) == {"done": 20, "damaged": {}}


def kept_by_hugging_face(tmp_path: Path, commit: str) -> None:
    """What `datasets` leaves in its cache of the hub's set owner/pets."""
    source = files(tmp_path / "source")
    builder = datasets.load_dataset_builder("parquet", data_files=f"{source}/data/*.parquet", cache_dir=str(tmp_path))
    builder.dataset_name = "pets"
    builder.download_and_prepare(output_dir=str(tmp_path / "hf" / "owner___pets" / "default" / "0.0.0" / commit))


def test_a_name_is_read_from_hugging_faces_cache_at_the_commit_asked_for(tmp_path: Path) -> None:
    kept_by_hugging_face(tmp_path, "abc123")
    for revision in (None, "abc123"):
        data = Hub("owner/pets", revision=revision).load()
        assert levels(data.samples) == list(range(100)) and data.num_classes == 5
    with pytest.raises(ValueError, match="revision must be the commit that is on this machine, abc123, got 'def'"):
        Hub("owner/pets", revision="def").load()
    with pytest.raises(ValueError, match="'owner/pets'|Available configs"):
        Hub("owner/pets", config="large").load()


@for_each(
    ("changes", "kind", "message"),
    [
        (
            {"name": "owner/none"},
            FileNotFoundError,
            "no data set of that name.*ganneal data fetch owner/none.*streaming",
        ),
        ({"name": "owner/none", **STREAM}, OSError, "split 'train' of owner/none cannot be reached"),
        ({"name": "./no/such/folder"}, FileNotFoundError, "no data at no/such/folder"),
        ({"name": "files", "split": "tset"}, ValueError, r"split 'tset' of .*Should be one of \['train'\]"),
        ({"name": "files", "split": "tset", **STREAM}, ValueError, r"split 'tset' of .*Available splits: \['train'\]"),
        ({"name": "files", "config": "big"}, ValueError, r"configuration 'big'.*Available: \['default'\]"),
        ({"image_column": "imq"}, ValueError, "image_column of split 'train' of .* 'imq'. Did you mean 'img'"),
        ({"image_column": "label"}, ValueError, r"image_column must hold images .*got 'label' \(ClassLabel"),
        ({"label_column": "lable"}, ValueError, "label_column of split 'train' of .* 'lable'. Did you mean 'label'"),
        ({"label_column": "img"}, ValueError, r"label_column must hold .*'img' \(Image.*class_encode_column"),
        ({"streaming": True, "size": 8}, ValueError, "size and channels must be given with streaming=True.*8 and None"),
        ({"size": 0}, ValueError, "size must be a side of at least 1 pixel, or WIDTHxHEIGHT as 128x96, got 0"),
    ],
)
def test_what_cannot_be_read_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], kind: type[Exception], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if changes.get("name") == "files":
        files(tmp_path / "files")
    saved(tmp_path / "set", range(2), text=(datasets.Value("string"), ["a", "b"]))
    start: dict[str, Any] = {"name": "set"}
    with pytest.raises(kind, match=message):
        Hub(**(start | changes)).load()


def test_columns_that_could_be_meant_are_named(tmp_path: Path) -> None:
    other = {"other": (datasets.ClassLabel(num_classes=3), [0, 1]), "view": (datasets.Image(), [None, None])}
    name = saved(tmp_path / "set", range(2), **other)
    with pytest.raises(ValueError, match="image_column must name the column .* several do: img, view"):
        Hub(name).load()
    data = Hub(name, image_column="img").load()
    assert data.labels is None and "label_column must name one of label, other" in data.unusable
    assert Hub(name, image_column="img", label_column="other").load().num_classes == 3
    datasets.Dataset.from_dict({"x": [1.0]}).save_to_disk(str(tmp_path / "numbers"))
    with pytest.raises(ValueError, match=r"image_column must name .* none does among x \(Value"):
        Hub(str(tmp_path / "numbers")).load()


@for_each("how", [{}, STREAM])
@for_each("cut", [200, 0])
def test_a_damaged_saved_folder_is_an_error(tmp_path: Path, cut: int, how: dict[str, Any]) -> None:
    name = saved(tmp_path / "set")
    (file,) = (tmp_path / "set").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match="split 'train' of .*set cannot be opened: "):
        Hub(name, **how).load()


def test_a_stream_that_breaks_off_keeps_nothing(tmp_path: Path) -> None:
    name = files(tmp_path / "files")
    path = Path(name, "data", "train-00001-of-00002.parquet")
    content = path.read_bytes()
    path.write_bytes(content[:-20] + bytes(20))
    with pytest.raises(OSError, match="broke off after .*the same command reads it again from its start|cannot be"):
        Hub(name, **STREAM).load()
    assert not list((tmp_path / "kept" / "images").glob("*.bin"))
    path.write_bytes(content)
    assert levels(Hub(name, **STREAM).load().samples) == list(range(100))


def test_a_stream_above_the_limit_or_without_a_place_to_keep_it_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = files(tmp_path / "files")
    monkeypatch.setenv("GANNEAL_CACHE_GB", "0.00001")
    with pytest.raises(ValueError, match="more images than may be kept.*set GANNEAL_CACHE_GB higher, or size lower"):
        Hub(name, **STREAM).load()
    assert not list((tmp_path / "kept" / "images").glob("*.bin"))
    monkeypatch.delenv("GANNEAL_CACHE_GB")
    (tmp_path / "file").touch()
    monkeypatch.setenv("GANNEAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match="must be kept, and .* cannot take it .*set GANNEAL_CACHE to a folder with room"):
        Hub(name, **STREAM).load()


def test_the_librarys_settings_are_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = saved(tmp_path / "set")
    datasets.enable_progress_bars()
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", False)
    before = datasets.logging.get_verbosity()
    load_split(HubSplit(name, None, "train", None))
    assert config.HF_HUB_OFFLINE is False and datasets.logging.get_verbosity() == before
    assert not datasets.are_progress_bars_disabled()


def test_inspect_and_train_take_a_saved_folder_and_a_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "set", range(40))
    assert main(["data", "inspect", "set"]) == 0
    said = capsys.readouterr().out
    assert "40 of shape (3, 8, 8)" in said and "12x8 RGB  40" in said
    tiny = ("--model.width", "2", "--batch-size", "4", "--records.no-tensorboard", "--records.evaluate-count", "0")
    stream = ("--data", "hub", "--data.name", "set", "--data.streaming", "--data.size", "8", "--data.channels", "3")
    quick = (*tiny, "--threads", "1", "--out", "run")
    assert main(["train", "set", *quick, "--dry-run"]) == 0
    assert "data: 40 samples of shape (3, 8, 8)" in capsys.readouterr().out
    assert main(["train", "digits-nats", *stream, *quick, "--budget.d-updates", "1"]) == 0
    assert main(["train", "digits-nats", *stream, *quick, "--budget.d-updates", "2"]) == 0
    assert "resuming" in capsys.readouterr().err


def test_fetch_writes_every_split_to_a_new_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    splits = datasets.DatasetDict({"train": made(range(6)), "test": made(range(3))})  # type: ignore[arg-type]
    asked = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *name, **more: asked.append((*name, more)) or splits)
    assert main(["data", "fetch", "owner/pets", "--revision", "abc"]) == 0
    assert asked == [("owner/pets", None, {"revision": "abc"})]
    assert "split train, 6 rows" in (said := capsys.readouterr().out) and "ganneal train data/owner-pets" in said
    assert levels(source_at("data/owner-pets").load().samples) == list(range(6))
    assert main(["data", "fetch", "owner/pets"]) == 2 and len(asked) == 1
    assert "out must be a new folder, and data/owner-pets is there already" in capsys.readouterr().err


@for_each(
    ("arguments", "message"),
    [
        (("owner/none",), "owner/none cannot be reached: Couldn't reach"),
        (("owner/none", "--url", "http://x"), "--url is for mnist"),
        (("mnist", "--config", "x"), "--config and --revision are of the hub's sets"),
        (("mnits",), "Did you mean 'mnist'"),
    ],
)
def test_fetch_says_what_it_cannot_do(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "fetch", *arguments]) in (1, 2)
    assert message in capsys.readouterr().err and not list(tmp_path.glob("data*"))


def test_without_datasets_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = saved(tmp_path / "set")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert main(["data", "inspect", name]) == 2
    assert "pip install 'ganneal[hub]'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="needs datasets, which is not installed"):
        huggingface.import_datasets()
