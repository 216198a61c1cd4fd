"""Every gradient penalty as one frozen value: centre, points, strength, how often."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from ganneal import ranks as collective
from ganneal.optim.lr_rules import Constant, LRRule
from ganneal.regularizers.penalties import Line, PenaltyPoints, centered_gp, even_center
from ganneal.regularizers.protocol import (
    Context,
    Regularizer,
    RegularizerState,
    check_coefficients,
    check_interval,
    lazy_strength,
)


@dataclass(frozen=True)
class GradientPenalty(Regularizer):
    r"""``coefficient`` times the mean of :math:`(\|g\| - \text{center})^2`, or of its positive side only.

    ``interval`` applies it at every so many discriminator updates, multiplied by the interval if ``scale_by_interval``.
    R1 with the usual :math:`\gamma` is ``GradientPenalty(center=0, points=Reals(), coefficient=gamma / 2)``.
    """

    center: float = 1.0
    one_sided: bool = False
    points: PenaltyPoints = Line()
    coefficient: float = 10.0
    interval: int = 1
    scale_by_interval: bool = True
    largest: bool = False
    """The largest of the batch in place of the mean; of each micro-batch, where gradients are accumulated."""
    even: bool = False
    r"""Experimental: the centre as a vector of that length with equal components, :math:`\|g - \varepsilon\|^2`."""
    rule: LRRule = Constant()
    """Factor on the coefficient as training goes on."""

    def __post_init__(self) -> None:
        check_interval(self.interval)
        check_coefficients(center=self.center, coefficient=self.coefficient)
        if self.even and self.one_sided:
            raise ValueError("one_sided must be False with even=True: a vector has no positive side; leave one out.")

    @property
    def per_sample_gradients(self) -> bool:
        return True

    @property
    def on_lines(self) -> bool:
        return self.points.on_lines

    def discriminator_term(self, context: Context, state: RegularizerState) -> Float[Tensor, ""] | None:
        strength = lazy_strength(context.counters, self.coefficient, self.rule, self.interval, self.scale_by_interval)
        if strength is None:
            return None
        # A class-conditional D must judge a fake under the class it was made for. Points on lines keep that of the real
        # end, which `on_lines` asks both ends to share.
        discriminator = context.logits_of_fakes if self.points.on_fakes else context.discriminator
        # Points are drawn anew at each update: the penalty is an expectation over the line, not a condition at fixed
        # places.
        points = self.points(context.real, context.fake, context.random)
        # A vector as centre also asks for a direction, the same for all samples.
        center = even_center(self.center, points) if self.even else self.center
        excess = centered_gp(discriminator, points, center=center, one_sided=self.one_sided)
        # The largest of all processes' samples: each process alone would penalise a maximum of its own.
        return strength * (collective.gather(excess).max() if self.largest else excess.mean())
