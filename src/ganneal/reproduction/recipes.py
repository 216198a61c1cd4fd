"""The published settings as experiments; what the papers leave open is as in the code they were made with."""

from dataclasses import replace
from typing import Literal

from ganneal.experiment import Budget, Experiment, Records
from ganneal.experiments import cifar10_biggan_cts, cifar10_ddgan, cifar10_sngan_cts
from ganneal.experiments.mnist import REFERENCE_RMSPROP
from ganneal.losses import Hinge, LeastSquares, Loss, NonSaturating, Wasserstein
from ganneal.models import DCGAN, SNGAN, BigGAN, Model, ResNet4
from ganneal.normalization import Normalization, Spectral, Unnormalized
from ganneal.optim import CG, SGD, Adam, Averaging, LRRule
from ganneal.regularizers import GradientPenalty, Sum
from ganneal.reproduction.datasets import PUBLISHED_DATA
from ganneal.schemes import Alternating, FunctionalGradient, Nested, Scheme
from ganneal.weights import Geometric, Ones, Reversed, Weights

SchemeName = Literal["cts", "nts", "nats", "reversed"]
Loss4 = Literal["original", "lsgan", "wgan", "hinge"]
NetworkName = Literal["resnet", "biggan", "sngan"]
Optimizer = Literal["Adam", "SGD", "momentum", "DY", "FR", "FR_PRP", "HS", "HS_DY", "HZ", "PRP"]

TITLES: dict[Loss4, str] = {"original": "original GAN", "lsgan": "LSGAN", "wgan": "WGAN", "hinge": "HingeGAN"}
NO_AVERAGE = Averaging(half_life=0.0)
RECORDS = Records(log_every=5_000, sample_every=250_000, evaluate_every=250_000, evaluate_count=10_000)
# The code that the paper names minimises a cross-entropy on logits: its "original GAN" is the non-saturating one. Its
# hinge has a linear generator loss.
LOSSES4: dict[Loss4, Loss] = {
    "original": NonSaturating(),
    "lsgan": LeastSquares(),
    "wgan": Wasserstein(),
    "hinge": Hinge(),
}
# CFG's own network has no spectral normalisation; the other two were published with it.
NETWORKS: dict[NetworkName, tuple[Model, Normalization]] = {
    "resnet": (ResNet4(), Unnormalized()),
    "biggan": (BigGAN(), Spectral()),
    "sngan": (SNGAN(), Spectral()),
}
BIGGAN_D_STEPS = 4
"""K of Table IV is 1 or 4; four are BigGAN's on CIFAR-10, as in its script."""
SCHEME_WEIGHTS: dict[SchemeName, Weights] = {"nts": Ones(), "nats": Geometric(), "reversed": Reversed()}


def scheme_of(name: SchemeName, levels: int, d_steps: int = 1) -> Scheme:
    """The scheme called ``name`` with N_d ``levels`` and K ``d_steps``."""
    if name == "cts":
        return Alternating(d_steps)
    return Nested(levels, d_steps, SCHEME_WEIGHTS[name])


def classical(dataset: str, loss: Loss4, scheme: SchemeName, levels: int = 5) -> Experiment:
    """One of the four classical GANs with the hub's network: Adam 2e-4 (0.5, 0.999), batch 64, no averaging.

    WGAN has the penalty of WGAN-GP at 10 and layer norm in the discriminator. K is 1 by Table IV.
    """
    wasserstein = loss == "wgan"
    return Experiment(
        name=f"{loss}-{scheme}",
        data=PUBLISHED_DATA[dataset].source,
        # The penalty is on the gradient at single samples, which batch norm would mix; the hub's code takes layer norm
        # too.
        model=DCGAN(d_norm="layer" if wasserstein else "batch"),
        scheme=scheme_of(scheme, levels),
        loss=LOSSES4[loss],
        regularizer=GradientPenalty() if wasserstein else Sum(),
        averaging=NO_AVERAGE,
        records=RECORDS,
    )


def functional(dataset: str, network: NetworkName = "resnet", weights: Weights | None = None) -> Experiment:
    """CFG, annealed where ``weights`` are given: M = 15, U = 1, N = 640, batch 64, RMSProp 2.5e-4, delta = 1."""
    model, normalization = NETWORKS[network]
    return Experiment(
        name=f"cfg-{network}",
        data=PUBLISHED_DATA[dataset].source,
        model=model,
        normalization=normalization,
        # M, U and N of Table III are this scheme's defaults: 15 steps, one discriminator update each, a pool of 640.
        scheme=FunctionalGradient(weights=weights or Ones()),
        # The reference code adds eps before the square root.
        d_optimizer=REFERENCE_RMSPROP,
        g_optimizer=REFERENCE_RMSPROP,
        averaging=NO_AVERAGE,
        records=RECORDS,
    )


def biggan(scheme: SchemeName) -> Experiment:
    """BigGAN on CIFAR-10 by its authors' script; 2e-4 and N_d = 4 by Table VI, K = 4 by Table IV."""
    schedule = scheme_of(scheme, 4, BIGGAN_D_STEPS)
    return replace(cifar10_biggan_cts(), name=f"biggan-{scheme}", scheme=schedule, records=RECORDS, threads=None)


def biggan64(scheme: SchemeName) -> Experiment:
    """BigGAN on ImageNet at 64 px: hierarchical latents, shared class vector, attention at 32 px; 2e-4 by Table VI."""
    model = BigGAN(latent_size=120, shared_size=128, hierarchical=True, attention=32, init="orthogonal")
    return replace(
        biggan(scheme),
        name=f"biggan64-{scheme}",
        data=PUBLISHED_DATA["imagenet64"].source,
        model=model,
        batch_size=256,
        # K = 1 here: the 4 of Table IV is taken as that of CIFAR-10.
        scheme=scheme_of(scheme, 4),
    )


def ddgan(scheme: SchemeName) -> Experiment:
    """DDGAN on CIFAR-10 as published, but for 1.25e-4 of both players and N_d = 5 where nested, by Table VI."""
    published = cifar10_ddgan()
    # One rate for both players, where DDGAN's code has 1.6e-4 for the generator.
    adam = published.d_optimizer
    return replace(published, name=f"ddgan-{scheme}", scheme=scheme_of(scheme, 5), g_optimizer=adam, records=RECORDS)


def conjugate_gradient(optimizer: Optimizer, rule: LRRule) -> Experiment:
    """SNGAN's networks with the non-saturating loss, batch 64, one discriminator update, both players alike.

    The published discriminator minimises half the loss: without Adam, half the learning rate does that.
    """
    match optimizer:
        case "Adam":
            # Half the loss is the same loss to Adam, whose step, up to eps, does not depend on its scale.
            d_optimizer = g_optimizer = Adam(lr=1e-4, beta1=0.5, rule=rule)
        case "SGD" | "momentum":
            momentum = 0.9 if optimizer == "momentum" else 0.0
            d_optimizer, g_optimizer = (SGD(lr=lr, momentum=momentum, rule=rule) for lr in (5e-4, 1e-3))
        case _:
            d_optimizer, g_optimizer = (CG(lr=lr, beta_rule=optimizer, rule=rule) for lr in (5e-4, 1e-3))
    return replace(
        cifar10_sngan_cts(),
        name=optimizer,
        loss=NonSaturating(),
        scheme=Alternating(),
        d_optimizer=d_optimizer,
        g_optimizer=g_optimizer,
        averaging=NO_AVERAGE,
        budget=Budget(num_real=6_400_000),
        records=RECORDS,
    )
