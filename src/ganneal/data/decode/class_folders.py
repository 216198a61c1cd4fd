"""Classes by the folders that images lie in, the same for a folder and for a zip file."""

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from ganneal.data.classes import few
from ganneal.data.decode.dataset_json import LABELS, parse_labels
from ganneal.data.decode.images import shown
from ganneal.data.decode.labels import ClassLabels, alike, normal_name
from ganneal.data.decode.listing import Listing, labelled

SPLIT_NAME = re.compile(
    r"(train|training|val|valid|validation|dev|test|testing|eval)([-_ ]?([0-9]+|[a-z]|set|data|images))?"
)
"""Names of the parts that a data set is split into, as ``val``, ``train2017`` and ``testA``."""
SHARD = re.compile(r"[0-9]{5}/img[0-9]{8}\.[a-z]+")
"""Names in the StyleGAN tools' zips, whose folders only keep each of them small."""


def wrapping(names: Sequence[str]) -> str:
    """The folder, or folders in each other, that all of the files ``names`` lie in, ending in ``/``; else empty.

    >>> wrapping(["set/images/cat/1.png", "set/images/dog/1.png"]), wrapping(["cat/1.png", "1.png"])
    ('set/images/', '')
    """
    if not names:
        return ""
    least, most = min(names).split("/")[:-1], max(names).split("/")[:-1]  # all others begin as both of these do
    common = next((i for i, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))
    return "".join(f"{folder}/" for folder in least[:common])


def classified(
    listing: Listing, folders: Collection[str], lists: Collection[str], read: Callable[[str], bytes], skip: bool
) -> Listing:
    """``listing`` with its classes: those of a ``dataset.json``, else those of the folders.

    The list lies at the top, or in a folder that holds all images; it names files from there.

    Args:
        folders: All folders, those without an image too.
        lists: Every file called ``dataset.json``, which ``read`` reads.
        skip: As `labelled` has it.
    """
    place, outer = str(listing.place), wrapping(listing.names)
    # The folders down to ``outer``, from the top: of 'a/b/' these are '', 'a/' and 'a/b/'.
    above = [outer[:end] for end in (0, *(i + 1 for i, sign in enumerate(outer) if sign == "/"))]
    # The outermost list counts: it may speak of all images, an inner one of those below it only.
    prefix = next((folder for folder in above if folder + LABELS in lists), None)
    if prefix is None:
        found = classes_of_folders(listing.names, folders, place)
        aside = f"{shown(min(lists))} is not read: images lie outside its folder" if lists else ""
        return listing.classed(replace(found, origin="; ".join(filter(None, (found.origin, aside)))))
    source = f"{prefix}{LABELS} in {shown(place)}"
    try:
        listed = parse_labels(lambda: read(prefix + LABELS), source)
    except ValueError as error:
        return listing.classed(ClassLabels(unusable=str(error)))
    if listed.labels is None:
        return listing.classed(ClassLabels())
    there = {*listing.names, *listing.damaged}
    labels = {_file(name, prefix, there): label for name, label in listed.labels.items()}
    return labelled(listing, labels, listed.names, source, skip)


def _file(name: str, prefix: str, there: Collection[str]) -> str:
    """The file that a list in the folder ``prefix`` means: from there or from the top, with slashes of any system."""
    # Lists made on Windows have backslashes, others begin with './'; a name that is there as written goes first.
    plain = name.replace("\\", "/").removeprefix("./")
    return next((path for path in (prefix + name, name, prefix + plain, plain) if path in there), prefix + name)


