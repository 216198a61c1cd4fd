"""LSUN's LMDB, made here: images of WebP and JPEG under their keys, read on threads, in processes and on demand."""

import io
import sys
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
from PIL import Image
from tests.for_each import for_each

from ganneal.cli import main
from ganneal.data import LSUN, Encoded, Sampler, source_at
from ganneal.data.decode import decoding, loading
from ganneal.data.decode.lazy import LazyImages
from ganneal.data.sources.lsun import LmdbImages

COUNT = 9


def picture(level: int, kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (20, 16), (level, level, level)).save(file, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


def written(root: Path, *, broken: int | None = None) -> Path:
    """Image n is flat, of level 20 n; keys begin with two digits, as LSUN's do with bytes of a hash, out of order."""
    with lmdb.open(str(root), map_size=2**20) as environment, environment.begin(write=True) as change:
        for index in reversed(range(COUNT)):
            content = picture(20 * index, "WEBP" if index % 2 else "JPEG")
            change.put(f"{index:02d}abc".encode(), b"broken" if index == broken else content)
    return root


def levels(samples: Any) -> list[int]:
    return [round(int(image[0, 8, 8]) / 20) for image in np.asarray(samples[:])]


def test_every_image_is_read_in_the_order_of_the_keys(tmp_path: Path) -> None:
    root = written(tmp_path / "bedroom_train_lmdb")
    data = source_at(root, 16).load()
    assert levels(data.samples) == list(range(COUNT)) and data.shape == (3, 16, 16) and data.labels is None
    assert data.description["name"] == "bedroom_train_lmdb"


@pytest.mark.slow
def test_processes_read_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SMALL_SET", 0)
    monkeypatch.setattr(decoding, "FEWEST_FOR_PROCESSES", 0)
    monkeypatch.setattr(decoding, "cores", lambda: 2)
    assert levels(LSUN(str(written(tmp_path / "lmdb"))).load().samples) == list(range(COUNT))


def test_it_is_read_on_demand_while_others_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SMALL_SET", 0)
    monkeypatch.setenv("GANNEAL_CACHE_GB", "0")
    source = LSUN(str(written(tmp_path / "lmdb")))
    with pytest.warns(UserWarning, match="decoded anew"):
        data = source.load()
    assert isinstance(data.samples, LazyImages) and len(source.listing().names) == COUNT
    batch = Sampler(data, seed=0).batch(0, COUNT).samples
    assert sorted(((batch[:, 0, 8, 8] + 1) * 127.5 / 20).round().int().tolist()) == list(range(COUNT))
    data.samples.close()


def test_a_damaged_image_is_named_or_passed_over(tmp_path: Path) -> None:
    root = str(written(tmp_path / "lmdb", broken=4))
    with pytest.raises(ValueError, match="cannot read the image 04abc: it is empty or no image"):
        LSUN(root).load()
    with pytest.warns(UserWarning, match="passed over"):
        assert levels(LSUN(root, on_damaged="skip").load().samples) == [0, 1, 2, 3, 5, 6, 7, 8]


@for_each("content", [b"", b"no database", bytes(8_192), None])
def test_what_is_no_database_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(ValueError, match="must be a folder with a whole data.mdb|no images in"):
        LSUN(str(tmp_path)).load()


def test_without_lmdb_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = written(tmp_path / "lmdb")
    monkeypatch.setitem(sys.modules, "lmdb", None)
    assert main(["data", "inspect", str(root)]) == 2
    assert "pip install 'ganneal[lsun]'" in capsys.readouterr().err


def test_it_is_a_source_of_encoded_images_of_any_size(tmp_path: Path) -> None:
    root = written(tmp_path / "lmdb")
    source = LSUN(str(root), size=4, channels=1)
    assert isinstance(source, Encoded) and source.load().shape == (1, 4, 4)
    with LmdbImages(str(root)).open() as read, pytest.raises(ValueError, match="not there any more"):
        read("absent")
