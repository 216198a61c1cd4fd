"""How data and latents become what the two players see.

A task decides the real view, the condition that goes with it, how a generator's output becomes what the discriminator
judges, and how samples are drawn after training. Players take their condition as extra arguments,
``discriminator(x, *condition)``, so that the engine needs no case for it.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ganneal.data import Batch, Dataset

Condition = tuple[Tensor, ...]


class View(NamedTuple):
    """What the discriminator sees of a real batch: samples, and the condition they are judged under."""

    samples: Tensor
    condition: Condition


@runtime_checkable
class Task(Protocol):
    """Everything about a run that depends on what is being modelled; all randomness comes from ``random``."""

    @property
    def needs_real(self) -> bool:
        """Whether the generator's moves need a real batch."""
        ...

    @property
    def paired(self) -> bool:
        """Whether fake i of a discriminator's move carries the condition of real i, as line penalties assume."""
        ...

    def num_classes(self, dataset: Dataset) -> int:
        """The number of classes the players are built for; 0 for none."""
        ...

    def real_view(self, batch: Batch, random: torch.Generator) -> View:
        """What the discriminator sees of ``batch``."""
        ...

    def fake_condition(self, count: int, num_classes: int, real: View | None, random: torch.Generator) -> Condition:
        """The condition of ``count`` fakes; ``real`` is given in the discriminator's moves and where needed."""
        ...

    def fake(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """What the discriminator sees of the generator, with a graph to its parameters."""
        ...

    def sample_condition(
        self, labels: Tensor | None, count: int, num_classes: int, random: torch.Generator
    ) -> Condition:
        """The condition for drawing ``count`` samples, of the classes ``labels`` where they are given."""
        ...

    def sample(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """Finished samples: the sampling chain of a trained generator."""
        ...


@dataclass(frozen=True)
class Unconditional:
    """Images or points without labels."""

    needs_real = False
    paired = True

    def num_classes(self, dataset: Dataset) -> int:
        return 0

    def real_view(self, batch: Batch, random: torch.Generator) -> View:
        return View(batch.samples, ())

    def fake_condition(self, count: int, num_classes: int, real: View | None, random: torch.Generator) -> Condition:
        return ()

    def fake(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        return generator(latents)

    def sample_condition(
        self, labels: Tensor | None, count: int, num_classes: int, random: torch.Generator
    ) -> Condition:
        if labels is not None:
            raise ValueError("labels must be left out: this generator was trained without classes.")
        return ()

    def sample(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        return generator(latents)


@dataclass(frozen=True)
class Labelled:
    """Class-conditional players, ``G(z, y)`` and ``D(x, y)``.

    In the generator's moves labels are uniform. In the discriminator's moves fakes carry the labels of the real batch,
    so that real i and fake i are of one class; ``paired=False`` redraws them with the latents, as BigGAN does.
    """

    paired: bool = True
    needs_real = False

    def num_classes(self, dataset: Dataset) -> int:
        if dataset.labels is None:
            raise ValueError("task Labelled needs labels, and the data has none; use the task 'unconditional'.")
        return dataset.num_classes

    def real_view(self, batch: Batch, random: torch.Generator) -> View:
        assert batch.labels is not None
        return View(batch.samples, (batch.labels,))

    def fake_condition(self, count: int, num_classes: int, real: View | None, random: torch.Generator) -> Condition:
        if real is not None and self.paired:
            return real.condition
        return (torch.randint(num_classes, (count,), generator=random, device=random.device),)

    def fake(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        return generator(latents, *condition)

    def sample_condition(
        self, labels: Tensor | None, count: int, num_classes: int, random: torch.Generator
    ) -> Condition:
        if labels is None:
            return self.fake_condition(count, num_classes, None, random)
        if labels.shape != (count,) or labels.min() < 0 or labels.max() >= num_classes:
            raise ValueError(
                f"labels must be {count} whole numbers in 0..{num_classes - 1}, got {labels.numel()} with the values "
                f"{labels.unique().tolist()}."
            )
        return (labels,)

    def sample(self, generator: nn.Module, latents: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        return generator(latents, *condition)


TASKS: dict[str, Task] = {"unconditional": Unconditional(), "labelled": Labelled()}
"""Tasks by name."""
