"""Named experiments: functions returning an `Experiment`. Register your own: ``EXPERIMENTS["mine"] = mine``."""

from collections.abc import Callable

from ganneal.experiment import Experiment
from ganneal.experiments.choices import Choice
from ganneal.experiments.cifar10 import cifar10_cfg, cifar10_cfg_annealed, cifar10_cts, cifar10_nats, cifar10_nts
from ganneal.experiments.digits import digits_cts, digits_nats, digits_nts
from ganneal.experiments.images import image_choices, images, run_name
from ganneal.experiments.mnist import mnist_cfg, mnist_cfg_annealed, mnist_cts, mnist_li_cfg, mnist_nats, mnist_nts
from ganneal.experiments.ring import ring_cfg, ring_cts, ring_labelled_nats, ring_nats, ring_nts

EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "digits-cts": digits_cts,
    "digits-nts": digits_nts,
    "digits-nats": digits_nats,
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
    "ring-cts": ring_cts,
    "ring-nts": ring_nts,
    "ring-nats": ring_nats,
    "ring-labelled-nats": ring_labelled_nats,
    "ring-cfg": ring_cfg,
}
"""Experiments by name; each function's first line is its description."""

__all__ = [
    "EXPERIMENTS",
    "Choice",
    "cifar10_cfg",
    "cifar10_cfg_annealed",
    "cifar10_cts",
    "cifar10_nats",
    "cifar10_nts",
    "digits_cts",
    "digits_nats",
    "digits_nts",
    "image_choices",
    "images",
    "mnist_cfg",
    "mnist_cfg_annealed",
    "mnist_cts",
    "mnist_li_cfg",
    "mnist_nats",
    "mnist_nts",
    "ring_cfg",
    "ring_cts",
    "ring_labelled_nats",
    "ring_nats",
    "ring_nts",
    "run_name",
]
