"""Every forward pass of the game, once: functions of tensors alone, called as they are or as recorded.

A pass takes batches, latents, conditions, noise and a schedule's weight. What draws, augments or differentiates twice
is not in it, so that it can be recorded (`capture`).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal

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
Call = Callable[..., tuple[Tensor, ...]]
"""A `Pass` or its recording."""


def _earlier(batches: Earlier) -> dict[Side, Seen]:
    return {"earlier real": (batches[0], ()), "earlier fake": (batches[1], ())} if batches else {}


class Sight:
    """Samples and their condition as a discriminator sees them; every call makes the same random changes to both."""

    def __init__(
        self, task: Task, augmented: Callable[[Tensor], Tensor], random: torch.Generator, condition: Condition
    ):
        self.task, self.condition = task, condition
        self.augmented = Shared(augmented, random)

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
        """Those of the player's move before.

        Its first move has none: it takes ``real`` and ``fakes`` themselves, each sample beside the one before it, and
        reals for fakes that are not made yet.
        """
        if player in self.kept:
            return self.kept[player]
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
        if self.noisy is None:
            return self.task.fake(self.generator, latents, condition, self.random)
        return self.noisy.fake_with(self.generator, latents, condition, noise)

    def outputs_on(self, views: tuple[SideGroup, ...], sides: dict[Side, Seen]) -> list[DiscriminatorOutput]:
        """Raw outputs on each of ``views``: a sample under its condition, its partners first where it has any."""
        outputs = []
        with self.autocast():
            for first, *partners in views:
                samples, condition = sides[first]
                beside = (sides[other][0] for other in partners)
                outputs.append(discriminator_output(self.discriminator, samples, *beside, *condition))
        return outputs

    def generator_loss(
        self,
        weight: float | Tensor,
        fake: Tensor,
        condition: Condition,
        real: OptionalReals,
        given: Condition,
        earlier: Earlier = (),
    ) -> Tensor:
        """The generator's loss of ``fake``."""
        sides: dict[Side, Seen] = {"fake": (fake, condition), **_earlier(earlier)}
        if real:
            sides["real"] = (*real, given)
        outputs = [output.logits for output in self.outputs_on(self.views_of_generator, sides)]
        # a float, or a 0-dim tensor where it would be a constant of the recording
        loss = self.loss.generator(*outputs, weight=weight).mean()
        self.settle()
        return loss

    def settle(self) -> None:
        """Put what power iterations found in the place it was before: a pass has made another tensor of it."""
        with torch.no_grad():
            for weight, place in self.spectral:
                if weight.u is not place:
                    place.copy_(weight.u)
                    weight.u = place  # power iteration made a new tensor; recorded code reads and writes the old one


class MakeFakes(Pass):
    """Fakes; with a graph, the first half of `GeneratorLoss`, where they are augmented before they are judged."""

    def forward(self, latents: Tensor, condition: Condition, noise: Condition) -> tuple[Tensor]:
        with self.autocast():
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
        outputs = self.outputs_on(self.views_of_discriminator, sides | _earlier(earlier))
        loss = self.loss.discriminator(*(output.logits for output in outputs)).mean()
        self.settle()
        of_reals, of_fakes = outputs[:2]
        return loss, per_sample(of_reals.logits), per_sample(of_fakes.logits), *of_reals.features


class GeneratorLoss(Pass):
    """The generator's loss through a frozen discriminator, and the fakes; reals where the loss needs them."""

    def forward(
        self,
        weight: float | Tensor,
        latents: Tensor,
        condition: Condition,
        noise: Condition,
        real: OptionalReals,
        given: Condition,
        earlier: Earlier = (),
    ) -> tuple[Tensor, Tensor]:
        with self.autocast():
            fake = self.fake(latents, condition, noise)
        return self.generator_loss(weight, fake, condition, real, given, earlier), fake


class GeneratorLossOfFakes(Pass):
    """The second half of `GeneratorLoss`."""

    def forward(
        self,
        weight: float | Tensor,
        fake: Tensor,
        condition: Condition,
        real: OptionalReals,
        given: Condition,
        earlier: Earlier = (),
    ) -> tuple[Tensor]:
        return (self.generator_loss(weight, fake, condition, real, given, earlier),)


class FitLoss(Pass):
    """Half the squared distances of the generator's samples from their targets, summed."""

    def forward(self, latents: Tensor, condition: Condition, noise: Condition, targets: Tensor) -> tuple[Tensor]:
        with self.autocast():
            fake = self.fake(latents, condition, noise)
        self.settle()
        return (half_squares(fake, targets),)


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
                module.held = True
        self.loaded: nn.Module | None = None

    def load(self, stored: nn.Module) -> None:
        """Take weights, buffers and modes of ``stored``, which do not change any more."""
        if stored is self.loaded:
            return
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
        """Whether the generator's pass is one function, with nothing between its fakes and the discriminator."""
        parts = (experiment, pair, random)
        as_called: Callable[[Pass], Call] = record or (lambda module: module)
        self.make_fakes = as_called(MakeFakes(*parts))
        self.loss_of_discriminator = as_called(DiscriminatorLoss(*parts))
        self.whole_generator_loss = as_called(GeneratorLoss(*parts))
        self.make_fakes_with_graph = as_called(MakeFakes(*parts))  # with a graph: another recording
        self.generator_loss_of_fakes = as_called(GeneratorLossOfFakes(*parts))
        self.loss_of_fit = as_called(FitLoss(*parts))
        self.stored = StoredOutputs(*parts) if record is None else StandIn(*parts)
        self.stored_outputs_of = as_called(self.stored)

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
        needed = real if real is not None and self.needs_real else None
        noise = self._noise(condition)
        if self.whole:
            reals = self._reals(needed)
            loss, fake = self.whole_generator_loss(weight, latents, condition, noise, *reals, *self._seen(earlier))
            return loss, fake
        (fake,) = self.make_fakes_with_graph(latents, condition, noise)
        shown = self.sight(condition)(fake)  # before the reals: the order of their draws
        return self.generator_loss_of_fakes(weight, *shown, *self._reals(needed), *self._seen(earlier))[0], fake

    def _reals(self, view: RealView | None) -> tuple[OptionalReals, Condition]:
        if view is None:
            return (), ()
        shown, given = self.sight(view.condition)(view.samples)
        return (shown,), given
