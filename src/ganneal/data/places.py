"""Places of data: the fields of a source that name a place, which is no part of the data's identity.

A field called ``path`` names a place; a source that calls it otherwise says so in a class attribute ``place_field``.
"""

import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from ganneal.data.finding import find_data

AnyPart = TypeVar("AnyPart")


def is_part(value: Any) -> bool:
    """True if ``value`` is a part of an experiment, with fields of its own."""
    return is_dataclass(value) and not isinstance(value, type)


def place_of(part: Any) -> str | None:
    """The name of the field of ``part`` that says where it lies; None where it has none."""
    # A field of that name that holds None, or anything but text, names no place.
    name = getattr(part, "place_field", "path")
    return name if isinstance(name, str) and isinstance(getattr(part, name, None), str) else None


def places(part: Any, prefix: str = "") -> dict[str, str]:
    """Every place that ``part`` and the parts in it name, by the dotted name of its field."""
    if not is_part(part):
        return {}
    own = place_of(part)
    found = {} if own is None else {prefix + own: getattr(part, own)}
    for field in fields(part):
        found |= places(getattr(part, field.name), f"{prefix}{field.name}.")
    return found


def with_places(part: AnyPart, given: Mapping[str, str], prefix: str = "") -> AnyPart:
    """``part`` with other places, by the names that `places` has for them."""
    if not given or not is_part(part):
        return part
    changes: dict[str, Any] = {}
    for field in fields(part):  # type: ignore[arg-type]
        value, name = getattr(part, field.name), prefix + field.name
        changed = with_places(value, given, f"{name}.")
        # By identity: a part without such a place comes back as the same object, and nothing is copied for it.
        if is_part(value) and changed is not value:
            changes[field.name] = changed
        elif field.name == place_of(part) and name in given:
            changes[field.name] = given[name]
    return replace(part, **changes) if changes else part  # type: ignore[type-var]


def without_places(encoded: Any, part: Any) -> Any:
    """``encoded``, an `encode` of a part like ``part``, without the places in it."""
    if not isinstance(encoded, dict) or not is_part(part):
        return encoded
    own = place_of(part)
    inner = {key: without_places(value, getattr(part, key, None)) for key, value in encoded.items()}
    # A part of another type may call something else by that name: its field stays.
    return {key: value for key, value in inner.items() if key != own or encoded.get("type") != type(part).__name__}


def found_at(place: str) -> Path | None:
    """The absolute path of what `find_data` finds; None where it finds nothing."""
    try:
        return find_data(place).resolve()
    except FileNotFoundError:
        return None


def file_hashes(part: Any) -> dict[str, str]:
    """SHA-256 of each file that ``part`` names, as weights, by the dotted name of its field."""
    there = {name: found_at(place) for name, place in places(part).items()}
    return {name: sha256(file.read_bytes()).hexdigest() for name, file in there.items() if file and file.is_file()}


def recorded(place: str, directory: Path) -> dict[str, str]:
    """Record a place for a run in ``directory``: as given, absolute, and relative to the run."""
    if (found := found_at(place)) is None:
        return {"given": place}
    # Both without links: a relative path that leads through a link does not lead back.
    relative = os.path.relpath(found, directory.resolve())
    return {"given": place, "absolute": str(found), "relative": relative}


def candidates(record: Mapping[str, str], directory: Path) -> list[Path]:
    """Present places to try for a place of `recorded`, the likeliest first: moved with the run, absolute, as given."""
    wanted = [directory.resolve() / record["relative"]] if "relative" in record else []
    wanted += [Path(record["absolute"])] if "absolute" in record else []
    wanted += [given] if (given := found_at(record["given"])) is not None else []
    return list(dict.fromkeys(place.resolve() for place in wanted if place.exists()))
