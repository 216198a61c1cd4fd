"""Denoising diffusion GANs: eight Gaussians, 8 px digits, and the published setting for CIFAR-10."""

from dataclasses import replace

from ganneal.data import Digits
from ganneal.experiment import Budget, Experiment
from ganneal.experiments.cifar10 import cifar10_cts
from ganneal.experiments.digits import digits_cts
from ganneal.experiments.ring import ring_cts
from ganneal.models import DDGAN, DenoisingMLP
from ganneal.optim import Adam, Averaging, Cosine
from ganneal.regularizers import GradientPenalty, Reals
from ganneal.schemes import Nested
from ganneal.task import Denoising
from ganneal.weights import Geometric

# Published for CIFAR-10: gamma 0.02 at every 15th update, not multiplied by 15.
# The coefficient is gamma/2.
R1 = GradientPenalty(center=0.0, points=Reals(), coefficient=0.01, interval=15, scale_by_interval=False)


def ring_ddgan() -> Experiment:
    """Eight Gaussians on a circle, denoising diffusion GAN, common training scheme."""
    return replace(
        ring_cts(),
        name="ring-ddgan",
        model=DenoisingMLP(),
        task=Denoising(),
        regularizer=R1,
        d_optimizer=Adam(lr=1e-3, beta2=0.9),
        g_optimizer=Adam(lr=1e-3, beta2=0.9),
    )


def ring_ddgan_nats() -> Experiment:
    """Eight Gaussians on a circle, denoising diffusion GAN, nested annealed training."""
    return replace(ring_ddgan(), name="ring-ddgan-nats", scheme=Nested(levels=5, weights=Geometric()))


def digits_ddgan() -> Experiment:
    """Handwritten digits (8 px), denoising diffusion GAN, common training scheme."""
    model = DDGAN(
        width=16,
        multipliers=(1, 2),
        blocks=1,
        attention=4,
        latent_size=16,
        style_size=32,
        mapping_layers=2,
        d_width=8,
        d_time_size=32,
    )
    return replace(
        digits_cts(),
        name="digits-ddgan",
        data=Digits(size=8),
        model=model,
        task=Denoising(),
        regularizer=R1,
        d_optimizer=Adam(lr=1e-3, beta2=0.9),  # below the generator's rate it tells no fake from a real one
        g_optimizer=Adam(lr=2e-4, beta2=0.9),
    )


def digits_ddgan_nats() -> Experiment:
    """Handwritten digits (8 px), denoising diffusion GAN, nested annealed training."""
    return replace(digits_ddgan(), name="digits-ddgan-nats", scheme=Nested(levels=5, weights=Geometric()))


def cifar10_ddgan() -> Experiment:
    """CIFAR-10 (32 px, unconditional), published denoising diffusion GAN, common training scheme; for a GPU."""
    images = 1_800 * 50_000
    model = DDGAN(
        width=128,
        multipliers=(1, 2, 2, 2),
        blocks=2,
        attention=16,
        latent_size=100,
        style_size=256,
        mapping_layers=4,
        d_width=64,
        d_time_size=256,
    )
    return replace(
        cifar10_cts(),
        name="cifar10-ddgan",
        model=model,
        task=Denoising(),
        regularizer=R1,
        # Both rates end at 1e-5.
        d_optimizer=Adam(lr=1.25e-4, beta2=0.9, rule=Cosine(end=images, final=0.08)),
        g_optimizer=Adam(lr=1.6e-4, beta2=0.9, rule=Cosine(end=images, final=0.0625)),
        averaging=Averaging(half_life=1_774_368, rampup=None),  # 0.9999 at each of the updates of 256 images
        batch_size=256,
        flip=True,
        budget=Budget(num_real=images),
    )


def cifar10_ddgan_nats() -> Experiment:
    """CIFAR-10 (32 px, unconditional), published denoising diffusion GAN, nested annealed training; for a GPU."""
    # With beta2 = 0.9 the second moment follows the falling weights and takes much of the annealing back.
    return replace(cifar10_ddgan(), name="cifar10-ddgan-nats", scheme=Nested(levels=5, weights=Geometric()))
