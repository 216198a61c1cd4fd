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

from ganneal.logits import softplus, upcast
from ganneal.losses.classical import Hinge, LeastSquares, Minimax, MinimaxProbability, NonSaturating, Wasserstein
from ganneal.losses.divergence_pair import DivergencePair, Hybrid, TotalVariation
from ganneal.losses.monotone import (
    MONOTONE,
    Arcsinh,
    FromMonotone,
    MonotoneFunction,
    PowerOfRatio,
    ShiftedSoftplus,
    check_increases,
)
from ganneal.losses.protocol import (
    Logits,
    Loss,
    PerSample,
    Weight,
    WeightOn,
    equal_sizes,
    output_of,
    weighted,
)
from ganneal.losses.relativistic import (
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticPaired,
    RelativisticPairedSquares,
)
from ganneal.losses.triplet import PairwiseCritic, Triplet
from ganneal.outputs import Output

LOSSES: dict[str, Loss] = {
    "nonsaturating": NonSaturating(),
    "minimax": Minimax(),
    "minimax-probability": MinimaxProbability(),
    "lsgan": LeastSquares(),
    "wgan": Wasserstein(),
    "hinge": Hinge(),
    "hinge-hinged": Hinge(hinged_generator=True),
    "hybrid": DivergencePair(),
    "total-variation": TotalVariation(),
    "arcsinh": FromMonotone(Arcsinh()),
    "shifted-minimax": FromMonotone(ShiftedSoftplus()),
    "exponential": FromMonotone(PowerOfRatio()),
    "rpgan": RelativisticPaired(),
    "rplsgan": RelativisticPairedSquares(),
    "ragan": RelativisticAverage(),
    "rahinge": RelativisticAverageHinge(),
}
"""Losses by name, each with its default fields. Register your own with ``LOSSES["mine"] = MyLoss()``."""

__all__ = [
    "LOSSES",
    "MONOTONE",
    "Arcsinh",
    "DivergencePair",
    "PowerOfRatio",
    "FromMonotone",
    "Hinge",
    "Hybrid",
    "LeastSquares",
    "Logits",
    "Loss",
    "Minimax",
    "MinimaxProbability",
    "MonotoneFunction",
    "NonSaturating",
    "Output",
    "PairwiseCritic",
    "PerSample",
    "RelativisticAverage",
    "RelativisticAverageHinge",
    "RelativisticPaired",
    "RelativisticPairedSquares",
    "ShiftedSoftplus",
    "TotalVariation",
    "Triplet",
    "Wasserstein",
    "Weight",
    "WeightOn",
    "check_increases",
    "equal_sizes",
    "output_of",
    "softplus",
    "upcast",
    "weighted",
]
