"""The moves of composite functional gradients, and where the discriminator's fakes come from in every scheme.

The moves draw and push a pool, store discriminators and fit the generator. Fakes come from the generator, from the pool
or from a replay through the stored discriminators; they never have a graph to the generator.

References:
    Johnson and Zhang, Composite Functional Gradient Learning of Generative Adversarial Models, 2018 (ICFG, xICFG).
"""

from collections.abc import Callable
from functools import partial
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from ganneal.chain import PoolFit, SamplePool
from ganneal.engine.run import Run, channels_last
from ganneal.engine.updates import Gradients, accumulate, averaged, log, optimize_generator, rate
from ganneal.logits import upcast
from ganneal.models.parts.freezing import in_mode
from ganneal.randomness import unnamed
from ganneal.regularizers.shared_draws import Draws
from ganneal.steps import DrawPool, Fakes, FitGenerator, Fresh, Pool, PushPool, Replay, StoreDiscriminator
from ganneal.stop import TrainingStopped
from ganneal.task import Condition, RealView

PROJECTION_STD = 0.01
"""Standard deviation of the entries of the matrix that maps latents to an untrained generator's targets: 0.1 at 100
latents."""
DECAY, MOST_DECAYS = 0.1, 3  # the authors' code: a tenth of the rate, three times in a stage at most
"""A fit's learning rate is lowered when the mean loss of an epoch is above that of the one before."""


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
def make_fakes(source: Fakes, run: Run, real: RealView) -> FakeBatch:
    """As many fakes as there are real samples, with the condition they are judged under."""
    count = len(real.samples)
    match source:
        case Fresh():
            latents, condition = run.draw_input(count, real)
            draws = draws_of_fakes(run)
            # In train mode, as in its own moves: batch norm of the generator follows these passes too.
            return FakeBatch(run.passes.make(latents, condition), condition, latents, draws)
        case Replay(pushes=pushes):
            latents, condition = run.draw_input(count, real)
            # In eval mode, since the pushes follow the generator as it will be sampled (ICFG: G_t = G_{t-1} + a push).
            samples = made(run, latents, condition)
            pushed = run.chain.walk(samples, condition, run.passes.stored_outputs, pushes)
            return FakeBatch(pushed, condition, None, Draws())
        case Pool():
            pool = the_pool(run, "fakes from Pool()")
            # Every rank holds the whole pool and draws the same order, of which it takes its own part; no sample stands
            # twice in a batch.
            order = torch.randperm(len(pool.samples), generator=run.random["pool"], device=run.device)
            chosen = order[: count * run.ranks.count].tensor_split(run.ranks.count)[run.ranks.rank]
            return FakeBatch(pool.samples[chosen], tuple(each[chosen] for each in pool.condition), None, Draws())


def draws_of_fakes(run: Run) -> Draws:
    """The place from which the generator's next pass draws: its samples' noise, its dropout."""
    if not run.regularizer.has_terms:  # nobody will ask for them once more, and a state is 5 kB to copy
        return Draws()
    return Draws(run.random["task"], unnamed(run.device))


def fake_again(run: Run, draws: Draws, latents: Tensor, condition: Condition) -> Tensor:
    """Fakes of other ``latents``, made with the random draws and the precision of those made after ``draws``."""
    # The same noise inside the network: what a latent penalty compares then differs by the latents alone.
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
    chunk, parts = run.chain.chunk, []  # a pool of thousands is made in batches that training's memory holds
    with in_mode(run.generator, "eval"), run.autocast():
        for start in range(0, len(latents), chunk):
            piece = slice(start, start + chunk)
            given = tuple(each[piece] for each in condition)
            parts.append(run.experiment.task.fake(run.generator, latents[piece], given, run.random["task"]))
    # In float32: a push adds a small step to a sample, which bfloat16's 8 bits would swallow.
    return upcast(torch.cat(parts))


@torch.no_grad()
def draw_pool(step: DrawPool, run: Run) -> None:
    """Fresh latents and labels, with the generator's samples of them or their random projections."""
    task, count, gather = run.experiment.task, run.ranks.share(step.size), run.ranks.gather
    with run.drawing():
        real = task.real_view(run.next_batch(count), run.random["task"]) if task.needs_real else None
        latents, condition = run.draw_input(count, real)
        # Each rank draws its share and then holds the whole pool, [size, ...]: a fit shuffles all of it.
        latents, condition = gather(latents), tuple(map(gather, condition))
        samples = _projected(run, latents) if step.projected else _shared(run, partial(made, run), latents, condition)
    # Another pool is another regression: its fit begins with a fresh optimizer and the full learning rate.
    run.pool, run.fit = SamplePool(latents, condition, channels_last(samples)), None
    run.counters.g_num_real += step.size if task.needs_real else 0


