"""Reading weights: plain arrays only, every name and shape compared with what the network needs."""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import load
from torch import Tensor, nn

from ganneal.data import find_data

Loaded = TypeVar("Loaded", bound=nn.Module)


def read_npz(path: str) -> tuple[dict[str, Tensor], str]:
    """The arrays of ``path``, looked for as `data.find_data` does, and the file's SHA-256.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no .npz file of plain arrays.
    """
    try:
        place = find_data(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no weights at {path}, nor below the folder that GANNEAL_DATA names; name the file "
            f"(--extractor.path FILE, in training --records.extractor.path FILE)."
        ) from None
    data = place.read_bytes()
    try:
        # From the bytes that are hashed below, not from the file again, which may change in between.
        with np.load(BytesIO(data), allow_pickle=False) as archive:
            state = {name: torch.from_numpy(archive[name]) for name in archive.files}
    except (ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{place} is no .npz archive of plain arrays, or is damaged ({error}); copy it again."
        ) from error
    return state, hashlib.sha256(data).hexdigest()


def load_network(make: Callable[[], Loaded], state: Mapping[str, Tensor], source: str) -> Loaded:
    """The network of ``make`` with the weights ``state`` from ``source``; no random number is drawn.

    Batch norm's counts of training batches may be in ``state`` or not; they play no part.

    Raises:
        ValueError: Another tensor is missing, or too many, or has another shape.
    """
    # No memory and no random numbers for weights that are replaced at once: building an extractor must not move
    # training's generators.
    with torch.device("meta"):
        network = make()
    expected = network.state_dict()
    given, wanted = ({key: value for key, value in part.items() if not _is_count(key)} for part in (state, expected))
    for what, names in (("lacks", wanted.keys() - given.keys()), ("has unknown", given.keys() - wanted.keys())):
        if names:
            raise ValueError(
                f"{source} {what} {len(names)} tensors, such as {min(names)!r}; it is for another network."
            )
    for key, value in given.items():
        if value.shape != wanted[key].shape:
            raise ValueError(
                f"{key!r} in {source} must have shape {list(wanted[key].shape)}, got {list(value.shape)}; it is for "
                f"another network."
            )
    counts = {key: torch.tensor(0) for key in expected if _is_count(key)}
    # Assigned, not copied: parameters on the meta device have no memory to copy into.
    network.load_state_dict(given | counts, assign=True)
    return network


def load_shipped(make: Callable[[], Loaded], path: Path) -> tuple[Loaded, str]:
    """The network of ``make`` with the weights that ship at ``path``, in float32, and the file's SHA-256."""
    data = path.read_bytes()
    state = {name: value.float() for name, value in load(data).items()}
    return load_network(make, state, str(path)), hashlib.sha256(data).hexdigest()


def _is_count(name: str) -> bool:
    return name.endswith(".num_batches_tracked")