def classes_of_folders(names: Sequence[str], folders: Collection[str], place: str) -> ClassLabels:
    """The classes of the images ``names`` by the folder each is in, below folders that hold all of them.

    The order is that of sorted text: 10 before 2. A folder without an image is a class without one.

    Args:
        folders: All folders, those without an image too.
        place: Where the images are, for messages.
    """
    if place.endswith(".zip") and not any("/" in name for name in names):  # some tools of Windows write zips so
        names, folders = ([path.replace("\\", "/") for path in paths] for paths in (names, folders))
    outer = wrapping(names)
    inner = [name[len(outer) :] for name in names]
    # The first folder below ``outer`` is the class, deeper ones are parts of it.
    tops = sorted({name.partition("/")[0] for name in inner if "/" in name})
    if not tops or all(SHARD.fullmatch(name) for name in inner):
        return ClassLabels()
    where = shown(f"{place}/{outer}".rstrip("/"))
    if reason := _ambiguity(inner, tops, where, place.endswith(".zip")):
        return ClassLabels(unusable=reason)
    beside = {folder[len(outer) :].partition("/")[0] for folder in folders if folder.startswith(outer)} - {""}
    classes = sorted({unicodedata.normalize("NFC", name) for name in {*tops, *beside}})
    if pair := alike(sorted({*tops, *beside})):
        both = f"{shown(pair[0])!r} and {shown(pair[1])!r}"
        differ = f"the folders {both} in {where} differ only in case, spaces or Unicode form"
        return ClassLabels(unusable=f"{differ}; put their images into one, or rename one")
    number = {name: index for index, name in enumerate(classes)}
    # By the composed form: macOS writes decomposed names, so that parts of one class may come in two spellings.
    own = {top: number[unicodedata.normalize("NFC", top)] for top in tops}
    labels = np.array([own[name.partition("/")[0]] for name in inner], dtype=np.int64)
    named = tuple(map(normal_name, classes))
    # Of a very long name `shown` leaves the middle out.
    if len(set(named)) < len(named):
        return ClassLabels(unusable=f"names of folders in {where} are too long to be told apart; rename them")
    return ClassLabels(labels, len(classes), named, origin=_origin(inner, where if outer else ""))


def _ambiguity(inner: Sequence[str], tops: Sequence[str], where: str, zipped: bool) -> str:
    """Why the first-level folders ``tops`` are no classes; empty where they are."""
    stray = [name for name in inner if "/" not in name]
    if stray:
        return (
            f"{len(stray):,} of {len(inner):,} images lie in no class folder of {where}, the first "
            f"{shown(stray[0])!r}; move them into one of {few(tops, 5)}, or away"
        )
    # The part to suggest is the training one, where there is one.
    first = next((top for top in tops if top.casefold().startswith("train")), tops[0])
    give = "give a zip of one of them" if zipped else f"give one of them, as {where}/{shown(first)}"
    # A single folder called test may well be a class; two such names side by side are a split.
    if sum(SPLIT_NAME.fullmatch(top.casefold()) is not None for top in tops) > 1:
        return f"the folders {few(tops, 5)} in {where} are parts of a data set, no classes, and all are read; {give}"
    shared = _shared(inner)
    if len(shared) > 1:
        return (
            f"each of the folders {few(tops, 5)} in {where} holds the folders {few(sorted(shared), 5)}, so it is not "
            f"clear which are the classes; {give}"
        )
    return ""


def _shared(inner: Sequence[str]) -> set[str]:
    """The second-level folders that all first-level ones have, where no image lies beside them."""
    below: dict[str, set[str]] = {}
    for name in inner:
        top, second, *deeper = name.split("/", 2)
        # An image lies right in this folder, so the folders beside it are not the classes of a part.
        if not deeper:
            return set()
        below.setdefault(top, set()).add(second)
    return set.intersection(*below.values())


def _origin(inner: Sequence[str], where: str) -> str:
    """The origin of the classes in words, where it takes any."""
    deep = next((name for name in inner if name.count("/") > 1), None)
    words = [f"the folders in {where}"] if where else []
    if deep is not None:
        words.append(f"folders in them are not told apart, as {shown(deep.rpartition('/')[0])}")
    return "; ".join(words)
