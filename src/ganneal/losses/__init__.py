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

from collections import ChainMap
from collections.abc import MutableMapping
from typing import Any

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
from ganneal.losses.outputs import Output
from ganneal.losses.protocol import (
    Logits,
    Loss,
    PerLogit,
    PerSample,
    Side,
    SideGroup,
    Weight,
    WeightOn,
    compares_pairs,
    equal_sizes,
    output_of,
    views_of_discriminator,
    views_of_generator,
    weight_scales_gradient,
    weighted,
)
from ganneal.losses.relativistic import (
    RelativisticAverage,
    RelativisticAverageHinge,
    RelativisticPaired,
    RelativisticPairedSquares,
)
from ganneal.losses.triplet import PairwiseCritic, Triplet

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

PAIR_LOSSES: dict[str, Triplet] = {"triplet": Triplet()}
"""Losses of pairs by name; they take the discriminator's outputs on each of their ``views``."""


class _EveryLoss(ChainMap[str, Any]):
    """Both registries as one: what is put into it goes where it belongs."""

    # A ChainMap reads all of its maps but writes to the first alone, so a loss is sent to the registry of its kind.
    def __setitem__(self, name: str, loss: Any) -> None:
        (PAIR_LOSSES if compares_pairs(loss) else LOSSES)[name] = loss

    # A ChainMap would empty its first map only.
    def clear(self) -> None:
        for registry in self.maps:
            registry.clear()


EVERY_LOSS: MutableMapping[str, Any] = _EveryLoss(PAIR_LOSSES, LOSSES)  # type: ignore[arg-type]
"""`LOSSES` and `PAIR_LOSSES`, as an experiment may name them."""

__all__ = [
    "EVERY_LOSS",
    "LOSSES",
    "MONOTONE",
    "PAIR_LOSSES",
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
    "PerLogit",
    "PerSample",
    "RelativisticAverage",
    "RelativisticAverageHinge",
    "RelativisticPaired",
    "RelativisticPairedSquares",
    "ShiftedSoftplus",
    "Side",
    "TotalVariation",
    "Triplet",
    "SideGroup",
    "Wasserstein",
    "Weight",
    "WeightOn",
    "check_increases",
    "equal_sizes",
    "compares_pairs",
    "output_of",
    "softplus",
    "upcast",
    "views_of_discriminator",
    "views_of_generator",
    "weight_scales_gradient",
    "weighted",
]
