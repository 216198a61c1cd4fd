"""Every refusal of an experiment whose parts do not go together, with the reason and what to use instead.

`check` is the one entry. It is called where processes start (with the machine), where a study takes its arms up (with
neither), and where a run has its data and players. What a single field may be is checked by its own dataclass.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from ganneal.data import Dataset
from ganneal.experiment import Experiment
from ganneal.losses import Loss, compares_pairs, output_of, views_of_discriminator, views_of_generator
from ganneal.losses.outputs import LOG_RATIO, UNKNOWN
from ganneal.models import MODELS, Model, ModelPair, Shape
from ganneal.models.fastgan import NoiseInjection
from ganneal.models.parts.checks import can_make
from ganneal.ranks import Ranks, joined
from ganneal.steps import (
    DrawPool,
    FitGenerator,
    Fresh,
    Pool,
    PushPool,
    Replay,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)


@dataclass(frozen=True)
class ThisMachine:
    """The devices here, and the processes that the environment has started."""


@dataclass(frozen=True)
class DataAndPlayers:
    """The data of an experiment and its players before normalization."""

    dataset: Dataset
    pair: ModelPair


DRAWING = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, NoiseInjection)
"""Layers that draw in training."""
Refusals = Iterator[str]
"""Why an experiment cannot be run; none where it can."""


def check(experiment: Experiment, met: ThisMachine | DataAndPlayers | None = None) -> None:
    """Refuse an ``experiment`` that cannot be right in itself, nor with what it has ``met``.

    Raises:
        ValueError: It cannot; the message says why and what to use.
    """
    found = [refusals(experiment) for refusals in OF_FIELDS]
    if isinstance(met, ThisMachine):
        found += [refusals(experiment) for refusals in OF_MACHINE]
    if isinstance(met, DataAndPlayers):
        found += [refusals(experiment, met) for refusals in OF_DATA_AND_PLAYERS]
    # Generators, read in order: the first refusal is told, and none after it need make sense.
    for refusal in chain.from_iterable(found):
        raise ValueError(refusal)


def built_players(experiment: Experiment, shape: Shape, num_classes: int) -> ModelPair:
    """The players of ``experiment`` for samples of ``shape``.

    Raises:
        ValueError: The model has none; where that is for the classes, the message names the models that take them.
    """
    model = experiment.model
    try:
        return model.build(shape, num_classes)
    except ValueError as error:
        # A model that has no players without classes either is refused for another reason: its own message stands.
        if not num_classes or can_make(model, shape, num_classes) or not can_make(model, shape):
            raise
        names = [name for name, other in MODELS.items() if can_make(other, shape, num_classes)]
        others = f"use one that does (--model {' | '.join(names)}), or t" if names else "t"
        raise ValueError(
            f"task {type(experiment.task).__name__} needs a model that takes classes, but {type(model).__name__} "
            f"takes no classes for samples of shape {shape}; {others}rain without classes (--task unconditional)."
        ) from error


# What the fields decide


def _batches(experiment: Experiment) -> Refusals:
    """Batches are cut into micro-batches and dealt to processes evenly."""
    # The mean of the parts' means is the mean over the batch only where all parts are equal.
    parts = experiment.accumulate * experiment.ranks
    for name, size in (("batch_size", experiment.batch_size), ("g_batch_size", experiment.generator_batch)):
        if size % experiment.accumulate:
            yield f"{name} must be a multiple of accumulate, got {size} and accumulate={experiment.accumulate}."
        if size % parts:
            yield (
                f"{name} counts the samples of all processes and must be a multiple of accumulate x devices x nodes "
                f"= {parts}, got {size}; use {size // parts * parts or parts}."
            )


def _pools(experiment: Experiment) -> Refusals:
    # Round 1: round 0 may begin with projections, as functional gradients do.
    for step in experiment.scheme(1):
        if isinstance(step, DrawPool) and step.size % experiment.ranks:
            yield (
                f"the pool's size must be a multiple of devices x nodes = {experiment.ranks}, got {step.size}; use "
                f"--scheme.pool-size {step.size // experiment.ranks * experiment.ranks or experiment.ranks}."
            )
        # A batch of fakes is taken from the pool without repetition.
        if isinstance(step, DrawPool) and step.size < experiment.batch_size:
            yield (
                f"pool_size must be at least batch_size={experiment.batch_size}, got {step.size}; use ten batches, "
                f"{10 * experiment.batch_size}."
            )


def _steps_that_are_made(experiment: Experiment) -> Refusals:
    """Options of steps that the scheme never makes."""
    # Refused, not ignored: whoever sets one of them believes that it acts.
    if experiment.divergence.on_diverge == "skip" and not experiment.makes(FitGenerator):
        yield (
            f"divergence.on_diverge 'skip' leaves out fits of the generator, but {experiment.scheme} has no fits; "
            "use 'stop' or 'warn', or a scheme such as 'cfg'."
        )
    if experiment.records.sampler == "pushed" and not experiment.makes(StoreDiscriminator):
        yield (
            "records.sampler must be 'generator' with a scheme that stores no discriminators, got 'pushed' with "
            f"{experiment.scheme}; use a scheme such as 'cfg', or leave it out."
        )
    if experiment.regularizer.needs_generator_updates and not experiment.makes(UpdateGenerator):
        yield (
            f"regularizer has a term of generator updates, but {type(experiment.scheme).__name__} has no generator "
            "updates. Use a scheme with them (--scheme nats), or leave the term out (Orthogonal: "
            "--regularizer.g-coefficient 0)."
        )


def _pushed_samples(experiment: Experiment) -> Refusals:
    """Samples that are pushed have no latents, no reals beside them, and a loss of their own."""
    steps, loss = list(experiment.scheme(1)), experiment.loss
    name = type(loss).__name__
    fresh = all(step.fakes == Fresh() for step in steps if isinstance(step, UpdateDiscriminator))
    if experiment.regularizer.needs_latents and not fresh:
        yield (
            "regularizer needs the latents of the discriminator's fakes, but pushed fakes have no latents; use a "
            "scheme with fresh fakes (--scheme cts or nats)."
        )
    if not any(_pushes(step) for step in steps):
        return
    if experiment.push.delta.reads_loss and loss.needs_real:
        yield (
            f"push.delta follows the generator's loss. The loss {name} compares fakes with reals, but a push has no "
            "reals; use --push.delta one."
        )
    # delta of a divergence is a function of e^D = p/q: of a hinge or Wasserstein output it would be any number.
    if getattr(experiment.push.delta, "reads_log_ratio", False) and output_of(loss) not in (LOG_RATIO, UNKNOWN):
        yield (
            f"push.delta reads the discriminator's output as a log ratio, but under the loss {name} it is none. Use "
            "--push.delta one, or a loss such as 'nonsaturating' or 'hybrid'."
        )


def _pushes(step: Step) -> bool:
    return isinstance(step, PushPool) or (isinstance(step, UpdateDiscriminator) and isinstance(step.fakes, Replay))


def _gradients_of_samples(experiment: Experiment) -> Refusals:
    """Gradients at single samples, and at samples between a real one and a fake."""
    if experiment.regularizer.per_sample_gradients and experiment.normalization.per_sample_gradients:
        yield (
            "regularizer penalises the discriminator's input gradient, but normalization divides by this gradient "
            "and bounds the slope already. Use one of the two."
        )
    # A point between two samples can have one label only.
    if experiment.regularizer.on_lines and not experiment.task.paired:
        yield (
            "regularizer mixes each real sample with a fake, but task.paired=False gives them different labels; use "
            "--task.paired, or a penalty at the reals alone (--regularizer r1)."
        )


def _signs_of_outputs(experiment: Experiment) -> Refusals:
    if getattr(experiment.augmentation, "reads_boundary", False) and output_of(experiment.loss).boundary is None:
        yield (
            "augmentation adapts to the sign of the discriminator's outputs on reals. This sign is meaningless under "
            f"the loss {type(experiment.loss).__name__}, where only differences of outputs matter. Use "
            "--augmentation.probability scheduled, or give --augmentation.probability.boundary."
        )


def _capture(experiment: Experiment) -> Refusals:
    """Refuse passes that cannot be recorded."""
    if experiment.capture == "none":
        return
    instead = "use capture='none'"
    if experiment.capture == "graph" and not experiment.device.startswith("cuda"):
        yield f"capture 'graph' needs device='cuda', got device={experiment.device!r}; {instead}, or 'compile'."
    # What compiles or records a pass differentiates it once; these outputs contain a derivative already.
    if experiment.normalization.per_sample_gradients:
        yield (
            f"capture cannot record second derivatives, which normalization {experiment.normalization} needs; "
            f"{instead}."
        )
    if _recomputes(experiment.model):
        yield f"capture keeps activations, but {experiment.model} recomputes them; {instead}."
    if experiment.ranks > 1 and _reads_other_ranks(experiment.loss):
        yield (
            f"capture with several processes needs a loss of single samples, but {experiment.loss} averages over all "
            f"{experiment.ranks}; {instead}, or one process."
        )


def _recomputes(family: Model | None) -> bool:
    """True if ``family``, or a family it is built from, recomputes activations in the backward pass."""
    parts = (getattr(family, player, None) for player in ("generator", "discriminator"))
    return getattr(family, "recompute", False) or any(_recomputes(part) for part in parts if part is not None)


class _Exchange(Exception):
    """A loss asked for what other ranks have."""


class _NotRecorded(Ranks):
    """Ranks of a recorded pass: they exchange nothing in it."""

    def mean(self, x: Tensor) -> Tensor:
        raise _Exchange

    gather = mean


def _reads_other_ranks(loss: Loss) -> bool:
    """True if ``loss`` reads values of other ranks, such as a mean. It is asked with outputs of two samples."""
    outputs = torch.zeros(2)
    # Found by trying, so that a loss of one's own need not declare it.
    try:
        with joined(_NotRecorded(0, 2)):
            loss.discriminator(*[outputs] * len(views_of_discriminator(loss)))
            loss.generator(*[outputs] * len(views_of_generator(loss)))
    except _Exchange:
        return True
    return False


def _kind_of_device(experiment: Experiment) -> Refusals:
    if experiment.ranks > 1 and experiment.device not in ("cpu", "cuda"):
        yield (
            f"device must be 'cpu' or 'cuda' for several processes, got {experiment.device!r}; choose among GPUs with "
            f"CUDA_VISIBLE_DEVICES."
        )


# What the machine decides


def _processes(experiment: Experiment) -> Refusals:
    """Processes that were started, or must be, in another number than the experiment has."""
    # Too many would each train the whole run by itself, and write into one directory.
    several, started = experiment.ranks > 1, os.environ.get("WORLD_SIZE", "1")
    # Without several, the same names may be anybody's: a cluster sets RANK and WORLD_SIZE for jobs of one process too.
    launcher = "RANK" if several else "TORCHELASTIC_RUN_ID"
    if launcher in os.environ and int(started) != experiment.ranks:
        yield (
            f"devices x nodes must be the number of processes that torchrun has started, {started}, got "
            f"{experiment.ranks}; use --devices {os.environ.get('LOCAL_WORLD_SIZE', started)}, with --nodes for "
            f"several machines."
        )
    elif several and "RANK" not in os.environ and experiment.nodes > 1:
        yield (
            f"nodes above 1 need processes that torchrun starts on every machine, got nodes={experiment.nodes} "
            f"without torchrun. Use torchrun --nnodes {experiment.nodes} --nproc-per-node {experiment.devices} -m "
            "ganneal.cli train ..., or --nodes 1."
        )
    elif several and "RANK" not in os.environ and int(os.environ.get("SLURM_NTASKS", "1")) > 1:
        yield (
            f"devices must be started once, but SLURM runs this command in {os.environ['SLURM_NTASKS']} tasks. Use "
            f"one task per machine, and srun torchrun --nproc-per-node {experiment.devices} -m ganneal.cli train ..."
        )
    elif several and "RANK" not in os.environ and not _has_a_program():
        yield (
            f"devices must be 1 in a notebook or an interactive session, got {experiment.devices}: each process runs "
            f"the program from its beginning. Use `ganneal train`, or a script."
        )


def _has_a_program() -> bool:
    """True if this process runs a file, or the text after ``-c``, that can be run again."""
    return hasattr(sys.modules["__main__"], "__file__") or sys.argv[:1] == ["-c"]


def _devices(experiment: Experiment) -> Refusals:
    if experiment.ranks == 1:
        device_named(experiment.device)  # raises by itself
    elif experiment.device == "cuda" and torch.cuda.device_count() < experiment.devices:
        yield (
            f"devices must be at most the GPUs of this machine, {torch.cuda.device_count()}, got {experiment.devices}; "
            f"use --device cpu, or fewer."
        )


def device_named(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: torch has none here.
    """
    try:
        device = torch.device(name)
        torch.Generator(device)  # asks for the device itself: torch.device takes the name of one that is not here
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise ValueError(f"device must be one that torch has here, as 'cpu', got {name!r} ({reason}).") from error
    return device


