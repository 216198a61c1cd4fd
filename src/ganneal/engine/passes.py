"""Every forward pass of the game, once: functions of tensors alone, called as they are or as recorded.

A pass takes batches, latents, conditions, noise and a schedule's weight. What draws, augments or differentiates twice
is not in it, so that it can be recorded (`capture`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from ganneal.augment import Unchanged
from ganneal.chain import half_squares
from ganneal.experiment import Experiment
from ganneal.logits import DiscriminatorOutput, discriminator_output, per_sample
from ganneal.losses import PerLogit, Side, SideGroup, views_of_discriminator, views_of_generator
from ganneal.models import ModelPair
from ganneal.models.parts.spectral import SpectralWeight
from ganneal.regularizers import Change, unchanged
from ganneal.regularizers.shared_draws import Shared
from ganneal.task import Condition, Noisy, RealView, Task

OptionalReals = tuple[Tensor] | tuple[()]
"""A batch of real samples, where a pass needs them."""
Seen = tuple[Tensor, Condition]
"""Samples and their condition as a discriminator sees them."""
Earlier = tuple[Tensor, Tensor] | tuple[()]
"""Reals and fakes of the move before, where a loss compares with them."""


class Beside(NamedTuple):
    """Samples that the generator's loss compares fakes with, as a discriminator sees them; empty for most losses."""

    real: OptionalReals = ()
    given: Condition = ()
    """Condition of the reals."""
    earlier: Earlier = ()


Call = Callable[..., tuple[Tensor, ...]]
"""A `Pass` or its recording."""


def _earlier(batches: Earlier) -> dict[Side, Seen]:
    return {"earlier real": (batches[0], ()), "earlier fake": (batches[1], ())} if batches else {}


class Sight:
    """Samples and their condition as a discriminator sees them; every call makes the same random changes to both."""

    def __init__(
        self, task: Task, augmented: Callable[[Tensor], Tensor], random: torch.Generator | None, condition: Condition
    ):
        self.task, self.condition = task, condition
        # Drawn at the first call: consistency terms (zCR, bCR) compare outputs under one augmentation, not two. Without
        # an augmentation nothing is drawn, and no state of a generator need be copied for every batch.
        self.augmented = augmented if random is None else Shared(augmented, random)

    def __call__(self, samples: Tensor, change: Change = unchanged) -> tuple[Tensor, Condition]:
        """``samples`` after ``change``, then augmented, and the condition with its own samples treated alike."""
        shown = self.augmented(change(samples))
        return shown, self.task.changed(self.condition, lambda beside: self.augmented(change(beside)))


Player = Literal["discriminator", "generator"]
Batches = tuple[Tensor, Tensor]
"""Reals and fakes, without a graph."""


class EarlierBatches:
    """Reals and fakes of each player's last move. Moves of the two players may have batches of different sizes."""

    def __init__(self) -> None:
        self.kept: dict[Player, Batches] = {}

    def of(self, player: Player, real: Tensor, fakes: Tensor | None = None) -> Batches:
        """The batches of the player's move before.

        Its first move has none: it takes ``real`` and ``fakes`` themselves, each sample beside the one before it, and
        reals for fakes that are not made yet.
        """
        if player in self.kept:
            return self.kept[player]
        # Rolled by one place, no sample is compared with itself.
        return real.roll(1, 0), (real if fakes is None else fakes).roll(1, 0)

    def keep(self, player: Player, real: Tensor, fakes: Tensor) -> None:
        """Remember the batches of a move."""
        self.kept[player] = real.detach(), fakes.detach()

    def state_dict(self) -> dict[str, list[Tensor]]:
        """As tensors and plain types."""
        return {player: list(batches) for player, batches in self.kept.items()}

    def load_state_dict(self, state: dict[str, list[Tensor]], device: str) -> None:
        """Continue from a `state_dict`."""
        self.kept = {player: (real.to(device), fake.to(device)) for player, (real, fake) in state.items()}  # type: ignore[misc]


