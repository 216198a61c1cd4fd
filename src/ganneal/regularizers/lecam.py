"""LeCam: the discriminator's outputs held near moving averages of its outputs on the other side."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ganneal import ranks as collective
from ganneal.losses import Logits, upcast
from ganneal.optim.lr_rules import Constant, LRRule
from ganneal.regularizers.protocol import (
    Context,
    Regularizer,
    RegularizerState,
    check_coefficients,
    check_interval,
    lazy_strength,
)


def lecam(
    real: Logits, fake: Logits, *, real_average: float | Tensor, fake_average: float | Tensor, one_sided: bool = True
) -> Float[Tensor, " batch"]:
    r""":math:`\max(0, D(x) - \alpha_F)^2 + \max(0, \alpha_R - D(G(z)))^2` per pair, without max if not ``one_sided``.

    Args:
        real_average: Moving average :math:`\alpha_R` of the mean output on reals; ``fake_average`` likewise on fakes.

    References:
        Tseng et al., Regularizing Generative Adversarial Networks under Limited Data, 2021, Eq. 4; one-sided as in its
        authors' code.
    """
    # Each side is held near the average of the other: reals may not rise far above fakes, nor fakes fall far below
    # reals.
    above, below = upcast(real) - fake_average, real_average - upcast(fake)
    if one_sided:
        above, below = F.relu(above), F.relu(below)
    return above.square() + below.square()


@dataclass(frozen=True)
class LeCam(Regularizer):
    """`lecam` with averages that forget by ``decay`` at each discriminator update.

    Up to ``start`` updates the averages are the latest batch's and nothing is added. With ``accumulate`` the averages
    move once a micro-batch.
    """

    coefficient: float = 0.3
    decay: float = 0.99
    start: int = 1000
    """Discriminator updates before the term begins."""
    one_sided: bool = True
    interval: int = 1
    scale_by_interval: bool = True
    rule: LRRule = Constant()

    def __post_init__(self) -> None:
        check_interval(self.interval)
        check_coefficients(coefficient=self.coefficient)
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must be at least 0 and below 1, got {self.decay}; 0 keeps the latest batch only.")
        if self.start < 0:
            raise ValueError(f"start must be at least 0 discriminator updates, got {self.start}.")

    def init_state(self) -> RegularizerState:
        return {"real": None, "fake": None}

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""] | None:
        # The averages move at every update, also where no term is due: else another interval would change how fast they
        # forget.
        begun = context.counters.d_updates >= self.start
        for name, logits in (("real", context.real_logits), ("fake", context.fake_logits)):
            # Detached: the averages are anchors, and no gradient passes through them.
            mean, before = collective.mean(upcast(logits.detach()).mean()), state[name]
            # Until the term begins the latest batch stands in, so the averages start from outputs of a trained
            # discriminator.
            state[name] = self.decay * before + (1 - self.decay) * mean if begun and before is not None else mean
        strength = lazy_strength(context.counters, self.coefficient, self.rule, self.interval, self.scale_by_interval)
        if strength is None or not begun:
            return None
        terms = lecam(
            context.real_logits,
            context.fake_logits,
            real_average=state["real"],
            fake_average=state["fake"],
            one_sided=self.one_sided,  # the authors' code has max, the paper's Eq. 4 has none
        )
        return strength * terms.mean()
