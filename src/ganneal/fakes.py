"""Where the discriminator's fakes come from; never with a graph to the generator."""

from typing import NamedTuple

import torch
from torch import Tensor

from ganneal.run import Run
from ganneal.steps import Fakes, Fresh
from ganneal.task import Condition, View


class FakeBatch(NamedTuple):
    """Fakes, the condition they are judged under, and the latents they were made of in this move."""

    samples: Tensor
    condition: Condition
    latents: Tensor | None


@torch.no_grad()
def make_fakes(source: Fakes, run: Run, real: View) -> FakeBatch:
    """As many fakes as there are real samples, with the condition they are judged under."""
    match source:
        case Fresh():
            count, task = len(real.samples), run.experiment.task
            latents = run.draw_latents(count)
            condition = task.fake_condition(count, run.pair.num_classes, real, run.random["task"])
            return FakeBatch(task.fake(run.generator, latents, condition, run.random["task"]), condition, latents)
        case _:
            raise ValueError(f"fakes from {source} need stored samples, which this version does not keep; use Fresh().")
