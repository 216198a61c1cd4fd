"""Where the discriminator's fakes come from; never with a graph to the generator."""

from typing import NamedTuple

import torch
from torch import Tensor

from ganneal.chain import SamplePool
from ganneal.engine.run import Run
from ganneal.logits import upcast
from ganneal.models.parts.freezing import in_mode
from ganneal.randomness import unnamed
from ganneal.regularizers.shared_draws import Draws
from ganneal.steps import Fakes, Fresh, Pool, Replay
from ganneal.task import Condition, View


class FakeBatch(NamedTuple):
    """Fakes, the condition they are judged under, and the latents they were made of in this move.

    Fakes that were pushed have none: the generator alone does not make them.
    """

    samples: Tensor
    condition: Condition
    latents: Tensor | None
    draws: Draws
    """The place of the random generators before the generator's pass."""


@torch.no_grad()
def make_fakes(source: Fakes, run: Run, real: View) -> FakeBatch:
    """As many fakes as there are real samples, with the condition they are judged under."""
    count, task, random = len(real.samples), run.experiment.task, run.random["task"]
    match source:
        case Fresh():
            latents = run.draw_latents(count)
            condition = task.fake_condition(count, run.pair.num_classes, real, random)
            draws = draws_of_fakes(run)
            return FakeBatch(run.passes.make(latents, condition), condition, latents, draws)
        case Replay(pushes=pushes):
            latents = run.draw_latents(count)
            condition = task.fake_condition(count, run.pair.num_classes, real, random)
            samples = made(run, latents, condition)
            pushed = run.chain.walk(samples, condition, run.passes.judge_by, pushes)
            return FakeBatch(pushed, condition, None, Draws())
        case Pool():
            pool = the_pool(run, "fakes from Pool()")
            order = torch.randperm(len(pool.samples), generator=run.random["pool"], device=run.device)
            chosen = order[: count * run.ranks.count].tensor_split(run.ranks.count)[run.ranks.rank]
            return FakeBatch(pool.samples[chosen], tuple(each[chosen] for each in pool.condition), None, Draws())


def draws_of_fakes(run: Run) -> Draws:
    """The place from which the generator's next pass draws: its samples' noise, its dropout."""
    return Draws(run.random["task"], unnamed(run.device))


def fake_again(run: Run, draws: Draws, latents: Tensor, condition: Condition) -> Tensor:
    """Fakes of other ``latents``, made with the random draws and the precision of those made after ``draws``."""
    with draws.repeated(), run.autocast():
        return run.experiment.task.fake(run.generator, latents, condition, run.random["task"])


def the_pool(run: Run, who: str) -> SamplePool:
    """The pool, for ``who`` needs it.

    Raises:
        ValueError: There is none yet.
    """
    if run.pool is None:
        raise ValueError(f"{who} needs a pool of samples, and none was drawn; use DrawPool(size) before it.")
    return run.pool


@torch.no_grad()
def made(run: Run, latents: Tensor, condition: Condition) -> Tensor:
    """The generator's samples as they will be drawn after training: in eval mode, its buffers left alone."""
    chunk, parts = run.chain.chunk, []
    with in_mode(run.generator, "eval"), run.autocast():
        for start in range(0, len(latents), chunk):
            piece = slice(start, start + chunk)
            given = tuple(each[piece] for each in condition)
            parts.append(run.experiment.task.fake(run.generator, latents[piece], given, run.random["task"]))
    return upcast(torch.cat(parts))
