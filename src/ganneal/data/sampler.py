"""Batches at a position: a shuffled endless stream that is a pure function of (data, seed, position).

Nothing is remembered but the position, a count of samples drawn, so a stream resumes exactly, for any batch size, and
any number of processes slicing a global batch read the same stream.
"""

from collections.abc import Sequence
from itertools import cycle, islice

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ganneal.data.decode.lazy import LazyImages
from ganneal.data.moves import DrawnMoves, Moves
from ganneal.data.protocol import Batch, Dataset

RESIDENT_SHARE = 0.25
"""Largest share of an accelerator's free memory that the whole data may take."""
COPIED_BYTES = 2**26
"""Bytes copied at once."""


class Sampler:
    """The stream of ``dataset`` under ``seed``; each pass has its own order and its own changes of the images.

    Args:
        flip: Mirror each image with probability 1/2, as `Moves` has it; the next two likewise.
        resident: Whether all samples lie on ``device`` as they are in memory, so that batches are gathered there and
            nothing is copied in training. None: on an accelerator, where they take at most a quarter of its memory.

    Raises:
        ValueError: Images cannot be changed so, or images decoded on demand are to be resident.
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
        resident: bool | None = None,
    ):
        self.dataset = dataset
        self.seed = seed
        self.moves = Moves(flip, flip_vertical, translate)
        self.moves.check(dataset.shape, dataset.is_images)
        self.device = torch.device(device)
        if resident and isinstance(dataset.samples, LazyImages):
            raise ValueError("resident must not be True for images that are decoded on demand; use None or False.")
        there = fits(dataset, self.device) if resident is None else resident
        self.resident = _copied(dataset.samples, self.device) if there else None
        """All samples on the device, uint8 ``[N, C, H, W]`` or float32 ``[N, D]``."""
        # Labels are a few bytes each and are always in memory, beside the samples where these are.
        self.labels = None if dataset.labels is None else torch.tensor(dataset.labels, device=self._place)
        # The order and moves of one pass, 14 bytes a sample, drawn anew where a batch reaches the next.
        self._epoch: tuple[int, Tensor, DrawnMoves] | None = None

    @property
    def _place(self) -> torch.device:
        """Device on which rows are chosen and changed."""
        return torch.device("cpu") if self.resident is None else self.device

    def _order(self, epoch: int) -> tuple[Int[Tensor, " N"], DrawnMoves]:
        """The order of pass ``epoch`` and what is done to the image at each place in it."""
        if self._epoch is None or self._epoch[0] != epoch:
            # The order of a pass depends on the seed and the pass alone: a run that resumes in pass 900 draws that one
            # order, and no state of a generator has to be stored.
            random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
            order = torch.from_numpy(random.permutation(len(self.dataset)))
            drawn = self.moves.draw(len(order), self.seed, epoch, random)
            self._epoch = (epoch, order.to(self._place), DrawnMoves(*(values.to(self._place) for values in drawn)))
        return self._epoch[1:]

    def _rows(self, position: int, count: int) -> tuple[Int[Tensor, " count"], DrawnMoves]:
        """Which samples are at ``position`` to ``position + count`` of the stream, and what is done to them."""
        indices, drawn = [], []
        while count > 0:
            # A position counts samples since the start: it gives the pass and the place in it for any batch size.
            epoch, start = divmod(position, len(self.dataset))
            order, moves = self._order(epoch)
            # A slice ends with its pass; what is missing then comes from the start of the next.
            part = slice(start, start + count)
            indices.append(order[part])
            drawn.append(moves.at(part))
            position += len(indices[-1])
            count -= len(indices[-1])
        return torch.cat(indices), DrawnMoves(*map(torch.cat, zip(*drawn, strict=True)))

    def batch(self, position: int, count: int, *, rank: int = 0, ranks: int = 1) -> Batch:
        """Samples ``position`` to ``position + count`` of the stream; a batch may span two passes.

        Args:
            rank: Which of the ``ranks`` equal parts of the batch to take.
        """
        whole, count = count, count // ranks
        # Rank r of n takes the r-th part of the global batch: together they read what one process would have read.
        position += rank * count
        index, drawn = self._rows(position, count)
        # Indexing by an array copies, so whatever is done in place below leaves the data as they are.
        rows = torch.from_numpy(self.dataset.samples[index.numpy()]) if self.resident is None else self.resident[index]
        samples = self._moved(self.moves.apply(rows, drawn))
        chosen = None if self.labels is None else self._moved(self.labels[index])
        if isinstance(self.dataset.samples, LazyImages):
            # The next batch of this rank begins a whole global batch later.
            self.dataset.samples.ahead(self._rows(position + whole, count)[0].numpy())
        if self.dataset.is_images:
            # Images are moved as bytes, a quarter of the traffic, and become float32 in [-1, 1] on the device only; in
            # place, as float() has made a copy.
            samples = samples.float().div_(127.5).sub_(1.0)
        return Batch(samples, chosen)

    def examples(self, classes: Sequence[int]) -> Tensor:
        """An image for each of ``classes``, another one each time a class is named, in the order of the first pass.

        A class with too few of them starts again.
        """
        # The first pass's order, so that the grid shows images as training meets them and is the same for every batch
        # size.
        order = self._order(0)[0].numpy(force=True)
        # [N], in the order of the pass.
        labels = np.asarray(self.dataset.labels)[order]
        images = np.empty((len(classes), *self.dataset.shape), dtype=np.uint8)
        for wanted in set(classes):
            places = [place for place, named in enumerate(classes) if named == wanted]
            rows = order[labels == wanted]
            # A class with fewer images than are asked for begins again with its first.
            images[places] = self.dataset.samples[np.fromiter(islice(cycle(rows), len(places)), dtype=np.int64)]
        return torch.from_numpy(images).float().div_(127.5).sub_(1.0)

    def _moved(self, rows: Tensor) -> Tensor:
        """On the device; an accelerator is not waited for, which copies from pinned memory alone allow."""
        if self.device.type != "cuda" or rows.is_cuda:
            return rows.to(self.device)
        # The copy runs beside the kernels that are queued already.
        return rows.pin_memory().to(self.device, non_blocking=True)


def fits(dataset: Dataset, device: torch.device) -> bool:
    """True if all of ``dataset`` should lie on ``device``: an accelerator with `RESIDENT_SHARE` of memory for it."""
    if device.type != "cuda" or isinstance(dataset.samples, LazyImages):
        return False
    # The first of (free, total): other processes on the device have their share already.
    return dataset.samples.nbytes <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]


def _copied(samples: np.ndarray, device: torch.device) -> Tensor:
    """All of them on ``device``, a block after the other: a memory map is never whole in memory."""
    rows = max(1, COPIED_BYTES // samples[0].nbytes)
    # `copy` because a read-only memory map is no memory that a tensor may share.
    blocks = (torch.from_numpy(samples[start : start + rows].copy()) for start in range(0, len(samples), rows))
    copied = torch.empty(
        samples.shape, dtype=torch.uint8 if samples.dtype == np.uint8 else torch.float32, device=device
    )
    for target, block in zip(copied.split(rows), blocks, strict=True):
        target.copy_(block)
    return copied