# What data and players decide


def _data(experiment: Experiment, met: DataAndPlayers) -> Refusals:
    # The endless stream would give it all the same, with some samples twice in every batch.
    if len(met.dataset) < experiment.batch_size:
        yield (
            f"batch_size must not exceed the data, got {experiment.batch_size} with {len(met.dataset)} samples; "
            f"lower batch_size or add data."
        )
    experiment.augmentation.check(met.dataset.shape)
    if experiment.records.classes == "uniform" and not met.pair.num_classes:
        yield "records.classes must be 'data' for a run without classes, got 'uniform'; leave it out."
    from_pool = any(isinstance(s, UpdateDiscriminator) and s.fakes == Pool() for s in experiment.scheme(0))
    if experiment.regularizer.on_lines and met.pair.num_classes and from_pool:
        yield (
            "regularizer mixes each real sample with a fake of the same label, but fakes of a pool keep their own "
            "labels. Use --scheme.fakes replay, or a penalty at the reals alone (--regularizer r1)."
        )


def _times(experiment: Experiment, met: DataAndPlayers) -> Refusals:
    """A task of several noise levels and players that take one go together."""
    # DDGAN's players are G(z, t, x_{t+1}) and D(x_t, t, x_{t+1}); all others take samples, and labels perhaps.
    task, model = type(experiment.task).__name__, type(experiment.model).__name__
    if experiment.task.denoises and not met.pair.denoises:
        yield (
            f"task {task} needs players that take a time and a noisier sample, but {model} has none. Use the model "
            "'ddgan' for images, 'denoising-mlp' for points, or the task 'unconditional'."
        )
    if met.pair.denoises and not experiment.task.denoises:
        yield (
            f"model {model} takes a time and a noisier sample, but the task {task} gives neither; use the task "
            "'denoising', or another model."
        )
    if experiment.task.denoises and experiment.makes(DrawPool, StoreDiscriminator):
        yield (
            f"scheme pushes finished samples by discriminators, but those of the task {task} judge one step of a "
            "diffusion. Use a scheme such as cts or nats (--scheme cts)."
        )


