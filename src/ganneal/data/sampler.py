"""Batches at a position: a shuffled endless stream that is a pure function of (data, seed, position).

Nothing is remembered but the position, a count of samples drawn, so a stream resumes exactly, for any batch size, and
any number of processes slicing a global batch read the same stream.
"""

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ganneal.data.lazy import LazyImages
from ganneal.data.protocol import Dataset


class Batch(NamedTuple):
    """Samples as players see them, in [-1, 1] for images, with labels where the data has them."""

    samples: Tensor
    labels: Int[Tensor, " batch"] | None


class Sampler:
    """The stream of ``dataset`` under ``seed``; each pass has its own order and its own horizontal flips."""

    def __init__(self, dataset: Dataset, seed: int, flip: bool = False, device: torch.device | str = "cpu"):
        if flip and not dataset.is_images:
            raise ValueError("flip must be False for points; only images are mirrored.")
        self.dataset = dataset
        self.seed = seed
        self.flip = flip
        self.device = torch.device(device)
        self._epoch: tuple[int, np.ndarray, np.ndarray] | None = None

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The order of pass ``epoch`` and which of its images are mirrored."""
        if self._epoch is None or self._epoch[0] != epoch:
            random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(epoch,)))
            order = random.permutation(len(self.dataset))
            mirrored = random.random(len(order)) < 0.5 if self.flip else np.zeros(len(order), dtype=bool)
            self._epoch = (epoch, order, mirrored)
        return self._epoch[1:]

    def _rows(self, position: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Which samples are at ``position`` to ``position + count`` of the stream, and which of them are mirrored."""
        indices, mirrored = [], []
        while count > 0:
            epoch, start = divmod(position, len(self.dataset))
            order, mirrors = self._order(epoch)
            indices.append(order[start : start + count])
            mirrored.append(mirrors[start : start + count])
            position += len(indices[-1])
            count -= len(indices[-1])
        return np.concatenate(indices), np.concatenate(mirrored)

    def batch(self, position: int, count: int) -> Batch:
        """Samples ``position`` to ``position + count`` of the stream; a batch may span two passes."""
        index, mirrored = self._rows(position, count)
        rows = self.dataset.samples[index]  # a copy
        if self.flip:  # as bytes, which numpy mirrors several times faster than torch
            rows[mirrored] = rows[mirrored][..., ::-1]
        samples = torch.from_numpy(rows).to(self.device)
        labels = self.dataset.labels
        chosen = None if labels is None else torch.from_numpy(labels[index]).to(self.device)
        if isinstance(self.dataset.samples, LazyImages):
            self.dataset.samples.ahead(self._rows(position + count, count)[0])
        if self.dataset.is_images:
            samples = samples.float().div_(127.5).sub_(1.0)
        return Batch(samples, chosen)
