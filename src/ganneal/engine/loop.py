"""The loop: one `match` over the vocabulary of steps, and both players' moves; `functional` has those of the pool.

Every move differentiates one player by `torch.autograd.grad` on raw modules, the other frozen. Real and fake pass the
discriminator separately. The discriminator's buffers change only in its own moves.

A scheme decides who moves and with which weight; this module only obeys. In NATS, level j is ``d_steps`` times
`update_discriminator`, then j times `update_generator` with the weight w[j]. Nothing is reset between levels or rounds:
players and optimizers go on as they are.
"""

from collections.abc import Callable, Iterator
from time import perf_counter, process_time
from typing import Any, assert_never

import torch
from torch import Tensor

from ganneal.engine.functional import (
    draw_pool,
    draws_of_fakes,
    fake_again,
    fit_generator,
    make_fakes,
    push_pool,
    store_discriminator,
)
from ganneal.engine.passes import Sight
from ganneal.engine.run import Run
from ganneal.engine.updates import (
    Gradients,
    accumulate,
    averaged,
    gradient_norm,
    is_measured,
    log,
    optimize,
    optimize_generator,
    rate,
)
from ganneal.losses import output_of
from ganneal.models.parts.freezing import frozen
from ganneal.regularizers import Again, Change, Context, GeneratorContext, unchanged
from ganneal.steps import (
    MOVES_GENERATOR,
    DrawPool,
    FitGenerator,
    PushPool,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)
from ganneal.stop import Row


def apply(step: Step, run: Run) -> None:
    """Make one step."""
    match step:
        case UpdateDiscriminator():
            update_discriminator(step, run)
        case UpdateGenerator():
            update_generator(step, run)
        case DrawPool():
            draw_pool(step, run)
        case PushPool():
            push_pool(step, run)
        case StoreDiscriminator():
            store_discriminator(step, run)
        case FitGenerator():
            fit_generator(step, run)
        case _:
            assert_never(step)  # the union of steps is closed: a type checker names a kind that has no case here


