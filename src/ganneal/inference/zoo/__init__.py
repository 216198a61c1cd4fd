"""Small trained generators that ship with ganneal, loaded by name.

>>> import ganneal
>>> ganneal.load("zoo:digits-nats").sample(2, seed=0).shape
torch.Size([2, 1, 16, 16])
"""

from functools import cache
from pathlib import Path
from typing import Any

from ganneal.registry import lookup
from ganneal.storage.json_files import CARD, read_json

PREFIX = "zoo:"
FOLDER = Path(__file__).parent
TAKEN_BY = (
    "`ganneal sample`, `evaluate`, `export` and `playground` take it; `train` and `compare` start from its weights"
)
"""The commands that take ``zoo:NAME``, for messages of the others."""


def names() -> list[str]:
    """The names of the generators that ship."""
    # Found and not listed by hand: a folder that is added is a generator more.
    return sorted(path.parents[1].name for path in FOLDER.glob(f"*/final/{CARD}"))


def place(name: str) -> Path:
    """The run directory of the generator called ``name``, without the prefix.

    Raises:
        ValueError: There is none of that name; the message names the nearest.
    """
    lookup("generator of the zoo", dict.fromkeys(names()), name)
    return FOLDER / name


def is_named(run: str | Path) -> bool:
    """True if ``run`` is written ``zoo:NAME``."""
    return str(run).startswith(PREFIX)


def run_path(run: str | Path) -> Path:
    """The directory of ``run``, which is a directory itself or ``zoo:NAME``.

    Raises:
        ValueError: The zoo has no generator of that name; the message names the nearest.
    """
    return place(str(run).removeprefix(PREFIX)) if is_named(run) else Path(run)


def refuse(run: str | Path, why: str) -> None:
    """Refuse ``zoo:NAME`` where a run that ships cannot stand.

    Args:
        why: What the command does that it cannot do with weights alone.
    Raises:
        ValueError: ``run`` is one of the zoo; the message says which commands take it.
    """
    if is_named(run):
        run_path(run)  # an unknown name is told first, with the nearest one
        raise ValueError(
            f"{why}, and {run} is the weights of a trained generator alone: {TAKEN_BY} (--init-from {run})."
        )


@cache
def card(name: str) -> dict[str, Any]:
    """The card of the generator called ``name``: data, command, measured figures, versions, licence.

    Raises:
        ValueError: There is none of that name.
    """
    return read_json(place(name) / "final" / CARD)


def size(name: str) -> int:
    """Bytes of its files."""
    return sum(path.stat().st_size for path in (place(name) / "final").iterdir())
