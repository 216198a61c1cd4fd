"""CIFAR-10 with residual networks: SNGAN without classes, BigGAN with them, in their published settings."""

from dataclasses import replace

from ganneal.experiment import Budget, Experiment
from ganneal.experiments.cifar10 import cifar10_cts
from ganneal.losses import Hinge
from ganneal.models import SNGAN, BigGAN
from ganneal.normalization import Spectral
from ganneal.optim import Adam, Averaging, LinearDecay
from ganneal.schemes import Alternating, Nested
from ganneal.task import Labelled
from ganneal.weights import Geometric

SNGAN_LENGTH = 32_000_000
"""Real images: 100,000 generator updates, 5 discriminator updates for each, 64 images for each of those."""
BIGGAN_LENGTH = 25_000_000
"""500 passes over CIFAR-10."""
BIGGAN_HALF_LIFE = 1_386_225
"""Real images in which a decay of 0.9999 a generator update halves, with 200 images for each."""
BIGGAN_START = 200_000
"""1,000 generator updates."""


def cifar10_sngan_cts() -> Experiment:
    """CIFAR-10 (32 px, unconditional) with SNGAN's residual networks, common training scheme."""
    # Miyato et al., 2018: no momentum, five discriminator updates for one of the generator, rates that fall to 0 on a
    # line.
    adam = Adam(lr=2e-4, beta1=0.0, beta2=0.9, rule=LinearDecay(end=SNGAN_LENGTH))
    return replace(
        cifar10_cts(),
        name="cifar10-sngan-cts",
        model=SNGAN(),
        normalization=Spectral(),
        loss=Hinge(),
        scheme=Alternating(d_steps=5),
        d_optimizer=adam,
        g_optimizer=adam,
        budget=Budget(num_real=SNGAN_LENGTH),
    )


def cifar10_sngan_nats() -> Experiment:
    """CIFAR-10 (32 px, unconditional) with SNGAN's residual networks, nested annealed training."""
    scheme = Nested(levels=5, d_steps=5, weights=Geometric())
    return replace(cifar10_sngan_cts(), name="cifar10-sngan-nats", scheme=scheme)


def cifar10_biggan_cts() -> Experiment:
    """CIFAR-10 (32 px, ten classes) with BigGAN, common training scheme."""
    adam = Adam(lr=2e-4, beta1=0.0)
    return replace(
        cifar10_cts(),
        name="cifar10-biggan-cts",
        model=BigGAN(),
        normalization=Spectral(),
        loss=Hinge(),
        # The script draws classes of fakes apart from those of the real images beside them.
        task=Labelled(paired=False),
        scheme=Alternating(d_steps=4),
        d_optimizer=adam,
        g_optimizer=adam,
        averaging=Averaging(half_life=BIGGAN_HALF_LIFE, rampup=None, start=BIGGAN_START),
        batch_size=50,
        budget=Budget(num_real=BIGGAN_LENGTH),
    )


def cifar10_biggan_nts() -> Experiment:
    """CIFAR-10 (32 px, ten classes) with BigGAN, nested training."""
    # N_d = 4 by Table VI of the NATS paper, with the four discriminator updates of the script at each level.
    return replace(cifar10_biggan_cts(), name="cifar10-biggan-nts", scheme=Nested(levels=4, d_steps=4))


def cifar10_biggan_nats() -> Experiment:
    """CIFAR-10 (32 px, ten classes) with BigGAN, nested annealed training."""
    scheme = Nested(levels=4, d_steps=4, weights=Geometric())
    return replace(cifar10_biggan_cts(), name="cifar10-biggan-nats", scheme=scheme)
