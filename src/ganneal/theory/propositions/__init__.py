"""Claims about nested annealed training and functional gradients, as statements that measure themselves.

>>> T = PROPOSITIONS["T2.1"]
>>> T.holds(T.measure())
True

References:
    Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Equation 2 and Propositions 1 to 4; A New Formulation of
    Lipschitz Constrained With Functional Gradient Learning for GANs, arXiv 2501.11236.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ganneal.losses import LOSSES
from ganneal.theory.propositions import chains, decrease, fitting, neighbourhood, optimal, vector_fields
from ganneal.theory.propositions.chains import annealed, ideal_chain
from ganneal.theory.propositions.optimal import optimum, plane, pointwise_optimum, trained_discriminator
from ganneal.theory.propositions.vector_fields import pull

FLOAT64_ROUNDING = 1e-12
"""Identities hold to this in float64."""


@dataclass(frozen=True)
class Statement:
    """One claim, and the figure that decides it."""

    says: str
    measure: Callable[[], float]
    at_most: float | None = FLOAT64_ROUNDING
    at_least: float | None = None
    slow: bool = False
    """Trains a network, some 10 s of one core."""

    def holds(self, value: float) -> bool:
        """True if a measured ``value`` is within the bounds."""
        # A NaN is within no bound.
        below = self.at_most is None or value <= self.at_most
        return below and (self.at_least is None or value >= self.at_least)

    @property
    def bound(self) -> str:
        """The bounds in symbols, as "≤ 1e-12"."""
        sides = (("≥", self.at_least), ("≤", self.at_most))
        return ", ".join(f"{sign} {side:g}" for sign, side in sides if side is not None)


# One training for the two statements on it.
@cache
def _agreement() -> tuple[float, float]:
    return optimal.network_agreement()


PROPOSITIONS: dict[str, Statement] = {
    "Eq. 2": Statement(
        "a push by delta grad D changes a divergence at rate -E_q[b'(D) delta ‖grad D‖²]: the worst of 8 by 4 factors",
        decrease.rate_error,
    ),
    # Differences in place of derivatives: fourth order in a step of 1e-4, so that rounding is what is left.
    "Eq. 2 chain": Statement(
        "the same with delta 1, from the normals that a push leads to", decrease.chain_rate_error, 1e-9
    ),
    "Eq. 2 falls": Statement("the largest of these rates, which are all below 0", decrease.largest_rate, -0.1),
    "T1.1": Statement(
        "log p/q of two normals: the closed form's slope is the score difference", optimal.closed_form_error
    ),
    "T1.2": Statement(
        "logistic regression on 200,000 samples of each finds that slope, relative L2 error",
        optimal.regression_error,
        0.02,
    ),
    "T1.3 cosine": Statement(
        "a perceptron trained in the plane: mean cosine of its gradient and the score difference",
        lambda: _agreement()[0],
        None,
        0.98,
        slow=True,
    ),
    "T1.3 length": Statement("the same, relative L2 error", lambda: _agreement()[1], 0.3, slow=True),
    "T1.4 logistic": Statement(
        "the logistic loss minimised point by point: slope against score difference", optimal.logistic_slope_error, 1e-9
    ),
    "T1.4 lsgan": Statement(
        "LSGAN's best D is p/(p + q), its slope D (1 - D) times the score difference",
        optimal.least_squares_slope_error,
        1e-9,
    ),
    "T1.4 hinge": Statement("hinge's best D is sign(p - q), its slope 0 almost everywhere", optimal.hinge_slope),
    "T1.4 wgan": Statement(
        "WGAN's best critic has slopes of 1 and attains the Wasserstein distance", optimal.kantorovich_error, 1e-5
    ),
    "T1.4 wgan, scores": Statement(
        "WGAN's slope is not the score difference: relative L2 distance",
        optimal.kantorovich_distance_from_scores,
        None,
        0.5,
    ),
    "T2.1": Statement("the fit's first-pass loss is ½ E‖V‖², V the sum of the pushes", fitting.first_pass_error),
    "T2.1 ideal": Statement("the same with exact discriminators, in closed form", fitting.ideal_loss_error),
    "T2.2": Statement("its gradient is -E[Jᵀ V]", fitting.gradient_error),
    "T3.1": Statement("the annealed chain is the loop written by hand", chains.chain_error),
    "T3.1 training": Statement("the pushes of training are that chain, bit for bit", chains.training_chain_error, 0.0),
    "T3.1 ones": Statement("with weights of 1 it is the plain chain, bit for bit", chains.unit_weights_error, 0.0),
    "T3.2": Statement("the table of ideal chains, to its last digit", chains.table_error, 5e-7),
    "T3.2 points": Statement(
        "points moved by exact discriminators end where the formula says", chains.simulated_chain_error
    ),
    "T3.2 order": Statement(
        "the mean's contraction does not depend on the order of the weights", chains.contraction_error
    ),
    # From 20 to 1 the first pushes overshoot, which is a statement of its own.
    "T3.2 falls": Statement(
        "KL falls at every push for the rules up to 1: largest rise",
        lambda: max(chains.largest_rise(rule) for name, rule in chains.WEIGHT_RULES.items() if name != "20 to 1"),
        0.0,
    ),
    "T3.2 overshoots": Statement(
        "from 20 to 1 it does not: largest rise", lambda: chains.largest_rise(chains.WEIGHT_RULES["20 to 1"]), None, 1.0
    ),
    "T4.1": Statement(
        "a linear loss's gradient is that of one fit to x + w grad D(x)", vector_fields.linear_loss_error
    ),
    "T4.2": Statement(
        "any registered loss's is that of a fit to x + a(D(x)) grad D(x): the worst of all",
        lambda: max(map(vector_fields.loss_gradient_error, LOSSES.values())),
    ),
    "T4.2 training": Statement(
        "with delta of the loss, training's push gives that target: the worst loss without real samples",
        lambda: max(vector_fields.pushed_loss_error(loss) for loss in LOSSES.values() if not loss.needs_real),
    ),
    "T4.3": Statement(
        "the chain's gradient tends to the sum of single steps: order in the step size",
        vector_fields.convergence_order,
        1.05,
        0.95,
    ),
    "T4.3 cycle": Statement(
        "a NATS cycle is the chain with weights j w_j, at step size 1e-7", vector_fields.cycle_error, 1e-6
    ),
    "Li-CFG push": Statement(
        "a push moves images by (I + h Hessian of D) J for a step of the latent: relative difference",
        neighbourhood.chain_rule_error,
        1e-5,
    ),
    "Li-CFG exact": Statement(
        "with exact discriminators it is std times 1 + h c (1/std² - 1/std_*²) without its sign, c a factor on grad D",
        neighbourhood.stretch_error,
        1e-9,
    ),
    "Li-CFG narrow": Statement(
        "a model narrower than the data: log2 of what the move gains where grad D is twice as long",
        lambda: neighbourhood.slope(neighbourhood.NARROW),
        None,
        0.1,
    ),
    "Li-CFG wide": Statement(
        "a model wider than the data: the same, below 0", lambda: neighbourhood.slope(neighbourhood.WIDE), -0.05
    ),
    "Li-CFG linear": Statement(
        "a D with a gradient of one direction and length moves all images alike: change of the move at any length",
        neighbourhood.linear_error,
        1e-9,
    ),
}
"""Statements by the number of the proposition and of the check."""

__all__ = [
    "PROPOSITIONS",
    "Statement",
    "annealed",
    "ideal_chain",
    "optimum",
    "plane",
    "pointwise_optimum",
    "pull",
    "trained_discriminator",
]
