"""Adversarial losses as pure functions of the discriminator's raw output, one value per sample.

A loss has two methods, ``discriminator(real, fake)`` and ``generator(fake, real=None, *, weight=1.0)``; both return
``[batch]`` values to be averaged by the caller, in at least float32 (float64 stays float64). The loss owns where a
schedule's weight goes: ``weight_on="output"`` multiplies the raw output before the loss, the literal reading of
w[j] D(G(z)) in the NATS paper; ``weight_on="loss"`` multiplies the loss itself. At weight 1 both are the same bits.

>>> import torch
>>> loss = LOSSES["nonsaturating"]
>>> loss.generator(torch.zeros(2)).tolist()
[0.6931471824645996, 0.6931471824645996]
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ganneal.logits import softplus, upcast

Logits = Float[Tensor, " batch"]
PerSample = Float[Tensor, " batch"]
WeightOn = Literal["output", "loss"]
Weight = float | Float[Tensor, ""]
"""A schedule's weight: a float, or a 0-dim tensor in compiled and graph-captured code."""


@runtime_checkable
class Loss(Protocol):
    """What each player minimises, before averaging over the batch."""

    @property
    def needs_real(self) -> bool:
        """Whether the generator's loss reads ``real``; the engine then draws a real batch for the generator's moves."""
        ...

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        """The discriminator's loss; ``real`` and ``fake`` have equal size."""
        ...

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        """The generator's loss at a schedule's ``weight``."""
        ...


def _equal_sizes(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if real.shape != fake.shape:
        raise ValueError(
            f"real and fake must have equal size, got {tuple(real.shape)} and {tuple(fake.shape)}; draw as many fakes "
            f"as there are real samples."
        )
    return upcast(real), upcast(fake)


def _weighted(of: Callable[[Tensor], Tensor], fake: Tensor, weight: Weight, weight_on: WeightOn) -> Tensor:
    """The generator loss ``of`` with its weight inside (on the raw output) or outside (on the loss)."""
    fake = upcast(fake)
    match weight_on:
        case "output":
            return of(weight * fake)
        case "loss":
            return weight * of(fake)
        case _:
            raise _unknown_placement(weight_on)


def _unknown_placement(weight_on: str) -> ValueError:
    return ValueError(f"weight_on must be 'output' or 'loss', got {weight_on!r}; use 'output' for the paper's reading.")


def _log_one_minus(t: Tensor, weight: Weight) -> Tensor:
    """log(1 - w sigmoid(t)) for w <= 1, without a probability, to full relative accuracy of its slope on both sides.

    1 - w sigmoid(t) = (1 + (1 - w) e^t) / (1 + e^t) = ((1 - w) + e^-t) / (1 + e^-t).
    """
    offset = torch.log1p(-torch.as_tensor(weight, dtype=t.dtype, device=t.device))
    return torch.where(t > 0, torch.logaddexp(offset, -t) - softplus(-t), softplus(t + offset) - softplus(t))


def _logistic(real: Logits, fake: Logits) -> PerSample:
    real, fake = _equal_sizes(real, fake)
    return softplus(-real) + softplus(fake)


@dataclass(frozen=True)
class NonSaturating:
    """The original GAN with the -log D trick: softplus(-D(x)) + softplus(D(G(z))) against softplus(-w D(G(z))).

    References:
        Goodfellow et al., Generative Adversarial Nets, 2014, sec. 3; the default "original GAN" of NATS.
    """

    weight_on: WeightOn = "output"
    needs_real = False

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        return _logistic(real, fake)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        return _weighted(lambda t: softplus(-t), fake, weight, self.weight_on)


@dataclass(frozen=True)
class Minimax:
    """The original minimax game on logits: the generator minimises -softplus(w D(G(z))), which saturates.

    References:
        Goodfellow et al., Generative Adversarial Nets, 2014, Eq. 1.
    """

    weight_on: WeightOn = "output"
    needs_real = False

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        return _logistic(real, fake)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        return _weighted(lambda t: -softplus(t), fake, weight, self.weight_on)


@dataclass(frozen=True)
class MinimaxProbability:
    """Minimax with the weight on the probability, log(1 - w sigmoid(D(G(z)))): Algorithm 3 of NATS to the letter.

    Weights above 1 are refused: the logarithm would leave its domain where the discriminator is confident. (A weight in
    a tensor is not read, and gives NaN there.)
    """

    weight_on: WeightOn = "output"
    needs_real = False

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        return _logistic(real, fake)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        match self.weight_on:
            case "output" if isinstance(weight, float | int) and weight > 1:
                raise ValueError(
                    f"weight must be at most 1 for minimax-probability, got {weight}; use the loss 'minimax' or "
                    f"weight_on='loss'."
                )
            case "output":
                return _log_one_minus(upcast(fake), weight)
            case "loss":
                return weight * _log_one_minus(upcast(fake), 1.0)
            case _:
                raise _unknown_placement(self.weight_on)


@dataclass(frozen=True)
class LeastSquares:
    """LSGAN with targets 1 for real and 0 for fake: 1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2 against 1/2 (w D(G(z)) - 1)^2.

    References:
        Mao et al., Least Squares Generative Adversarial Networks, 2017, Eq. 9.
    """

    weight_on: WeightOn = "output"
    needs_real = False

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = _equal_sizes(real, fake)
        return 0.5 * (real - 1).square() + 0.5 * fake.square()

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        return _weighted(lambda t: 0.5 * (t - 1).square(), fake, weight, self.weight_on)


@dataclass(frozen=True)
class Wasserstein:
    """The Wasserstein critic: D(G(z)) - D(x) against -w D(G(z)); it needs a gradient penalty or weight clipping.

    References:
        Arjovsky et al., Wasserstein GAN, 2017, Eq. 2 and Algorithm 1.
    """

    weight_on: WeightOn = "output"
    needs_real = False

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = _equal_sizes(real, fake)
        return fake - real

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        return _weighted(torch.neg, fake, weight, self.weight_on)


@dataclass(frozen=True)
class Hinge:
    """The hinge loss: relu(1 - D(x)) + relu(1 + D(G(z))); the generator's side linear, -w D(G(z)), or hinged.

    References:
        Lim and Ye, Geometric GAN, 2017; Miyato et al., Spectral Normalization for GANs, 2018, Eq. 16, 17 (linear).
    """

    hinged_generator: bool = False
    weight_on: WeightOn = "output"
    needs_real = False

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = _equal_sizes(real, fake)
        return F.relu(1 - real) + F.relu(1 + fake)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        of = (lambda t: F.relu(1 - t)) if self.hinged_generator else torch.neg
        return _weighted(of, fake, weight, self.weight_on)


LOSSES: dict[str, Loss] = {
    "nonsaturating": NonSaturating(),
    "minimax": Minimax(),
    "minimax-probability": MinimaxProbability(),
    "lsgan": LeastSquares(),
    "wgan": Wasserstein(),
    "hinge": Hinge(),
    "hinge-hinged": Hinge(hinged_generator=True),
}
"""Losses by name, each with its default fields."""
