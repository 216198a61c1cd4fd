"""Batches at a position: a shuffled endless stream that is a pure function of (data, seed, position).

Nothing is remembered but the position, a count of samples drawn, so a stream resumes exactly, for any batch size, and
any number of processes slicing a global batch read the same stream.
"""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ganneal.data.lazy import LazyImages
from ganneal.data.moves import Drawn, Moves
from ganneal.data.protocol import Dataset


class Batch(NamedTuple):
    """Samples as players see them, in [-1, 1] for images, with labels where the data has them."""

    samples: Tensor
    labels: Int[Tensor, " batch"] | None


class Sampler:
    """The stream of ``dataset`` under ``seed``; each pass has its own order and its own changes of the images.

    Args:
        flip: Mirror each image with probability 1/2, as `Moves` has it; the next two likewise.
    """

    def __init__(
        self,
        dataset: Dataset,
        seed: int,
        flip: bool = False,
        device: torch.device | str = "cpu",
        *,
        flip_vertical: bool = False,
        translate: int = 0,
    ):
        self.dataset = dataset
        self.seed = seed
        self.moves = Moves(flip, flip_vertical, translate)
        self.moves.check(dataset.shape, dataset.is_images)
        self.device = torch.device(device)
        self._epoch: tuple[int, np.ndarray, Drawn] | None = None

    def _order(self, epoch: int) -> tuple[np.ndarray, Drawn]:
        """The order of pass ``epoch`` and what is done to the image at each place in it."""
        if self._epoch is None or self._epoch[0] != epoch:
            random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
            order = random.permutation(len(self.dataset))
            self._epoch = (epoch, order, self.moves.draw(len(order), self.seed, epoch, random))
        return self._epoch[1:]

    def _rows(self, position: int, count: int) -> tuple[np.ndarray, Drawn]:
        """Which samples are at ``position`` to ``position + count`` of the stream, and what is done to them."""
        indices, drawn = [], []
        while count > 0:
            epoch, start = divmod(position, len(self.dataset))
            order, moves = self._order(epoch)
            part = slice(start, start + count)
            indices.append(order[part])
            drawn.append(moves.at(part))
            position += len(indices[-1])
            count -= len(indices[-1])
        return np.concatenate(indices), Drawn(*map(np.concatenate, zip(*drawn, strict=True)))

    def batch(self, position: int, count: int, *, rank: int = 0, ranks: int = 1) -> Batch:
        """Samples ``position`` to ``position + count`` of the stream; a batch may span two passes.

        Args:
            rank: Which of the ``ranks`` equal parts of the batch to take.
        """
        whole, count = count, count // ranks
        position += rank * count
        index, drawn = self._rows(position, count)
        rows = self.moves.apply(self.dataset.samples[index], drawn)  # of a copy
        samples = self._moved(rows)
        labels = self.dataset.labels
        chosen = None if labels is None else self._moved(labels[index])
        if isinstance(self.dataset.samples, LazyImages):
            self.dataset.samples.ahead(self._rows(position + whole, count)[0])
        if self.dataset.is_images:
            samples = samples.float().div_(127.5).sub_(1.0)
        return Batch(samples, chosen)

    def examples(self, classes: Sequence[int]) -> Tensor:
        """An image for each of ``classes``, another one each time a class is named, in the order of the first pass.

        A class with too few of them starts again; one that the data has no image of is mid-grey.
        """
        order = self._order(0)[0]
        labels = np.asarray(self.dataset.labels)[order]
        images = np.full((len(classes), *self.dataset.shape), 128, dtype=np.uint8)
        for wanted in set(classes):
            places = [place for place, named in enumerate(classes) if named == wanted]
            rows = order[labels == wanted]
            if len(rows):
                images[places] = self.dataset.samples[np.fromiter(islice(cycle(rows), len(places)), dtype=np.int64)]
        return torch.from_numpy(images).float().div_(127.5).sub_(1.0)

    def _moved(self, rows: np.ndarray) -> Tensor:
        """On the device; an accelerator is not waited for, which copies from pinned memory alone allow."""
        here = torch.from_numpy(rows)
        if self.device.type != "cuda":
            return here.to(self.device)
        return here.pin_memory().to(self.device, non_blocking=True)
