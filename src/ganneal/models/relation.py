"""Players of relation GAN: DCGAN's generator, and a critic that tells how far two images are from each other."""

from dataclasses import dataclass
from math import prod

from torch import nn

from ganneal.losses import PairwiseCritic
from ganneal.models.dcgan import DCGAN_DOUBLINGS, DCGANDiscriminator, DCGANGenerator, NormName
from ganneal.models.parts.checks import check_unconditional
from ganneal.models.parts.grid import doubling_widths, grid_of
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices


@dataclass(frozen=True)
class Relation:
    """DCGAN's layers, whose discriminator judges pairs: R(x1, x2) = head(features(x1) + features(x2)).

    Features are DCGAN's before its last convolution, flat; the head is two linear layers with leaky ReLU 0.2 between
    them. For the loss 'triplet'.

    References:
        Relation GAN, arXiv 2002.10174, whose networks are those of its code; the layers here are DCGAN's.
    """

    width: int = 64
    latent_size: int = 128
    hidden: int = 128
    """Units of the head's first layer."""
    g_norm: NormName = "batch"
    d_norm: NormName = "layer"

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, latent_size=self.latent_size, hidden=self.hidden)
        check_choices(self)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        check_unconditional("Relation", num_classes)
        channels, base, doublings = grid_of("Relation", shape, DCGAN_DOUBLINGS)
        widths = doubling_widths(self.width, doublings)
        generator = DCGANGenerator(self.latent_size, base, widths, channels, self.g_norm)
        # DCGAN's layers but the last, which would make one number of the features.
        *layers, _ = DCGANDiscriminator(base, widths, channels, self.d_norm).net.children()
        features = nn.Sequential(*layers, nn.Flatten())
        head = nn.Sequential(
            nn.Linear(widths[-1] * prod(base), self.hidden), nn.LeakyReLU(0.2), nn.Linear(self.hidden, 1)
        )
        return ModelPair(
            generator, PairwiseCritic(features, head), Normal(self.latent_size), shape, compares_pairs=True
        )
