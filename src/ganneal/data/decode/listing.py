"""Encoded images before they are decoded: where they lie, their names and labels, and what shows that they changed."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from ganneal.data.decode.images import OnDamaged, shown
from ganneal.data.decode.kinds import by_ending, image_endings
from ganneal.data.decode.labels import ClassLabels, read_labels
from ganneal.data.messages import way
from ganneal.data.protocol import Origin

FILES_NAMED = 5
"""Damaged files that a message names; the rest are counted."""


@runtime_checkable
class PartReader(Protocol):
    """A `Reader` that can stop early."""

    def __call__(self, name: str, most: int = -1) -> bytes:
        """The bytes of the image ``name``; the first ``most`` are enough where that is not negative."""
        ...


@runtime_checkable
class Container(Protocol):
    """A place of encoded images: a frozen dataclass of plain values, so that other processes can open it too."""

    single: ClassVar[bool]
    """True if one image is read without its neighbours."""

    def open(self) -> AbstractContextManager[PartReader]:
        """A reader of single images, for any number of threads."""
        ...


@dataclass(frozen=True)
class Listing:
    """The images of a container in the order in which they are samples."""

    container: Container
    place: Path
    """The folder or file, for messages."""
    names: Sequence[str]
    stamp: str
    """Changes when an image does; says nothing of labels."""
    classes: ClassLabels = ClassLabels()
    description: Mapping[str, Any] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    """Files that are seen to be unusable without decoding them, which ``names`` leaves out, each with the reason."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Number of files that are no readable images, by their ending in lower case. Hidden files are not counted."""
    origin: Origin | None = None
    """Identity of these images at any place; None for the hash of their decoded bytes."""

    def classed(self, classes: ClassLabels) -> "Listing":
        """The same with the class of each image, or the reason why there are none."""
        return replace(self, classes=classes)

    def without(self, damaged: Mapping[str, str]) -> "Listing":
        """The same without the images in ``damaged``, which is remembered."""
        if not damaged:
            return self
        kept = [index for index, name in enumerate(self.names) if name not in damaged]
        labels = None if self.classes.labels is None else self.classes.labels[kept]
        names, classes = [self.names[index] for index in kept], replace(self.classes, labels=labels)
        return replace(self, names=names, classes=classes, damaged={**self.damaged, **damaged})


def folder_description(path: Path, count: int) -> dict[str, Any]:
    """The description of a user's own images."""
    return {"name": shown(path.name), "count": count, "licence": "that of the images; not known to ganneal"}


def stamp(*lines: Iterable[object]) -> str:
    """A hash of everything given, line by line."""
    digest = hashlib.sha256()
    for line in lines:
        # Parted by a zero byte, which no file name can hold: otherwise "a b" and "a", "b" would hash alike.
        digest.update("\0".join(map(str, line)).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def version(status: os.stat_result) -> tuple[int, int, int]:
    """Figures of a file that change when it does; a copying program can restore all but the last."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def check_found(
    names: Sequence[str], damaged: Mapping[str, str], place: Path, left_out: Mapping[str, int] | None = None
) -> None:
    """Refuse a place without a single image."""
    if not names and not damaged:
        others = f"; it has other files: {by_ending(left_out)}" if left_out else ""
        known = ", ".join(sorted(image_endings()))
        raise ValueError(f"no images in {shown(str(place))}{others}; known file types are {known}.")


def _pass_over(what: str) -> str:
    """The way to go on without ``what``, to end a list of ways; empty where the command has none."""
    option = way("on_damaged", "skip")
    return "" if option is None else f", or pass over {what} ({option})"


def damage_report(damaged: Mapping[str, str], count: int, place: Path) -> str:
    """List the damaged ones of ``count`` images and their faults on one line, with the remedies."""
    # Without a single whole image, passing over the damaged ones is no way out and is not offered.
    rest = len(damaged) < count
    if len(damaged) == 1:
        ((name, reason),) = damaged.items()
        return (
            f"cannot read the image {shown(name)}: {reason} (in {shown(place.name)}); remove or replace the "
            f"file{_pass_over('it') if rest else ''}."
        )
    # A few by name and all by number: a damaged disk would fill the screen.
    named = "; ".join(f"the image {shown(name)}: {reason}" for name, reason in list(damaged.items())[:FILES_NAMED])
    more = f"; and {len(damaged) - FILES_NAMED:,} more" if len(damaged) > FILES_NAMED else ""
    return (
        f"cannot read {len(damaged):,} of {count:,} images in {shown(str(place))}: {named}{more}; remove or replace "
        f"the files{_pass_over('them') if rest else ''}."
    )


def settle(damaged: Mapping[str, str], count: int, place: Path, on_damaged: OnDamaged) -> str | None:
    """Decide about damaged images: raise, return the warning about those skipped, or None without any.

    Raises:
        ValueError: They are not to be passed over, or there are no others.
    """
    if not damaged:
        return None
    report = damage_report(damaged, count, place)
    # A set of which nothing is left is an error even where damaged images are passed over.
    if on_damaged == "fail" or len(damaged) >= count:
        raise ValueError(report)
    return f"passed over: {report.partition('; remove or replace')[0]}."


def labelled(listing: Listing, listed: Mapping[str, Any], names: Sequence[str], source: str, skip: bool) -> Listing:
    """``listing`` with the labels of a list by name, which should speak of exactly its images.

    Where they disagree there are no classes, and the reason is kept.

    Args:
        names: The names of the classes 0, 1, ..., where the list states them.
        source: What holds the list, for messages.
        skip: Leave out images without a label, and pass over labels without an image.
    """
    unlabelled = [name for name in listing.names if listed.get(name) is None]
    # A list that has a label for not one image is of another set: skipping would leave nothing.
    if not skip or len(unlabelled) == len(listing.names):
        if reason := _disagreement(listing, listed, unlabelled, source):
            return listing.classed(ClassLabels(unusable=reason))
    # As damaged ones, so that they are reported by name with this reason.
    listing = listing.without({name: f"{source} has no label for it" for name in unlabelled})
    values = [listed[name] for name in listing.names]
    return listing.classed(read_labels(values, source, len(values), names))


def _disagreement(listing: Listing, listed: Mapping[str, Any], unlabelled: Sequence[str], source: str) -> str:
    there = {*listing.names, *listing.damaged}
    if unlabelled:
        return (
            f"{source} has no label for {len(unlabelled):,} of {len(there):,} images, the first "
            f"{shown(unlabelled[0])!r}; add them{_pass_over('these images')}"
        )
    if absent := [name for name in listed if name not in there]:
        return (
            f"{source} has labels for {len(absent):,} images that are not there, the first {shown(absent[0])!r}; "
            f"remove the labels, or add the images{_pass_over('them')}"
        )
    return ""
