"""Terms and constraints beside the adversarial loss. Register your own with ``REGULARIZERS["mine"] = Mine()``."""

from ganneal.logits import (
    functional_value_and_input_gradient,
    input_gradient,
    squared_input_gradient,
    value_and_input_gradient,
)
from ganneal.regularizers.clipping import WeightClipping
from ganneal.regularizers.consistency import Consistency, consistency
from ganneal.regularizers.entropy import LatentEntropy, latent_log_density
from ganneal.regularizers.gradient_penalty import GradientPenalty
from ganneal.regularizers.latent_consistency import LatentConsistency
from ganneal.regularizers.lecam import LeCam, lecam
from ganneal.regularizers.orthogonal import Orthogonal, correlation
from ganneal.regularizers.penalties import (
    Dragan,
    Generated,
    Line,
    PenaltyPoints,
    Reals,
    centered_gp,
    dragan_points,
    even_center,
    line_points,
    r1,
    r2,
    wgan_gp,
    wgan_lp,
    zero_gp,
)
from ganneal.regularizers.protocol import (
    Again,
    Change,
    Context,
    Discriminator,
    GeneratorContext,
    Regularizer,
    RegularizerState,
    unchanged,
)
from ganneal.regularizers.sum import Sum

REGULARIZERS: dict[str, Regularizer] = {
    "none": Sum(),
    "wgan-gp": GradientPenalty(),
    "wgan-lp": GradientPenalty(one_sided=True),
    "zero-gp": GradientPenalty(center=0.0),
    "eps-gp": GradientPenalty(center=0.3, coefficient=1.0),
    "max-gp": GradientPenalty(center=0.0, largest=True),
    "r1": GradientPenalty(center=0.0, points=Reals(), coefficient=5.0),
    "r2": GradientPenalty(center=0.0, points=Generated(), coefficient=5.0),
    "r1-r2": Sum(
        (
            GradientPenalty(center=0.0, points=Reals(), coefficient=5.0),
            GradientPenalty(center=0.0, points=Generated(), coefficient=5.0),
        )
    ),
    "dragan": GradientPenalty(points=Dragan()),
    "lecam": LeCam(),
    "cr": Consistency(),
    "bcr": Consistency(fake_coefficient=10.0),
    "zcr": LatentConsistency(),
    "ver": LatentEntropy(),
    "clipping": WeightClipping(),
    "orthogonal": Orthogonal(),
}
"""Regularizers by name; r1 and r2 have gamma 10, written as the coefficient gamma / 2."""

__all__ = [
    "Again",
    "Change",
    "REGULARIZERS",
    "Consistency",
    "Context",
    "Discriminator",
    "Dragan",
    "Generated",
    "GeneratorContext",
    "GradientPenalty",
    "LatentConsistency",
    "LatentEntropy",
    "LeCam",
    "Line",
    "Orthogonal",
    "PenaltyPoints",
    "Reals",
    "Regularizer",
    "RegularizerState",
    "Sum",
    "WeightClipping",
    "centered_gp",
    "consistency",
    "correlation",
    "dragan_points",
    "even_center",
    "functional_value_and_input_gradient",
    "input_gradient",
    "latent_log_density",
    "lecam",
    "line_points",
    "r1",
    "r2",
    "squared_input_gradient",
    "unchanged",
    "value_and_input_gradient",
    "wgan_gp",
    "wgan_lp",
    "zero_gp",
]