def _shared(run: Run, work: Callable[[Tensor, Condition], Tensor], samples: Tensor, condition: Condition) -> Tensor:
    """``work`` on samples that every rank holds, each rank doing its part of every chunk; every rank gets it all."""
    if run.ranks.count == 1:
        return work(samples, condition)
    dealt = run.ranks.dealt(len(samples), run.chain.chunk * run.ranks.count).to(samples.device)
    own = dealt[run.ranks.rank]
    # Ranks work through chunk after chunk in step: gathered they stand rank by rank, and are put back in order.
    gathered = run.ranks.gather(work(samples[own], tuple(each[own] for each in condition)))
    whole = torch.empty_like(gathered)
    whole[dealt.flatten()] = gathered
    return whole


def _projected(run: Run, latents: Tensor) -> Tensor:
    """clamp(W z) to [-1, 1] with W random and independent of the data."""
    size = (latents.shape[1], prod(run.pair.shape))  # W is [latent size, numbers of a sample]
    matrix = PROJECTION_STD * torch.randn(size, generator=run.random["pool"], device=run.device)
    return (latents @ matrix).clamp(-1, 1).view(len(latents), *run.pair.shape)


def store_discriminator(step: StoreDiscriminator, run: Run) -> None:
    """A copy of the discriminator behind those of lower levels, with the size of its push."""
    run.chain.store(step.level, run.discriminator, step.step_size)


def push_pool(step: PushPool, run: Run) -> None:
    """Move the whole pool by the discriminator stored at the step's level.

    Raises:
        TrainingStopped: A sample has become NaN or infinite; the pool stays as it was.
    """
    pool, by = the_pool(run, str(step)), run.chain.at(step.level)
    with run.autocast(), run.drawing():
        # x <- x + step_size * (the push at x): for functional gradients the schedule's weight is in the step size.
        # A scheme may push by another step than the one stored for drawing; those that ship never do.
        by = by._replace(step_size=step.step_size)
        move = partial(run.chain.move, outputs_of=run.passes.stored_outputs, by=by)
        moved = _shared(run, move, pool.samples, pool.condition)
    # A wait for the device, once a push: one NaN in the pool would reach the generator and every later round.
    if not moved.isfinite().all():
        raise TrainingStopped(
            f"training stopped: push {step.level} of round {run.cursor.round} made samples that are NaN or infinite, "
            f"at {run.counters.num_real:,} real images; lower --scheme.step-size or the discriminator's learning rate. "
            f"Checkpoints before this point are untouched."
        )
    lengths = (moved - pool.samples).flatten(1).norm(dim=1)  # [size], metered as each rank's share of them
    run.meters.add("push", lengths.tensor_split(run.ranks.count)[run.ranks.rank])
    pool.samples = channels_last(moved)


def fit_generator(step: FitGenerator, run: Run) -> None:
    """One epoch over the pool in shuffled batches: 1/2 ||G(z) - y||^2 summed over a sample, averaged over a batch.

    A stage of epochs on one pool begins with a fresh optimizer. The generator is in train mode.
    """
    pool = the_pool(run, str(step))
    if pool.skipped:  # the players had lost touch when this pool was pushed, and the run is to go on all the same
        return
    run.chain.leave(run.generator)  # what is drawn meanwhile is the generator of before, with its pushes
    fit = run.fit = run.fit or PoolFit(run.experiment.g_optimizer.build(run.g_parameters))
    order = torch.randperm(len(pool.samples), generator=run.random["pool"], device=run.device)
    losses = [_fit_batch(step, run, pool, fit, chosen) for chosen in order.split(run.experiment.batch_size)]
    # Each rank has the sum over its own samples, and `mean` averages over ranks: together the mean over the pool.
    mean = run.ranks.mean(torch.stack(losses).sum()) * run.ranks.count / len(order)
    log(step, run, "fit_loss", mean)
    now = mean.item()  # waits for the device, once an epoch: the next learning rate depends on it
    if fit.last is not None and now > fit.last and fit.decays < MOST_DECAYS:
        fit.decays += 1
    fit.last = now


def _fit_batch(step: FitGenerator, run: Run, pool: SamplePool, fit: PoolFit, chosen: Tensor) -> Tensor:
    """One optimizer step; the batch's summed loss."""
    gradients: Gradients | None = None
    losses = []
    if run.ranks.count > 1:
        # From here on this rank's part: gradients of its mean, averaged over ranks, are those of the batch's mean.
        chosen = chosen[run.ranks.dealt(len(chosen), run.chain.chunk * run.ranks.count)[run.ranks.rank]]
    parts = chosen.split(run.chain.chunk)  # micro-batches as large as those of the discriminator's moves
    for part in parts:
        with run.drawing():
            condition = tuple(each[part] for each in pool.condition)
            loss = run.passes.fit_loss(pool.latents[part], condition, pool.samples[part])
            # The sum over samples becomes a mean over the batch; over the numbers of a sample it stays a sum.
            gradients = accumulate(gradients, loss / len(chosen), run.g_parameters, len(parts))
        losses.append(loss.detach())
    gradients = averaged(gradients, run.g_parameters, run)
    lr = rate(run.experiment.g_optimizer, run, own="g_updates") * DECAY**fit.decays
    optimize_generator(step, run, fit.optimizer, lr, gradients)
    return torch.stack(losses).sum()
