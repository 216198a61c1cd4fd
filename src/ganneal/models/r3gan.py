"""R3GAN: residual players of grouped convolutions, without normalisation, every block an identity at first."""

from dataclasses import dataclass
from math import prod, sqrt

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganneal.models.parts.checks import check_images, checked_labels
from ganneal.models.parts.fir import Resample, convolve_grouped
from ganneal.models.parts.grid import grid_of
from ganneal.models.protocol import FeatureMaps, ModelPair, Normal, Shape
from ganneal.registry import check_at_least_one

R3GAN_DOUBLINGS = range(1, 8)
EXPANSION = 2
"""A block's inner channels for each of its outer ones, where its 3x3 convolution is grouped."""
REDUCTION = 2
"""A block's outer channels for each of its inner ones, where it is not."""
CLASS_SIZE = 64
"""Length of the generator's class vector."""


def scaled_convolution(inputs: int, outputs: int, kernel: int, groups: int = 1, *, gain: float = 1.0) -> nn.Conv2d:
    """Without bias, from N(0, gain² / inputs of one output)."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    # shape[1:] is the fan in of one output, with only its own group of channels.
    nn.init.normal_(layer.weight, std=gain / sqrt(prod(layer.weight.shape[1:])))
    return layer


def scaled_linear(inputs: int, outputs: int, *, gain: float = 1.0) -> nn.Linear:
    """Without bias, from N(0, gain² / inputs)."""
    layer = nn.Linear(inputs, outputs, bias=False)
    # N(0, 1 / fan in) keeps the variance through a linear layer.
    nn.init.normal_(layer.weight, std=gain / sqrt(inputs))
    return layer


class BiasedLeakyReLU(nn.Module):
    """Leaky ReLU 0.2 of x + b, a bias for each channel."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        # The bias is here as convolutions have none; no gain follows, unlike StyleGAN's activation: the initial weights
        # hold it.
        return F.leaky_relu(x + self.bias[:, None, None], 0.2)


