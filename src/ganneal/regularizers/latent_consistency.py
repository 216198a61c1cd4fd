"""Consistency in latent space (zCR): D little moved by a little noise on z, G pushed to be moved by it."""

from dataclasses import dataclass
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from ganneal.optim.lr_rules import Constant, LRRule
from ganneal.regularizers.consistency import consistency, full_precision
from ganneal.regularizers.protocol import (
    Context,
    GeneratorContext,
    Regularizer,
    RegularizerState,
    check_coefficients,
    check_interval,
    coefficient_now,
    lazy_strength,
)


@dataclass(frozen=True)
class LatentConsistency(Regularizer):
    r"""zCR: :math:`\lambda_D (D(G(z)) - D(G(z')))^2` for D, :math:`-\lambda_G (G(z) - G(z'))^2` for G.

    z' = z + sigma n with normal n. Means over the batch, for G over every element of a sample too. The generator's term
    has no lower bound where samples have none, as points. Both samples have the same condition, noise and augmentation,
    so that the terms vanish with sigma.

    Symbols: sigma -> ``noise``.

    References:
        Zhao et al., Improved Consistency Regularization for GANs, 2021, Algorithm 2.
    """

    d_coefficient: float = 20.0
    g_coefficient: float = 0.5
    noise: float = 0.05
    interval: int = 1
    """Discriminator updates between its terms; the generator's term is always due."""
    scale_by_interval: bool = True
    d_rule: LRRule = Constant()
    g_rule: LRRule = Constant()

    def __post_init__(self) -> None:
        check_interval(self.interval)
        check_coefficients(d_coefficient=self.d_coefficient, g_coefficient=self.g_coefficient)
        if not (isfinite(self.noise) and self.noise > 0):
            raise ValueError(f"noise must be a finite number above 0, got {self.noise}; 0.05 is the paper's.")

    @property
    def needs_latents(self) -> bool:
        return True

    def _near(self, latents: Tensor, random: torch.Generator) -> Tensor:
        # Drawn in float32 and cast afterwards: the same draws at every precision.
        noise = torch.randn(latents.shape, generator=random, device=latents.device)
        return latents + self.noise * noise.to(latents)

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""] | None:
        strength = lazy_strength(
            context.counters, self.d_coefficient, self.d_rule, self.interval, self.scale_by_interval
        )
        if strength is None:
            return None
        if context.latents is None or context.generate is None:
            raise ValueError(
                "regularizer LatentConsistency needs the latents of the fakes, but this move has none; use a scheme "
                "with fresh fakes, such as Alternating or Nested."
            )
        with torch.no_grad():
            # Algorithm 2: only D follows this term, so the sample beside needs no graph to G.
            # Under autocast a new sample may come in bf16; both must meet D in one type, or their difference is its
            # rounding.
            near = context.generate(self._near(context.latents, context.random)).to(context.fake.dtype)
        # Both outputs have a graph to D: the paper pulls them towards each other, and neither is a target.
        logits = full_precision(context.fake_logits, context.logits_as_fakes, context.fake)
        return strength * consistency(context.logits_as_fakes, logits, near).mean()

    def generator_term(self, context: GeneratorContext, state: RegularizerState) -> Float[Tensor, ""] | None:
        strength = coefficient_now(context.counters, self.g_coefficient, self.g_rule, own="g_updates")
        if strength == 0:
            return None
        # With a graph to G, unlike in D's term: both samples are moved apart.
        near = context.generate(self._near(context.latents, context.random))
        # Minus: G is to move its samples apart where D is to hold its outputs together.
        return -strength * (context.fake - near).float().square().mean()
