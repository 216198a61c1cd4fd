"""The classes of data: those with an image, their names, which are the same in two sets, how often each is drawn."""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from ganneal.data.decode.images import shown
from ganneal.data.decode.labels import is_number
from ganneal.data.protocol import Dataset

Classes = Literal["data", "uniform"]
"""As often as the data has them, or all that the data has alike."""
LISTED = 12
"""Classes that a line lists; the rest are counted."""
EMPTY = "classes_without_images"
"""Key of a description for the names of the classes that `populated` left out."""


def class_counts(labels: np.ndarray | None, num_classes: int) -> list[int]:
    """Samples of each of ``num_classes`` classes; empty where there are no classes."""
    if labels is None or not num_classes:
        return []
    # minlength, so that classes beyond the largest label count too, with 0 samples.
    return np.bincount(labels, minlength=num_classes).tolist()


def populated(dataset: Dataset) -> Dataset:
    """``dataset`` with the classes that have a sample alone, numbered anew in their order and known by their names.

    The description keeps the names of the others. Classes without a name are known by their numbers of before.
    """
    counts = np.array(class_counts(dataset.labels, dataset.num_classes))
    # True of an empty array too: data without classes is left as it is.
    if counts.all():
        return dataset
    # As objects: numpy's own text type would give every name the room of the longest.
    names, there = np.array(dataset.class_names, dtype=object), counts > 0
    return replace(
        dataset,
        # The place of a class among those with a sample: how many of them come before it.
        labels=(np.cumsum(there) - 1)[dataset.labels],
        num_classes=int(there.sum()),
        description={**dataset.description, "classes": names[there].tolist(), EMPTY: names[~there].tolist()},
    )


def classes_in_words(dataset: Dataset) -> str:
    """The classes of ``dataset`` with the number of samples of each, and the classes without any; on one line.

    >>> classes_in_words(Dataset(np.zeros((3, 2), np.float32), np.array([0, 0, 1]), 2))
    '2 classes: 0 (2), 1 (1)'
    """
    counts = class_counts(dataset.labels, dataset.num_classes)
    each = [f"{name} ({count:,})" for name, count in zip(dataset.class_names, counts, strict=True)]
    more = f" and {len(each) - LISTED:,} more, {images_each(counts)}"
    origin = dataset.description.get("classes_are")
    empty = dataset.description.get(EMPTY, ())
    return (
        f"{len(each):,} class{'es' if len(each) > 1 else ''}{f' ({origin})' if origin else ''}: "
        f"{', '.join(each[:LISTED])}{more if len(each) > LISTED else ''}"
        f"{f'; left out, for want of an image: {few(empty)}' if empty else ''}"
    )


def images_each(counts: Collection[int]) -> str:
    """The smallest and the largest of ``counts``, or the one number that all are.

    >>> images_each([1, 2]), images_each([40, 40]), images_each([1])
    ('1 to 2 images each', '40 images each', '1 image each')
    """
    least, most = min(counts), max(counts)
    return "1 image each" if least == most == 1 else f"{f'{least:,} to ' if least < most else ''}{most:,} images each"


def class_names_of(described: Mapping[str, Any]) -> list[str]:
    """The names of a run's classes, or their numbers, from the ``data`` of its description; empty without classes."""
    count = described.get("num_classes", 0)
    names = described.get("classes") or ()
    return list(map(str, names if len(names) == count else range(count)))