def _pairs(experiment: Experiment, met: DataAndPlayers) -> Refusals:
    """A loss of pairs and a discriminator of pairs go together."""
    loss, model = type(experiment.loss).__name__, type(experiment.model).__name__
    if compares_pairs(experiment.loss) and not met.pair.compares_pairs:
        yield (
            f"loss {loss} compares pairs of samples, but the discriminator of {model} judges single samples; use the "
            "model 'relation' (--model relation), or another loss."
        )
    if not met.pair.compares_pairs:
        return
    if not compares_pairs(experiment.loss):
        yield (
            f"model {model} has a discriminator of pairs, but the loss {loss} judges single samples; use the loss "
            "'triplet' (--loss triplet), or another model."
        )
    if experiment.makes(DrawPool, StoreDiscriminator):
        yield (
            f"scheme pushes single samples, but the discriminator of {model} judges pairs; use a scheme such as cts "
            "or nats (--scheme cts)."
        )
    if experiment.ranks > 1:
        yield (
            f"loss {loss} compares with the previous batch, which is kept in one process only, got devices x nodes = "
            f"{experiment.ranks}; use --devices 1."
        )


def _samples_compared(experiment: Experiment, met: DataAndPlayers) -> Refusals:
    """A discriminator that compares the samples of a batch needs whole groups of them."""
    # Minibatch deviation compares a sample with others of its group: a part of a group would see other statistics.
    together, parts = met.pair.judged_together, experiment.accumulate * experiment.ranks
    for name, size in (("batch_size", experiment.batch_size), ("g_batch_size", experiment.generator_batch)):
        count = size // parts
        if count % min(count, together):
            yield (
                f"{name} must be below {together} or a multiple of it, for each accumulated part of each process, "
                f"got {count}. The discriminator of {type(experiment.model).__name__} compares {together} samples "
                f"with each other. Use {(count // together + 1) * together * parts}."
            )