def update_discriminator(step: UpdateDiscriminator, run: Run) -> None:
    """One optimizer step of the discriminator on the next real batch, and on fakes that the generator makes now."""
    experiment, parts = run.experiment, run.experiment.accumulate
    count = run.ranks.share(experiment.batch_size // parts)
    gradients: Gradients | None = None
    for _ in range(parts):
        with run.drawing():
            loss = _discriminator_loss(step, run, count)
            # A loss is the mean over its micro-batch: divided by their number they add up to the mean over the batch.
            gradients = accumulate(gradients, loss / parts, run.d_parameters, parts)
    # Gradients are summed over micro-batches first, so that accumulation costs one exchange between ranks.
    gradients = averaged(gradients, run.d_parameters, run)
    if is_measured(run):
        log(step, run, "d_grad_norm", gradient_norm(gradients))
    d_lr = rate(experiment.d_optimizer, run, own="d_updates")
    optimize(run.d_optimizer, d_lr, run.d_parameters, gradients)
    run.regularizer.constrain(run.discriminator)  # clips weights, for example: after the step, not in the loss
    if (probability := experiment.augmentation.probability_now(run.augmentation_state, run.counters)) is not None:
        value = probability if isinstance(probability, Tensor) else torch.full((), probability, device=run.device)
        run.meters.add("augmentation", value)
    run.counters.d_updates += 1
    run.counters.num_real += experiment.batch_size  # of all ranks together


def _discriminator_loss(step: UpdateDiscriminator, run: Run, count: int) -> Tensor:
    experiment, random = run.experiment, run.random["task"]
    # Reals before fakes: the order of the draws is part of a run's bits, and a class-conditional fake may take the
    # label of the real sample beside it.
    with run.autocast():
        real = experiment.task.real_view(run.next_batch(count), random)
        fake = make_fakes(step.fakes, run, real)
    # A sight is what the discriminator is shown of a sample: augmented, and beside its class or its noise.
    of_reals, of_fakes = run.sight(real.condition), run.sight(fake.condition)
    # Samples of earlier batches, for a loss that compares pairs of outputs; empty otherwise.
    earlier = () if run.earlier is None else run.earlier.of("discriminator", real.samples, fake.samples)
    # No weight enters the discriminator's loss: a scheme's weights act on the generator and on pushes alone.
    seen = of_reals(real.samples)
    loss, real_logits, fake_logits, features = run.passes.discriminator_loss(seen, of_fakes(fake.samples), earlier)
    if run.earlier is not None:
        run.earlier.keep("discriminator", real.samples, fake.samples)
    # An adaptive augmentation follows the discriminator's sign on reals, after this pass: it changes the next one.
    experiment.augmentation.observe(real_logits.detach(), run.augmentation_state, output_of(experiment.loss))
    log(step, run, "d_loss", loss)
    run.meters.add("d_real", real_logits)
    run.meters.add("d_fake", fake_logits)
    if not run.regularizer.has_terms:
        return loss
    of_real, of_fake = (earlier[:1], (real.samples,)) if earlier else ((), ())  # partners, where pairs are judged
    # Regularizers call the raw discriminator, outside of what may be recorded and of mixed precision: a penalty on an
    # input gradient differentiates twice, and loses that gradient's digits in bfloat16.
    context = Context(
        discriminator=lambda x: run.logits_of(x, (*of_real, *real.condition)),
        fake_discriminator=lambda x: run.logits_of(x, (*of_fake, *fake.condition)),
        real=real.samples,
        fake=fake.samples.to(real.samples.dtype),  # made in bfloat16 perhaps; lines to the reals are of their precision
        real_logits=real_logits,
        fake_logits=fake_logits,
        counters=run.counters,
        random=run.random["penalty"],
        latents=fake.latents,
        generate=lambda z: fake_again(run, fake.draws, z, fake.condition),
        network=run.network,
        player=run.discriminator,
        real_seen=seen[0],
        real_features=features,
        real_again=_again(run, of_reals, of_real),
        fake_again=_again(run, of_fakes, of_fake),
    )
    penalty = run.regularizer.discriminator_term(context, run.regularizer_state)
    if penalty is None:
        return loss
    run.meters.add("d_penalty", penalty)
    return loss + penalty


def _again(run: Run, sight: Sight, partners: tuple[Tensor, ...]) -> Again:
    """The discriminator on further samples that are augmented as those were that it saw by ``sight``."""

    def logits_of(samples: Tensor, change: Change = unchanged) -> Tensor:
        shown, condition = sight(samples, change)
        return run.discriminator(shown, *partners, *condition)

    return logits_of


def update_generator(step: UpdateGenerator, run: Run) -> None:
    """One optimizer step of the generator on fresh latents, through a frozen discriminator."""
    experiment, parts = run.experiment, run.experiment.accumulate
    count = run.ranks.share(experiment.generator_batch // parts)
    # Pushed samples belong to the generator as it was: the chain keeps a copy of it before this step changes it.
    # Under nested training no discriminator is stored, and this does nothing.
    run.chain.leave(run.generator)
    parameters = run.g_parameters + run.network_parameters  # one backward pass for both, an optimizer for each
    gradients: Gradients | None = None
    # Frozen, the discriminator passes gradients on to the samples, gathers none, and keeps its batch-norm statistics.
    with frozen(run.discriminator, keep_buffers=experiment.keep_d_buffers):
        for _ in range(parts):
            with run.drawing():
                loss = _generator_loss(step, run, count)
                gradients = accumulate(gradients, loss / parts, parameters, parts)
    gradients = averaged(gradients, parameters, run)
    own, networks = gradients[: len(run.g_parameters)], gradients[len(run.g_parameters) :]
    if is_measured(run):
        log(step, run, "g_grad_norm", gradient_norm(own))
    g_lr = rate(experiment.g_optimizer, run, own="g_updates")
    optimize_generator(step, run, run.g_optimizer, g_lr, own)
    if run.network_optimizer is not None:
        optimize(run.network_optimizer, g_lr, run.network_parameters, networks)
    run.counters.g_num_real += experiment.generator_reals


def _generator_loss(step: UpdateGenerator, run: Run, count: int) -> Tensor:
    experiment, real = run.experiment, None
    with run.autocast():
        if experiment.generator_reals:  # real images a step: 0 unless the loss compares fakes with reals
            real = experiment.task.real_view(run.next_batch(count), run.random["task"])
        # New latents in each of the j updates of level j (Algorithm 3); the discriminator's fakes are not used again.
        latents, condition = run.draw_input(count, real)
    # Kept so that a penalty in latent space can generate again with the same noise inside the network.
    draws = draws_of_fakes(run)
    earlier = () if run.earlier is None or real is None else run.earlier.of("generator", real.samples)
    # The whole path of a weight: `Nested` takes w[j] from its rule and yields UpdateGenerator(weight=w[j]). Here the
    # weight goes through `Passes.generator_loss`, unchanged, into `loss.generator(D(G(z)), weight=w[j])`, where
    # `losses.protocol.weighted` multiplies D's raw output by it or, with weight_on="loss", the loss. No learning
    # rate, optimizer or penalty reads it.
    loss, fake = run.passes.generator_loss(step.weight, latents, condition, real, earlier)
    if run.earlier is not None and real is not None:
        run.earlier.keep("generator", real.samples, fake)
    log(step, run, "g_loss", loss)
    if not run.regularizer.has_terms:
        return loss
    context = GeneratorContext(
        generate=lambda z: fake_again(run, draws, z, condition),
        latents=latents,
        fake=fake,
        counters=run.counters,
        random=run.random["penalty"],
        network=run.network,
        player=run.generator,
    )
    penalty = run.regularizer.generator_term(context, run.regularizer_state)
    if penalty is None:
        return loss
    run.meters.add("g_penalty", penalty)
    return loss + penalty


def _close_measured_round(run: Run) -> None:
    """Log how far the generator moved in the round just ended, per discriminator update."""
    # The cursor stands in the next round already.
    d_updates = sum(isinstance(step, UpdateDiscriminator) for step in run.experiment.scheme(run.cursor.round - 1))
    run.meters.add("g_step_per_d_update", torch.stack(run.round_steps).sum() / max(d_updates, 1))
    run.round_steps.clear()


def training_rows(
    run: Run, interrupted: Callable[[], bool] = lambda: False, enough: Callable[[], str | None] = lambda: None
) -> Iterator[Row]:
    """Step until the budget is reached, ``enough()`` or ``interrupted()``; yield log rows.

    They come every ``records.log_every`` real images, and at each of ``records.early_seconds``.
    Rows and budgets of a scheme that stores discriminators wait for the end of its round, where their chain is whole.
    The last row carries ``stopped``, the budget that was reached or what ``enough`` says. An interruption yields no
    row: everything pending stays in the run, so that a saved and resumed run writes the same rows as an undisturbed
    one.
    """
    budget, records = run.experiment.budget, run.experiment.records
    every, row_seconds = records.log_every, run.counters.seconds
    while (stopped := _ended(run, enough)) is None:
        if run.ranks.greatest(interrupted()):  # a signal to any rank ends all of them at the same step
            return
        # Both clocks stop at `yield`: what the caller measures, draws and saves is no training time.
        started, worked = perf_counter(), process_time()
        step, following = run.cursor.step, run.cursor.following
        with run.moving():
            apply(step, run)
        # EMA once for a run of generator steps: its half-life counts real images, which only D's updates advance.
        if isinstance(step, MOVES_GENERATOR) and not isinstance(following, MOVES_GENERATOR):
            run.update_average()
        if run.cursor.advance() and run.round_steps:
            _close_measured_round(run)
        # A multiple of `every` was passed: a batch may be larger than `every`, or no divisor of it.
        due = run.counters.num_real // every > run.logged_at // every
        if due and run.device.type == "cuda":
            torch.cuda.synchronize(run.device)  # what was given to the device is training's time, and not yet done
        took = perf_counter() - started
        run.pace.add(step, took)
        run.counters.seconds += took
        run.counters.cpu_seconds += process_time() - worked
        # Every rank is to find the budget reached, or a row due, at the same step.
        if budget.seconds is not None or records.early_seconds:
            run.counters.seconds = run.ranks.greatest(run.counters.seconds)
        if budget.cpu_seconds is not None:
            run.counters.cpu_seconds = run.ranks.greatest(run.counters.cpu_seconds)
        due = due or records.is_early(row_seconds, run.counters.seconds)
        if due and run.cursor.at_rest and budget.reached(run.counters) is None:  # else the last row has it all
            row_seconds = run.counters.seconds
            yield _row(run)
    if run.meters.values:
        yield _row(run) | {"stopped": stopped}


def _ended(run: Run, enough: Callable[[], str | None]) -> str | None:
    """Why the run ends before its next step, or None; every rank finds it at the same step."""
    if not run.cursor.at_rest:
        return None
    reached, why = run.experiment.budget.reached(run.counters), enough()
    if reached is None and run.ranks.greatest(why is not None):
        return why or "ended by another process"
    return reached


def _row(run: Run) -> Row:
    run.logged_at = run.counters.num_real
    row: dict[str, Any] = {**run.counters.as_dict(), "round": run.cursor.round}
    # The rates that the last steps were made with; functional gradients have an optimizer for each fit.
    g_optimizer = run.g_optimizer if run.fit is None else run.fit.optimizer
    row["d_lr"], row["g_lr"] = (optimizer.param_groups[0]["lr"] for optimizer in (run.d_optimizer, g_optimizer))
    return row | run.meters.read(run.ranks)
