"""The label file of the StyleGAN tools: ``{"labels": [[name, label], ...]}``, or ``{"labels": null}`` for none.

Under ``"classes"`` it may name the classes, by number; other tools pass over that.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ganneal.data.decode.images import shown

LABELS = "dataset.json"
LARGEST_JSON = 2**30


def label_file(names: Iterable[str], labels: Sequence[int] | None, classes: Sequence[str] = ()) -> bytes:
    """The file's content: the class of each image by its name, and the names of the classes where they have any."""
    # int() because json does not take numpy's integers.
    pairs = None if labels is None else [[name, int(label)] for name, label in zip(names, labels, strict=True)]
    return json.dumps({"labels": pairs} | ({"classes": list(classes)} if classes else {})).encode()


class Listed(NamedTuple):
    """The content of a label file."""

    labels: dict[str, Any] | None
    """By image name; None where the file says there are none."""
    names: tuple[str, ...] = ()
    """Names of the classes 0, 1, ..., where the file has them."""


def parse_labels(read: Callable[[], bytes], source: str) -> Listed:
    """The content of a label file.

    Args:
        source: What holds the list, for messages.
    Raises:
        ValueError: It is damaged, of another kind, or labels an image twice differently.
    """
    try:
        # Read within the block, as a damaged archive fails in as many ways as a damaged list.
        content = json.loads(read())
        pairs, names = content["labels"], content.get("classes") or ()
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            # Caught below, where the message gets the place of the list.
            raise TypeError("its classes are no list of names")
        if pairs is None:
            return Listed(None)
        listed: dict[str, Any] = {}
        for name, label in pairs:
            if not isinstance(name, str):
                raise TypeError(f"{name!r} is no file name")
            # Twice the same label is harmless; two labels for one image are a mistake in the list.
            if name in listed and listed[name] != label:
                raise ValueError(f"{shown(name)} has the labels {listed[name]} and {label}")
            listed[name] = label
    except Exception as error:  # json, zlib and zipfile raise many types for damaged files
        raise ValueError(
            f'{source} must be {{"labels": [[name, label], ...]}} or {{"labels": null}} '
            f"({type(error).__name__}: {error}); correct or remove it."
        ) from error
    return Listed(listed, tuple(names))