def _batch_norm(experiment: Experiment, met: DataAndPlayers) -> Refusals:
    # Under batch norm the gradient of the summed outputs in one sample has parts from the outputs of all others.
    mixes = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in met.pair.discriminator.modules())
    for name, part in (("regularizer", experiment.regularizer), ("normalization", experiment.normalization)):
        if part.per_sample_gradients and mixes:
            yield (
                f"{name} needs the discriminator's gradient sample by sample, but its batch norm mixes the samples. "
                "Use another norm there: for DCGAN d_norm='layer', 'instance' or 'none' (--model.d-norm layer)."
            )


def _network_of_regularizer(experiment: Experiment, met: DataAndPlayers) -> Refusals:
    # It would stay as it was drawn, and the term that reads it would mean nothing.
    if not experiment.makes(UpdateGenerator) and experiment.regularizer.build(met.pair) is not None:
        yield (
            f"regularizer has a network that learns in generator updates, but {type(experiment.scheme).__name__} has "
            "no generator updates. Use a scheme with them (--scheme nats), or another regularizer."
        )


def _draws_of_layers(experiment: Experiment, met: DataAndPlayers) -> Refusals:
    # Ranks draw as one process by looking at each call as it is made (`GlobalDraws`); a recording replays past it.
    if experiment.capture == "none" or experiment.ranks == 1:
        return
    for layer in (*met.pair.generator.modules(), *met.pair.discriminator.modules()):
        if isinstance(layer, DRAWING):
            yield (
                f"capture with several processes cannot record a layer that draws random numbers, got {layer}; use "
                "capture='none'."
            )


OF_FIELDS: tuple[Callable[[Experiment], Refusals], ...] = (
    _batches,
    _pools,
    _steps_that_are_made,
    _pushed_samples,
    _gradients_of_samples,
    _signs_of_outputs,
    _capture,
    _kind_of_device,
)
OF_MACHINE: tuple[Callable[[Experiment], Refusals], ...] = (_processes, _devices)
OF_DATA_AND_PLAYERS: tuple[Callable[[Experiment, DataAndPlayers], Refusals], ...] = (
    _data,
    _times,
    _pairs,
    _samples_compared,
    _batch_norm,
    _network_of_regularizer,
    _draws_of_layers,
)
