"""Combinations of parts that cannot be right, refused with the reason before anything is trained."""

import torch
from torch import Tensor, nn

from ganneal.experiment import Experiment
from ganneal.losses import Loss, compares_pairs, output_of, views_of_discriminator, views_of_generator
from ganneal.losses.outputs import LOG_RATIO, UNKNOWN
from ganneal.models import MODELS, ModelPair, Shape
from ganneal.models.parts.checks import can_make
from ganneal.ranks import Ranks, joined
from ganneal.steps import (
    DrawPool,
    Fresh,
    Pool,
    PushPool,
    Replay,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)


def built_players(experiment: Experiment, shape: Shape, num_classes: int) -> ModelPair:
    """The players of ``experiment`` for samples of ``shape``.

    Raises:
        ValueError: The model has none; where that is for the classes, the message names the models that take them.
    """
    model = experiment.model
    try:
        return model.build(shape, num_classes)
    except ValueError as error:
        if not num_classes or can_make(model, shape, num_classes) or not can_make(model, shape):
            raise
        names = [name for name, other in MODELS.items() if can_make(other, shape, num_classes)]
        others = f"use one that does (--model {' | '.join(names)}), or t" if names else "t"
        raise ValueError(
            f"task {type(experiment.task).__name__} needs a model that takes classes, and {type(model).__name__} takes "
            f"none for samples of shape {shape}; {others}rain without classes (--task unconditional)."
        ) from error


def check_players(experiment: Experiment, pair: ModelPair) -> None:
    """Refuse players that the task, the scheme or the batches of ``experiment`` do not suit.

    Raises:
        ValueError: They do not; the message says why and what to use.
    """
    task, model = type(experiment.task).__name__, type(experiment.model).__name__
    if experiment.task.denoises and not pair.denoises:
        raise ValueError(
            f"task {task} needs players that take a time and a noisier sample, and those of {model} do not; use the "
            f"model 'ddgan' for images, 'denoising-mlp' for points, or the task 'unconditional'."
        )
    if pair.denoises and not experiment.task.denoises:
        raise ValueError(
            f"model {model} takes a time and a noisier sample, which the task {task} does not give; use the task "
            f"'denoising', or another model."
        )
    if experiment.task.denoises and any(
        isinstance(step, DrawPool | StoreDiscriminator) for step in experiment.scheme(0)
    ):
        raise ValueError(
            f"scheme pushes finished samples by discriminators, and those of the task {task} judge one step of a "
            f"diffusion; use a scheme as Alternating or Nested."
        )
    _check_pairs(experiment, pair)
    for name, size in (("batch_size", experiment.batch_size), ("g_batch_size", experiment.generator_batch)):
        parts = experiment.accumulate * experiment.ranks
        count = size // parts
        if count % min(count, pair.judged_together):
            raise ValueError(
                f"{name} must be below {pair.judged_together} or a multiple of it for each of the accumulated parts of "
                f"each process, for the discriminator of {model} compares so many samples, got {count}; use "
                f"{(count // pair.judged_together + 1) * pair.judged_together * parts}."
            )


def _check_pairs(experiment: Experiment, pair: ModelPair) -> None:
    """Refuse a loss of pairs with a discriminator of single samples, and the other way round."""
    loss, model = type(experiment.loss).__name__, type(experiment.model).__name__
    if compares_pairs(experiment.loss) and not pair.compares_pairs:
        raise ValueError(
            f"loss {loss} compares pairs of samples, and the discriminator of {model} judges single ones; use the "
            f"model 'relation' (--model relation), or another loss."
        )
    if not pair.compares_pairs:
        return
    if not compares_pairs(experiment.loss):
        raise ValueError(
            f"model {model} has a discriminator of pairs, and the loss {loss} judges single samples; use the loss "
            f"'triplet' (--loss triplet), or another model."
        )
    if any(isinstance(step, DrawPool | StoreDiscriminator) for step in experiment.scheme(0)):
        raise ValueError(
            f"scheme pushes single samples, and the discriminator of {model} judges pairs; use a scheme as Alternating "
            f"or Nested."
        )
    if experiment.ranks > 1:
        raise ValueError(
            f"loss {loss} compares with the batch before, which is kept in one process, got devices x nodes = "
            f"{experiment.ranks}; use --devices 1."
        )


def check_combination(
    experiment: Experiment, discriminator: nn.Module, shape: tuple[int, ...], num_classes: int = 0
) -> None:
    """Refuse parts of ``experiment`` that contradict each other for this ``discriminator`` and samples of ``shape``.

    Raises:
        ValueError: They do; the message says why and what to use.
    """
    regularizer, normalization = experiment.regularizer, experiment.normalization
    batch_norms = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules())
    for name, part in (("regularizer", regularizer), ("normalization", normalization)):
        if part.per_sample_gradients and batch_norms:
            raise ValueError(
                f"{name} takes the discriminator's gradient sample by sample, and batch norm in it mixes the samples; "
                f"use another norm there, with DCGAN d_norm='layer', 'instance' or 'none' (--model.d-norm layer)."
            )
    if regularizer.per_sample_gradients and normalization.per_sample_gradients:
        raise ValueError(
            "regularizer penalises the discriminator's input gradient, and normalization divides by it: its slope is "
            "bounded already, and the penalty would need third derivatives; use one of the two."
        )
    if regularizer.needs_generator_updates and not _updates_generator(experiment):
        raise ValueError(
            f"regularizer has a term of generator updates, and {type(experiment.scheme).__name__} has none; use a "
            f"scheme that has them (--scheme nats), or leave the term out (Orthogonal: --regularizer.g-coefficient 0)."
        )
    if experiment.records.classes == "uniform" and not num_classes:
        raise ValueError("records.classes must be 'data' for a run without classes, got 'uniform'; leave it out.")
    experiment.augmentation.check(shape)
    _check_readings(experiment)
    _check_pool(experiment, num_classes)


