"""Labels as data sets give them, read as classes: numbered from 0, with names where the labels say any."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganneal.data.decode.images import shown
from ganneal.data.protocol import Dataset, Origin

VALUES_NAMED = 3
"""Values that a message shows."""


@dataclass(frozen=True)
class ClassLabels:
    """The class of each sample, or the reason why there are no classes."""

    labels: np.ndarray | None = None
    """int64 ``[N]`` in 0..num_classes-1, or None."""
    num_classes: int = 0
    names: tuple[str, ...] = ()
    """One name for each class; empty where label ``k`` is class ``k`` and nothing names it."""
    unusable: str = ""
    """Why labels that were found are no classes; empty where they are, or where there are none."""
    origin: str = ""
    """The origin of the classes in words: the folders in which folder."""


def classed(
    samples: Any, classes: ClassLabels, description: Mapping[str, Any], origin: Origin | None = None
) -> Dataset:
    """The data set of ``samples`` with their classes."""
    named = {"classes": list(classes.names), "classes_are": classes.origin}
    description = {**description, **{key: value for key, value in named.items() if value}}
    return Dataset(samples, classes.labels, classes.num_classes, description, classes.unusable, origin)


class _Unusable(Exception):
    """Labels are no classes; the message says why."""


def read_labels(values: Sequence[Any] | np.ndarray, source: str, count: int, names: Sequence[str] = ()) -> ClassLabels:
    """One label for each of ``count`` samples, read as classes.

    Whole numbers may be stored as integers, floats, booleans, text or one-hot rows, in shape [N] or [N, 1]. Their
    classes are in the order of the numbers and named by them, unless they are all of 0..K-1. Words are classes in the
    order of sorted text.

    Args:
        source: What holds the labels, for messages.
        names: The names of the classes 0, 1, ..., where the data set states them.
    """
    try:
        plain = _plain(values, count)
        return _of_numbers(plain, names) if plain.dtype.kind == "i" else _of_words(plain, names)
    except _Unusable as reason:
        return ClassLabels(unusable=f"the labels in {source} are no classes: {reason}")


def normal_name(name: str) -> str:
    """A class name in Unicode's composed form, in which names that look the same are the same; for display.

    >>> normal_name("cafe\\u0301") == "caf\\u00e9"
    True
    """
    return shown(unicodedata.normalize("NFC", name))


def is_number(text: str) -> bool:
    """True if ``text`` is a whole number >= 0.

    >>> [is_number(text) for text in ("10", "007", "-1", "1.0")]
    [True, False, False, False]
    """
    # With leading zeros it is a name: 7 and 007 may be two classes.
    return text.isascii() and text.isdecimal() and text == str(int(text))


def alike(names: Sequence[str]) -> tuple[str, str] | None:
    """Two of ``names`` that differ only in case, in spaces around them or in Unicode's form, or None."""
    seen: dict[str, str] = {}
    for name in names:
        # macOS writes decomposed names: é as e and an accent looks the same and compares as another.
        key = unicodedata.normalize("NFC", name).strip().casefold()
        if key in seen:
            return seen[key], name
        seen[key] = name
    return None


def _plain(values: Sequence[Any] | np.ndarray, count: int) -> np.ndarray:
    """``values`` as int64 or text ``[count]``."""
    given = values if isinstance(values, np.ndarray) else _array(values)
    if given.ndim > 1 and given.size == max(given.shape) == count:  # a column or a row of labels
        given = given.reshape(count)
    if given.ndim == 0 or len(given) != count:
        raise _Unusable(f"there are {given.size if given.ndim < 2 else len(given):,} of them for {count:,} images")
    if given.ndim > 1:
        given = _from_one_hot(given)
    if given.dtype.kind in "US":
        return _text(given)
    if given.dtype.kind not in "biuf":
        raise _Unusable(f"they are {given.dtype}")
    return _whole(given)


