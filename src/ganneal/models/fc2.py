"""A fully connected generator of two hidden layers against the extended DCGAN's discriminator."""

from dataclasses import dataclass
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.dcgan import NormName
from ganneal.models.dcgan_ext import DCGANExtDiscriminator
from ganneal.models.parts.cfg import base_and_depth, check_depth, kaiming_linear
from ganneal.models.parts.grid import doubling_widths
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices


class FC2Generator(nn.Module):
    """Latents to images in [-1, 1]: two hidden layers with ReLU, then tanh."""

    def __init__(self, latent_size: int, hidden: int, shape: Shape):
        super().__init__()
        # No batch norm: the published one is two plain layers.
        inner = [kaiming_linear(latent_size, hidden), nn.ReLU(), kaiming_linear(hidden, hidden), nn.ReLU()]
        self.net = nn.Sequential(*inner, kaiming_linear(hidden, prod(shape)), nn.Tanh(), nn.Unflatten(1, shape))

    def forward(self, latents: Float[Tensor, "batch size"]) -> Float[Tensor, "batch channels height width"]:
        return self.net(latents)


@dataclass(frozen=True)
class FC2:
    """Two fully connected layers as generator: a weak family that functional gradients move further than it can fit.

    References:
        Johnson and Zhang, Composite Functional Gradient Learning of Generative Adversarial Models, ICML 2018, sec. 5.
    """

    hidden: int = 512
    width: int = 64
    """Units of the discriminator's first layer."""
    depth: int | None = None
    """Halvings in the discriminator; None goes down to 4 px or so."""
    latent_size: int = 100
    d_norm: NormName = "batch"

    def __post_init__(self) -> None:
        check_at_least_one(hidden=self.hidden, width=self.width, latent_size=self.latent_size)
        check_choices(self)
        check_depth(self.depth)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        base, depth = base_and_depth("FC2", shape, num_classes, self.depth)
        return ModelPair(
            FC2Generator(self.latent_size, self.hidden, shape),
            DCGANExtDiscriminator(base, doubling_widths(self.width, depth), shape[0], self.d_norm),
            Normal(self.latent_size),
            shape,
        )
