"""Relativistic losses: fakes judged against real samples, in the generator's moves too.

The generator's loss needs the raw outputs at as many real samples (the engine draws them); a schedule's weight on the
output multiplies those of both sides.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ganneal import ranks as collective
from ganneal.logits import softplus
from ganneal.losses.outputs import Output
from ganneal.losses.protocol import Logits, Loss, PerSample, Weight, WeightOn, equal_sizes, weighted


def _mean(logits: Tensor) -> Tensor:
    # Over all processes: the mean of a part of the batch would make another loss, one for each number of processes.
    return collective.mean(logits.mean())


@dataclass(frozen=True)
class Relativistic(Loss):
    """Reals against fakes for the discriminator; the same with the sides exchanged for the generator."""

    weight_on: WeightOn = "output"

    @property
    def needs_real(self) -> bool:
        return True

    @abstractmethod
    def compared(self, above: Logits, below: Logits) -> PerSample:
        """Small where the outputs ``above`` are above those ``below``."""
        ...

    def discriminator(self, real: Logits, fake: Logits) -> PerSample:
        return self.compared(*equal_sizes(real, fake))

    def generator(self, fake: Logits, real: Logits | None = None, *, weight: Weight = 1.0) -> PerSample:
        if real is None:
            raise ValueError(
                "real must be given, got None: a relativistic generator is judged against real samples; pass the raw "
                "outputs at as many of them."
            )
        real, fake = equal_sizes(real, fake)
        # The reals have no gradient to the generator's parameters, and decide how strongly each fake is pulled.
        return weighted(self.compared, weight, self.weight_on, fake, real)


@dataclass(frozen=True)
class RelativisticPaired(Relativistic):
    """RpGAN: softplus(-(D(x) - D(G(z)))), the i-th fake against the i-th real sample; the generator exchanges them.

    The best output is the log ratio up to a constant. With R1 and R2 it is the loss of R3GAN.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2018; Huang et al., The GAN is dead; long live the GAN!
        A Modern GAN Baseline, 2024, Eq. 2.
    """

    output = Output(log_ratio=True)

    def compared(self, above: Logits, below: Logits) -> PerSample:
        # Only differences count: the output has no zero of its own and may drift.
        return softplus(below - above)


@dataclass(frozen=True)
class RelativisticPairedSquares(Relativistic):
    """RpLSGAN: (D(x) - D(G(z)) - 1)^2, the i-th fake against the i-th real sample; the generator exchanges them.

    References:
        Jolicoeur-Martineau, On Relativistic f-Divergences, 2020.
    """

    output = Output()

    def compared(self, above: Logits, below: Logits) -> PerSample:
        # A difference of exactly 1 is wanted: one that is too large costs as much as one that is too small.
        return (above - below - 1).square()


@dataclass(frozen=True)
class RelativisticAverage(Relativistic):
    """RaGAN: each sample against the mean output of the other side, softplus(-(D(x) - mean D(G(z)))) +
    softplus(D(G(z)) - mean D(x)); the generator exchanges them.

    The means are those of the batch given (of the micro-batch, where gradients are accumulated; of all ranks' in the
    engine), and gradients pass through them.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2018, Eq. 7 and 8.
    """

    output = Output()

    def compared(self, above: Logits, below: Logits) -> PerSample:
        # Against the mean of the other side the pairing of the batch does not matter.
        return softplus(_mean(below) - above) + softplus(below - _mean(above))


@dataclass(frozen=True)
class RelativisticAverageHinge(Relativistic):
    """RaHinge: relu(1 - (D(x) - mean D(G(z)))) + relu(1 + D(G(z)) - mean D(x)); the generator exchanges them.

    Some codes halve it. Means as in `RelativisticAverage`.

    References:
        Jolicoeur-Martineau, The relativistic discriminator, 2018, appendix.
    """

    output = Output()

    def compared(self, above: Logits, below: Logits) -> PerSample:
        # The margin of 1 is on distances from the other side's mean, so D may drift without changing the loss.
        return F.relu(1 - (above - _mean(below))) + F.relu(1 + (below - _mean(above)))
