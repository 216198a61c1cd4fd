"""Parquet files of encoded images, made here as Hugging Face's are: bytes or structs, labels, several files."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from ganneal.cli import main
from ganneal.data import Encoded, Parquet, source_at
from ganneal.data.decode import decoding, loading
from ganneal.data.sources import parquet as module


def picture(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 8), (level, level, level)).save(file, "PNG")
    return file.getvalue()


NAMES = ["cat", "dog", "owl", "bee", "cow"]


def written(
    path: Path, levels: range, *, struct: bool = True, names: bool | list[str] = False, **columns: list[Any]
) -> Path:
    """Image n is flat, of level n; groups of three rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content: list[Any] = [picture(level) for level in levels]
    if struct:
        content = [{"bytes": value, "path": None} for value in content]
    table = pyarrow.table({"image": content, "label": [level % 4 for level in levels]} | columns)
    if names:
        features = {"label": {"names": NAMES if names is True else names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pyarrow.parquet.write_table(table, path, row_group_size=3)
    return path


def levels(samples: Any) -> list[int]:
    return np.asarray(samples[:])[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("struct", [True, False])
def test_every_image_and_label_is_read_in_order(tmp_path: Path, struct: bool) -> None:
    data = source_at(written(tmp_path / "a.parquet", range(10), struct=struct)).load()
    assert levels(data.samples) == list(range(10)) and data.shape == (3, 8, 8)
    assert data.labels is not None and data.labels.tolist() == [n % 4 for n in range(10)] and data.num_classes == 4


def test_labels_of_several_files_stay_with_their_images(tmp_path: Path) -> None:
    for name, some in (("b", range(4, 9)), ("a", range(4)), ("c", range(9, 11))):
        written(tmp_path / f"{name}.parquet", some)
    data = Parquet(str(tmp_path)).load()
    assert levels(data.samples) == list(range(11))
    assert data.labels is not None and data.labels.tolist() == [n % 4 for n in range(11)]


def test_the_names_of_classes_are_those_of_the_file(tmp_path: Path) -> None:
    data = Parquet(str(written(tmp_path / "a.parquet", range(10), names=True))).load()
    assert data.num_classes == 5 and data.description["classes"] == ["cat", "dog", "owl", "bee", "cow"]


def test_files_that_number_their_classes_otherwise_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", range(5), names=True)
    written(tmp_path / "b.parquet", range(5), names=NAMES[::-1])
    with pytest.raises(ValueError, match="b.parquet and a.parquet name the classes of 'label' differently"):
        Parquet(str(tmp_path), split=None).load()
    assert Parquet(str(tmp_path), split=None, labels=None).load().num_classes == 0


@pytest.mark.parametrize(
    ("split", "expected"), [("train", range(0, 12)), ("test", range(20, 24)), (None, [*range(20, 24), *range(12)])]
)
def test_the_files_of_a_split_follow_each_other(tmp_path: Path, split: str | None, expected: Any) -> None:
    root = tmp_path / "set"
    written(root / "data" / "train-00001-of-00002.parquet", range(7, 12))
    written(root / "data" / "train-00000-of-00002.parquet", range(0, 7))
    written(root / "data" / "test-00000-of-00001.parquet", range(20, 24))
    assert source_at(root) == Parquet(str(root))
    assert levels(Parquet(str(root), split=split).load().samples) == list(expected)


@pytest.mark.slow
def test_processes_read_it_too_and_few_groups_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SMALL_SET", 0)
    monkeypatch.setattr(decoding, "FEWEST_FOR_PROCESSES", 0)
    monkeypatch.setattr(decoding, "cores", lambda: 2)
    source = Parquet(str(written(tmp_path / "a.parquet", range(40))))
    assert levels(source.load().samples) == list(range(40))
    groups = module._Groups([source.path], "image")
    for name in source.listing().names:
        groups.read(name)
        assert groups._group.cache_info().currsize <= module.HELD


def test_rows_without_an_image_are_named_or_passed_over(tmp_path: Path) -> None:
    images = [{"bytes": picture(n) if n != 4 else None, "path": None} for n in range(6)]
    path = str(written(tmp_path / "a.parquet", range(6), image=images))
    with pytest.raises(ValueError, match=r"cannot read the image a.parquet 0/1/1: there are no bytes in that row"):
        Parquet(path).load()
    with pytest.warns(UserWarning, match="passed over"):
        data = Parquet(path, on_damaged="skip").load()
    assert levels(data.samples) == [0, 1, 2, 3, 5] and data.labels is not None
    assert data.labels.tolist() == [0, 1, 2, 3, 1]


def test_an_unknown_column_is_answered_with_the_nearest_and_labels_may_lack(tmp_path: Path) -> None:
    path = str(written(tmp_path / "a.parquet", range(3)))
    with pytest.raises(ValueError, match="unknown column of a.parquet 'images'. Did you mean 'image'?"):
        Parquet(path, images="images").listing()
    assert Parquet(path, labels="class").load().labels is None and Parquet(path, labels=None).load().labels is None


def test_labels_in_some_files_only_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "set" / "a.parquet", range(3))
    pyarrow.parquet.write_table(pyarrow.table({"image": [picture(1)]}), tmp_path / "set" / "b.parquet")
    data = Parquet(str(tmp_path / "set")).load()
    assert data.labels is None and "is in some of the files only" in data.unusable


@pytest.mark.parametrize("content", [b"", b"no parquet", "cut"])
def test_a_damaged_file_is_named(tmp_path: Path, content: Any) -> None:
    path = written(tmp_path / "a.parquet", range(3))
    path.write_bytes(path.read_bytes()[:-30] if content == "cut" else content)
    with pytest.raises(ValueError, match="a.parquet is no whole parquet file"):
        Parquet(str(path)).load()


def test_a_file_of_more_rows_than_it_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": pyarrow.nulls(10**6, pyarrow.binary())}), path)
    with pytest.raises(
        ValueError, match=r"a\.parquet claims 1,000,000 rows, more images than its [\d,]+ bytes can hold"
    ):
        Parquet(str(path)).load()


def test_one_image_in_many_rows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": [picture(n % 2) for n in range(1_000)]}), path)
    assert levels(Parquet(str(path)).load().samples) == [0, 1] * 500


def test_without_pyarrow_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "a.parquet", range(3))
    assert isinstance(source_at(path), Encoded)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["data", "inspect", str(path)]) == 2
    assert "pip install 'ganneal[parquet]'" in capsys.readouterr().err
