"""Losses on raw outputs of real and fake samples apart: the original GAN, LSGAN, WGAN, hinge."""

import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ganneal.logits import softplus
from ganneal.losses.outputs import Output
from ganneal.losses.protocol import Logistic, Logits, Loss, PerSample, Weight, WeightOn, equal_sizes, weighted


def _log_one_minus(t: Tensor, weight: Weight) -> Tensor:
    """log(1 - w sigmoid(t)) for w <= 1, without a probability, to full relative accuracy of its slope on both sides.

    1 - w sigmoid(t) = (1 + (1 - w) e^t) / (1 + e^t) = ((1 - w) + e^-t) / (1 + e^-t).
    """
    # `new_full` writes a number on the device; `as_tensor` would copy it there in every move.
    on_device = weight.to(t) if isinstance(weight, Tensor) else t.new_full((), weight)
    # At w = 1 this is -infinity, and both branches become -softplus(t).
    offset = torch.log1p(-on_device)
    # Both sides are computed everywhere, so neither may overflow where it is not taken: torch.where multiplies that
    # side's slope by 0, and 0 times infinity is NaN.
    return torch.where(t > 0, torch.logaddexp(offset, -t) - softplus(-t), softplus(t + offset) - softplus(t))


@dataclass(frozen=True)
class NonSaturating(Logistic):
    """The original GAN with the -log D trick: softplus(-D(x)) + softplus(D(G(z))) against softplus(-w D(G(z))).

    References:
        Goodfellow et al., Generative Adversarial Nets, 2014, sec. 3; the default "original GAN" of NATS.
    """

    weight_on: WeightOn = "output"

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        # The slope -w sigmoid(-w D) is about -w on fakes that D rejects, where that of the minimax game vanishes.
        return weighted(lambda t: softplus(-t), weight, self.weight_on, fake)


@dataclass(frozen=True)
class Minimax(Logistic):
    """The original minimax game on logits: the generator minimises -softplus(w D(G(z))), which saturates.

    References:
        Goodfellow et al., Generative Adversarial Nets, 2014, Eq. 1.
    """

    weight_on: WeightOn = "output"

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        # The slope -w sigmoid(w D) vanishes on fakes that D rejects: the generator learns least where it is worst.
        return weighted(lambda t: -softplus(t), weight, self.weight_on, fake)


@dataclass(frozen=True)
class MinimaxProbability(Logistic):
    """Minimax with the weight on the probability, log(1 - w sigmoid(D(G(z)))): Algorithm 3 of NATS to the letter.

    Weights above 1 are refused: the logarithm would leave its domain where the discriminator is confident. (A weight in
    a tensor is not read, and gives NaN there.)
    """

    weight_on: WeightOn = "output"

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        inside, outside = (weight, 1.0) if self.weight_on == "output" else (1.0, weight)
        if isinstance(inside, float | int) and inside > 1:
            raise ValueError(
                f"weight must be at most 1 for minimax-probability, got {inside}; use the loss 'minimax' or "
                f"weight_on='loss'."
            )
        # 1 on the output: this loss has its weight on the probability instead.
        return weighted(lambda t: _log_one_minus(t, inside), outside, self.weight_on, fake)


@dataclass(frozen=True)
class LeastSquares(Loss):
    """LSGAN: 1/2 (D(x) - b)^2 + 1/2 (D(G(z)) - a)^2 against 1/2 (w D(G(z)) - c)^2.

    Symbol -> name: a -> fake_target; b -> real_target; c -> generator_target. The best output is (b p + a q)/(p + q)
    of data p and model q. A generator's target short of the real one, as c = 0 of (-1, 1, 0), pushes the best fakes
    away from the data: such targets are taken with a warning.

    References:
        Mao et al., Least Squares Generative Adversarial Networks, 2017, Eq. 2, 8 and 9.
    """

    fake_target: float = 0.0
    real_target: float = 1.0
    generator_target: float = 1.0
    weight_on: WeightOn = "output"

    @property
    def output(self) -> Output:
        # The best output (b p + a q) / (p + q) is the middle of the targets where p = q.
        return Output(boundary=(self.fake_target + self.real_target) / 2)

    def __post_init__(self) -> None:
        a, b, c = self.fake_target, self.real_target, self.generator_target
        if a == b:
            raise ValueError(
                f"real_target must differ from fake_target, got {b} for both, which gives no gradient between real "
                "and fake; use 1 and 0."
            )
        # Fakes whose output lies between the two targets have passed the generator's and are drawn back to it.
        if (c - b) * (b - a) < 0:
            warnings.warn(
                f"generator_target {c} is short of real_target {b}: fakes whose output is between them are pushed "
                f"away from the data; use generator_target={b}.",
                stacklevel=3,
            )

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        # With the paper's halves the slope is the distance from the target itself.
        return 0.5 * (real - self.real_target).square() + 0.5 * (fake - self.fake_target).square()

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        return weighted(lambda t: 0.5 * (t - self.generator_target).square(), weight, self.weight_on, fake)


@dataclass(frozen=True)
class Wasserstein(Loss):
    """The Wasserstein critic: D(G(z)) - D(x) against -w D(G(z)); it needs a gradient penalty or weight clipping.

    References:
        Arjovsky et al., Wasserstein GAN, 2017, Eq. 2 and Algorithm 1.
    """

    weight_on: WeightOn = "output"
    # No boundary: a Kantorovich potential is determined up to a constant only.
    output = Output(distance=True)

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        # Per sample, with real i beside fake i: only the mean counts, so the pairing is arbitrary.
        return fake - real

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        # A linear loss: the weight multiplies the gradient alike inside and outside.
        return weighted(torch.neg, weight, self.weight_on, fake)


@dataclass(frozen=True)
class Hinge(Loss):
    """The hinge loss: relu(1 - D(x)) + relu(1 + D(G(z))); the generator's side linear, -w D(G(z)), or hinged.

    References:
        Lim and Ye, Geometric GAN, 2017; Miyato et al., Spectral Normalization for GANs, 2018, Eq. 16, 17 (linear).
    """

    hinged_generator: bool = False
    weight_on: WeightOn = "output"
    # The best output is the sign of p - q, so it tells which of the two is larger and not by how much.
    output = Output(boundary=0.0)

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        # Beyond the margin a sample gives no gradient: the discriminator spends nothing on what it tells apart already.
        return F.relu(1 - real) + F.relu(1 + fake)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        # The published generator is linear: with a hinge, fakes whose output is above 1 would be pulled no more.
        of = (lambda t: F.relu(1 - t)) if self.hinged_generator else torch.neg
        return weighted(of, weight, self.weight_on, fake)
