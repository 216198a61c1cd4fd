"""Train generative adversarial networks with the schedule of the two-player game as a first-class object.

Importing this package imports nothing heavy: every public name below is resolved on first use (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganneal import (
        augment,
        data,
        divergences,
        experiments,
        losses,
        metrics,
        models,
        normalization,
        optim,
        plan,
        regularizers,
        schemes,
        steps,
        stop,
        task,
        weights,
    )
    from ganneal.experiment import Budget, Experiment, Records
    from ganneal.inference.loading import load
    from ganneal.training.session import train

_NAMES = {
    "Budget": "ganneal.experiment",
    "Experiment": "ganneal.experiment",
    "Records": "ganneal.experiment",
    "load": "ganneal.inference.loading",
    "train": "ganneal.training.session",
}

__all__ = [
    "Budget",
    "Experiment",
    "Records",
    "__version__",
    "augment",
    "data",
    "divergences",
    "experiments",
    "load",
    "losses",
    "metrics",
    "models",
    "normalization",
    "optim",
    "plan",
    "regularizers",
    "schemes",
    "steps",
    "stop",
    "task",
    "train",
    "weights",
]


def __getattr__(name: str) -> Any:
    # Asked only for names that are not there yet: an imported module is an attribute of the package from then on.
    if name in _NAMES:
        return getattr(import_module(_NAMES[name]), name)
    if name in __all__:
        return import_module(f"ganneal.{name}")
    raise AttributeError(f"module 'ganneal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