class R3GANBlock(nn.Module):
    """x + 1x1(Act(3x3(Act(1x1 x)))), the last convolution 0 at first.

    The 3x3 convolution has groups of ``group_size`` channels and twice the block's width; with None it is an ordinary
    one on half of it.
    """

    def __init__(self, channels: int, group_size: int | None, blocks: int):
        super().__init__()
        self.grouped = group_size is not None
        inner = EXPANSION * channels if self.grouped else channels // REDUCTION
        # 2 / (1 + 0.2^2) keeps the variance through a leaky ReLU of slope 0.2; L^(-1 / (2m - 2)) with m = 3 layers
        # keeps the sum of L blocks from growing.
        gain = sqrt(2 / 1.04) * blocks**-0.25
        self.net = nn.Sequential(
            scaled_convolution(channels, inner, 1, gain=gain),
            BiasedLeakyReLU(inner),
            scaled_convolution(inner, inner, 3, inner // (group_size or inner), gain=gain),
            BiasedLeakyReLU(inner),
            # 0 at first, so that the network starts as its skips and resamplings alone.
            scaled_convolution(inner, channels, 1, gain=0.0),
        )

    def forward(self, x: FeatureMaps) -> FeatureMaps:
        inner, before, middle, after, outer = self.net
        hidden = before(inner(x))
        # Layer by layer and not as one Sequential, as grouped convolutions choose their own precision on CPUs.
        hidden = convolve_grouped(middle, hidden) if self.grouped else middle(hidden)
        return x + outer(after(hidden))


class R3GANGenerator(nn.Module):
    """Latents, and labels where there are classes, to images without bounds."""

    def __init__(
        self,
        latent_size: int,
        base: tuple[int, int],
        widths: tuple[int, ...],
        group_size: int | None,
        blocks: int,
        channels: int,
        num_classes: int,
    ):
        super().__init__()
        self.num_classes = num_classes
        self.classes = scaled_linear(num_classes, CLASS_SIZE) if num_classes else None
        self.linear = scaled_linear(latent_size + (CLASS_SIZE if num_classes else 0), widths[0])
        # A learned map for each channel, scaled by a linear image of the latents: no dense layer to every pixel.
        self.basis = nn.Parameter(torch.randn(widths[0], *base))
        layers: list[nn.Module] = []
        inputs = widths[0]
        for stage, outputs in enumerate(widths):
            layers += [scaled_convolution(inputs, outputs, 1)] if outputs != inputs else []
            # The generator changes its width before it doubles and the discriminator after it halves: at the smaller
            # size both times.
            layers += [Resample(up=True)] if stage else []
            layers += [R3GANBlock(outputs, group_size, blocks * len(widths)) for _ in range(blocks)]
            inputs = outputs
        # No tanh: nothing keeps images in [-1, 1] but the discriminator.
        self.net = nn.Sequential(*layers, scaled_convolution(inputs, channels, 1))

    def forward(
        self, latents: Float[Tensor, "batch size"], labels: Tensor | None = None
    ) -> Float[Tensor, "batch channels height width"]:
        if self.classes is not None:
            given = checked_labels(labels, self.num_classes, latents)
            # A row of the transposed weight is the linear layer's answer to a one-hot label, without the one-hot.
            latents = torch.cat([latents, self.classes.weight.T[given]], 1)
        return self.net(self.linear(latents)[:, :, None, None] * self.basis)  # [batch, channels, 1, 1] times a basis


class R3GANDiscriminator(nn.Module):
    """Images to one raw output each: the generator's stages in reverse, a depthwise convolution, a linear layer.

    With classes the output is the product of the features with a vector for the class.
    """

    def __init__(
        self,
        shape: Shape,
        base: tuple[int, int],
        widths: tuple[int, ...],
        group_size: int | None,
        blocks: int,
        num_classes: int,
    ):
        super().__init__()
        self.shape, self.num_classes = shape, num_classes
        inputs, *_ = reversed(widths)
        layers: list[nn.Module] = [scaled_convolution(shape[0], inputs, 1)]
        for stage, outputs in enumerate(reversed(widths)):
            layers += [Resample(up=False)] if stage else []
            layers += [scaled_convolution(inputs, outputs, 1)] if outputs != inputs else []
            layers += [R3GANBlock(outputs, group_size, blocks * len(widths)) for _ in range(blocks)]
            inputs = outputs
        self.net = nn.Sequential(*layers)
        # One window of the base's size for each channel, the counterpart of the generator's learned maps.
        self.depthwise = nn.Conv2d(inputs, inputs, base, groups=inputs, bias=False)
        nn.init.normal_(self.depthwise.weight, std=1 / sqrt(prod(base)))
        self.linear = scaled_linear(inputs, inputs if num_classes else 1)
        # Smaller by 1 / sqrt(m), as the logit sums m products of it with the features.
        self.classes = scaled_linear(num_classes, inputs, gain=1 / sqrt(inputs)) if num_classes else None

    def forward(
        self, images: Float[Tensor, "batch channels height width"], labels: Tensor | None = None
    ) -> Float[Tensor, " batch"]:
        check_images(images, self.shape)
        features = self.linear(convolve_grouped(self.depthwise, self.net(images)).flatten(1))
        if self.classes is None:
            return features.squeeze(1)
        given = checked_labels(labels, self.num_classes, images)
        # The inner product with the class's vector alone: there is no term that all classes share, unlike in the
        # projection discriminator.
        return (features * self.classes.weight.T[given]).sum(1)


@dataclass(frozen=True)
class R3GAN:
    """A modern baseline without normalisation or tricks, for images of 8 to 512 px and more.

    The published players are ``R3GAN(widths=(768,), blocks=2)`` for CIFAR-10, with a last width of 384 for faces at
    64 px, and ``R3GAN(widths=(1536,), group_size=32, blocks=2)`` for ImageNet; they train with the relativistic
    pairing loss, R1 and R2. The defaults are small.

    References:
        Huang et al., The GAN is dead; long live the GAN! A Modern GAN Baseline, 2024, sec. 4.
    """

    widths: tuple[int, ...] = (64,)
    """Channels of the stages at 4 px, 8 px and so on; the last one goes on to the images' size."""
    group_size: int = 16
    """Channels of one group in the 3x3 convolutions, which have twice their stage's."""
    grouped: bool = True
    """The published 3x3 convolutions in groups; False makes them ordinary ones on half of the stage's channels, which
    suits CPUs."""
    blocks: int = 1
    """Blocks of each stage."""
    latent_size: int = 64

    def __post_init__(self) -> None:
        check_at_least_one(group_size=self.group_size, blocks=self.blocks, latent_size=self.latent_size)
        if not self.widths:
            raise ValueError("widths must have at least one number of channels, got none.")
        for width in self.widths:
            if not self.grouped and (width < 1 or width % REDUCTION):
                raise ValueError(f"widths must be above 0 and even without groups, got {width}.")
            if self.grouped and (width < 1 or EXPANSION * width % self.group_size):
                raise ValueError(
                    f"widths must be above 0 and {EXPANSION} times each divisible by group_size={self.group_size}, "
                    f"got {width}."
                )

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        channels, base, doublings = grid_of("R3GAN", shape, R3GAN_DOUBLINGS)
        stages = doublings + 1
        if len(self.widths) > stages:
            size = f"{shape[1]}x{shape[2]}" if shape[1] != shape[2] else str(shape[1])
            raise ValueError(f"widths must be at most {stages} at {size} px, one a stage, got {len(self.widths)}.")
        # Widths name the smallest sizes first, and the last of them goes on to the images' own.
        widths = self.widths + self.widths[-1:] * (stages - len(self.widths))  # one a stage, the smallest map first
        group_size = self.group_size if self.grouped else None
        return ModelPair(
            R3GANGenerator(self.latent_size, base, widths, group_size, self.blocks, channels, num_classes),
            R3GANDiscriminator(shape, base, widths, group_size, self.blocks, num_classes),
            Normal(self.latent_size),
            shape,
            num_classes,
        )
