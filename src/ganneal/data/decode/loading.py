"""From a list of encoded images to a data set: in memory, in a kept memory map, or decoded as they are asked for."""

import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from ganneal.data.decode.decoding import decode_to_memory
from ganneal.data.decode.images import Format, OnDamaged, Reading, shown
from ganneal.data.decode.labels import classed
from ganneal.data.decode.lazy import LazyImages
from ganneal.data.decode.listing import FILES_NAMED, Listing, settle
from ganneal.data.decode.remarks import left_out_remarks, remarks
from ganneal.data.decode.store import kept_images, store_limit
from ganneal.data.decode.survey import survey_files
from ganneal.data.messages import remark, remark_on_black
from ganneal.data.protocol import Dataset
from ganneal.storage.cache import cache_folder

SMALL_SET = 2**24
"""Bytes of decoded images that are not worth a file: they are decoded again in a second or two."""
SHARE_OF_MEMORY = 0.25
"""Largest share of free memory for decoded images that cannot be kept in a file."""


def load_images(reading: Reading, listing: Listing) -> Dataset:
    """Every image of ``listing`` as ``reading`` says; what it leaves open follows the whole set, as `Survey` has it.

    Raises:
        ValueError: There are damaged images and they are not to be passed over, or no others; or there are images whose
            range of levels has to be given.
    """
    # Headers first: the size and channels of the whole set must be known before its first image is decoded.
    found = survey_files(listing)
    if found.headers:
        format = found.format(reading)
        for text in remarks(found, reading, listing):
            # Level 3 is the line that called the source's load().
            remark(text, stacklevel=3)
    else:
        format = Format(1, 1)  # not one can be read: each is named below
    samples, damaged = _samples(listing, format, reading.on_damaged)
    return finished(listing, samples, damaged, reading.on_damaged)


def finished(
    listing: Listing, samples: np.ndarray | LazyImages, damaged: Mapping[str, str], on_damaged: OnDamaged
) -> Dataset:
    """The data set of ``samples``, all the images of ``listing`` but those in ``damaged``.

    Raises:
        ValueError: There are damaged images and they are not to be passed over, or no others.
    """
    for text in left_out_remarks(listing):
        remark(text, stacklevel=4)
    every = {**listing.damaged, **damaged}
    warning = settle(every, len(listing.names) + len(listing.damaged), listing.place, on_damaged)
    if warning is not None:
        warnings.warn(warning, stacklevel=4)
    if isinstance(samples, np.ndarray):  # others are decoded when they are asked for
        remark_on_black(samples, shown(str(listing.place)), stacklevel=4)
    kept = listing.without(damaged)
    left_out = {"passed_over": len(every), "damaged": {shown(name): every[name] for name in list(every)[:FILES_NAMED]}}
    description = {**kept.description, "count": len(kept.names)} | (left_out if every else {})
    return classed(samples, kept.classes, description, kept.origin)


def _samples(listing: Listing, format: Format, on_damaged: OnDamaged) -> tuple[np.ndarray | LazyImages, dict[str, str]]:
    """The images that can be read, and why the others cannot."""
    size = len(listing.names) * prod(format.shape)
    # A second or two of decoding, and no file is left behind.
    if size <= SMALL_SET:
        return decode_to_memory(listing, format)
    limit = store_limit()
    if size > limit:
        _say_why(f"{size / 1e9:.1f} GB of decoded images are above the limit of {limit / 1e9:g} GB", size)
        # What is damaged shows when an image is asked for.
        return LazyImages(listing, format, on_damaged), {}
    try:
        return kept_images(listing, format)
    # A cache that is full or may not be written is no reason not to train.
    except OSError as error:
        _say_why(f"decoded images cannot be kept in {cache_folder() / 'images'} ({error.strerror or error})", size)
    # A quarter, as training, evaluation and the system want memory too.
    if size <= SHARE_OF_MEMORY * free_memory():
        return decode_to_memory(listing, format)
    return LazyImages(listing, format, on_damaged), {}


def _say_why(reason: str, size: int) -> None:
    warnings.warn(
        f"{reason}: they are decoded anew in each process. For speed, set GANNEAL_CACHE to a folder with room for "
        f"{size / 1e9:.2g} GB, and GANNEAL_CACHE_GB to at least that.",
        stacklevel=5,
    )


def free_memory() -> int:
    """Bytes of memory that nobody uses."""
    # Pages that nobody uses; what the system caches of files is not counted, though it would give it back.
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Encoded(Reading, ABC):
    """A source of encoded images, which makes all of them into one size."""

    def load(self) -> Dataset:
        """Decode every image of the listing."""
        return load_images(self, self.listing())

    @abstractmethod
    def listing(self) -> Listing:
        """The images and labels, without decoding."""
