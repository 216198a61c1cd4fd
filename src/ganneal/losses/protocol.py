"""The protocol of a loss, with the shared rules: equal sizes, the schedule's weight, the logistic discriminator."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.logits import PerSample, per_sample, softplus, upcast
from ganneal.losses.outputs import LOG_RATIO, UNKNOWN, Output

Logits = Float[Tensor, " batch"]
"""The discriminator's raw outputs, [batch]."""
Side = Literal["real", "fake", "earlier real", "earlier fake"]
"""Batches that a discriminator may judge: those of a move, and those of the same player's move before."""
SideGroup = tuple[Side, ...]
"""Sides judged at once: a sample, or a sample and its partners."""
# In the order of the discriminator's arguments; the generator's are the other way round.
SEPARATE: tuple[SideGroup, ...] = (("real",), ("fake",))
WeightOn = Literal["output", "loss"]
"""Place of a schedule's weight: on the raw output inside the generator's loss, or on the loss."""
Weight = float | Float[Tensor, ""]
"""A schedule's weight: a float, or a 0-dim tensor in compiled and graph-captured code."""


@runtime_checkable
class Loss(Protocol):
    """The functions that the players minimise, before averaging over the batch. Subclass it, or write all three
    members.

    A loss may also have an ``output``, an `Output`; `output_of` reads it. One that compares samples has ``views``, the
    pairs that the discriminator judges, and is given its outputs on each of them; `views_of_discriminator` reads them.
    """

    @property
    def needs_real(self) -> bool:
        """True if the generator's loss reads ``real``; the engine then draws a real batch for the generator's moves."""
        return False

    @abstractmethod
    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        """The discriminator's loss; ``real`` and ``fake`` have equal size."""
        ...

    @abstractmethod
    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        """The generator's loss at a schedule's ``weight``."""
        ...


class Logistic(Loss):
    """softplus(-D(x)) + softplus(D(G(z))), least at the log ratio of data and model; subclasses add the generator."""

    output = LOG_RATIO

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        return softplus(-real) + softplus(fake)


@dataclass(frozen=True)
class PerLogit:
    """``loss`` of discriminators that may judge a sample by several logits, ``[batch, heads, places]``.

    It is taken head by head on all logits, logit i of a fake against logit i of its real partner, averaged over places
    and summed over heads. Raw outputs ``[batch]`` go through as they are.
    """

    loss: Any

    def discriminator(self, *outputs: Tensor) -> PerSample:
        """The discriminator's loss, from its outputs on each view."""
        return _by_head(self.loss.discriminator, outputs)

    def generator(self, *outputs: Tensor, weight: Weight = 1.0) -> PerSample:
        """The generator's loss at a schedule's ``weight``."""
        return _by_head(partial(self.loss.generator, weight=weight), outputs)


def _by_head(of: Callable[..., Tensor], outputs: tuple[Tensor, ...]) -> PerSample:
    if outputs[0].dim() == 1:
        return of(*outputs)
    heads = zip(*(each.unbind(1) for each in outputs), strict=True)  # of each head [batch, places], a side each
    # Head by head, as losses that compare with a mean must not mix the heads.
    values = [of(*(logits.flatten() for logits in head)).view(head[0].shape) for head in heads]
    return per_sample(torch.stack(values, 1))


def output_of(loss: Loss) -> Output:
    """Meaning of the raw output under ``loss``; one that says nothing of it is `UNKNOWN`."""
    return getattr(loss, "output", UNKNOWN)


def views_of_discriminator(loss: Loss) -> tuple[SideGroup, ...]:
    """Sides that the discriminator judges for its own loss: one for each argument, with partners where pairs are
    judged."""
    return getattr(loss, "views", SEPARATE)


def views_of_generator(loss: Loss) -> tuple[SideGroup, ...]:
    """Sides that the discriminator judges for the generator's loss."""
    own: tuple[SideGroup, ...] | None = getattr(loss, "views", None)
    return own if own is not None else SEPARATE[::-1] if loss.needs_real else SEPARATE[1:]


def compares_pairs(loss: Loss) -> bool:
    """True if the discriminator is to judge samples beside partners."""
    return any(len(view) > 1 for view in views_of_discriminator(loss))


def weight_scales_gradient(loss: Loss) -> bool:
    """True if a schedule's weight multiplies the generator's gradient, as on the loss and in linear losses.

    A weight on the output of another loss bends its slope too: softplus(-w t) falls by w sigmoid(-w t).
    """
    # Both signs and both sides of a margin of 1: the hinge is linear on one side only.
    base = torch.tensor([-3.0, -0.5, 0.5, 3.0], dtype=torch.float64)
    # Rolled against each other, as equal outputs would have differences of 0 everywhere.
    outputs = [base.roll(shift).requires_grad_() for shift, _ in enumerate(views_of_generator(loss))]
    # Tried, not looked up by name: the answer holds for a loss of your own too.
    full, quarter = (
        torch.cat(torch.autograd.grad(loss.generator(*outputs, weight=weight).sum(), outputs)) for weight in (1.0, 0.25)
    )
    return torch.allclose(0.25 * full, quarter, rtol=1e-6, atol=1e-12)


def equal_sizes(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """Both in at least float32.

    Raises:
        ValueError: They differ in size, and would be broadcast.
    """
    # [n, 1] against [n] would broadcast to [n, n], train on all pairs and look like a loss all the same.
    if real.shape != fake.shape:
        raise ValueError(
            f"real and fake must have equal size, got {tuple(real.shape)} and {tuple(fake.shape)}; draw as many fakes "
            f"as there are real samples."
        )
    return upcast(real), upcast(fake)


def weighted(of: Callable[..., Tensor], weight: Weight, weight_on: WeightOn, *logits: Tensor) -> Tensor:
    """The generator loss ``of`` raw outputs with its weight inside (on every raw output) or outside (on the loss)."""
    # Before the weight is applied: in bf16 the product would be rounded to 8 bits once more.
    logits = tuple(upcast(each) for each in logits)
    match weight_on:
        case "output":
            return of(*(weight * each for each in logits))
        case "loss":
            return weight * of(*logits)
        case _:
            raise ValueError(
                f"weight_on must be 'output' or 'loss', got {weight_on!r}; use 'output' for the paper's reading."
            )
