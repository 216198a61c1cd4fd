"""The JSON files of a run: an object, or a row a line."""

import json
from pathlib import Path
from typing import Any

CARD = "card.json"
"""The file beside weights that says what they are."""


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file of a run.

    Raises:
        ValueError: The file is damaged; the message names it.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
    # RecursionError is how json answers brackets that are nested a thousand deep.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}); restore it, or use another run directory.") from error
    return content


def read_description(path: Path) -> dict[str, Any]:
    """The content of an `experiment.json` or a card.

    Raises:
        ValueError: The file is damaged, or describes no experiment; the message names it.
    """
    content = read_json(path)
    if not isinstance(content.get("experiment"), dict):
        raise ValueError(f"{path} is damaged (it describes no experiment); restore it, or use another run directory.")
    places = content.get("places", {})
    records = places.values() if isinstance(places, dict) else [None]
    if not all(isinstance(one, dict) and all(isinstance(text, str) for text in one.values()) for one in records):
        raise ValueError(f"{path} is damaged (it says no places of data); restore it, or use another run directory.")
    return content


def append_line(path: Path, content: dict[str, Any]) -> None:
    """Add ``content`` to a file of rows, which is made where there is none."""
    # Not atomic, which would write all rows again: a row that a kill cuts off is left out by `read_lines`.
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of one a line; none where there is no file, and a last one that was cut off is left out.

    Raises:
        ValueError: Another line is damaged; the message names the file and the line.
    """
    return _lines(path, "it is no object")


def read_record(path: Path) -> list[dict[str, Any]]:
    """`read_lines` of a run's record, each of whose rows says where in the run it belongs.

    Raises:
        ValueError: As `read_lines`, or ``num_real`` or ``seconds`` is missing.
    """
    return _lines(path, "it is no row of a record: num_real and seconds are missing", "num_real", "seconds")


def _lines(path: Path, otherwise: str, *numbers: str) -> list[dict[str, Any]]:
    """The objects of ``path``, each with these ``numbers``; ``otherwise`` says what is wrong with another."""
    # As bytes, so that a line that is no UTF-8 is the damage of that line alone.
    lines = path.read_bytes().splitlines() if path.exists() else []
    read = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line.decode())
            if not isinstance(row, dict) or not all(isinstance(row.get(key), int | float) for key in numbers):
                raise ValueError(otherwise)
            read.append(row)
        except (ValueError, RecursionError) as error:
            # A kill in the middle of writing a row leaves a part of it at the end; any other damage is not ours.
            if number < len(lines):
                raise ValueError(f"{path} is damaged in line {number} ({error}); remove that line.") from error
    return read
