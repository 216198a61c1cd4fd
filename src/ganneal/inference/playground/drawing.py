"""From the controls of the playground to pictures."""

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from ganneal.inference import loading as sampling
from ganneal.inference.generator import SamplerName, TrainedGenerator
from ganneal.inference.walk import great_circle
from ganneal.models import Normal
from ganneal.storage.pictures import class_rows, picture
from ganneal.task import Condition

ANY_CLASS = "any class"
EVERY_CLASS = "every class"
MOST_SAMPLES = 256
WIDEST = 16
"""Pictures of one way side by side; longer ways go on in the next row."""


@dataclass(frozen=True)
class Controls:
    """The user's choices on the page."""

    seed: int = 0
    count: int = 16
    class_name: str = ANY_CLASS
    truncation: float | None = None
    sampler: SamplerName = "generator"


@dataclass(frozen=True)
class Playground:
    """A run to play with: its generator alone, and with its pushes where it has any."""

    run: str
    samplers: dict[SamplerName, TrainedGenerator]
    own: SamplerName
    """The sampler the run is scored by."""

    @classmethod
    def of(cls, run: str, checkpoint: str = "last") -> "Playground":
        """The run at a directory, or ``zoo:NAME``, with the weights that `ganneal.load` calls ``checkpoint``.

        Raises:
            FileNotFoundError: There is no run, or none with these weights yet.
            ValueError: The run uses a part that is not registered.
        """
        own = sampling.load(run, checkpoint=checkpoint)
        # All of them at the start: a person who switches between the two waits for no file.
        samplers: dict[SamplerName, TrainedGenerator] = {own.sampler: own}
        if own.sampler == "pushed":
            samplers["generator"] = sampling.load(run, checkpoint=checkpoint, sampler="generator")
        elif own.card.get("pushes"):
            samplers["pushed"] = sampling.load(run, checkpoint=checkpoint, sampler="pushed")
        return cls(run, samplers, own.sampler)

    @property
    def generator(self) -> TrainedGenerator:
        """The run's own."""
        return self.samplers[self.own]

    @property
    def class_choices(self) -> list[str]:
        """The choices of classes."""
        names = self.generator.class_names
        return [ANY_CLASS, EVERY_CLASS, *names] if names else [ANY_CLASS]

    @property
    def can_truncate(self) -> bool:
        """True if its latents are normal."""
        return isinstance(self.generator.latent, Normal)

    def grid(self, controls: Controls) -> Image.Image:
        """Samples side by side, those of ``ganneal sample`` of the same seed, class and truncation."""
        generator = self._chosen(controls)
        labels, columns = self._labels(controls)
        count = controls.count if labels is None else len(labels)
        samples = generator.sample(count, controls.seed, labels=labels, truncation=controls.truncation)
        return picture(samples, columns)

    def between(self, controls: Controls, other_seed: int) -> Image.Image:
        """The way from the first sample of ``controls.seed`` to that of ``other_seed``, in ``controls.count`` pictures.

        Latents move along the great circle between the two; class and noise stay those of the first. Where every class
        is chosen there is a row for each.
        """
        generator = self._chosen(controls)
        labels, columns = self._labels(controls)
        steps = max(2, columns or controls.count)
        rows = []
        for label in (None,) if labels is None else dict.fromkeys(labels):  # each class once, in order
            start, condition, random = _first(generator, controls, controls.seed, label)
            end, _, _ = _first(generator, controls, other_seed, label)
            given = tuple(each.expand(steps, *each.shape[1:]) for each in condition)
            rows.append(generator.finish(great_circle(start, end, steps), given, random))
        return picture(torch.cat(rows), steps if steps <= WIDEST or len(rows) > 1 else None)

    def _chosen(self, controls: Controls) -> TrainedGenerator:
        if controls.sampler not in self.samplers:
            raise ValueError(f"sampler must be {' or '.join(self.samplers)} for this run, got {controls.sampler!r}.")
        return self.samplers[controls.sampler]

    def _labels(self, controls: Controls) -> tuple[list[int] | None, int | None]:
        """The class of each sample, None for any, and the columns of the grid where they matter."""
        if not 1 <= controls.count <= MOST_SAMPLES:
            raise ValueError(f"count must be in 1..{MOST_SAMPLES}, got {controls.count}.")
        if controls.class_name == ANY_CLASS:
            return None, None
        if controls.class_name == EVERY_CLASS:
            return class_rows(self.generator.num_classes, controls.count)
        return [self.generator.class_of(controls.class_name)] * controls.count, None


def _first(
    generator: TrainedGenerator, controls: Controls, seed: int, label: int | None
) -> tuple[Tensor, Condition, torch.Generator]:
    """The input of the first sample of a grid."""
    labels = None if label is None else [label] * controls.count
    # Drawn with all others of the grid: alone, the first sample of a seed would have another class and noise.
    latents, condition, random = generator.draw(controls.count, seed, labels=labels, truncation=controls.truncation)
    return latents[0], tuple(each[:1] for each in condition), random
