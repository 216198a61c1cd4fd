"""DiffAugment: colour, translation and cutout of every image, always."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganneal.augment.images import at_least_single, cut_out, eighth, saturated, shifted, uniform, whole, with_colours
from ganneal.augment.protocol import Augmentation, AugmentState, refuse_points
from ganneal.clocks import Counters


@dataclass(frozen=True)
class DiffAugment(Augmentation):
    """Each image in its own way, on reals and fakes, in both players' moves.

    Colour: brightness + U(-0.5, 0.5), saturation x U(0, 2), contrast x U(0.5, 1.5). Translation: by up to an eighth of
    the side, zeros coming in. Cutout: zeros in a square of half the side.

    References:
        Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training, 2020, sec. 3.2.
    """

    color: bool = True
    translation: bool = True
    cutout: bool = True

    def check(self, shape: tuple[int, ...]) -> None:
        refuse_points(shape, "DiffAugment")

    def __call__(self, images: Tensor, random: torch.Generator, state: AugmentState, counters: Counters) -> Tensor:
        images = at_least_single(images)
        height, width = images.shape[2:]
        if self.color:
            images = with_colours(images, lambda colours: _colored(colours, random))
        if self.translation:
            down, right = (whole(images, random, -eighth(side), eighth(side)) for side in (height, width))
            images = shifted(images, down, right, reflect=False)
        if self.cutout:
            rows, columns = (whole(images, random, 0, side - 1) for side in (height, width))
            everyone = torch.ones(len(images), 1, 1, 1, dtype=torch.bool, device=images.device)
            images = cut_out(images, rows, columns, everyone)
        # Gathering writes another memory order than the one that the networks and their inputs have.
        return images.contiguous(memory_format=torch.channels_last)


def _colored(images: Tensor, random: torch.Generator) -> Tensor:
    images = images + uniform(images, random, -0.5, 0.5)
    images = saturated(images, uniform(images, random, 0.0, 2.0))
    # Contrast is about the mean of each image, over its pixels and channels, as in the published code.
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + uniform(images, random, 0.5, 1.5) * (images - mean)
