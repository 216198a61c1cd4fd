"""Steps of an optimizer that divides its gradient by a moving average of its size. Pure Python."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True)
class MomentDecays:
    """Decays of the moving averages of an optimizer's gradient and of its square, as Adam's beta1 and beta2.

    A constant factor of the loss cancels in such an optimizer; only the variation of weights inside its memory acts.
    """

    beta1: float
    beta2: float

    def lengths(self, weights: Sequence[float]) -> list[float]:
        """Length of each step in learning rates, for gradients of equal size times ``weights``.

        The weights of one round are repeated for ever: the averages are those after many rounds, where corrections for
        their start have faded.

        >>> [round(length, 6) for length in MomentDecays(0.5, 0.999).lengths([2.0, 2.0])]
        [1.0, 1.0]
        """
        # Adam's step m / sqrt(v) with gradients that differ by their weight alone. Its eps is left out: it acts on
        # gradients near 1e-8 only.
        means = _repeated(self.beta1, weights)
        squares = _repeated(self.beta2, [weight * weight for weight in weights])
        return [mean / sqrt(square) for mean, square in zip(means, squares, strict=True)]


def _repeated(decay: float, values: Sequence[float]) -> list[float]:
    """The moving average after each of ``values``, once they have been repeated for ever."""
    # A round of n values maps the average a to decay^n a + first: its fixed point is where endless rounds end.
    first = list(_average(decay, values, 0.0))[-1]
    return list(_average(decay, values, first / (1 - decay ** len(values))))


def _average(decay: float, values: Sequence[float], start: float) -> Iterator[float]:
    average = start
    for value in values:
        average = decay * average + (1 - decay) * value
        yield average
