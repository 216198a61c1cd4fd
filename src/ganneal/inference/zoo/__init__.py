"""Small trained generators that ship with ganneal, loaded by name.

>>> import ganneal
>>> ganneal.load("zoo:digits-nats").sample(2, seed=0).shape
torch.Size([2, 1, 16, 16])
"""

from functools import cache
from pathlib import Path
from typing import Any

from ganneal.registry import lookup
from ganneal.storage.json_files import read_json

PREFIX = "zoo:"
FOLDER = Path(__file__).parent
CARD = "card.json"


def names() -> list[str]:
    """The names of the generators that ship."""
    return sorted(path.parents[1].name for path in FOLDER.glob(f"*/final/{CARD}"))


def place(name: str) -> Path:
    """The run directory of the generator called ``name``, without the prefix.

    Raises:
        ValueError: There is none of that name; the message names the nearest.
    """
    lookup("generator of the zoo", dict.fromkeys(names()), name)
    return FOLDER / name


@cache
def card(name: str) -> dict[str, Any]:
    """What is said of the generator called ``name``: data, command, measured figures, versions, licence.

    Raises:
        ValueError: There is none of that name.
    """
    return read_json(place(name) / "final" / CARD)


def size(name: str) -> int:
    """Bytes of its files."""
    return sum(path.stat().st_size for path in (place(name) / "final").iterdir())
