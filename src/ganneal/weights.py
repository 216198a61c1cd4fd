"""Weights of the levels of a schedule: rules from the number of uses of each level to positive weights.

A rule is called with ``counts``, how often each level's weight is used within a round (1..n in `schemes.Nested`, all 1
in a functional-gradient scheme), and the round's number. Pure Python, so that schedules can be planned without torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Protocol, runtime_checkable


@runtime_checkable
class Weights(Protocol):
    """One positive, finite weight per level."""

    # Counts and not only their number: a rule that matches another's mass asks how often each weight acts.
    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        """The weights of ``round`` (counted from 0), one for each entry of ``counts``."""
        ...


def _between(first: float, last: float, count: int, at: Callable[[float], float]) -> tuple[float, ...]:
    """``count`` values ``at`` even steps from 0 to 1, both ends to the bit."""
    inner = (at(j / (count - 1)) for j in range(1, count - 1))
    # A single level takes `first`, not the mean of both ends: nested training of one level is CTS at w = [1].
    return (float(first), *inner, float(last))[:count]


def _check_endpoints(first: float, last: float) -> None:
    for name, value in (("first", first), ("last", last)):
        if not (isfinite(value) and value > 0):
            raise ValueError(
                f"{name} must be a finite number above 0, got {value}; a weight of 0 would stop the generator, so "
                "use fewer levels instead."
            )


@dataclass(frozen=True)
class Ones:
    """Weight 1 at every level: nested training without annealing (NTS), plain CFG."""

    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        return (1.0,) * len(counts)


@dataclass(frozen=True)
class Geometric:
    """Geometric from ``first`` to ``last``, both reached exactly; a single level gets ``first``.

    The annealed weights of NATS and annealed CFG, ``w_j = w_1 (w_N / w_1)^((j-1)/(N-1))``. The paper uses
    1 to 0.01 for every NATS run and below 128 px, 20 to 1 for annealed CFG at 256 px.

    Symbols: w_1 -> ``first``, w_N -> ``last``, N -> ``len(counts)``.

    References:
        Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Tables III, IV.

    >>> [round(w, 6) for w in Geometric(1, 0.01)([1, 2, 3, 4], 0)]
    [1.0, 0.215443, 0.046416, 0.01]
    """

    first: float = 1.0
    last: float = 0.01

    def __post_init__(self) -> None:
        _check_endpoints(self.first, self.last)

    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        # A product of two powers and not a power of w_N / w_1, which overflows for weights far enough apart.
        return _between(self.first, self.last, len(counts), lambda t: self.first ** (1 - t) * self.last**t)


@dataclass(frozen=True)
class Linear:
    """Evenly spaced from ``first`` to ``last``, both reached exactly; a single level gets ``first``."""

    first: float = 1.0
    last: float = 0.01

    def __post_init__(self) -> None:
        _check_endpoints(self.first, self.last)

    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        return _between(self.first, self.last, len(counts), lambda t: self.first * (1 - t) + self.last * t)


@dataclass(frozen=True)
class Explicit:
    """A weight for each level, written out."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        for index, value in enumerate(self.values):
            if not (isfinite(value) and value > 0):
                raise ValueError(
                    f"values[{index}] must be a finite number above 0, got {value} in {self.values}; use a small "
                    f"positive weight, or fewer levels."
                )

    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        if len(counts) != len(self.values):
            raise ValueError(
                f"values has {len(self.values)} weights, the scheme has {len(counts)} levels; give one weight a level."
            )
        return tuple(map(float, self.values))


@dataclass(frozen=True)
class Reversed:
    """The weights of another rule in reverse order; the paper's ablation for ``Geometric(1, 0.01)``.

    With nested schemes this also changes the total mass (sum of level x weight): compare with `MatchedConstant`.
    """

    of: Weights = Geometric()

    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        # The values backwards and not the rule's ends exchanged, whose values in between round differently.
        return self.of(counts, round)[::-1]


@dataclass(frozen=True)
class MatchedConstant:
    """One constant with the same total mass, sum of counts x weights, as another rule.

    The control that separates annealing from a smaller total step, for SGD, conjugate gradients and functional-gradient
    pushes. It walks the same total step only where the weight scales the generator's gradient: in losses linear in D,
    and with ``weight_on="loss"``. Under Adam a constant cancels: match the generator's learning rate.

    >>> MatchedConstant(Explicit((1.0, 0.25)))([1, 2], 0)
    (0.5, 0.5)
    """

    of: Weights = Geometric()

    def __call__(self, counts: Sequence[int], round: int) -> tuple[float, ...]:
        # Level j uses its weight n_j times: the mass is what SGD would walk in a round.
        mass = sum(n * w for n, w in zip(counts, self.of(counts, round), strict=True))
        return (mass / sum(counts),) * len(counts)


# None changes with the round: a schedule anneals within a round and begins again in the next one.
WEIGHTS: dict[str, Weights] = {
    "ones": Ones(),
    "geometric": Geometric(),
    "linear": Linear(),
    "reversed": Reversed(),
    "matched-constant": MatchedConstant(),
}
"""Weight rules by name; `Explicit` has no default and is written in Python."""
