"""The extended DCGAN of composite functional gradients: 5x5 convolutions, each but the last with a 1x1 one behind."""

from dataclasses import dataclass
from math import prod

from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.dcgan import NormName
from ganneal.models.parts.cfg import (
    base_and_depth,
    check_depth,
    kaiming_linear,
    normal_convolution,
    uniform_norm,
    up_convolution,
)
from ganneal.models.parts.grid import doubling_widths
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices


class DCGANExtGenerator(nn.Module):
    """Latents to images in [-1, 1]: a linear layer, then doublings, ending in tanh."""

    def __init__(self, latent_size: int, base: tuple[int, int], widths: list[int], channels: int, norm_name: NormName):
        super().__init__()
        # No norm behind the linear layer: in the reference one follows convolutions only.
        inputs, *inner = reversed(widths)
        layers: list[nn.Module] = [kaiming_linear(latent_size, inputs * prod(base)), nn.Unflatten(1, (inputs, *base))]
        for outputs in inner:
            layers += [nn.ReLU(inplace=True), up_convolution(inputs, outputs), *uniform_norm(norm_name, outputs)]
            layers += [
                nn.ReLU(inplace=True),
                normal_convolution(outputs, outputs, 1),
                *uniform_norm(norm_name, outputs),
            ]
            inputs = outputs
        self.net = nn.Sequential(*layers, nn.ReLU(inplace=True), up_convolution(inputs, channels), nn.Tanh())

    def forward(self, latents: Float[Tensor, "batch size"]) -> Float[Tensor, "batch channels height width"]:
        return self.net(latents)


class DCGANExtDiscriminator(nn.Module):
    """Images to one raw output each: halvings, then a linear layer; leaky ReLU 0.2.

    Convolutions behind the first have no bias: the published code creates theirs and never adds them.
    """

    def __init__(self, base: tuple[int, int], widths: list[int], channels: int, norm_name: NormName):
        super().__init__()
        inputs, *inner = widths
        # No norm behind the first layer, as in DCGAN.
        layers: list[nn.Module] = [normal_convolution(channels, inputs, 5, 2), nn.LeakyReLU(0.2, inplace=True)]
        for outputs in inner:
            layers += [normal_convolution(inputs, outputs, 5, 2, bias=False), *uniform_norm(norm_name, outputs)]
            layers += [nn.LeakyReLU(0.2, inplace=True), normal_convolution(outputs, outputs, 1, bias=False)]
            layers += [*uniform_norm(norm_name, outputs), nn.LeakyReLU(0.2, inplace=True)]
            inputs = outputs
        self.net = nn.Sequential(*layers, nn.Flatten(), kaiming_linear(inputs * prod(base), 1))

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, " batch"]:
        return self.net(images).squeeze(1)  # [batch], the raw output


@dataclass(frozen=True)
class DCGANExt:
    """Extended DCGAN for images of an even size; the defaults at 32 px RGB are the reference's for SVHN.

    Symbols: w -> ``width`` (32 for MNIST, 64 otherwise), d -> ``depth``.

    References:
        Johnson and Zhang, Composite Functional Gradient Learning of Generative Adversarial Models, ICML 2018; layout
        and initialisation as in the authors' cfg-gan-pt, without its inert biases.
    """

    width: int = 64
    depth: int | None = None
    """Halvings of the size; None goes down to 4 px or so: 3 at 32 px, 4 at 64 px, 2 at 28 px."""
    latent_size: int = 100
    g_norm: NormName = "batch"
    d_norm: NormName = "batch"

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, latent_size=self.latent_size)
        check_choices(self)
        check_depth(self.depth)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        base, depth = base_and_depth("DCGANExt", shape, num_classes, self.depth)
        of = doubling_widths(self.width, depth)
        return ModelPair(
            DCGANExtGenerator(self.latent_size, base, of, shape[0], self.g_norm),
            DCGANExtDiscriminator(base, of, shape[0], self.d_norm),
            Normal(self.latent_size),
            shape,
        )
