"""Optimizers as configurations, learning-rate rules as pure functions of a clock, and weight averaging."""

from ganneal.optim.averaging import Averaging, average_
from ganneal.optim.beta_rules import BETA_RULES
from ganneal.optim.conjugate_gradient import ConjugateGradient
from ganneal.optim.lr_rules import (
    LR_RULES,
    Constant,
    Cosine,
    ExponentialDecay,
    LinearDecay,
    LRRule,
    Power,
    Rise,
    StepDecay,
    two_time_scale,
)
from ganneal.optim.optimizers import (
    CG,
    OPTIMIZERS,
    SGD,
    Adam,
    BetaRule,
    InsideRMSProp,
    OptimizerConfig,
    RMSProp,
    moment_decays,
)
from ganneal.optim.paced import Paced, PacedCG

__all__ = [
    "BETA_RULES",
    "CG",
    "LR_RULES",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "Averaging",
    "BetaRule",
    "ConjugateGradient",
    "Constant",
    "Cosine",
    "ExponentialDecay",
    "InsideRMSProp",
    "LRRule",
    "LinearDecay",
    "OptimizerConfig",
    "Paced",
    "PacedCG",
    "Power",
    "RMSProp",
    "Rise",
    "StepDecay",
    "average_",
    "moment_decays",
    "two_time_scale",
]
