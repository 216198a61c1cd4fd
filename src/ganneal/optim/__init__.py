"""Optimizers as configurations, learning-rate rules as pure functions of a clock, and weight averaging."""

from ganneal.optim.averaging import Averaging, average_
from ganneal.optim.lr_rules import LR_RULES, Constant, Cosine, LinearDecay, LRRule
from ganneal.optim.optimizers import OPTIMIZERS, SGD, Adam, OptimizerConfig, RMSProp

__all__ = [
    "LR_RULES",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "Averaging",
    "Constant",
    "Cosine",
    "LRRule",
    "LinearDecay",
    "OptimizerConfig",
    "RMSProp",
    "average_",
]
