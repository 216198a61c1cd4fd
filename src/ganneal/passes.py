"""The players' passes as functions of tensors alone: batches, latents, conditions, noise, a schedule's weight.

What draws, augments or differentiates twice is not in them, so that they can be recorded (`capture`).
"""

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor, nn

from ganneal.chain import half_squares
from ganneal.experiment import Experiment
from ganneal.models import ModelPair
from ganneal.spectral import SpectralWeight
from ganneal.task import Condition, Noisy

Reals = tuple[Tensor] | tuple[()]
"""A batch of real samples, where a pass needs them."""


class Pass(nn.Module):
    """A pass of the players as a function of tensors, with the precision of an experiment."""

    def __init__(self, experiment: Experiment, pair: ModelPair, random: torch.Generator):
        super().__init__()
        self.generator, self.discriminator = pair.generator, pair.discriminator
        self.task, self.loss, self.random = experiment.task, experiment.loss, random
        self.noisy = experiment.task if isinstance(experiment.task, Noisy) else None
        self.mixed = experiment.precision == "bf16"
        self.spectral = [(m, m.u) for m in self.modules() if isinstance(m, SpectralWeight)]
        """Vectors of power iterations, with the storage that recorded code knows."""

    def autocast(self) -> torch.autocast:
        """Without the cache of converted weights, whose tensors would outlive a recording."""
        device = self.random.device.type
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self.mixed, cache_enabled=False)

    def fake(self, latents: Tensor, condition: Condition, noise: Condition) -> Tensor:
        """The task's, with its noise given."""
        if self.noisy is None:
            return self.task.fake(self.generator, latents, condition, self.random)
        return self.noisy.fake_with(self.generator, latents, condition, noise)

    def convincing(self, weight: Tensor, fake: Tensor, condition: Condition, real: Reals, given: Condition) -> Tensor:
        """The generator's loss of ``fake``."""
        with self.autocast():
            fake_logits = self.discriminator(fake, *condition)
            real_logits = self.discriminator(*real, *given) if real else None
        loss = self.loss.generator(fake_logits, real_logits, weight=weight).mean()
        self.settle()
        return loss

    def settle(self) -> None:
        """Put what power iterations found in the place it was before: a pass has made another tensor of it."""
        with torch.no_grad():
            for weight, place in self.spectral:
                if weight.u is not place:
                    place.copy_(weight.u)
                    weight.u = place


class Making(Pass):
    """Fakes; with a graph, the first half of `Generating`, where they are augmented before they are judged."""

    def forward(self, latents: Tensor, condition: Condition, noise: Condition) -> tuple[Tensor]:
        with self.autocast():
            fake = self.fake(latents, condition, noise)
        self.settle()
        return (fake,)


class Judging(Pass):
    """The discriminator's loss of reals and fakes, and its raw outputs."""

    def forward(
        self, real: Tensor, given: Condition, fake: Tensor, condition: Condition
    ) -> tuple[Tensor, Tensor, Tensor]:
        with self.autocast():
            real_logits, fake_logits = self.discriminator(real, *given), self.discriminator(fake, *condition)
        loss = self.loss.discriminator(real_logits, fake_logits).mean()
        self.settle()
        return loss, real_logits, fake_logits


class Generating(Pass):
    """The generator's loss through a frozen discriminator, and the fakes; reals where the loss needs them."""

    def forward(
        self, weight: Tensor, latents: Tensor, condition: Condition, noise: Condition, real: Reals, given: Condition
    ) -> tuple[Tensor, Tensor]:
        with self.autocast():
            fake = self.fake(latents, condition, noise)
        return self.convincing(weight, fake, condition, real, given), fake


class Convincing(Pass):
    """The second half of `Generating`."""

    def forward(
        self, weight: Tensor, fake: Tensor, condition: Condition, real: Reals, given: Condition
    ) -> tuple[Tensor]:
        return (self.convincing(weight, fake, condition, real, given),)


class Fitting(Pass):
    """Half the squared distances of the generator's samples from their targets, summed."""

    def forward(self, latents: Tensor, condition: Condition, noise: Condition, targets: Tensor) -> tuple[Tensor]:
        with self.autocast():
            fake = self.fake(latents, condition, noise)
        self.settle()
        return (half_squares(fake, targets),)


class Pushing(Pass):
    """Raw outputs of one discriminator that stands for each of the stored ones: new weights, the same recording."""

    def __init__(self, experiment: Experiment, pair: ModelPair, random: torch.Generator):
        super().__init__(experiment, replace(pair, discriminator=deepcopy(pair.discriminator)), random)
        self.discriminator.requires_grad_(False)
        for weight, _ in self.spectral:
            weight.held = True
        self.loaded: nn.Module | None = None

    def load(self, stored: nn.Module) -> None:
        """Take weights, buffers and modes of ``stored``, which do not change any more."""
        if stored is not self.loaded:
            own, others = ([*module.parameters(), *module.buffers()] for module in (self.discriminator, stored))
            with torch.no_grad():
                torch._foreach_copy_(own, others)
            for part, other in zip(self.discriminator.modules(), stored.modules(), strict=True):
                part.training = other.training
            self.loaded = stored

    def forward(self, samples: Tensor, condition: Condition) -> tuple[Tensor]:
        with self.autocast():
            return (self.discriminator(samples, *condition),)
