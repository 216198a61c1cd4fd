"""The only mutable state of training: players, optimizers, average, generators, positions and counters."""

import zlib
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from ganneal.augment import Unchanged
from ganneal.chain import Chain, PoolFit, SamplePool
from ganneal.checks import DataAndPlayers, built_players, check, device_named
from ganneal.clocks import Counters
from ganneal.data import Batch, Dataset, Sampler
from ganneal.data.classes import class_counts, populated
from ganneal.engine.capture import passes_of
from ganneal.engine.pace import Pace
from ganneal.engine.passes import EarlierBatches, Sight
from ganneal.experiment import Experiment
from ganneal.inference.generator import Pushes, TrainedGenerator
from ganneal.inference.pushing import ChainPushes
from ganneal.losses import compares_pairs
from ganneal.models.parts.batch_norm import batch_norms
from ganneal.optim import average_
from ganneal.randomness import OF_SAMPLES, RANDOM_STREAMS, derive_seed, random_stream, unnamed_draws
from ganneal.ranks import ALONE, GlobalDraws, Ranks, joined
from ganneal.regularizers.reconstruction import with_own_term
from ganneal.schemes import Scheme
from ganneal.steps import Step, StoreDiscriminator
from ganneal.task import Condition, RealView


class Cursor:
    """Position of a run in its scheme: ``index`` steps of ``round`` are done."""

    def __init__(self, scheme: Scheme):
        self.scheme = scheme
        self.seek(0, 0)

    def seek(self, round: int, index: int) -> None:
        """Go to a step."""
        # Two numbers are the whole place of a run in its scheme: a scheme is a function of the round alone.
        self.round, self.index = round, index
        self._steps = self._round(round)
        self.levels = max(step.level for step in self._steps)
        self._stores = any(isinstance(step, StoreDiscriminator) for step in self._steps)

    def _round(self, round: int) -> list[Step]:
        steps = list(self.scheme(round))
        if not steps:
            raise ValueError(
                f"scheme must yield at least one step a round, got none in round {round} of {self.scheme}."
            )
        return steps

    @property
    def step(self) -> Step:
        """The step to make now."""
        return self._steps[self.index]

    @property
    def following(self) -> Step:
        """The step after it, of the next round where this one ends."""
        if self.index + 1 < len(self._steps):
            return self._steps[self.index + 1]
        # Across rounds: a run of generator steps that goes on in the next round is averaged once, where it ends.
        return self._round(self.round + 1)[0]

    @property
    def at_rest(self) -> bool:
        """True if no chain of stored discriminators is under way: at any step of most schemes, else between rounds."""
        return self.index == 0 or not self._stores

    def advance(self) -> bool:
        """The step has been made; True when it was the last of its round."""
        self.index += 1
        if self.index < len(self._steps):
            return False
        self.seek(self.round + 1, 0)
        return True


class Meters:
    """Detached values between two log rows, kept without reading them; read once, at the row."""

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, name: str, value: Tensor) -> None:
        """Keep ``value``, of any shape."""
        self.values[name].append(value.detach())

    def read(self, ranks: Ranks = ALONE) -> dict[str, float]:
        """The mean of everything under each name since the last reading, over all ``ranks``."""
        # Values of a batch and means of one may stand under a name; each number counts once. `item` waits for the
        # device, here and nowhere else between two rows.
        means = {
            name: torch.cat([v.flatten() for v in kept]).float().mean().item() for name, kept in self.values.items()
        }
        self.values.clear()
        return dict(zip(means, ranks.averages(list(means.values())), strict=True))

    def gather(self, ranks: Ranks) -> None:
        """Keep what one process would have: values of samples from all ``ranks``, means averaged over them."""
        for kept in self.values.values():
            kept[:] = [ranks.gather(value) if value.dim() else ranks.mean(value) for value in kept]

    def deal(self, ranks: Ranks) -> None:
        """The part of this rank of what `gather` gave."""
        for kept in self.values.values():
            kept[:] = [value.tensor_split(ranks.count)[ranks.rank] if value.dim() else value for value in kept]


def channels_last(samples: Tensor) -> Tensor:
    """Images in the memory order of the players, whose convolutions would otherwise reorder them; points unchanged."""
    return samples.contiguous(memory_format=torch.channels_last) if samples.dim() == 4 else samples


