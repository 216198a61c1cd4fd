"""Do the papers' networks train at a small size? CIFAR-10 and digits, five minutes a run, against a coverage floor.

    OMP_NUM_THREADS=1 python examples/network_floor.py --out runs/network-floor --seconds 300

Every network under common and nested annealed training, one thread each, with the loss and the optimizer that it was
published with and one discriminator update a step; DDGAN on scikit-learn's digits, the others on CIFAR-10. A run that
does not finish, or whose coverage is below the floor of `coverage_floor.py`, makes the command fail. The same command
goes on where it was stopped, and ends by printing the tables.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from coverage_floor import judged, options_of
from loss_study import GAMMA

from ganneal.comparison import Arm, Study
from ganneal.experiment import Records
from ganneal.experiments import EXPERIMENTS
from ganneal.losses import Hinge, NonSaturating, RelativisticPaired
from ganneal.metrics.extractors import Pixels, ResNet
from ganneal.models import R3GAN, SNDCGAN, SNGAN, BigGAN
from ganneal.optim import Adam
from ganneal.regularizers import Generated, GradientPenalty, Reals, Sum
from ganneal.task import Labelled

SCHEMES = ("cts", "nats")
SPECTRAL_ADAM = Adam(lr=2e-4, beta1=0.0, beta2=0.9)
BIGGAN_ADAM = Adam(lr=2e-4, beta1=0.0, beta2=0.999)
R3GAN_ADAM = Adam(lr=2e-3, beta1=0.0, beta2=0.9)
"""The best of 5e-4, 1e-3 and 2e-3 after 90 s."""
BOTH = Sum(
    (
        GradientPenalty(center=0.0, points=Reals(), coefficient=GAMMA / 2),
        GradientPenalty(center=0.0, points=Generated(), coefficient=GAMMA / 2),
    )
)
NETWORKS: dict[str, dict[str, Any]] = {
    "sn-dcgan": {"model": SNDCGAN(width=16), "loss": NonSaturating()},
    "sngan": {"model": SNGAN(g_width=32, d_width=32), "loss": Hinge(), "batch_size": 16},
    "biggan": {"model": BigGAN(width=8), "loss": Hinge(), "task": Labelled(), "batch_size": 16},
    "r3gan": {
        "model": R3GAN(widths=(64, 64, 32, 16), group_size=32),
        "loss": RelativisticPaired(),
        "regularizer": BOTH,
        "batch_size": 8,
        "precision": "float32",
    },
}
"""A small one of each family. Residual networks make few updates in five minutes, hence smaller batches; grouped
convolutions, R3GAN's, are slower in bf16."""
OPTIMIZERS = {"sn-dcgan": SPECTRAL_ADAM, "sngan": SPECTRAL_ADAM, "biggan": BIGGAN_ADAM, "r3gan": R3GAN_ADAM}


def study(seconds: float, seeds: int, only: Sequence[str] = ()) -> Study:
    """Every network under both schemes, or the arms that are named."""
    records = Records(
        log_every=2_000,
        sample_every=25_000,
        evaluate_every=25_000,
        evaluate_count=2_000,
        extractor=ResNet(20),
        tensorboard=False,
    )
    arms = []
    for network, changes in NETWORKS.items():
        for scheme in SCHEMES:
            trained = replace(
                EXPERIMENTS[f"cifar10-{scheme}"](),
                threads=1,
                records=records,
                d_optimizer=OPTIMIZERS[network],
                g_optimizer=OPTIMIZERS[network],
                **{"precision": "bf16"} | changes,
            )
            arms.append(Arm(f"{network}-{scheme}", trained))
    arms = [arm for arm in arms if not only or arm.name in only]
    return Study("network-floor", tuple(arms), tuple(range(seeds)), "seconds", seconds, arms[0].name)


DIGITS = 1_797
"""All there are, and as many samples. The coverage of their pixels is 0 for untrained generators, 0.029 for ten of them
repeated under a little noise, 0.957 for one half and the other."""


def digits_study(seconds: float, seeds: int, only: Sequence[str] = ()) -> Study:
    """DDGAN under both schemes, or the arm that is named."""
    records = Records(
        log_every=2_000, sample_every=25_000, evaluate_every=25_000, extractor=Pixels(), tensorboard=False
    )
    named = {"ddgan-cts": "digits-ddgan", "ddgan-nats": "digits-ddgan-nats"}
    arms = [
        Arm(arm, replace(EXPERIMENTS[experiment](), threads=1, records=records))
        for arm, experiment in named.items()
        if not only or arm in only
    ]
    return Study("network-floor-digits", tuple(arms), tuple(range(seeds)), "seconds", seconds, arms[0].name)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The papers' networks under two schemes against a coverage floor.")
    options = options_of(parser, "runs/network-floor", arguments)
    digits = [arm for arm in options.arms if arm.startswith("ddgan-")]
    failed = 0
    if len(digits) < len(options.arms) or not options.arms:
        failed |= judged(study(options.seconds, options.seeds, options.arms), options)
    if digits or not options.arms:
        options.out, options.samples = options.out / "digits", min(options.samples, DIGITS)
        failed |= judged(digits_study(options.seconds, options.seeds, digits), options)
    return failed


if __name__ == "__main__":
    sys.exit(main())
