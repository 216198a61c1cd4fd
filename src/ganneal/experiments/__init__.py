"""Named experiments: functions returning an `Experiment`. Register your own: ``EXPERIMENTS["mine"] = mine``."""

from collections.abc import Callable

from ganneal.experiment import Experiment
from ganneal.experiments.choices import Choice
from ganneal.experiments.cifar10 import cifar10_cts, cifar10_nats, cifar10_nts
from ganneal.experiments.digits import digits_cts, digits_nats, digits_nts
from ganneal.experiments.images import image_choices, images, run_name
from ganneal.experiments.mnist import mnist_cts, mnist_nats, mnist_nts
from ganneal.experiments.ring import ring_cts, ring_labelled_nats, ring_nats, ring_nts

EXPERIMENTS: dict[str, Callable[[], Experiment]] = {
    "digits-cts": digits_cts,
    "digits-nts": digits_nts,
    "digits-nats": digits_nats,
    "mnist-cts": mnist_cts,
    "mnist-nts": mnist_nts,
    "mnist-nats": mnist_nats,
    "cifar10-cts": cifar10_cts,
    "cifar10-nts": cifar10_nts,
    "cifar10-nats": cifar10_nats,
    "ring-cts": ring_cts,
    "ring-nts": ring_nts,
    "ring-nats": ring_nats,
    "ring-labelled-nats": ring_labelled_nats,
}
"""Experiments by name; each function's first line is its description."""

__all__ = [
    "EXPERIMENTS",
    "Choice",
    "cifar10_cts",
    "cifar10_nats",
    "cifar10_nts",
    "digits_cts",
    "digits_nats",
    "digits_nts",
    "image_choices",
    "images",
    "mnist_cts",
    "mnist_nats",
    "mnist_nts",
    "ring_cts",
    "ring_labelled_nats",
    "ring_nats",
    "ring_nts",
    "run_name",
]
