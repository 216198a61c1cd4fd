"""Named experiments: functions returning an `Experiment`. Register your own: ``EXPERIMENTS["mine"] = mine``."""

from collections.abc import Callable

from ganneal.experiment import Experiment
from ganneal.experiments.cifar10 import cifar10_cfg, cifar10_cfg_annealed, cifar10_cts, cifar10_nats, cifar10_nts
from ganneal.experiments.cifar10_residual import (
    cifar10_biggan_cts,
    cifar10_biggan_nats,
    cifar10_biggan_nts,
    cifar10_sngan_cts,
    cifar10_sngan_nats,
)
from ganneal.experiments.ddgan import (
    cifar10_ddgan,
    cifar10_ddgan_nats,
    digits_ddgan,
    digits_ddgan_nats,
    ring_ddgan,
    ring_ddgan_nats,
)
from ganneal.experiments.digits import digits_cts, digits_nats, digits_nts, digits_relation
from ganneal.experiments.fitting import Choice
from ganneal.experiments.high_resolution import (
    celeba256_cfg_annealed,
    celeba_cts,
    celeba_nats,
    celeba_nts,
    lsun256_cfg_annealed,
)
from ganneal.experiments.images import image_choices, images, run_name
from ganneal.experiments.mnist import mnist_cfg, mnist_cfg_annealed, mnist_cts, mnist_li_cfg, mnist_nats, mnist_nts
from ganneal.experiments.recipes import RECIPES, Recipe
from ganneal.experiments.ring import ring_cfg, ring_cts, ring_labelled_nats, ring_nats, ring_nts

EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    # The name of the function, with dashes as options have them.
    function.__name__.replace("_", "-"): function
    for function in (
        digits_cts, digits_nts, digits_nats, digits_relation, digits_ddgan, digits_ddgan_nats,
        mnist_cts, mnist_nts, mnist_nats, mnist_cfg, mnist_cfg_annealed, mnist_li_cfg,
        cifar10_cts, cifar10_nts, cifar10_nats, cifar10_cfg, cifar10_cfg_annealed, cifar10_sngan_cts,
        cifar10_sngan_nats, cifar10_biggan_cts, cifar10_biggan_nts, cifar10_biggan_nats,
        celeba_cts, celeba_nts, celeba_nats, celeba256_cfg_annealed, lsun256_cfg_annealed,
        cifar10_ddgan, cifar10_ddgan_nats,
        ring_cts, ring_nts, ring_nats, ring_labelled_nats, ring_cfg, ring_ddgan, ring_ddgan_nats,
    )
}  # fmt: skip
"""Experiments by name; each function's first line is its description."""

__all__ = [
    "EXPERIMENTS",
    "RECIPES",
    "Choice",
    "Recipe",
    "celeba256_cfg_annealed",
    "celeba_cts",
    "celeba_nats",
    "celeba_nts",
    "cifar10_biggan_cts",
    "cifar10_biggan_nats",
    "cifar10_biggan_nts",
    "cifar10_cfg",
    "cifar10_cfg_annealed",
    "cifar10_cts",
    "cifar10_ddgan",
    "cifar10_ddgan_nats",
    "cifar10_nats",
    "cifar10_nts",
    "cifar10_sngan_cts",
    "cifar10_sngan_nats",
    "digits_cts",
    "digits_ddgan",
    "digits_ddgan_nats",
    "digits_nats",
    "digits_nts",
    "digits_relation",
    "image_choices",
    "images",
    "lsun256_cfg_annealed",
    "mnist_cfg",
    "mnist_cfg_annealed",
    "mnist_cts",
    "mnist_li_cfg",
    "mnist_nats",
    "mnist_nts",
    "ring_cfg",
    "ring_cts",
    "ring_ddgan",
    "ring_ddgan_nats",
    "ring_labelled_nats",
    "ring_nats",
    "ring_nts",
    "run_name",
]