def _check_readings(experiment: Experiment) -> None:
    """Refuse parts that read the discriminator's output as a number that the loss does not make of it."""
    loss, output = type(experiment.loss).__name__, output_of(experiment.loss)
    if getattr(experiment.augmentation, "reads_boundary", False) and output.boundary is None:
        raise ValueError(
            f"augmentation adapts to the sign of the discriminator's outputs on reals, which says nothing under the "
            f"loss {loss}, where only differences of outputs matter; use --augmentation.probability scheduled, or "
            f"give --augmentation.probability.boundary."
        )
    pushes = any(_pushes(step) for step in experiment.scheme(1))
    if pushes and getattr(experiment.push.delta, "reads_log_ratio", False) and output not in (LOG_RATIO, UNKNOWN):
        raise ValueError(
            f"push.delta reads the discriminator's output as a log ratio, which it is not under the loss {loss}; use "
            f"--push.delta one, or a loss as 'nonsaturating' or 'hybrid'."
        )


def check_network(experiment: Experiment, network: nn.Module | None) -> None:
    """Refuse a regularizer's own ``network`` where nothing would train it.

    Raises:
        ValueError: The scheme has no generator updates.
    """
    if network is not None and not _updates_generator(experiment):
        raise ValueError(
            f"regularizer has a network that learns in generator updates, and {type(experiment.scheme).__name__} has "
            f"none; use a scheme that has them (--scheme nats), or another regularizer."
        )


def _updates_generator(experiment: Experiment) -> bool:
    return any(isinstance(step, UpdateGenerator) for step in experiment.scheme(0))


def _check_pool(experiment: Experiment, num_classes: int) -> None:
    """Refuse what the pushes or the pool of the scheme cannot do."""
    steps = list(experiment.scheme(0))
    size = min((step.size for step in steps if isinstance(step, DrawPool)), default=experiment.batch_size)
    if size < experiment.batch_size:
        raise ValueError(
            f"pool_size must be at least batch_size={experiment.batch_size}, got {size}; use ten batches, "
            f"{10 * experiment.batch_size}."
        )
    fresh = all(step.fakes == Fresh() for step in steps if isinstance(step, UpdateDiscriminator))
    if experiment.regularizer.needs_latents and not fresh:
        raise ValueError(
            "regularizer needs the latents of the discriminator's fakes, and pushed ones are not the generator's; use "
            "a scheme with fresh fakes (--scheme cts or nats)."
        )
    loss = experiment.loss
    if experiment.push.delta.reads_loss and loss.needs_real and any(_pushes(step) for step in steps):
        raise ValueError(
            f"push.delta follows the generator's loss, and that of {type(loss).__name__} judges fakes against reals, "
            f"which a push has not; use --push.delta one."
        )
    from_pool = any(isinstance(step, UpdateDiscriminator) and step.fakes == Pool() for step in steps)
    if experiment.regularizer.on_lines and num_classes and from_pool:
        raise ValueError(
            "regularizer mixes each real sample with a fake, and fakes of a pool keep labels of their own; use "
            "--scheme.fakes replay, or a penalty at the reals alone (--regularizer r1)."
        )


def _pushes(step: Step) -> bool:
    return isinstance(step, PushPool) or (isinstance(step, UpdateDiscriminator) and isinstance(step.fakes, Replay))


class _Exchange(Exception):
    """A loss asked for what other ranks have."""


class _NotRecorded(Ranks):
    """Ranks of a recorded pass: they exchange nothing in it."""

    def mean(self, x: Tensor) -> Tensor:
        raise _Exchange

    gather = mean


def check_capture(experiment: Experiment) -> None:
    """Refuse what cannot be recorded.

    Raises:
        ValueError: ``capture`` asks for it.
    """
    if experiment.capture == "none":
        return
    instead = "use capture='none'"
    if experiment.capture == "graph" and not experiment.device.startswith("cuda"):
        raise ValueError(
            f"capture 'graph' needs device='cuda', got device={experiment.device!r}; {instead}, or 'compile'."
        )
    if experiment.normalization.per_sample_gradients:
        raise ValueError(
            f"capture holds no second derivatives, which normalization {experiment.normalization} needs; {instead}."
        )
    families = (
        experiment.model,
        *(getattr(experiment.model, player, None) for player in ("generator", "discriminator")),
    )
    if any(getattr(family, "recompute", False) for family in families):
        raise ValueError(f"capture keeps activations, got {experiment.model} with recompute=True; {instead}.")
    if experiment.ranks > 1 and _reads_other_ranks(experiment.loss):
        raise ValueError(
            f"capture with several processes holds losses of single samples, got {experiment.loss}, which averages "
            f"over all {experiment.ranks}; {instead}, or one process."
        )


def _reads_other_ranks(loss: Loss) -> bool:
    """Whether ``loss`` takes a mean over ranks, or what others have: it is asked with outputs of two samples."""
    outputs = torch.zeros(2)
    try:
        with joined(_NotRecorded(0, 2)):
            loss.discriminator(*[outputs] * len(views_of_discriminator(loss)))
            loss.generator(*[outputs] * len(views_of_generator(loss)))
    except _Exchange:
        return True
    return False
