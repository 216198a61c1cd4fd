"""Images that are decoded when they are asked for: slower than a memory map, in no memory and on no disk."""

import warnings
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import numpy as np

from ganneal.data.decode.images import Damaged, Format, OnDamaged, decode_image, shown
from ganneal.data.decode.listing import Listing, damage_report
from ganneal.machine import cores


class LazyImages:
    """Behaves as the array ``[N, C, size, size]`` of a listing's images where rows are taken from it."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, listing: Listing, format: Format, on_damaged: OnDamaged):
        self.listing, self.format, self.on_damaged = listing, format, on_damaged
        self.shape = (len(listing.names), *format.shape)
        # Open for as long as this object lives: opening a zip reads the whole list in it.
        self._resources = ExitStack()
        self._read = self._resources.enter_context(listing.container.open())
        self._pool = self._resources.enter_context(ThreadPoolExecutor(cores()))
        self._ahead: tuple[np.ndarray, list[Future[np.ndarray]]] | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Rows, decoded on all cores; a damaged one is an error, or the next whole one of its class if passed over."""
        # Whatever numpy takes for an index, slices and masks too, as numbers of rows.
        rows = np.arange(len(self))[index]
        if rows.ndim == 0:
            return self._row(int(rows))
        # The guess is compared, not trusted: evaluations take other rows in between.
        if self._ahead is not None and np.array_equal(self._ahead[0], rows):
            futures = self._ahead[1]
        else:
            futures = self._submit(rows)
        self._ahead = None
        decoded = [future.result() for future in futures]
        return np.stack(decoded) if decoded else np.empty((0, *self.shape[1:]), self.dtype)

    def ahead(self, index: np.ndarray) -> None:
        """Begin with the rows that are likely to be asked for next."""
        rows = np.arange(len(self))[index]
        # Threads decode the next batch while the players train on this one.
        self._ahead = (rows, self._submit(rows))

    def close(self) -> None:
        """Let go of files and threads."""
        self._resources.close()

    def _submit(self, rows: Sequence[int] | np.ndarray) -> list[Future[np.ndarray]]:
        return [self._pool.submit(self._row, int(row)) for row in rows]

    def _row(self, row: int) -> np.ndarray:
        labels = self.listing.classes.labels
        # The next whole image stands in for a damaged one, so that batches keep their size and positions their meaning.
        for offset in range(len(self)):
            other = (row + offset) % len(self)
            if labels is not None and labels[other] != labels[row]:  # it would be shown under a false label
                continue
            name = self.listing.names[other]
            try:
                return decode_image(self._read, name, self.format)
            except Damaged as error:
                report = damage_report({name: str(error)}, len(self), self.listing.place)
                if self.on_damaged == "fail":
                    raise ValueError(report) from error
                warnings.warn(f"passed over: {report.partition('; remove or replace')[0]}.", stacklevel=2)
        of = "" if labels is None else f" of the class of {shown(self.listing.names[row])}"
        raise ValueError(f"no image{of} in {shown(str(self.listing.place))} can be read; remove them.")
