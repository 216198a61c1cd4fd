"""A generator of one family against the discriminator of another."""

from dataclasses import dataclass

from ganneal.models.fastgan import FastGAN
from ganneal.models.projected import Projected
from ganneal.models.protocol import Model, ModelPair, Shape, pair_of_families


@dataclass(frozen=True)
class Pair:
    """The generator of one family against the discriminator of another, for images that both take.

    ``Pair(DCGAN(), Projected())`` is ``--model pair --model.generator dcgan --model.discriminator projected``. Latents
    are those of the generator's family.
    """

    generator: Model = FastGAN()
    """The family of the generator; its discriminator is left out."""
    discriminator: Model = Projected()
    """The family of the discriminator; its generator is left out."""

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        return pair_of_families(self.generator, self.discriminator, shape, num_classes)
