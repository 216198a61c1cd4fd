"""Consistency of the discriminator under small changes of an image (CR, bCR)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.augment import flip_and_shift
from ganneal.losses import upcast
from ganneal.models import ModelPair
from ganneal.optim.lr_rules import Constant, LRRule
from ganneal.regularizers.protocol import (
    Again,
    Context,
    Discriminator,
    Regularizer,
    RegularizerState,
    check_coefficients,
    check_interval,
    lazy_strength,
)
from ganneal.regularizers.shared_draws import Shared


def consistency(
    discriminator: Discriminator, logits: Float[Tensor, " batch"], moved: Float[Tensor, "batch ..."]
) -> Float[Tensor, " batch"]:
    """(D(x) - D(T(x)))^2 from ``logits`` = D(x) and ``moved`` = T(x).

    References:
        Zhang et al., Consistency Regularization for Generative Adversarial Networks, 2020, Eq. 4 at the last layer.
    """
    # The gradient passes through both outputs: neither is the target of the other.
    return (upcast(logits) - upcast(discriminator(moved))).square()


@dataclass(frozen=True)
class Consistency(Regularizer):
    """CR on reals, bCR on fakes too; T mirrors with probability 1/2 and shifts by up to an eighth of the side.

    References:
        Zhang et al., 2020 (CR: 10 on reals); Zhao et al., Improved Consistency Regularization for GANs, 2021 (bCR: 10
        and 10).
    """

    real_coefficient: float = 10.0
    fake_coefficient: float = 0.0
    interval: int = 1
    scale_by_interval: bool = True
    rule: LRRule = Constant()
    """Factor on both coefficients; a `Sum` of two gives each its own."""

    def __post_init__(self) -> None:
        check_interval(self.interval)
        check_coefficients(real_coefficient=self.real_coefficient, fake_coefficient=self.fake_coefficient)

    def build(self, pair: ModelPair) -> None:
        if len(pair.shape) != 3:
            raise ValueError(
                f"regularizer Consistency mirrors and shifts images, got points of shape {pair.shape}; use a gradient "
                f"penalty or LeCam for points."
            )

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""] | None:
        # 1 in place of a coefficient: each side multiplies its own below.
        strength = lazy_strength(context.counters, 1.0, self.rule, self.interval, self.scale_by_interval)
        if strength is None:
            return None
        # Reals and fakes are changed apart, each side with draws of its own.
        sides = (
            (self.real_coefficient, context.logits_as_reals, context.real, context.real_logits),
            (self.fake_coefficient, context.logits_as_fakes, context.fake, context.fake_logits),
        )
        terms = [
            coefficient * _moved_apart(logits_of, x, logits, context.random).mean()
            for coefficient, logits_of, x, logits in sides
            if coefficient  # 0 saves a pass of D and its draws
        ]
        return strength * torch.stack(terms).sum() if terms else None


def _moved_apart(logits_of: Again, x: Tensor, logits: Tensor, random: torch.Generator) -> Float[Tensor, " batch"]:
    """`consistency` under a mirror and a shift that are drawn once, for ``x`` and for samples in its condition."""
    logits = full_precision(logits, logits_of, x)
    change = Shared(lambda images: flip_and_shift(images, random), random)
    return consistency(lambda images: logits_of(images, change), logits, x)


def full_precision(logits: Tensor, discriminator: Discriminator, x: Tensor) -> Tensor:
    """``logits`` = D(x), computed anew where they are of half precision: a difference of two would be its rounding."""
    return discriminator(x) if logits.dtype in (torch.bfloat16, torch.float16) else logits
