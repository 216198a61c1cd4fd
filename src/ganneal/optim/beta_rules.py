"""The conjugate-gradient parameter beta, seven rules as pure functions of inner products.

A rule sees only inner products of the gradient ``g``, the gradient before ``p``, the direction before ``d`` and the
difference ``y = g - p``: with one entry per tensor it gives one beta per tensor, with their sums one for all.

References:
    Naganuma and Iiduka, Conjugate Gradient Method for Generative Adversarial Networks, AISTATS 2023, section 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Products = Mapping[str, Tensor]
"""Inner products by the names of their two factors, as in ``"gy"``: equal shapes ``[n]``, at least float32."""


@dataclass(frozen=True)
class Rule:
    """One rule: the inner products it reads, and beta from them, the cap ``beta_max`` and HZ's ``mu``."""

    reads: tuple[str, ...]
    beta: Callable[[Products, float | None, float], Tensor]
    unbounded: bool = False
    """Its denominator d.y may be near 0, and beta then far below 0."""


def _capped(beta: Tensor, beta_max: float | None) -> Tensor:
    return beta if beta_max is None else beta.clamp(max=beta_max)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """``above / below``, and 0 where ``below`` is 0."""
    none = below == 0
    # where computes both sides, so the one that is not taken must not divide by 0 either.
    return torch.where(none, 0.0, above / torch.where(none, 1.0, below))


def _fr(s: Products, beta_max: float | None, mu: float) -> Tensor:
    # Fletcher-Reeves: beta = min(g.g / p.p, beta_max).
    # Never below 0: this rule always keeps some of the old direction.
    return _capped(_ratio(s["gg"], s["pp"]), beta_max)


def _prp(s: Products, beta_max: float | None, mu: float) -> Tensor:
    # Polak-Ribiere-Polyak: beta = min(g.y / p.p, beta_max).
    # Near 0 where two gradients are alike, which restarts by itself; below 0 where the gradient only shrank.
    return _capped(_ratio(s["gy"], s["pp"]), beta_max)


def _hs(s: Products, beta_max: float | None, mu: float) -> Tensor:
    # Hestenes-Stiefel: beta = min(g.y / d.y, beta_max).
    # Under exact line search d.y is -d.p > 0; here nobody searches, so d.y may be near 0 or of either sign.
    return _capped(_ratio(s["gy"], s["dy"]), beta_max)


def _dy(s: Products, beta_max: float | None, mu: float) -> Tensor:
    # Dai-Yuan: beta = min(g.g / d.y, beta_max).
    return _capped(_ratio(s["gg"], s["dy"]), beta_max)


def _hz(s: Products, beta_max: float | None, mu: float) -> Tensor:
    # Hager-Zhang: beta = min(HS - mu (y.y)(g.d)/(d.y)^2, beta_max), with HS capped already.
    # (y.y)(g.d)/(d.y)^2 as a product of two ratios: the square would underflow first
    correction = mu * _ratio(s["yy"], s["dy"]) * _ratio(s["gd"], s["dy"])
    return _capped(_hs(s, beta_max, mu) - correction, beta_max)


def _fr_prp(s: Products, beta_max: float | None, mu: float) -> Tensor:
    # The hybrid max(0, min(FR, PRP)), of the capped values.
    return torch.minimum(_fr(s, beta_max, mu), _prp(s, beta_max, mu)).clamp(min=0.0)


def _hs_dy(s: Products, beta_max: float | None, mu: float) -> Tensor:
    # The hybrid max(0, min(HS, DY)), of the capped values.
    # Clamped below as well: of the rules over d.y only this one cannot turn back against the old direction.
    return torch.minimum(_hs(s, beta_max, mu), _dy(s, beta_max, mu)).clamp(min=0.0)


BETA_RULES: dict[str, Rule] = {
    "FR": Rule(("gg", "pp"), _fr),
    "PRP": Rule(("gy", "pp"), _prp),
    "HS": Rule(("gy", "dy"), _hs, unbounded=True),
    "DY": Rule(("gg", "dy"), _dy, unbounded=True),
    "HZ": Rule(("gy", "yy", "gd", "dy"), _hz, unbounded=True),
    "FR_PRP": Rule(("gg", "gy", "pp"), _fr_prp),
    "HS_DY": Rule(("gg", "gy", "dy"), _hs_dy),
}
"""Fletcher-Reeves, Polak-Ribiere-Polyak, Hestenes-Stiefel, Dai-Yuan, Hager-Zhang and the two hybrids."""


def rule_name(name: str) -> str:
    """The registered spelling of ``name``, in any case and with ``-`` or ``_``.

    >>> rule_name("hs-dy")
    'HS_DY'
    """
    spelled = str(name).upper().replace("-", "_")
    if spelled not in BETA_RULES:
        raise ValueError(f"beta_rule must be one of {', '.join(BETA_RULES)}, got {name!r}.")
    return spelled


def bounded_beta(
    rule: Rule, products: Products, beta_max: float | None, beta_min: float | None, mu: float, coeff: float
) -> Tensor:
    """``coeff`` times the rule's value clipped to ``[beta_min, beta_max]``; 0 where that is not finite."""
    # The rule applies beta_max itself, within its formula; beta_min and c come afterwards, in this order.
    beta = rule.beta(products, beta_max, mu)
    if beta_min is not None:
        beta = beta.clamp(min=beta_min)
    # A tensor decides here, and no if: reading beta would make the CPU wait for the device once for each tensor.
    return torch.where(beta.isfinite(), coeff * beta, 0.0)
