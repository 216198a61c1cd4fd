"""Relativistic losses: fakes judged against real samples, in the generator's moves too.

The generator's loss needs the raw outputs at as many real samples (the engine draws them); a schedule's weight on the
output multiplies those of both sides.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ganneal import ranks as collective
from ganneal.logits import softplus
from ganneal.losses.outputs import Output
from ganneal.losses.protocol import Logits, PerSample, Weight, WeightOn, equal_sizes, weighted


def _both(fake: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
    if real is None:
        raise ValueError(
            "real must be given, got None: a relativistic generator is judged against real samples; pass the raw "
            "outputs at as many of them."
        )
    real, fake = equal_sizes(real, fake)
    return fake, real


def _mean(logits: Tensor) -> Tensor:
    # Over all processes: the mean of a part of the batch would make another loss, one for each number of processes.
    return collective.mean(logits.mean())


@dataclass(frozen=True)
class RelativisticPaired:
    """RpGAN: softplus(-(D(x) - D(G(z)))), the i-th fake against the i-th real sample; the generator exchanges them.

    The best output is the log ratio up to a constant. With R1 and R2 it is the loss of R3GAN.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2018; Huang et al., The GAN is dead; long live the GAN!
        A Modern GAN Baseline, 2024, Eq. 2.
    """

    weight_on: WeightOn = "output"
    needs_real = True
    output = Output(log_ratio=True)

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        # Only differences count: the output has no zero of its own and may drift.
        return softplus(fake - real)

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        # The reals have no gradient to the generator's parameters, and decide how strongly each fake is pulled.
        return weighted(lambda f, r: softplus(r - f), weight, self.weight_on, *_both(fake, real))


@dataclass(frozen=True)
class RelativisticPairedSquares:
    """RpLSGAN: (D(x) - D(G(z)) - 1)^2, the i-th fake against the i-th real sample; the generator exchanges them.

    References:
        Jolicoeur-Martineau, On Relativistic f-Divergences, 2020.
    """

    weight_on: WeightOn = "output"
    needs_real = True
    output = Output()

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        return (real - fake - 1).square()

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        return weighted(lambda f, r: (f - r - 1).square(), weight, self.weight_on, *_both(fake, real))


@dataclass(frozen=True)
class RelativisticAverage:
    """RaGAN: each sample against the mean output of the other side, softplus(-(D(x) - mean D(G(z)))) +
    softplus(D(G(z)) - mean D(x)); the generator exchanges them.

    The means are those of the batch given (of the micro-batch, where gradients are accumulated; of all ranks' in the
    engine), and gradients pass through them.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2018, Eq. 7 and 8.
    """

    weight_on: WeightOn = "output"
    needs_real = True
    output = Output()

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        # Against the mean of the other side the pairing of the batch does not matter.
        return softplus(_mean(fake) - real) + softplus(fake - _mean(real))

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        def exchanged(f: Tensor, r: Tensor) -> Tensor:
            return softplus(_mean(r) - f) + softplus(r - _mean(f))

        return weighted(exchanged, weight, self.weight_on, *_both(fake, real))


@dataclass(frozen=True)
class RelativisticAverageHinge:
    """RaHinge: relu(1 - (D(x) - mean D(G(z)))) + relu(1 + D(G(z)) - mean D(x)); the generator exchanges them.

    Some codes halve it. Means as in `RelativisticAverage`.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2018, appendix.
    """

    weight_on: WeightOn = "output"
    needs_real = True
    output = Output()

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        real, fake = equal_sizes(real, fake)
        return F.relu(1 - (real - _mean(fake))) + F.relu(1 + (fake - _mean(real)))

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        def exchanged(f: Tensor, r: Tensor) -> Tensor:
            return F.relu(1 - (f - _mean(r))) + F.relu(1 + (r - _mean(f)))

        return weighted(exchanged, weight, self.weight_on, *_both(fake, real))