class Pass(nn.Module):
    """A pass of the players as a function of tensors, with the precision of an experiment."""

    # A module that holds the players themselves: a recording finds in it the parameters and buffers that it reads, and
    # its backward pass reaches them.
    def __init__(self, experiment: Experiment, pair: ModelPair, random: torch.Generator):
        super().__init__()
        self.generator, self.discriminator = pair.generator, pair.discriminator
        self.task, self.loss, self.random = experiment.task, PerLogit(experiment.loss), random
        self.views_of_discriminator = views_of_discriminator(experiment.loss)
        self.views_of_generator = views_of_generator(experiment.loss)
        self.noisy = experiment.task if isinstance(experiment.task, Noisy) else None
        self.mixed = experiment.precision == "bf16"
        self.recorded = False
        self.spectral: list[tuple[SpectralWeight, Tensor]] = []
        """Vectors of power iterations, with the storage that recorded code knows."""

    def become_recorded(self) -> None:
        """Leave everything where it is from now on: recorded code reads and writes the tensors of its first call."""
        self.recorded = True
        # Power iteration puts a new tensor in the place of u; what was recorded would go on reading the old one.
        self.spectral = [(m, m.u) for m in self.modules() if isinstance(m, SpectralWeight)]

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of the convolutions and products."""
        if not self.mixed:
            return nullcontext()
        # The cache of converted weights would outlive a recording. Without one it stays: two calls of a network then
        # add their gradients in bf16, at the converted weight, before these become float32.
        device = self.random.device.type
        return torch.autocast(device, dtype=torch.bfloat16, cache_enabled=not self.recorded)

    def fake(self, latents: Tensor, condition: Condition, noise: Condition) -> Tensor:
        """The task's, with its noise given."""
        with self.autocast():
            # Noise comes in as an argument: a recording would replay the numbers that were drawn when it was made.
            if self.noisy is not None:
                return self.noisy.fake_with(self.generator, latents, condition, noise)
            return self.task.fake(self.generator, latents, condition, self.random)

    def outputs_on(self, views: tuple[SideGroup, ...], sides: dict[Side, Seen]) -> list[DiscriminatorOutput]:
        """Raw outputs on each of ``views``: a sample under its condition, its partners first where it has any."""
        outputs = []
        with self.autocast():
            # Each view in a pass of its own: reals and fakes in one batch would share batch norm's statistics.
            for first, *partners in views:
                samples, condition = sides[first]
                beside = (sides[other][0] for other in partners)
                outputs.append(discriminator_output(self.discriminator, samples, *beside, *condition))
        return outputs

    def generator_loss(self, weight: float | Tensor, fake: Tensor, condition: Condition, beside: Beside) -> Tensor:
        """The generator's loss of ``fake``."""
        sides: dict[Side, Seen] = {"fake": (fake, condition), **_earlier(beside.earlier)}
        if beside.real:
            sides["real"] = (*beside.real, beside.given)
        outputs = [output.logits for output in self.outputs_on(self.views_of_generator, sides)]
        # A float, or a 0-dim tensor where it would be a constant of the recording. The loss multiplies by it per
        # sample; the mean over the batch comes after.
        loss = self.loss.generator(*outputs, weight=weight).mean()
        self.settle()
        return loss

    def settle(self) -> None:
        """Put what power iterations found in the place it was before: a pass has made another tensor of it."""
        for weight, place in self.spectral:
            if weight.u is not place:
                with torch.no_grad():
                    place.copy_(weight.u)
                weight.u = place


class MakeFakes(Pass):
    """Fakes; with a graph, the first half of `GeneratorLoss`, where they are augmented before they are judged."""

    def forward(self, latents: Tensor, condition: Condition, noise: Condition) -> tuple[Tensor]:
        fake = self.fake(latents, condition, noise)
        self.settle()
        return (fake,)


class DiscriminatorLoss(Pass):
    """The discriminator's loss of reals and fakes, its raw outputs on the first two views, reals and then fakes, and
    the features that it keeps of the reals."""

    def forward(
        self, real: Tensor, given: Condition, fake: Tensor, condition: Condition, earlier: Earlier = ()
    ) -> tuple[Tensor, ...]:
        sides: dict[Side, Seen] = {"real": (real, given), "fake": (fake, condition)}
        outputs = self.outputs_on(self.views_of_discriminator, sides | _earlier(earlier))  # reals first: order of draws
        loss = self.loss.discriminator(*(output.logits for output in outputs)).mean()
        self.settle()
        of_reals, of_fakes = outputs[:2]
        return loss, per_sample(of_reals.logits), per_sample(of_fakes.logits), *of_reals.features


class GeneratorLoss(Pass):
    """The generator's loss through a frozen discriminator, and the fakes; reals where the loss needs them."""

    def forward(
        self, weight: float | Tensor, latents: Tensor, condition: Condition, noise: Condition, beside: Beside
    ) -> tuple[Tensor, Tensor]:
        fake = self.fake(latents, condition, noise)
        return self.generator_loss(weight, fake, condition, beside), fake


class GeneratorLossOfFakes(Pass):
    """The second half of `GeneratorLoss`."""

    def forward(self, weight: float | Tensor, fake: Tensor, condition: Condition, beside: Beside) -> tuple[Tensor]:
        return (self.generator_loss(weight, fake, condition, beside),)


class FitLoss(Pass):
    """Half the squared distances of the generator's samples from their targets, summed."""

    def forward(self, latents: Tensor, condition: Condition, noise: Condition, targets: Tensor) -> tuple[Tensor]:
        fake = self.fake(latents, condition, noise)
        self.settle()
        return (half_squares(fake, targets),)  # out of autocast: a sum of thousands of squares in float32


class StoredOutputs(Pass):
    """Raw outputs of a discriminator stored earlier."""

    def load(self, stored: nn.Module) -> None:
        """Judge by ``stored`` from now on."""
        self.discriminator = stored

    def forward(self, samples: Tensor, condition: Condition) -> tuple[Tensor]:
        with self.autocast():
            return (self.discriminator(samples, *condition),)


