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
    "digits-cts": digits_cts,
    "digits-nts": digits_nts,
    "digits-nats": digits_nats,
    "digits-relation": digits_relation,
    "digits-ddgan": digits_ddgan,
    "digits-ddgan-nats": digits_ddgan_nats,
    "mnist-cts": mnist_cts,
    "mnist-nts": mnist_nts,
    "mnist-nats": mnist_nats,
    "mnist-cfg": mnist_cfg,
    "mnist-cfg-annealed": mnist_cfg_annealed,
    "mnist-li-cfg": mnist_li_cfg,
    "cifar10-cts": cifar10_cts,
    "cifar10-nts": cifar10_nts,
    "cifar10-nats": cifar10_nats,
    "cifar10-cfg": cifar10_cfg,
    "cifar10-cfg-annealed": cifar10_cfg_annealed,
    "cifar10-sngan-cts": cifar10_sngan_cts,
    "cifar10-sngan-nats": cifar10_sngan_nats,
    "cifar10-biggan-cts": cifar10_biggan_cts,
    "cifar10-biggan-nts": cifar10_biggan_nts,
    "cifar10-biggan-nats": cifar10_biggan_nats,
    "celeba-cts": celeba_cts,
    "celeba-nts": celeba_nts,
    "celeba-nats": celeba_nats,
    "celeba256-cfg-annealed": celeba256_cfg_annealed,
    "lsun256-cfg-annealed": lsun256_cfg_annealed,
    "cifar10-ddgan": cifar10_ddgan,
    "cifar10-ddgan-nats": cifar10_ddgan_nats,
    "ring-cts": ring_cts,
    "ring-nts": ring_nts,
    "ring-nats": ring_nats,
    "ring-labelled-nats": ring_labelled_nats,
    "ring-cfg": ring_cfg,
    "ring-ddgan": ring_ddgan,
    "ring-ddgan-nats": ring_ddgan_nats,
}
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
