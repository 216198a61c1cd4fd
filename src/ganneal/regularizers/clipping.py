"""Weight clipping, the constraint of the first Wasserstein GAN."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganneal.regularizers.protocol import Regularizer


@dataclass(frozen=True)
class WeightClipping(Regularizer):
    """Every parameter of the discriminator clamped to [-limit, limit] after each of its updates.

    References:
        Arjovsky et al., Wasserstein GAN, 2017, Algorithm 1, line 7.
    """

    limit: float = 0.01

    def __post_init__(self) -> None:
        if not self.limit > 0:
            raise ValueError(f"limit must be above 0, got {self.limit}.")

    @property
    def has_terms(self) -> bool:
        return False

    @torch.no_grad()
    def constrain(self, discriminator: nn.Module) -> None:
        # Batch norm's scales are clamped too, as in the published code, whose networks had them.
        parameters: list[Tensor] = list(discriminator.parameters())
        # Multi-tensor kernels: one launch for many parameters rather than one for each.
        torch._foreach_clamp_min_(parameters, -self.limit)
        torch._foreach_clamp_max_(parameters, self.limit)
