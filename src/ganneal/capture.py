"""The players' passes recorded once and replayed, where launching small kernels takes longer than running them.

What is recorded are functions of tensors alone: batches, latents, conditions, noise, and a schedule's weight as a 0-dim
tensor, so that moves of every weight are one recording. They hold the passes and the loss; their backward is recorded
with them. Draws, penalties, optimizers and the average stay outside, as they are: a penalty differentiates twice,
which nothing recorded can.

Two ways: ``"compile"`` is `torch.compile` with its own CUDA graphs on a GPU, ``"graph"`` the kernels as they are in a
CUDA graph. Results are those of the plain passes up to rounding.
"""

from copy import copy, deepcopy
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from ganneal.augment import Unchanged
from ganneal.chain import half_squares
from ganneal.experiment import Experiment
from ganneal.models import ModelPair
from ganneal.spectral import SpectralWeight
from ganneal.task import Condition, Noisy, View

COMPILE: dict[str, Any] = {"mode": "reduce-overhead"}
"""What `torch.compile` is given."""


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

    def settle(self) -> None:
        """Put what power iterations found in the place it was before: a pass has made another tensor of it."""
        with torch.no_grad():
            for weight, place in self.spectral:
                if weight.u is not place:
                    place.copy_(weight.u)
                    weight.u = place


class Making(Pass):
    """Fakes without a graph."""

    def forward(self, latents: Tensor, condition: Condition, noise: Condition) -> tuple[Tensor]:
        with torch.no_grad(), self.autocast():
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
        self,
        weight: Tensor,
        latents: Tensor,
        condition: Condition,
        noise: Condition,
        real: tuple[Tensor, ...],
        given: Condition,
    ) -> tuple[Tensor, Tensor]:
        with self.autocast():
            fake = self.fake(latents, condition, noise)
            fake_logits = self.discriminator(fake, *condition)
            real_logits = self.discriminator(*real, *given) if real else None
        loss = self.loss.generator(fake_logits, real_logits, weight=weight).mean()
        self.settle()
        return loss, fake


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


class Recording:
    """One pass, recorded when it is first called with tensors of given shapes."""

    def __init__(self, module: Pass, how: Literal["compile", "graph"]):
        self.module = module
        self.compiled = torch.compile(module, **COMPILE) if how == "compile" else None
        self.graphs: dict[tuple[torch.Size, ...], Any] = {}

    def __call__(self, *inputs: Any) -> tuple[Tensor, ...]:
        self.module.settle()  # an unrecorded pass may have moved them
        with torch.autocast(self.module.random.device.type, enabled=False):  # a pass has its own
            call = self._graph(inputs) if self.compiled is None else self.compiled
            outputs = call(*inputs)
        return tuple(output.clone() for output in outputs)  # the next replay writes over them

    def _graph(self, inputs: tuple[Any, ...]) -> Any:
        shapes = tuple(tensor.shape for tensor in tree_leaves(inputs))
        if shapes not in self.graphs:
            buffers = list(self.module.buffers())
            kept = [buffer.clone() for buffer in buffers]
            examples = tree_map(lambda tensor: tensor.detach().clone().requires_grad_(tensor.requires_grad), inputs)
            self.graphs[shapes] = torch.cuda.make_graphed_callables(
                copy(self.module), examples, allow_unused_input=True
            )
            if buffers:
                torch._foreach_copy_(buffers, kept)  # the warm-up's passes have moved them
        return self.graphs[shapes]


class Recorded:
    """The passes of one run."""

    def __init__(self, experiment: Experiment, pair: ModelPair, random: torch.Generator):
        self.random, self.needs_real = random, experiment.loss.needs_real
        assert experiment.capture != "none"
        how, parts = experiment.capture, (experiment, pair, random)
        self.making = Recording(Making(*parts), how)
        self.judging = Recording(Judging(*parts), how)
        self.generating = Recording(Generating(*parts), how)
        self.fitting = Recording(Fitting(*parts), how)
        self.stand_in = Pushing(*parts)
        self.pushing = Recording(self.stand_in, how)

    def _noise(self, condition: Condition) -> Condition:
        noisy = self.making.module.noisy
        return () if noisy is None else noisy.noise(condition, self.random)

    def make(self, latents: Tensor, condition: Condition) -> Tensor:
        """Fakes without a graph."""
        return self.making(latents, condition, self._noise(condition))[0].detach()

    def judge(self, real: View, fake: Tensor, condition: Condition) -> tuple[Tensor, Tensor, Tensor]:
        """The discriminator's loss, with a graph, and its raw outputs of reals and fakes."""
        loss, real_logits, fake_logits = self.judging(real.samples, real.condition, fake, condition)
        return loss, real_logits, fake_logits

    def judge_by(self, discriminator: nn.Module, samples: Tensor, condition: Condition) -> Tensor:
        """Raw outputs of a stored discriminator, with a graph to ``samples``."""
        self.stand_in.load(discriminator)
        return self.pushing(samples, condition)[0]

    def fit(self, latents: Tensor, condition: Condition, targets: Tensor) -> Tensor:
        """`half_squares` of the generator's samples and their targets, with a graph."""
        return self.fitting(latents, condition, self._noise(condition), targets)[0]

    def generate(
        self, weight: float, latents: Tensor, condition: Condition, real: View | None
    ) -> tuple[Tensor, Tensor]:
        """The generator's loss and the fakes, both with a graph; the discriminator is frozen."""
        reals, given = ((real.samples,), real.condition) if real is not None and self.needs_real else ((), ())
        factor = torch.full((), weight, device=latents.device)
        loss, fake = self.generating(factor, latents, condition, self._noise(condition), reals, given)
        return loss, fake


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
    if not isinstance(experiment.augmentation, Unchanged):
        raise ValueError(f"capture does not hold augmentation, got {experiment.augmentation}; {instead}.")
    if experiment.normalization.per_sample_gradients:
        raise ValueError(
            f"capture holds no second derivatives, which normalization {experiment.normalization} needs; {instead}."
        )
    if experiment.accumulate > 1:
        raise ValueError(f"capture takes whole batches, got accumulate={experiment.accumulate}; {instead}.")
    if experiment.ranks > 1:
        raise ValueError(f"capture is for one process, got {experiment.ranks}; {instead}.")
    if getattr(experiment.model, "recompute", False):
        raise ValueError(f"capture keeps activations, got {experiment.model} with recompute=True; {instead}.")
