"""Small runs to play with, made of untrained weights."""

from collections.abc import Callable

import pytest
import torch

from ganneal.augment import AUGMENTATIONS
from ganneal.chain import Chain
from ganneal.clocks import Counters
from ganneal.inference.generator import TrainedGenerator
from ganneal.inference.playground.drawing import Playground
from ganneal.inference.pushing import ChainPushes
from ganneal.losses import LOSSES
from ganneal.models import DCGAN, SNGAN, Model
from ganneal.push import Push
from ganneal.task import Denoising, Labelled, Unconditional

COLOURS = {"data": {"name": "toy colours", "classes": ["red", "green", "blue"]}, "counters": {"num_real": 5000}}


def made(model: Model, shape: tuple[int, ...], num_classes: int = 0) -> tuple[TrainedGenerator, torch.nn.Module]:
    torch.manual_seed(0)
    pair = model.build(shape, num_classes)
    with torch.no_grad():
        for name, weight in pair.generator.named_parameters():
            if ".gain." in name or ".bias." in name:  # what sets the classes apart is small at first
                weight.normal_()
    task = Denoising() if pair.denoises else Labelled() if num_classes else Unconditional()
    return TrainedGenerator(pair.generator, pair, task, COLOURS if num_classes else {}), pair.discriminator


@pytest.fixture(scope="session")
def alone() -> Callable[[Model, tuple[int, ...]], Playground]:
    """A generator without classes."""

    def of(model: Model, shape: tuple[int, ...]) -> Playground:
        return Playground("runs/toy", {"generator": made(model, shape)[0]}, "generator")

    return of


@pytest.fixture(scope="session")
def colours() -> Playground:
    """Three classes."""
    generator, _ = made(SNGAN(g_width=8, d_width=8, latent_size=8), (3, 32, 32), num_classes=3)
    return Playground("runs/colours", {"generator": generator}, "generator")


@pytest.fixture(scope="session")
def pushed() -> Playground:
    """A generator alone and followed by two pushes."""
    model = DCGAN(width=4, latent_size=8)
    plain, _ = made(model, (1, 8, 8))
    followed, discriminator = made(model, (1, 8, 8))
    chain = Chain(Push(), LOSSES["nonsaturating"], chunk=4)
    for level in (1, 2):
        chain.store(level, discriminator, 1000.0)
    followed.pushes = ChainPushes(chain, AUGMENTATIONS["none"], {}, Counters())
    return Playground("runs/pushed", {"pushed": followed, "generator": plain}, "pushed")
