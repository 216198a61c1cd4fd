"""Relation GAN: a critic of pairs as a distance, and the triplet loss on its outputs.

The critic judges pairs, of this batch and the one before, so that no raw output belongs to one sample. ``views`` names
the pairs; players whose discriminator judges pairs are those of the model 'relation'.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from ganneal.logits import upcast
from ganneal.losses.protocol import Logits, PerSample, SideGroup, Weight, WeightOn, weighted

VIEWS: tuple[SideGroup, ...] = (("real", "earlier real"), ("fake", "real"), ("fake", "earlier fake"))
"""The pairs in the order in which the loss takes the critic's outputs."""


class PairwiseCritic(nn.Module):
    """R(x1, x2) = head(features(x1) + features(x2)), the same for both orders; ``head`` has one output."""

    def __init__(self, features: nn.Module, head: nn.Module):
        super().__init__()
        self.features, self.head = features, head

    def forward(self, first: Tensor, second: Tensor) -> Logits:
        # A sum rather than a concatenation makes R symmetric by construction.
        return self.head(self.features(first) + self.features(second)).flatten()


@dataclass(frozen=True)
class Triplet:
    """R(r, r') and R(f, f') below R(f, r) by a margin for the critic; the other way round for the generator.

    The arguments are the critic's outputs at three batches of pairs: of real samples r and those of the batch before,
    r'; of fakes f with real samples; of fakes and those of the batch before, f', detached. In the authors' settings the
    generator moves first, with Adam(2e-4, 0.9, 0.999), the critic with 1e-4. Rectified per pair: rectifying the mean
    scored far worse in their table.

    References:
        Relation GAN, arXiv 2002.10174.
    """

    margin: float = 100.0
    weight_on: WeightOn = "output"
    views = VIEWS
    needs_real = True

    def __post_init__(self) -> None:
        if not self.margin > 0:
            raise ValueError(f"margin must be above 0, got {self.margin}; the authors use 100.")

    def discriminator(self, real_real: Logits, fake_real: Logits, fake_fake: Logits) -> PerSample:
        rr, fr, ff = upcast(real_real), upcast(fake_real), upcast(fake_fake)  # [batch] each
        # R is small within a side and large across: both triplets share the pair across.
        return F.relu(rr - fr + self.margin) + F.relu(ff - fr + self.margin)

    def generator(self, real_real: Logits, fake_real: Logits, fake_fake: Logits, *, weight: Weight = 1.0) -> PerSample:
        """R(r, r') has no gradient to the generator; it only makes the value that of the paper."""

        def both(rr: Tensor, fr: Tensor, ff: Tensor) -> Tensor:
            # Without the hinge of the critic's side, as published: the generator is pulled however far it has come.
            return (fr - ff + self.margin) + (fr - rr + self.margin)

        return weighted(both, weight, self.weight_on, real_real, fake_real, fake_fake)
