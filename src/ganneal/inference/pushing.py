"""Generators followed by the pushes of stored discriminators: what only they need is imported here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ganneal.augment import AUGMENTATIONS, PROBABILITIES, Augmentation
from ganneal.chain import Chain, OutputsOf
from ganneal.clocks import Counters
from ganneal.inference.generator import TrainedGenerator
from ganneal.inference.trained_run import TrainedRun
from ganneal.losses import EVERY_LOSS, MONOTONE
from ganneal.models import ModelPair
from ganneal.normalization import NORMALIZATIONS
from ganneal.optim import LR_RULES
from ganneal.push import DELTAS, Push
from ganneal.storage.weight_files import StateDict
from ganneal.task import TASKS, Condition


@dataclass
class ChainPushes:
    """The pushes of a chain of stored discriminators, as in training, after the generator it was stored behind.

    The discriminators see augmented samples where they did in training.
    """

    chain: Chain
    augmentation: Augmentation
    state: dict[str, Any]
    counters: Counters

    @property
    def count(self) -> int:
        """Pushes of each sample."""
        return len(self.chain.stored)

    @property
    def chunk(self) -> int:
        """Samples pushed together, as many as in training: batch norm in a discriminator depends on them."""
        return self.chain.chunk

    def __call__(self, samples: Tensor, condition: Condition, random: torch.Generator) -> Tensor:
        """``samples`` of the generator after every push."""
        return self.chain.finish(samples, condition, self._outputs_of(random))

    def trail(self, samples: Tensor, condition: Condition, random: torch.Generator) -> list[tuple[float, Tensor]]:
        """The size of each push, with ``samples`` after it."""
        found = self.chain.trail(samples, condition, self._outputs_of(random))
        return [(stored.step_size, moved) for stored, moved in found]

    def _outputs_of(self, random: torch.Generator) -> OutputsOf:
        def outputs_of(discriminator: nn.Module, points: Tensor, given: Condition) -> Tensor:
            # In float32 whatever training's precision was: a generator from disk knows no mixed precision.
            return discriminator(self.augmentation(points, random, self.state, self.counters), *given)

        return outputs_of


def followed(run: TrainedRun) -> TrainedGenerator:
    """The generator of ``run`` as trained, followed by the pushes of its stored discriminators.

    Raises:
        ValueError: The run stored no discriminators.
    """
    if not run.card.get("pushes"):
        raise ValueError(
            f"sampler 'pushed' needs stored discriminators, and the run at {run.path} has none; use "
            "sampler='generator', or a scheme such as 'cfg'."
        )
    # All of them in one file, their names begun by the level: "3.layers.0.weight".
    weights = run.weights("stored-discriminators")

    def own(level: int) -> StateDict:
        return {k.removeprefix(f"{level}."): v for k, v in weights.items() if k.startswith(f"{level}.")}

    # JSON turns the levels into text.
    sizes = {int(level): step_size for level, step_size in run.card["pushes"].items()}
    return _with_pushes(run, "generator-pushed", sizes, own)


def probed(run: TrainedRun, count: int, step_size: float) -> TrainedGenerator:
    """The generator of ``run`` as trained, followed by ``count`` pushes of the discriminator it has now."""
    weights = run.weights("discriminator")  # one for every level: where D as it is now would take the samples
    return _with_pushes(run, "generator-raw", dict.fromkeys(range(1, count + 1), step_size), lambda _: weights)


def _with_pushes(
    run: TrainedRun, generator: str, sizes: Mapping[int, float], discriminator: Callable[[int], StateDict]
) -> TrainedGenerator:
    pair = run.pair(generator)
    for player in (pair.generator, pair.discriminator):  # as in training, for the same bits
        player.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pair.generator.load_state_dict(run.weights(generator))
    augmentation = run.part("augmentation", (AUGMENTATIONS, PROBABILITIES, LR_RULES))
    pushes = ChainPushes(
        _chain(run, pair, sizes, discriminator),
        augmentation,
        # An adaptive augmentation goes on with the probability that training had come to.
        run.card.get("augmentation_state", augmentation.init_state()),
        Counters(**run.card["counters"]),
    )
    return TrainedGenerator(pair.generator, pair, run.part("task", (TASKS,)), run.card, pushes)


def _chain(run: TrainedRun, pair: ModelPair, sizes: Mapping[int, float], weights: Callable[[int], StateDict]) -> Chain:
    experiment = run.card["experiment"]
    # A spectral norm draws its first vector; loading must leave the caller's random numbers as they were.
    with torch.random.fork_rng(devices=[]):
        discriminator = run.part("normalization", (NORMALIZATIONS,)).apply(pair.discriminator)
    # What one process saw at once: a batch is dealt to processes and cut into micro-batches.
    processes = experiment.get("devices", 1) * experiment.get("nodes", 1)
    # A push saw this many samples at once in training, and batch norm in a discriminator depends on them.
    together = experiment["batch_size"] // (experiment["accumulate"] * processes)
    push = run.part("push", ({"": Push()}, DELTAS))
    chain = Chain(push, run.part("loss", (EVERY_LOSS, MONOTONE)), together)
    for level, step_size in sizes.items():
        chain.store(level, discriminator, step_size)
        chain.stored[level].discriminator.load_state_dict(weights(level))
    return chain
