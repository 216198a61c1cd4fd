"""Where the discriminator's fakes come from; never with a graph to the generator."""

import torch
from torch import Tensor

from ganneal.run import Run
from ganneal.steps import Fakes, Fresh
from ganneal.task import Condition, View


@torch.no_grad()
def make_fakes(source: Fakes, run: Run, real: View) -> tuple[Tensor, Condition]:
    """As many fakes as there are real samples, with the condition they are judged under."""
    match source:
        case Fresh():
            count, task = len(real.samples), run.experiment.task
            latents = run.draw_latents(count)
            condition = task.fake_condition(count, run.pair.num_classes, real, run.random["task"])
            return task.fake(run.generator, latents, condition, run.random["task"]), condition
        case _:
            raise ValueError(f"fakes from {source} need stored samples, which this version does not keep; use Fresh().")