def _array(values: Sequence[Any]) -> np.ndarray:
    lacking = [index for index, value in enumerate(values) if value is None or value == ""]
    if lacking:
        raise _Unusable(f"{len(lacking):,} of {len(values):,} images have none, the first is image {lacking[0]}")
    words = [isinstance(value, str | bytes) for value in values]
    # numpy would make text of the numbers without a word.
    if any(words) and not all(words):
        raise _Unusable(f"they are words beside numbers, as {values[words.index(True)]!r}")
    try:
        given = np.asarray(values)
    except (ValueError, OverflowError) as error:  # lists of several lengths
        raise _Unusable(f"they are lists of several lengths ({error})") from error
    # numpy keeps whole numbers beyond 64 bits as Python's own.
    if given.dtype.kind == "O" and all(isinstance(value, int) for value in values):
        raise _Unusable("they are beyond 64 bits")
    return given


def _from_one_hot(given: np.ndarray) -> np.ndarray:
    """The position of the 1 in each row."""
    if given.ndim == 2 and given.dtype.kind in "biuf" and bool(((given == 0) | (given == 1)).all()):
        # Rows with several ones, or none, are attributes and no classes.
        if bool((given.sum(1) == 1).all()):
            return given.argmax(1)
        raise _Unusable(f"they are rows of {given.shape[1]} zeros and ones, of which not each has exactly one 1")
    raise _Unusable(f"they are {given.dtype} of shape {given.shape}, no number or word for each image")


def _text(given: np.ndarray) -> np.ndarray:
    words = [word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word) for word in given.tolist()]
    if "" in words:
        raise _Unusable(f"{words.count('')} of {len(words):,} images have none, the first is image {words.index('')}")
    # Each word once: a million labels have few different ones.
    if all(map(is_number, set(words))):
        return _whole(_array([int(word) for word in words]))
    return np.array([normal_name(word) for word in words])


def _whole(given: np.ndarray) -> np.ndarray:
    """``given`` as int64, which it is up to its type."""
    if given.dtype.kind == "f":
        if not np.isfinite(given).all():
            raise _Unusable(f"{int((~np.isfinite(given)).sum()):,} of {len(given):,} are NaN or infinite")
        if (odd := given[given != np.floor(given)]).size:
            raise _Unusable(f"they are no whole numbers, as {', '.join(f'{value:g}' for value in odd[:VALUES_NAMED])}")
    # Compared as float64, as uint64 beyond int64 would wrap to negative classes.
    if (outside := (given < 0) | (given.astype(np.float64) >= 2.0**63)).any():
        few = ", ".join(map(str, given[outside][:VALUES_NAMED].tolist()))
        raise _Unusable(f"{int(outside.sum()):,} of {len(given):,} are negative or beyond 64 bits, as {few}")
    return given.astype(np.int64)


def _of_numbers(numbers: np.ndarray, names: Sequence[str]) -> ClassLabels:
    if names:
        # A name for each number is needed; classes without a sample may have one too.
        if numbers.max(initial=0) >= len(names):
            raise _Unusable(f"{int(numbers.max())} is beyond the {len(names):,} classes that are named")
        return ClassLabels(numbers, len(names), _distinct(names))
    found, labels = np.unique(numbers, return_inverse=True)
    # Numbers with gaps, as 3, 7, 9, are renumbered from 0 for embeddings and keep what they were as names.
    complete = np.array_equal(found, np.arange(len(found)))
    named = () if complete else tuple(map(str, found.tolist()))
    return ClassLabels(labels.astype(np.int64), len(found), named)


def _of_words(words: np.ndarray, names: Sequence[str]) -> ClassLabels:
    # Sorted, so that the numbers do not depend on which image comes first.
    named = _distinct(names) if names else tuple(sorted(set(words.tolist())))
    if pair := alike(named):
        raise _Unusable(
            f"{pair[0]!r} and {pair[1]!r} differ only in case, spaces or Unicode form; write them alike, or rename one"
        )
    number = {name: index for index, name in enumerate(named)}
    if unknown := set(words.tolist()) - set(number):
        raise _Unusable(f"{min(unknown)} is none of the {len(named):,} classes that are named")
    return ClassLabels(np.array([number[word] for word in words.tolist()], dtype=np.int64), len(named), named)


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """``names`` as they are shown.

    Names of one set that are shown alike are no names.
    """
    named = tuple(normal_name(str(name)) for name in names)
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise _Unusable(f"two classes are named {twice}")
    return named
