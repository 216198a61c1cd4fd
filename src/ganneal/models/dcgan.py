"""DCGAN in the layout of the public code that NATS used for its four classical GANs.

Only kernels of size 4 (of the base's size at the latents' end) and doublings: ``n`` stages between a base, as 4x4, 7x7
or 6x8, and the image, widths ``min(width * 2**i, 8 * width)``.
"""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.checks import checked_labels
from ganneal.models.parts.doubling import UpConvolution
from ganneal.models.parts.grid import doubling_widths, grid_of
from ganneal.models.protocol import ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one, check_choices

NormName = Literal["batch", "layer", "instance", "none"]

DCGAN_DOUBLINGS = range(1, 7)
UpsamplingLayer = Literal["transposed", "nearest"]
"""A 4x4 transposed convolution of stride 2, or nearest neighbours and a 3x3 convolution."""


def norm_layers(name: NormName, channels: int) -> list[nn.Module]:
    """The normalisation after an inner layer; layer norm is one group with an affine map per channel."""
    match name:
        case "batch":
            return [nn.BatchNorm2d(channels)]
        case "layer":
            # One group over channels and pixels is layer norm, for any size of image.
            return [nn.GroupNorm(1, channels)]
        case "instance":
            # torch's default has no affine map here, unlike its other norms.
            return [nn.InstanceNorm2d(channels, affine=True)]
        case "none":
            return []


def doubling(inputs: int, outputs: int, upsampling: UpsamplingLayer, *, bias: bool) -> nn.Module:
    """A convolution that doubles the size."""
    match upsampling:
        case "transposed":
            # A kernel that the stride divides: every output pixel is met by four taps, so there is less of a
            # checkerboard.
            return nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=bias)
        case "nearest":
            return UpConvolution(inputs, outputs, bias=bias)


def class_vectors(num_classes: int, size: int) -> nn.Embedding | None:
    """A vector for each class, None without classes."""
    if not num_classes:
        return None
    table = nn.Embedding(num_classes, size)
    # As large as latents, vectors made all samples of a class alike: under the rates of digits-nats their spread was
    # 0.24 of the data's after 30,000 images, and 0.39 with these.
    nn.init.normal_(table.weight, std=0.3)
    return table


class DCGANGenerator(nn.Module):
    """Latents to images in [-1, 1]: a map of the size ``base``, then convolutions that double it, ending in tanh.

    With classes a vector of its class is added to each latent.
    """

    def __init__(
        self,
        latent_size: int,
        base: tuple[int, int],
        widths: list[int],
        channels: int,
        norm: NormName,
        upsampling: UpsamplingLayer = "transposed",
        num_classes: int = 0,
    ):
        super().__init__()
        self.num_classes = num_classes
        bias = norm == "none"
        layers: list[nn.Module] = []
        inputs = latent_size
        for stage, outputs in enumerate(reversed(widths)):
            # The first layer sees one pixel of latents, so its kernel is the base itself: a linear layer in all but
            # name.
            first = nn.ConvTranspose2d(inputs, outputs, base, bias=bias) if stage == 0 else None
            layers += [
                first or doubling(inputs, outputs, upsampling, bias=bias),
                *norm_layers(norm, outputs),
                nn.ReLU(inplace=True),
            ]
            inputs = outputs
        # No norm behind the last layer: it would fix each channel's mean and contrast over the batch.
        layers += [doubling(inputs, channels, upsampling, bias=True), nn.Tanh()]  # [batch, channels, height, width]
        self.net = nn.Sequential(*layers)
        self.classes = class_vectors(num_classes, latent_size)

    def forward(
        self, latents: Float[Tensor, "batch size"], labels: Tensor | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        if self.classes is not None:
            latents = latents + self.classes(checked_labels(labels, self.num_classes, latents))
        # Latents as channels of an image of one pixel.
        return self.net(latents[:, :, None, None])


class DCGANDiscriminator(nn.Module):
    """Images to one raw output each: strided convolutions, each halving the size, leaky ReLU 0.2.

    With classes a vector of the class is added to every pixel after the first layer, as a map of the class beside the
    image would be.
    """

    def __init__(self, base: tuple[int, int], widths: list[int], channels: int, norm: NormName, num_classes: int = 0):
        super().__init__()
        self.num_classes = num_classes
        bias = norm == "none"
        layers: list[nn.Module] = []
        inputs = channels
        for stage, outputs in enumerate(widths):
            first = stage == 0
            layers += [
                nn.Conv2d(inputs, outputs, 4, 2, 1, bias=first or bias),
                # No norm at the images: it would hide their mean and contrast from the discriminator.
                *([] if first else norm_layers(norm, outputs)),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            inputs = outputs
        # A kernel as large as the map: a linear layer to one output, without the sigmoid, which is the loss's.
        layers.append(nn.Conv2d(inputs, 1, base, 1, 0))
        self.net = nn.Sequential(*layers)
        self.classes = class_vectors(num_classes, widths[0])

    def forward(
        self, images: Float[Tensor, "batch channels height width"], labels: Tensor | None = None
    ) -> Float[Tensor, " batch"]:
        if self.classes is None:
            return self.net(images).flatten()
        first = self.net[0](images)
        given = self.classes(checked_labels(labels, self.num_classes, images)).to(first.dtype)
        return self.net[1:](first + given[:, :, None, None]).flatten()


@dataclass(frozen=True)
class DCGAN:
    """Deep convolutional GAN for images of any number of channels; the defaults are the hub's 32-px RGB network.

    The hub has no classes. With them a vector of the class is added to the latent and to the discriminator's first
    features; every layer is that of the network without.

    Batch norm in the discriminator makes a sample's gradient depend on its batch: gradient penalties ask for
    ``d_norm="layer"``, ``"instance"`` or ``"none"``.

    References:
        Radford et al., DCGAN, 2016; layout as in LynnHo's DCGAN-LSGAN-WGAN-GP-DRAGAN-Pytorch. Classes as further
        inputs: Mirza and Osindero, Conditional Generative Adversarial Nets, 2014.
    """

    width: int = 64
    latent_size: int = 128
    g_norm: NormName = "batch"
    d_norm: NormName = "batch"
    upsampling: UpsamplingLayer = "transposed"
    """The generator's way to double a map. Nearest neighbours with a convolution leave no checkerboard."""

    def __post_init__(self) -> None:
        check_at_least_one(width=self.width, latent_size=self.latent_size)
        check_choices(self)

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        channels, base, doublings = grid_of("DCGAN", shape, DCGAN_DOUBLINGS)
        # Channels double as the size halves, up to 512 at the default width.
        widths = doubling_widths(self.width, doublings)
        return ModelPair(
            DCGANGenerator(self.latent_size, base, widths, channels, self.g_norm, self.upsampling, num_classes),
            DCGANDiscriminator(base, widths, channels, self.d_norm, num_classes),
            Normal(self.latent_size),
            shape,
            num_classes,
        )
