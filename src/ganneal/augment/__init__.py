"""Random changes of what the discriminator sees. Register your own with ``AUGMENTATIONS["mine"] = Mine()``."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ganneal.augment.diffaugment import DiffAugment
from ganneal.augment.images import flip_and_shift
from ganneal.augment.probability import Adaptive, Probability, Scheduled
from ganneal.augment.protocol import Augmentation, AugmentState
from ganneal.augment.transforms import Transforms
from ganneal.clocks import Counters
from ganneal.optim.lr_rules import Rise


@dataclass(frozen=True)
class Unchanged(Augmentation):
    """The discriminator sees the samples themselves."""

    def __call__(self, images: Tensor, random: torch.Generator, state: AugmentState, counters: Counters) -> Tensor:
        return images


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Unchanged(),
    "diffaugment": DiffAugment(),
    "ada": Transforms(),
    "r3gan": Transforms(probability=Scheduled(0.5, rule=Rise(end=20_000_000)), color=0.5, cutout=True),
}
"""Augmentations by name; r3gan is R3GAN's set on a schedule of 20 million images."""

PROBABILITIES: dict[str, Probability] = {"adaptive": Adaptive(), "scheduled": Scheduled()}
"""Rules for the probability of `Transforms` by name."""

__all__ = [
    "AUGMENTATIONS",
    "PROBABILITIES",
    "Adaptive",
    "Augmentation",
    "DiffAugment",
    "Probability",
    "Scheduled",
    "AugmentState",
    "Transforms",
    "Unchanged",
    "flip_and_shift",
]
