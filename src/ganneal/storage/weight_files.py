"""Files of trained players on disk: weights as safetensors, and a JSON card."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save
from torch import Tensor

from ganneal.storage.atomic import replaced_folder, write_bytes
from ganneal.storage.json_files import CARD, read_description
from ganneal.storage.run_directory import RunDirectory, provenance

CARD_FORMAT = 1
LICENCE = (
    "The weights are yours, within the licence of the data named above; "
    "the software that made them is under Apache-2.0."
)

StateDict = dict[str, Tensor]
"""A network's parameters and buffers by their names."""


def export(
    folder: Path,
    directory: RunDirectory,
    state: dict[str, Any],
    sizes: Mapping[str, int],
    *,
    measured: Mapping[str, float] | None = None,
) -> Path:
    """Write ``folder``: the averaged generator, the generator as trained, the discriminator, and a card.

    Args:
        sizes: The number of parameters of each player.
        measured: What was measured of these weights, for the card.
    """
    description = read_description(directory.description)
    card = {
        "format": CARD_FORMAT,
        "experiment": description["experiment"],
        "data": description["data"],
        "provenance": provenance(),
        "counters": state["counters"],
        "sampler": description.get("sampler", "generator"),
        "measured": dict(measured or {}),
        "licence": LICENCE,
        "files": {
            "generator.safetensors": "averaged over training; sample from this one in eval mode",
            "generator-raw.safetensors": "as trained, without averaging",
            "discriminator.safetensors": "as trained",
        },
        "parameters": dict(sizes),
        "usage": "import ganneal; images = ganneal.load(PATH_OF_THIS_RUN).sample(16, seed=0)  # in [-1, 1]",
    }
    players = players_of(state)
    if state["chain"]["stored"]:
        card |= pushes_of(state)
        card["files"] |= {
            "generator-pushed.safetensors": "as trained when the discriminators were stored; their pushes follow it",
            "stored-discriminators.safetensors": "the discriminators of the pushes, each under its number",
        }
    card["sha256"] = {}
    with replaced_folder(folder) as filled:
        for name, weights in players.items():
            # safetensors writes neither views nor channels-last memory: the numbers in their plain order.
            data = save({k: v.detach().cpu().contiguous() for k, v in weights.items()})
            card["sha256"][f"{name}.safetensors"] = hashlib.sha256(data).hexdigest()
            write_bytes(filled / f"{name}.safetensors", data)
        # Last, as it holds the hashes of all others.
        write_bytes(filled / CARD, json.dumps(card, indent=2).encode())
    return folder


def read_weights(path: Path, card: Mapping[str, Any]) -> StateDict:
    """The weights in the file at ``path``, which must have the hash that ``card`` says.

    Raises:
        ValueError: The file is missing or damaged; the message names it.
    """
    try:
        data = path.read_bytes()
        # The card names the bytes that belong to it: weights of another moment or run never pass for these.
        if hashlib.sha256(data).hexdigest() != card.get("sha256", {}).get(path.name):
            raise ValueError("its bytes are not the ones that were written")
        return read_tensors(data)
    except (SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"cannot read {path}: {error}; remove {path.parent} to use the newest checkpoint, or train again."
        ) from error


def players_of(state: Mapping[str, Any]) -> dict[str, StateDict]:
    """The networks of a training state by the name of their file."""
    found = {
        # The plain name is the average: it is what samples should be drawn from.
        "generator": state["average"],
        "generator-raw": state["generator"],
        "discriminator": state["discriminator"],
    }
    chain = state["chain"]
    if not chain["stored"]:
        return found
    links = chain["stored"].items()
    # One file for all of them, with the level before each name.
    together = {f"{level}.{key}": value for level, (_, weights) in links for key, value in weights.items()}
    return found | {
        "generator-pushed": chain["generator"] or state["generator"],
        "stored-discriminators": together,
    }


def pushes_of(state: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a card for the pushes: their sizes by level, and the state of the augmentation."""
    links, augmentation = state["chain"]["stored"].items(), state["augmentation"].items()
    return {
        "pushes": {str(level): step_size for level, (step_size, _) in links},
        "augmentation_state": {k: v.tolist() if isinstance(v, Tensor) else v for k, v in augmentation},
    }
