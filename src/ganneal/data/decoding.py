"""From a list of encoded images to one array."""

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np

from ganneal.data.images import Damaged, Fit, Format, OnDamaged, Reader, decode, default_format
from ganneal.data.listing import Listing, settle
from ganneal.data.protocol import Dataset


@contextmanager
def quiet() -> Iterator[None]:
    """Without Pillow's remarks on odd files, which name none: what is wrong enough is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def load_images(listing: Listing, size: int | None, channels: int | None, fit: Fit, on_damaged: OnDamaged) -> Dataset:
    """Every image of ``listing``; the size and channels left open follow the first that can be read.

    Raises:
        ValueError: There are damaged images and they are not to be passed over, or no others.
    """
    format = choose_format(listing, size, channels, fit) or Format(1, 1)  # not one can be read: each is named below
    samples, damaged = decode_all(listing, format)
    every = {**listing.damaged, **damaged}
    warning = settle(every, len(listing.names) + len(listing.damaged), listing.place, on_damaged)
    if warning is not None:
        warnings.warn(warning, stacklevel=3)
    if damaged:
        samples = samples[[name not in damaged for name in listing.names]]
    kept = listing.without(damaged)
    description = {**kept.description, "count": len(kept.names)} | ({"passed_over": len(every)} if every else {})
    return Dataset(samples, kept.labels, kept.num_classes, description)


def choose_format(listing: Listing, size: int | None, channels: int | None, fit: Fit) -> Format | None:
    """What the images are made into; None where not one can be read."""
    with listing.container.open() as read, quiet():
        for name in listing.names:
            try:
                own_size, own_channels = default_format(read, name)
            except Damaged:
                continue
            return Format(size or own_size, channels or own_channels, fit)
    return None


def decode_all(listing: Listing, format: Format) -> tuple[np.ndarray, dict[str, str]]:
    """Every image, uint8 ``[N, C, size, size]``, and what is wrong with those that cannot be read, whose rows are 0."""
    samples = np.empty((len(listing.names), *format.shape), dtype=np.uint8)
    with listing.container.open() as read, quiet():
        damaged = decode_into(samples, read, listing.names, format)
    return samples, damaged


def decode_into(samples: np.ndarray, read: Reader, names: Sequence[str], format: Format) -> dict[str, str]:
    """Fill ``samples`` with the images ``names``; returns the reason by name of those that cannot be read."""

    def fill(index: int) -> str | None:
        try:
            samples[index] = decode(read, names[index], format)
        except Damaged as error:
            samples[index] = 0
            return str(error)
        return None

    with ThreadPoolExecutor() as pool:
        reasons = pool.map(fill, range(len(names)))
        return {name: reason for name, reason in zip(names, reasons, strict=True) if reason is not None}