class StandIn(StoredOutputs):
    """One discriminator that stands for each of the stored ones: new weights, the same recording."""

    def __init__(self, experiment: Experiment, pair: ModelPair, random: torch.Generator):
        super().__init__(experiment, replace(pair, discriminator=deepcopy(pair.discriminator)), random)
        self.discriminator.requires_grad_(False)
        for module in self.discriminator.modules():
            if isinstance(module, SpectralWeight):
                module.held = True  # a stored discriminator is never trained: its u stays
        self.loaded: nn.Module | None = None

    def load(self, stored: nn.Module) -> None:
        """Take weights, buffers and modes of ``stored``, which do not change any more."""
        if stored is self.loaded:
            return
        # Into the tensors that the recording reads; other tensors would need a recording for each level.
        own, others = ([*module.parameters(), *module.buffers()] for module in (self.discriminator, stored))
        with torch.no_grad():
            torch._foreach_copy_(own, others)
        for part, other in zip(self.discriminator.modules(), stored.modules(), strict=True):
            part.training = other.training
        self.loaded = stored


class Passes:
    """The passes of one run. What the discriminator sees is augmented before, outside of them, as ``sight`` has it.

    Args:
        record: Makes a recording of a pass; None calls it as it is.
    """

    def __init__(
        self,
        experiment: Experiment,
        pair: ModelPair,
        random: torch.Generator,
        sight: Callable[[Condition], Sight],
        record: Callable[[Pass], Call] | None = None,
    ):
        self.random, self.needs_real, self.sight = random, experiment.loss.needs_real, sight
        self.noisy = experiment.task if isinstance(experiment.task, Noisy) else None
        self.whole = isinstance(experiment.augmentation, Unchanged)
        """True if the generator's pass is one function, with nothing between its fakes and the discriminator."""
        parts = (experiment, pair, random)
        as_called: Callable[[Pass], Call] = record or (lambda module: module)
        self.make_fakes = as_called(MakeFakes(*parts))
        self.loss_of_discriminator = as_called(DiscriminatorLoss(*parts))
        self.whole_generator_loss = as_called(GeneratorLoss(*parts))
        self.make_fakes_with_graph = as_called(MakeFakes(*parts))  # with a graph: another recording
        self.generator_loss_of_fakes = as_called(GeneratorLossOfFakes(*parts))
        self.loss_of_fit = as_called(FitLoss(*parts))
        self.stored = StoredOutputs(*parts) if record is None else StandIn(*parts)
        self.stored_outputs_of = as_called(self.stored)  # in eval mode perhaps, and without gradients of weights

    def _noise(self, condition: Condition) -> Condition:
        return () if self.noisy is None else self.noisy.noise(condition, self.random)

    def make(self, latents: Tensor, condition: Condition) -> Tensor:
        """Fakes without a graph."""
        with torch.no_grad():
            return self.make_fakes(latents, condition, self._noise(condition))[0]

    def discriminator_loss(
        self, real: Seen, fake: Seen, earlier: Earlier = ()
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
        """The discriminator's loss, with a graph, its raw outputs of reals and fakes, and its features of the reals."""
        loss, real_logits, fake_logits, *features = self.loss_of_discriminator(*real, *fake, *self._seen(earlier))
        return loss, real_logits, fake_logits, tuple(features)

    def _seen(self, earlier: Earlier) -> tuple[Earlier] | tuple[()]:
        """The last argument of a pass that compares with earlier batches, augmented; none for others."""
        return (tuple(self.sight(())(samples)[0] for samples in earlier),) if earlier else ()  # type: ignore[return-value]

    def stored_outputs(self, discriminator: nn.Module, samples: Tensor, condition: Condition) -> Tensor:
        """Raw outputs of a stored discriminator, with a graph to ``samples``."""
        self.stored.load(discriminator)
        return self.stored_outputs_of(*self.sight(condition)(samples))[0]

    def fit_loss(self, latents: Tensor, condition: Condition, targets: Tensor) -> Tensor:
        """`half_squares` of the generator's samples and their targets, with a graph."""
        return self.loss_of_fit(latents, condition, self._noise(condition), targets)[0]

    def generator_loss(
        self, weight: float, latents: Tensor, condition: Condition, real: RealView | None, earlier: Earlier = ()
    ) -> tuple[Tensor, Tensor]:
        """The generator's loss and the fakes, both with a graph; the discriminator is frozen."""
        # A task may need reals for its condition alone (DDGAN's x_{t+1}): the loss is not given those.
        needed = real if real is not None and self.needs_real else None
        noise = self._noise(condition)
        if self.whole:
            loss, fake = self.whole_generator_loss(weight, latents, condition, noise, self._beside(needed, earlier))
            return loss, fake
        (fake,) = self.make_fakes_with_graph(latents, condition, noise)
        shown = self.sight(condition)(fake)  # before the reals: the order of their draws
        return self.generator_loss_of_fakes(weight, *shown, self._beside(needed, earlier))[0], fake

    def _beside(self, view: RealView | None, earlier: Earlier) -> Beside:
        if view is None:
            return Beside((), (), *self._seen(earlier))
        shown, given = self.sight(view.condition)(view.samples)
        return Beside((shown,), given, *self._seen(earlier))