class Run:
    """One training run in memory; a directory on disk mirrors it (`storage.run_directory.RunDirectory`).

    Nothing but the engine changes it.
    """

    def __init__(self, experiment: Experiment, dataset: Dataset | None = None, ranks: Ranks = ALONE):
        if experiment.threads is not None:  # first, as sums over threads decide the bits of everything that follows
            torch.set_num_threads(experiment.threads)
        self.experiment = experiment
        self.ranks = ranks
        self.device = ranks.device or device_named(experiment.device)
        dataset = populated(experiment.data.load() if dataset is None else dataset)
        self.data = Sampler(
            dataset,
            derive_seed(experiment.seed, "data"),
            experiment.flip,
            self.device,
            flip_vertical=experiment.flip_vertical,
            translate=experiment.translate,
        )
        self.data_position = 0
        self._build(dataset)
        self.average = deepcopy(self.generator).requires_grad_(False).eval()
        self.averaged_at = 0  # in real images, as the half-life
        # Without those of a pretrained part that its model freezes.
        self.d_parameters = [p for p in self.discriminator.parameters() if p.requires_grad]
        self.g_parameters = [p for p in self.generator.parameters() if p.requires_grad]
        self.d_optimizer = experiment.d_optimizer.build(self.d_parameters)
        self.g_optimizer = experiment.g_optimizer.build(self.g_parameters)
        self.network_parameters = [] if self.network is None else list(self.network.parameters())
        self.network_optimizer = None if self.network is None else experiment.g_optimizer.build(self.network_parameters)
        self.regularizer_state = self._placed(self.regularizer.init_state())
        self.augmentation_state = self._placed(experiment.augmentation.init_state())
        self.random = {name: random_stream(experiment.seed, name, self.device) for name in RANDOM_STREAMS}
        self.passes = passes_of(experiment, self.pair, self.random["task"], self.sight)
        # Samples that one discriminator sees at once: batch norm in it makes a push depend on them.
        together = ranks.share(experiment.batch_size // experiment.accumulate)
        self.chain = Chain(experiment.push, experiment.loss, together)
        self.pool: SamplePool | None = None
        self.fit: PoolFit | None = None
        """Fit of the generator to the present pool."""
        self.cursor = Cursor(experiment.scheme)
        self.counters = Counters()
        self.meters = Meters()
        self.earlier = EarlierBatches() if compares_pairs(experiment.loss) else None
        """Batches of the moves before, where the loss compares with them."""
        self.round_steps: list[Tensor] = []
        """Lengths of the generator's steps in the present round, where they are measured."""
        self.logged_at = 0
        self.pace = Pace(experiment.scheme)
        """The speed of this process's moves; no part of the state."""

    def _build(self, dataset: Dataset) -> None:
        """Both players, the regularizer and its network, for samples and classes as those of ``dataset``."""
        experiment = self.experiment
        # Layers draw their initial weights from torch's own generator; the caller's numbers stay as they were.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(experiment.seed, "initial weights"))
            self.pair = built_players(experiment, dataset.shape, experiment.task.num_classes(dataset))
            check(experiment, DataAndPlayers(dataset, self.pair))
            self.pair.load_files()
            # Seeded anew, so that a spectral norm's first u does not depend on how many numbers the players drew.
            torch.manual_seed(derive_seed(experiment.seed, "initial normalization and regularizer"))
            self.pair.discriminator = experiment.normalization.apply(self.discriminator)
            self.regularizer = with_own_term(experiment.regularizer, self.discriminator)
            self.network = self.regularizer.build(self.pair)
        # Players are built on the CPU and moved after, so that a seed gives the same weights on every device.
        for module in self.modules:  # channels last: convolutions are faster in every precision
            module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def generator(self) -> nn.Module:
        """The player that makes samples, as it is trained; `average` is the one to sample from."""
        return self.pair.generator

    @property
    def discriminator(self) -> nn.Module:
        """The player that judges them."""
        return self.pair.discriminator

    @property
    def modules(self) -> list[nn.Module]:
        """Everything that is trained: both players, and the regularizer's own network where it has one."""
        return [self.generator, self.discriminator, *([] if self.network is None else [self.network])]

    def logits_of(self, samples: Tensor, condition: Condition) -> Tensor:
        """The discriminator's raw outputs in training, for what differentiates them twice: on augmented ``samples``."""
        # Augmented anew, unlike `Context.real_again`: a penalty's points are samples of their own.
        shown, given = self.sight(condition)(samples)
        return self.discriminator(shown, *given)

    def sight(self, condition: Condition) -> Sight:
        """The view that a discriminator has, in training, of samples under ``condition``."""
        random = None if isinstance(self.experiment.augmentation, Unchanged) else self.random["augmentation"]
        return Sight(self.experiment.task, self.augmented, random, condition)

    def augmented(self, samples: Tensor) -> Tensor:
        """``samples`` as a discriminator sees them in training."""
        change, random = self.experiment.augmentation, self.random["augmentation"]
        # bfloat16 has 8 bits: interpolated pixels and sums of colours would lose what an 8-bit image has.
        with self.full_precision():
            return change(samples, random, self.augmentation_state, self.counters)

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of one move's forward passes."""
        if self.experiment.precision == "bf16":
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return nullcontext()

    def full_precision(self) -> AbstractContextManager[Any]:
        """Out of `autocast` inside it."""
        if self.experiment.precision == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, enabled=False)

    def next_batch(self, count: int) -> Batch:
        """This rank's ``count`` of the next samples of the data stream, from which every rank takes as many."""
        ranks = self.ranks
        batch = self.data.batch(self.data_position, count * ranks.count, rank=ranks.rank, ranks=ranks.count)
        self.data_position += count * ranks.count  # of the global batch, so that a run may resume on other ranks
        return batch._replace(samples=channels_last(batch.samples))

    @contextmanager
    def moving(self) -> Iterator[None]:
        """A move of the game: unnamed draws are the players' stream, and ranks compute as one process."""
        with unnamed_draws(self.random["players"]), joined(self.ranks):
            yield

    def drawing(self) -> AbstractContextManager[Any]:
        """For what draws in a move, backward passes that repeat a forward one too: ranks draw as one process."""
        if self.ranks.count == 1:
            return nullcontext()
        return GlobalDraws(self.ranks, [self.random[name] for name in OF_SAMPLES])

    def draw_latents(self, count: int) -> Tensor:
        """Fresh latents for training."""
        return self.pair.latent.sample(count, self.random["latents"])

    def draw_input(self, count: int, real: RealView | None) -> tuple[Tensor, Condition]:
        """Draw the input of ``count`` fakes: fresh latents, and a condition, which may be that of the ``real``
        batch."""
        latents = self.draw_latents(count)
        task = self.experiment.task
        return latents, task.fake_condition(count, self.pair.num_classes, real, self.random["task"])

    def skip_fit(self) -> None:
        """Leave the generator as it is in the fits to the present pool."""
        if self.pool is not None:
            self.pool.skipped = True

    def update_average(self) -> None:
        """One update of the averaged generator for the real images seen since the last."""
        now = self.counters.num_real
        averaging = self.experiment.averaging
        decay = averaging.decay(now, self.averaged_at)
        average_(self.average, self.generator, decay, statistics=averaging.statistics)
        self.averaged_at = now

    def sampler(self) -> TrainedGenerator:
        """The generator that a load from disk will give. Drawing from it leaves training's bits alone.

        The averaged generator, or the generator that the stored discriminators' pushes follow: never the average of it.
        """
        match self.experiment.sampler:
            case "generator":
                if self.experiment.averaging.statistics != "recompute" or not batch_norms(self.average):
                    return self.drawing_from(self.average)
                # A copy, whose running statistics are then replaced: those of the average itself are part of the run.
                average = self.drawing_from(deepcopy(self.average))
                return average.with_statistics("standing", self.experiment.generator_batch)
            case "pushed":
                generator = self.generator if self.chain.generator is None else self.chain.generator
                # The discriminators saw augmented samples: pushes take the augmentation along, as it stands now.
                change, state = self.experiment.augmentation, self.augmentation_state
                pushes = ChainPushes(replace(self.chain), change, state, self.counters)
                return self.drawing_from(deepcopy(generator), pushes)  # a copy, as drawing puts it in eval mode

    def drawing_from(self, generator: nn.Module, pushes: Pushes | None = None) -> TrainedGenerator:
        """``generator``, one of this run's shape, to draw samples from; its classes as often as the data has them."""
        counts = class_counts(self.data.dataset.labels, self.pair.num_classes)
        return TrainedGenerator(generator, self.pair, self.experiment.task, pushes=pushes, class_counts=counts)

    def state_dict(self) -> dict[str, Any]:
        """Everything that decides what happens next, as tensors and plain types."""
        # The run's own tensors, which the next step changes in place: whoever keeps them for later copies them.
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "averaged_at": self.averaged_at,
            "d_optimizer": self.d_optimizer.state_dict(),
            "g_optimizer": self.g_optimizer.state_dict(),
            "chain": self.chain.state_dict(),
            "pool": None if self.pool is None else self.pool.state_dict(),
            "fit": None if self.fit is None else self.fit.state_dict(),
            "regularizer": self.regularizer_state,
            "augmentation": self.augmentation_state,
            "network": None if self.network is None else self.network.state_dict(),
            "network_optimizer": None if self.network_optimizer is None else self.network_optimizer.state_dict(),
            "random": {name: random.get_state() for name, random in self.random.items()},
            "cursor": (self.cursor.round, self.cursor.index),
            "data_position": self.data_position,
            "counters": self.counters.as_dict(),
            # What is metered and not logged yet: the row after a resumption is that of an undisturbed run.
            "meters": dict(self.meters.values),
            "earlier": None if self.earlier is None else self.earlier.state_dict(),
            "round_steps": self.round_steps,
            "logged_at": self.logged_at,
            "threads": torch.get_num_threads(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict` of the same experiment."""
        self.roll_back(state)
        self.averaged_at = state["averaged_at"]
        self.augmentation_state = self._placed(deepcopy(state["augmentation"]))
        for name, saved in state["random"].items():
            self.random[name].set_state(saved)
        self.cursor.seek(*state["cursor"])
        self.data_position = state["data_position"]
        self.counters = Counters(**state["counters"])
        self.meters = Meters()
        self.meters.values.update({name: self._placed(list(values)) for name, values in state["meters"].items()})
        self.meters.deal(self.ranks)  # the checkpoint has all samples' values, of however many ranks there were
        if self.earlier is not None:
            self.earlier.load_state_dict(state["earlier"], str(self.device))
        self.round_steps = self._placed(list(state["round_steps"]))
        self.logged_at = state["logged_at"]

    def roll_back(self, state: dict[str, Any]) -> None:
        """Take players, optimizers and regularizer from an earlier `state_dict`; clocks, data and randomness go on."""
        self.load_players(state)
        self._load_chain(state)
        # Optimizers too: moments of the weights of after the collapse would push the restored ones the same way.
        self.d_optimizer.load_state_dict(deepcopy(state["d_optimizer"]))  # torch adopts the tensors it is given
        self.g_optimizer.load_state_dict(deepcopy(state["g_optimizer"]))
        self.regularizer_state = self._placed(deepcopy(state["regularizer"]))
        if self.network is not None and self.network_optimizer is not None:
            self.network.load_state_dict(state["network"])
            self.network_optimizer.load_state_dict(deepcopy(state["network_optimizer"]))

    def _placed(self, state: Any) -> Any:
        """``state`` with its tensors on the run's device: beside others of the device a GPU takes none of the host."""
        return tree_map(lambda each: each.to(self.device) if isinstance(each, Tensor) else each, state)

    def _load_chain(self, state: dict[str, Any]) -> None:
        """Stored discriminators, pool and fit."""
        self.pool = self.fit = None
        self.chain.load_state_dict(state["chain"], self.generator, self.discriminator)
        if state["pool"] is not None:
            self.pool = SamplePool.of(state["pool"], self.device)
        if state["fit"] is not None:
            self.fit = PoolFit(self.experiment.g_optimizer.build(self.g_parameters))
            self.fit.load_state_dict(deepcopy(state["fit"]))

    def load_players(self, state: dict[str, Any]) -> None:
        """Take the weights of both players and of the average from a `state_dict`."""
        self.generator.load_state_dict(state["generator"])
        self.discriminator.load_state_dict(state["discriminator"])
        self.average.load_state_dict(state["average"])

    def is_finite(self) -> bool:
        """True if every weight and statistic of the players and of the average is finite."""
        modules = (*self.modules, self.average)
        tensors = [t for module in modules for t in module.state_dict().values() if t.is_floating_point()]
        # NaN and infinity survive a norm, so that one wait for the device answers for millions of numbers.
        return bool(torch.stack(torch._foreach_norm(tensors)).isfinite().all())

    def digest(self) -> str:
        """CRC-32 of every weight and buffer, for comparing runs bit for bit."""
        modules = (*self.modules, self.average)
        crc = 0
        for tensor in (tensor for module in modules for tensor in module.state_dict().values()):
            crc = zlib.crc32(tensor.detach().cpu().contiguous().numpy().tobytes(), crc)
        return f"{crc:08x}"
