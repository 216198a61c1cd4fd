"""Meaning of a discriminator's raw output, which rules on it depend on. Pure Python."""

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Output:
    """Meaning of the raw output D(x) that is best under a loss, for data p and model q."""

    log_ratio: bool = False
    """The best output is log p/q, up to a constant where ``boundary`` is None."""
    distance: bool = False
    """The best output is a Kantorovich potential: D(real) - D(fake) is a distance of the images, however far training
    is, and the generator's gradient does not fade as D gets better."""
    boundary: float | None = None
    """The best output where p = q; None where only differences of outputs matter."""

    @property
    def largest_gap(self) -> float:
        """Largest mean D(real) - mean D(fake) of players that are in touch.

        40 is the limit of the authors' code for functional gradients, whose discriminator is logistic: odds of e^40. No
        such number is known of other outputs.
        """
        return 40.0 if self.log_ratio else inf


LOG_RATIO = Output(log_ratio=True, boundary=0.0)
UNKNOWN = Output()
