"""Tasks whose samples are one pass of the generator: without labels and with them."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganneal.data import Batch, Dataset
from ganneal.data.decode.images import shown
from ganneal.task.protocol import Condition, RealView, Task


@dataclass(frozen=True)
class Unconditional(Task):
    """Images or points without labels."""


@dataclass(frozen=True)
class Labelled(Task):
    """Class-conditional players, ``G(z, y)`` and ``D(x, y)``.

    In the generator's moves labels are uniform. In the discriminator's moves fakes carry the labels of the real batch,
    so that real i and fake i are of one class; ``paired=False`` redraws them with the latents, as BigGAN does.
    """

    paired: bool = True

    def num_classes(self, dataset: Dataset) -> int:
        if dataset.labels is None:
            ways = "put each class into a folder of its own, or list labels in a dataset.json or an array 'labels'"
            raise ValueError(
                f"task 'labelled' needs labels, and the data has none: {dataset.unusable or ways}; or train without "
                f"them (--task unconditional)."
            )
        if dataset.num_classes < 2:
            raise ValueError(
                f"task 'labelled' needs two classes or more, and all samples are of the class "
                f"{shown(dataset.class_names[0])}; train without them (--task unconditional)."
            )
        return dataset.num_classes

    def real_view(self, batch: Batch, random: torch.Generator) -> RealView:
        assert batch.labels is not None
        return RealView(batch.samples, (batch.labels,))

    def fake_condition(self, count: int, num_classes: int, real: RealView | None, random: torch.Generator) -> Condition:
        if real is not None and self.paired:
            return real.condition
        # Uniform, as the published conditional GANs draw fakes, however often the data has each class.
        return (torch.randint(num_classes, (count,), generator=random, device=random.device),)

    def sample_condition(
        self, labels: Tensor | None, count: int, num_classes: int, random: torch.Generator
    ) -> Condition:
        if labels is None:
            return self.fake_condition(count, num_classes, None, random)
        # Refused here, as a label too high would read beyond the embedding.
        if labels.shape != (count,) or labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(
                f"labels must be {count} whole numbers in 0..{num_classes - 1}, got {labels.numel()} with the values "
                f"{labels.unique().tolist()}."
            )
        return (labels,)
