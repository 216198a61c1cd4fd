"""The weight files of the Inception networks: which ones count, reading them once, and an explicit download.

FID, KID and IS are defined by one file. Only that one is accepted, by its size and SHA-256, so that a value under these
names can be compared with papers.
"""

import hashlib
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from ganneal.data.tools.download import downloaded
from ganneal.metrics.extractors.module import weights_sha256
from ganneal.storage.atomic import write_bytes
from ganneal.storage.cache import cache_folder


@dataclass(frozen=True)
class WeightFile:
    """A public file of weights; more than one prefix of its SHA-256 where there is more than one edition."""

    name: str
    sha256: tuple[str, ...]
    size: int | None = None
    url: str | None = None


FID_FILE = WeightFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    sha256=("6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",),
    size=95_628_359,
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
"""The 2015 network, converted from TensorFlow by the authors of pytorch-fid."""

TORCHVISION_FILE = WeightFile(name="inception_v3_google-0cc3c7bd.pth", sha256=("0cc3c7bd", "1a9a5a14"))
"""Torchvision's inception_v3, another network with other weights; its older edition is 1a9a5a14."""

TO_GET_FID = "run `ganneal fetch inception` where there is a network, or give the path of a copy"


def fetched_inception() -> Path:
    """Default place of the file that `ganneal fetch inception` writes."""
    return cache_folder() / "inception" / FID_FILE.name


def check_weight_file(name: str, data: bytes, expected: WeightFile) -> str:
    """The SHA-256 of ``data``, the content of the file ``name``.

    Raises:
        ValueError: It is not the content of ``expected``.
    """
    # The size first: a page of an error in place of the file is told without a hash.
    if expected.size is not None and len(data) != expected.size:
        raise ValueError(
            f"{name} is not {expected.name}: it must have {expected.size} bytes, got {len(data)}; {TO_GET_FID}."
        )
    sha256 = hashlib.sha256(data).hexdigest()
    if not sha256.startswith(expected.sha256):
        raise ValueError(
            f"{name} is not {expected.name}: its SHA-256 must begin with {' or '.join(expected.sha256)}, got {sha256}; "
            f"no other weights give comparable scores."
        )
    return sha256


def read_weight_file(path: Path, expected: WeightFile) -> tuple[dict[str, Tensor], str]:
    """The tensors of ``path`` if it is ``expected``, and its SHA-256; converted to safetensors in the cache once.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is another file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; {expected.name} is needed.")
    data = path.read_bytes()
    sha256 = check_weight_file(str(path), data, expected)
    del data  # 96 MB, before the tensors of the same size
    converted = cache_folder() / "inception" / f"{sha256}.safetensors"
    state = _read_converted(converted)
    if state is None:
        state = _state_of(path)
        try:
            write_bytes(converted, save(state, metadata={"source": sha256, "weights": weights_sha256(state)}))
        except OSError:
            pass  # a full or read-only disk costs a conversion each time, not the evaluation
    return state, sha256


def _read_converted(path: Path) -> dict[str, Tensor] | None:
    """The converted tensors; None where there are none, or not those that were written."""
    try:
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {}).get("weights")
        state = load_file(path)
    except (OSError, SafetensorError):
        return None
    # A torn or changed copy would give other features under the right name.
    return state if weights_sha256(state) == written else None


def _state_of(path: Path) -> dict[str, Tensor]:
    try:
        # weights_only: the file comes from the network, and an unrestricted pickle may run any code.
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} cannot be read as a state dict ({error}); copy it again.") from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} must hold a state dict of tensors, got {type(state).__name__}.")
    return {name: value.contiguous() for name, value in state.items()}


def fetch_inception(
    out: Path | None = None, *, url: str | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> Path:
    """Download the weights of FID to ``out``, checked before anything is written.

    Nothing calls this but `ganneal fetch inception`; only it and `ganneal data fetch` open connections.

    Args:
        out: Left out, where extractors look by themselves: below the cache folder.
        url: A mirror; the content is checked all the same.
        progress: Called with the bytes that have come and the bytes to come in all.
    Raises:
        OSError: There is no connection, or no such file at ``url``, or ``out`` cannot be written.
        ValueError: What came is another file.
    """
    out, url = out or fetched_inception(), url or FID_FILE.url
    assert url is not None and FID_FILE.size is not None
    size = FID_FILE.size
    # Whole in memory and checked there: nothing is on disk before it is known to be the file.
    data = downloaded(url, FID_FILE.name, size, lambda done: progress(done, size))
    check_weight_file(url, data, FID_FILE)
    write_bytes(out, data)
    return out
