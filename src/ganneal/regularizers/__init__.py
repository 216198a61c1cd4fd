"""Terms and constraints beside the adversarial loss. Register your own with ``REGULARIZERS["mine"] = Mine()``."""

from ganneal.regularizers.clipping import WeightClipping
from ganneal.regularizers.gradient_penalty import (
    Dragan,
    Generated,
    GradientPenalty,
    Line,
    Points,
    Reals,
    dragan_points,
    line_points,
    r1,
    r2,
    squared_input_gradient,
    wgan_gp,
    wgan_lp,
    zero_gp,
)
from ganneal.regularizers.protocol import Context, Discriminator, GeneratorContext, Regularizer, State
from ganneal.regularizers.sum import Sum

REGULARIZERS: dict[str, Regularizer] = {
    "none": Sum(),
    "wgan-gp": GradientPenalty(),
    "wgan-lp": GradientPenalty(one_sided=True),
    "zero-gp": GradientPenalty(center=0.0),
    "r1": GradientPenalty(center=0.0, points=Reals(), coefficient=5.0),
    "r2": GradientPenalty(center=0.0, points=Generated(), coefficient=5.0),
    "dragan": GradientPenalty(points=Dragan()),
    "clipping": WeightClipping(),
}
"""Regularizers by name; r1 and r2 have gamma 10, written as the coefficient gamma / 2."""

__all__ = [
    "REGULARIZERS",
    "Context",
    "Discriminator",
    "Dragan",
    "Generated",
    "GeneratorContext",
    "GradientPenalty",
    "Line",
    "Points",
    "Reals",
    "Regularizer",
    "State",
    "Sum",
    "WeightClipping",
    "dragan_points",
    "line_points",
    "r1",
    "r2",
    "squared_input_gradient",
    "wgan_gp",
    "wgan_lp",
    "zero_gp",
]
