"""Learning-rate rules: pure functions from a clock's ticks to a factor on the base learning rate.

Each rule names its ``clock``. ``own_updates`` is the player's own optimizer steps, the papers' n. Comparing schemes at
equal data asks for ``num_real``: a rule counted in generator updates would run faster under nested training. In a loop
of one's own, ``at`` is what `torch.optim.lr_scheduler.LambdaLR` takes::

    LambdaLR(optimizer, Power(eta=0.75).at)

Regularizers' coefficients and augmentation's probability take the same rules.
"""

from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import Protocol, runtime_checkable

from ganneal.clocks import RuleClock


@runtime_checkable
class LRRule(Protocol):
    """The factor on the base learning rate at some point of training."""

    @property
    def clock(self) -> RuleClock:
        """Clock that the rule counts."""
        ...

    def at(self, ticks: int) -> float:
        """A factor >= 0 after ``ticks`` of the clock, 0 at the first update."""
        ...


def _progress(ticks: int, start: int, end: int) -> float:
    """Position of ``ticks`` between ``start`` and ``end``, in [0, 1]."""
    # Clamped, so that a run longer than planned stays at the rule's last factor.
    return min(max((ticks - start) / (end - start), 0.0), 1.0)


def _check_span(start: int, end: int, **factors: float) -> None:
    if not 0 <= start < end:
        raise ValueError(f"start and end must satisfy 0 <= start < end, got start={start}, end={end}.")
    for name, value in factors.items():
        if not (isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a finite factor >= 0, got {value}; use 0 for rest.")


def _check_factor(factor: float, best: str) -> None:
    if not 0 < factor <= 1:
        raise ValueError(f"factor must be above 0 and at most 1, got {factor}; the published code has {best}.")


@dataclass(frozen=True)
class Constant:
    """The base learning rate throughout."""

    @property
    def clock(self) -> RuleClock:
        return "own_updates"

    def at(self, ticks: int) -> float:
        return 1.0


@dataclass(frozen=True)
class _Decay:
    """A factor that falls from 1 to ``final`` between two points of the clock."""

    end: int = 1_000_000
    start: int = 0
    final: float = 0.0
    clock: RuleClock = "num_real"

    def __post_init__(self) -> None:
        _check_span(self.start, self.end, final=self.final)


@dataclass(frozen=True)
class LinearDecay(_Decay):
    """Constant until ``start``, then linear down to ``final`` (a factor) at ``end``."""

    def at(self, ticks: int) -> float:
        return 1.0 + (self.final - 1.0) * _progress(ticks, self.start, self.end)


@dataclass(frozen=True)
class Cosine(_Decay):
    """Linear warm-up from 0 over ``start`` ticks, then half a cosine down to ``final`` (a factor) at ``end``.

    References:
        Loshchilov and Hutter, SGDR, 2017, Eq. 5 without restarts.
    """

    def at(self, ticks: int) -> float:
        if ticks < self.start:
            # At the first update the factor is 0: that step moves nothing and fills Adam's averages.
            return ticks / self.start
        progress = _progress(ticks, self.start, self.end)
        return self.final + (1.0 - self.final) * 0.5 * (1.0 + cos(pi * progress))


@dataclass(frozen=True)
class Power:
    r""":math:`(s+1)^{-\eta}` after s ticks: 1, then ever slower. ``eta=0.5`` is the inverse square root.

    Steps sum to infinity, as convergence asks, for ``eta`` below 1; 0.5 < eta < 1 for both players and different ones
    make a pair of two time scales (:func:`two_time_scale`).

    References:
        Naganuma and Iiduka, Conjugate Gradient Method for Generative Adversarial Networks, AISTATS 2023, Table 1.
    """

    eta: float = 0.5
    clock: RuleClock = "own_updates"

    def __post_init__(self) -> None:
        if not 0 < self.eta < 1:
            raise ValueError(
                f"eta must be above 0 and below 1, got {self.eta}; use Constant(), the rule constant, for 1."
            )

    def at(self, ticks: int) -> float:
        # s + 1: papers count steps from 1, and 0 to a negative power is infinite.
        return (ticks + 1) ** -self.eta


@dataclass(frozen=True)
class StepDecay:
    """Times ``factor`` after each ``every`` ticks."""

    every: int = 10_000
    factor: float = 0.9
    clock: RuleClock = "own_updates"

    def __post_init__(self) -> None:
        if not self.every >= 1:
            raise ValueError(f"every must be at least 1 tick, got {self.every}.")
        _check_factor(self.factor, "0.9")

    def at(self, ticks: int) -> float:
        # Whole spans only: the rate stays put between two drops.
        return self.factor ** (ticks // self.every)


@dataclass(frozen=True)
class ExponentialDecay:
    """Times ``factor`` at each tick."""

    factor: float = 0.99999
    clock: RuleClock = "own_updates"

    def __post_init__(self) -> None:
        _check_factor(self.factor, "0.99999")

    def at(self, ticks: int) -> float:
        return self.factor**ticks


@dataclass(frozen=True)
class Rise:
    """``initial`` (a factor) until ``start``, then half a cosine up to 1 at ``end``: for coefficients that come in."""

    end: int = 1_000_000
    start: int = 0
    initial: float = 0.0
    clock: RuleClock = "num_real"

    def __post_init__(self) -> None:
        _check_span(self.start, self.end, initial=self.initial)

    def at(self, ticks: int) -> float:
        progress = _progress(ticks, self.start, self.end)
        return self.initial + (1.0 - self.initial) * 0.5 * (1.0 - cos(pi * progress))


def two_time_scale(d_eta: float = 0.75, g_eta: float = 0.75) -> tuple[Power, Power]:
    """Rules for the discriminator and the generator whose rates fall at two speeds, each eta in (0.5, 1).

    The player with the smaller eta keeps the larger steps and is the fast one in the long run; equal etas, as in the
    published code, leave the ratio of the two rates as it was.

    >>> [rule.at(9999) for rule in two_time_scale(d_eta=0.6, g_eta=0.75)]
    [0.003981071705534973, 0.001]
    """
    for name, eta in (("d_eta", d_eta), ("g_eta", g_eta)):
        if not 0.5 < eta < 1:
            raise ValueError(f"{name} must be above 0.5 and below 1, got {eta}; use Power(eta) for one rule by itself.")
    return Power(d_eta), Power(g_eta)


LR_RULES: dict[str, LRRule] = {
    "constant": Constant(),
    "linear": LinearDecay(),
    "cosine": Cosine(),
    "rise": Rise(),
    "inverse-sqrt": Power(0.5),
    "power": Power(0.75),
    "step": StepDecay(),
    "exponential": ExponentialDecay(),
}
"""Learning-rate rules by name."""
