"""Configurations as JSON: frozen dataclasses to plain types and back, and the difference of two of them."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any


def encode(value: Any) -> Any:
    """``value`` as JSON types; a dataclass becomes its fields with its class name under ``type``.

    Raises:
        ValueError: A field holds something that is neither a dataclass nor a plain type.
    """
    # is_dataclass is true of the class itself too.
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__} | {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    # NaN and infinity pass: Python's json writes and reads them by these names, beyond the standard.
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ValueError(
        f"cannot write {value!r} of type {type(value).__name__} to JSON; make parts of an experiment frozen "
        f"dataclasses of numbers, strings and tuples."
    )


def decode(data: Any, types: Iterable[type]) -> Any:
    """The inverse of `encode`, for dataclasses among ``types``.

    Raises:
        ValueError: A class name is not among ``types``, or its fields are others.
    """
    # By the bare class name: files stay readable where a class moves to another module, and must not meet two of one
    # name.
    known = {cls.__name__: cls for cls in types}
    if isinstance(data, dict) and "type" in data:
        if not isinstance(data["type"], str) or data["type"] not in known:
            raise ValueError(
                f"unknown part {data['type']!r}; known: {', '.join(known)}. Register your own part before loading."
            )
        arguments = {key: decode(item, known.values()) for key, item in data.items() if key != "type"}
        try:
            # Through the constructor, so that what a file says is checked as what a person types.
            return known[data["type"]](**arguments)
        except TypeError as error:
            raise ValueError(f"{data['type']} cannot have these fields: {error}.") from error
    if isinstance(data, list):
        # Tuples, as fields of frozen dataclasses are: a list would make a part unhashable.
        return tuple(decode(item, known.values()) for item in data)
    return data


def _flatten(data: Any, path: str = "") -> dict[str, Any]:
    if isinstance(data, dict):
        items = data.items()
    elif isinstance(data, list):
        items = enumerate(data)
    else:
        return {path: data}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= _flatten(item, f"{path}.{key}" if path else str(key))
    return flat


def difference(before: Any, after: Any) -> list[str]:
    """One line for each leaf in which two encoded configurations differ.

    >>> difference({"lr": 1, "a": 2}, {"lr": 3, "a": 2})
    ['lr: 1 -> 3']
    """
    old, new = _flatten(before), _flatten(after)
    return [
        f"{key}: {old.get(key, 'absent')} -> {new.get(key, 'absent')}"
        for key in dict.fromkeys((*old, *new))
        # A missing key is not a key that holds None.
        if (key in old) != (key in new) or old.get(key) != new.get(key)
    ]