def few(names: Sequence[str], most: int = LISTED) -> str:
    """The first of ``names``, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(shown(str(name)) for name in names[:most]) + more


def composed(names: Sequence[str]) -> list[str]:
    """``names`` in Unicode's composed form, as macOS writes the same letters in another; as they are where two agree.

    >>> composed(["a\\u0301", "b"]) == ["\\u00e1", "b"]
    True
    """
    # Where two names become one they stay as they are: a class must not swallow another.
    found = [unicodedata.normalize("NFC", name) for name in names]
    return found if len(set(found)) == len(names) else list(names)


class Pairing(NamedTuple):
    """Which class of one side is which of the other."""

    places: tuple[int, ...]
    """For each class of the other side, in order, its number on this side."""
    words: str
    """The way of pairing: "by name", "by number", or "by index" with the pairs."""


def with_classes_of(names: Sequence[str], dataset: Dataset, *, called: tuple[str, str]) -> tuple[Dataset, str]:
    """``dataset`` with the classes ``names`` and their numbers, and how its own classes were paired with them.

    Args:
        called: What the side of ``names`` and that of ``dataset`` are called in messages.
    Raises:
        ValueError: It has no classes, or others than ``names``; the message names the difference.
    """
    if dataset.labels is None:
        why = f": {dataset.unusable}" if dataset.unusable else ""
        raise ValueError(f"{called[1]} must have labels, as {called[0]} has classes, and there are none{why}.")
    own = populated(dataset)
    found = paired_classes(names, own.class_names, called=called)
    # A look-up table: place c is the number that the other side's class c has among ``names``.
    labels = np.array(found.places, dtype=np.int64)[own.labels]
    description = {**own.description, "classes": list(names)}
    return replace(own, labels=labels, num_classes=len(names), description=description), found.words


def paired_classes(ours: Sequence[str], theirs: Sequence[str], *, called: tuple[str, str]) -> Pairing:
    """Pair classes by their names; by their order only where one side has names and the other 0, 1, ... alone.

    Args:
        ours: Names of classes, their numbers where they have no names.
        theirs: The same of the other side.
        called: What the two sides are called in messages.
    Raises:
        ValueError: The two sides are not of the same classes; the message names the difference.

    >>> paired_classes(["10", "20", "3"], ["3", "10", "20"], called=("real", "fake")).places
    (2, 0, 1)
    """
    ours, theirs = composed(ours), composed(theirs)
    # Folders are sorted as text, 10 before 2, and arrays as numbers: equal names decide, whatever their order.
    if set(ours) == set(theirs):
        number = {name: index for index, name in enumerate(ours)}
        words = "by number" if all(map(is_number, ours)) else "by name"
        return Pairing(tuple(number[name] for name in theirs), words)
    plain = [str(index) for index in range(len(ours))]
    one_names = all(map(is_number, ours)) != all(map(is_number, theirs))
    # Order is trusted only where one side has no names at all: two lists of names that differ are two sets of classes.
    if one_names and len(ours) == len(theirs) and plain in (list(ours), list(theirs)):
        named = theirs if plain == list(ours) else ours
        first = ", ".join(f"{index} = {shown(name)}" for index, name in enumerate(named[:LISTED]))
        return Pairing(tuple(range(len(ours))), f"by index, as only one side has names: {first}")
    lacking = [f"{few(names)} of {side} only" for names, side in zip(_only(ours, theirs), called, strict=True) if names]
    raise ValueError(
        f"classes must be the same in {called[0]} and {called[1]}, got {'; '.join(lacking)}. Give classes the same "
        "names on both sides, or leave out the classes that one side lacks."
    )


def paired_in_order(ours: Sequence[str], theirs: Sequence[str], *, called: tuple[str, str]) -> str | None:
    """Pair classes whose numbers must agree too, as weights know classes by number; None where a side has none.

    Raises:
        ValueError: They are others, or of other numbers; the message has the names.
    """
    if not ours or not theirs:
        return None
    found = paired_classes(ours, theirs, called=called)
    # Weights know a class by the number of its row: in another order each class would get the embedding of another.
    if found.places != tuple(range(len(ours))):
        raise ValueError(
            f"classes must be in the same order in {called[0]} and {called[1]}, got {few(ours)} and {few(theirs)}. "
            "List the classes of the data in that order, in a dataset.json."
        )
    return found.words


def _only(ours: Sequence[str], theirs: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names of each side that the other has not."""
    return [name for name in ours if name not in set(theirs)], [name for name in theirs if name not in set(ours)]


def check_classes(name: str, given: str) -> None:
    """Refuse another value than those of `Classes`.

    Raises:
        ValueError: ``given`` is none of them; ``name`` is for the message.
    """
    if given not in get_args(Classes):
        raise ValueError(
            f"{name} must be 'data' (as often as the data has them) or 'uniform' (all alike), got {given!r}."
        )


def drawn_classes(
    counts: Sequence[int], count: int, classes: Classes, random: torch.Generator
) -> Int64[Tensor, " count"]:
    """Classes of ``count`` samples in random order, each class ``c`` as often as its share says, up to one sample.

    Systematic sampling: a grid of ``count`` points with a random start over the cumulative shares. Each class gets
    count x share rounded down or up, at random so that the mean is exact. A class that the data has no sample of is
    never drawn, with "uniform" neither.

    Args:
        counts: Real samples of each class.
        classes: "data" takes ``counts`` for the shares, "uniform" the same share for each class with a sample.
    References:
        Madow and Madow, On the Theory of Systematic Sampling, 1944.
    """
    # float32 counts exactly up to 2^24 only, and these are summed up.
    weights = torch.tensor(counts, dtype=torch.float64)
    if classes == "uniform":
        weights = (weights > 0).double()
    upper = weights.cumsum(0)
    start = torch.rand((), generator=random, dtype=torch.float64, device=random.device).to(upper)
    # Systematic sampling: evenly spaced points with one random start. Each class comes up as often as its share says,
    # to within one sample, where independent draws would add their own variance to every metric.
    points = (start + torch.arange(count, dtype=torch.float64)) * (upper[-1] / count)
    last = int(weights.nonzero()[-1])
    # Right of equal bounds, so that a class without a sample, whose bound is that of the class before it, is never met.
    labels = torch.searchsorted(upper, points, right=True).clamp_max(last)  # rounding may reach the end
    # Sorted by class so far: a batch would hold a few classes only.
    return labels[torch.randperm(count, generator=random, device=random.device).to(labels.device)]
