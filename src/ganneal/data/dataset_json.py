"""The label file of the StyleGAN tools: ``{"labels": [[name, label], ...]}``, or ``{"labels": null}`` for none."""

import json
from collections.abc import Callable
from typing import Any

from ganneal.data.images import shown

LABELS = "dataset.json"
LARGEST_JSON = 2**30


def parse_labels(read: Callable[[], bytes], source: str) -> dict[str, Any] | None:
    """Labels by image name; None where the file says there are none.

    Args:
        source: What holds the list, for messages.
    Raises:
        ValueError: It is damaged, of another kind, or labels an image twice differently.
    """
    try:
        pairs = json.loads(read())["labels"]
        if pairs is None:
            return None
        listed: dict[str, Any] = {}
        for name, label in pairs:
            if not isinstance(name, str):
                raise TypeError(f"{name!r} is no file name")
            if name in listed and listed[name] != label:
                raise ValueError(f"{shown(name)} has the labels {listed[name]} and {label}")
            listed[name] = label
    except Exception as error:  # json, zlib and zipfile raise many types for damaged files
        raise ValueError(
            f'{source} must be {{"labels": [[name, label], ...]}} or {{"labels": null}} '
            f"({type(error).__name__}: {error}); mend or remove it."
        ) from error
    return listed
