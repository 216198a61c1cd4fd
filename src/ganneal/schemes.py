"""Training schemes: who moves when, as data.

A scheme is a function from a round's number to the steps of that round. It is pure Python and imports no torch, so
that a schedule can be printed, counted, tested and used in a loop of your own:

>>> for step in Nested(levels=3, weights=Geometric(first=1, last=0.01))(round=0):
...     match step:
...         case UpdateDiscriminator():
...             print("D")
...         case UpdateGenerator(weight=w):
...             print("G", round(w, 2))
D
G 1.0
D
G 0.1
G 0.1
D
G 0.01
G 0.01
G 0.01
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Literal, Protocol, runtime_checkable

from ganneal.registry import check_choices
from ganneal.steps import (
    DrawPool,
    FitGenerator,
    Pool,
    PushPool,
    Replay,
    Step,
    StoreDiscriminator,
    UpdateDiscriminator,
    UpdateGenerator,
)
from ganneal.weights import Geometric, MatchedConstant, Ones, Reversed, Weights

MOST_LEVELS = 1_000
"""A round of so many levels has half a million generator updates."""


@runtime_checkable
class Scheme(Protocol):
    """The steps of one round; ``round`` counts from 0 and is the paper's cycle index i."""

    def __call__(self, round: int) -> Iterator[Step]:
        """Yield the round's steps in order."""
        ...


def _check_counts(d_steps: int, pool_size: int = 1) -> None:
    if d_steps < 1:
        raise ValueError(
            f"d_steps must be at least 1, got {d_steps}; use 1, the generator needs a discriminator that moves."
        )
    if pool_size < 1:
        raise ValueError(f"pool_size must be at least 1, got {pool_size}; use ten batches, usually 640.")


def _check_weights(weights: Weights, counts: Sequence[int]) -> None:
    """A rule that does not fit fails here, not in round 1000."""
    # 0 is refused too: under Adam a gradient of zeros still moves the weights, by the momentum of earlier ones.
    values = weights(counts, 0)
    if len(values) != len(counts) or not all(isfinite(weight) and weight > 0 for weight in values):
        raise ValueError(
            f"weights must give {len(counts)} finite numbers above 0, got {values} from {weights}; "
            f"give one positive weight a level."
        )


@dataclass(frozen=True)
class Alternating:
    """The common training scheme (CTS, Algorithm 1): ``d_steps`` discriminator updates, then one of the generator.

    Symbols: K -> ``d_steps``.
    """

    d_steps: int = 1

    def __post_init__(self) -> None:
        _check_counts(self.d_steps)

    def __call__(self, round: int) -> Iterator[Step]:
        yield from (UpdateDiscriminator(),) * self.d_steps  # one object several times: steps are frozen
        yield UpdateGenerator()


@dataclass(frozen=True)
class Nested:
    """Nested training (NTS), nested annealed training (NATS) when ``weights`` fall (Algorithm 3).

    A round is ``D G D GG D GGG ...``: level j (the paper's round j) makes ``d_steps`` discriminator updates, each on
    new reals and fresh fakes, and then j generator updates, N_d (N_d + 1) / 2 in all. Each of the j has weight w[j],
    which multiplies the discriminator's raw output inside the generator's loss; the discriminator's loss has no weight.
    A level that moves the generator often so moves it gently. Neither player nor optimizer is reset between levels.

    Symbols: N_d -> ``levels``, K -> ``d_steps``, w -> ``weights``, N_g = j -> the generator updates of level j.

    References:
        Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Algorithm 3.
    """

    levels: int = 5
    d_steps: int = 1
    weights: Weights = Ones()

    def __post_init__(self) -> None:
        if self.levels < 1:
            raise ValueError(
                f"levels must be at least 1, got {self.levels}; for a scheme without levels use --scheme cts, in "
                "Python Alternating()."
            )
        if self.levels > MOST_LEVELS:
            raise ValueError(
                f"levels must be at most {MOST_LEVELS}, got {self.levels}; use a few, such as the paper's 4 to 20."
            )
        _check_counts(self.d_steps)
        _check_weights(self.weights, range(1, self.levels + 1))

    def __call__(self, round: int) -> Iterator[Step]:
        # The counts tell that level j uses its weight j times: `MatchedConstant` needs them, `Geometric` only their
        # number. No rule that ships changes with `round`: weights fall within a round, not over the training.
        weights = self.weights(range(1, self.levels + 1), round)
        for level, weight in enumerate(weights, start=1):
            yield from (UpdateDiscriminator(level=level),) * self.d_steps
            # Annealing (Geometric): the weight falls as the number of updates grows.
            yield from (UpdateGenerator(weight=weight, level=level),) * level


@dataclass(frozen=True)
class FunctionalGradient:
    """Composite functional gradients (xICFG), annealed when ``weights`` fall (Algorithm 2): samples move, G follows.

    A round first fits the generator, for ``epochs`` passes, to the pool that the round before it moved; in round 0 to
    random projections of the latents (``projected_start=False`` leaves the generator as it is built or taken from
    another run). Then level m makes ``d_steps`` discriminator updates on fakes moved by the m - 1 discriminators stored
    before, and stores the discriminator with its step, ``step_size`` times w[m]. Every stored one pushes the pool once.
    So a round ends with the generator followed by its pushes, and the pool as their samples.

    ``fakes="replay"`` draws new latents for each discriminator update and walks the chain again; ``"pool"`` takes them
    from the pool, which moves as the chain grows: less work, the same latents throughout the round. ``epochs=0`` never
    fits (ICFG): each round walks the chain anew from the same generator, with a discriminator that goes on.

    Symbols: T, M -> ``steps``, U -> ``d_steps``, eta -> ``step_size``, N -> ``pool_size``, x_epochs -> ``epochs``,
    w -> ``weights``.

    References:
        Johnson and Zhang, Composite Functional Gradient Learning of Generative Adversarial Models, 2018, and their
        TPAMI version; annealed: Nested Annealed Training Scheme for GANs, arXiv 2501.11318, Algorithm 2.
    """

    steps: int = 15
    d_steps: int = 1
    step_size: float = 1.0
    pool_size: int = 640
    epochs: int = 10
    weights: Weights = Ones()
    fakes: Literal["replay", "pool"] = "replay"
    projected_start: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MOST_LEVELS:
            raise ValueError(
                f"steps must be at least 1, at most {MOST_LEVELS}, got {self.steps}; use a few, usually 15."
            )
        _check_counts(self.d_steps, self.pool_size)
        if not (isfinite(self.step_size) and self.step_size > 0):
            raise ValueError(f"step_size must be a finite number above 0, got {self.step_size}; use 0.1 to 2.5.")
        if self.epochs < 0:
            raise ValueError(f"epochs must be at least 0, got {self.epochs}; use 0 to never fit the generator.")
        check_choices(self)
        _check_weights(self.weights, (1,) * self.steps)

    def __call__(self, round: int) -> Iterator[Step]:
        if self.epochs and round == 0 and self.projected_start:
            yield DrawPool(self.pool_size, projected=True)
        # Without the projections round 0 has no pool yet: the generator goes into the first chain as it is.
        if round or self.projected_start:
            yield from (FitGenerator(level=epoch) for epoch in range(1, self.epochs + 1))
        # Here a weight scales how far samples move, not a loss: the generator is fitted to where they end.
        sizes = [self.step_size * weight for weight in self.weights((1,) * self.steps, round)]
        match self.fakes:
            case "replay":
                yield from self._replay(sizes)
            case "pool":
                yield from self._move_along(sizes)

    def _replay(self, sizes: Sequence[float]) -> Iterator[Step]:
        # As the authors' PyTorch code: level m pushes a fresh batch by m - 1 discriminators, T (T - 1) / 2 pushes of a
        # batch in a round for each of the d_steps.
        for level, size in enumerate(sizes, start=1):
            yield from (UpdateDiscriminator(level=level, fakes=Replay(level - 1)),) * self.d_steps
            yield StoreDiscriminator(size, level)
        if self.epochs:  # nothing else needs the pool
            yield DrawPool(self.pool_size, len(sizes))
            yield from (PushPool(size, level) for level, size in enumerate(sizes, start=1))

    def _move_along(self, sizes: Sequence[float]) -> Iterator[Step]:
        # The input pool of the ICML paper: its current samples are the fakes, and at the end the targets of the fit.
        yield DrawPool(self.pool_size)
        for level, size in enumerate(sizes, start=1):
            yield from (UpdateDiscriminator(level=level, fakes=Pool()),) * self.d_steps
            yield StoreDiscriminator(size, level)
            yield PushPool(size, level)


SCHEMES: dict[str, Scheme] = {
    "cts": Alternating(),
    "nts": Nested(),
    "nats": Nested(weights=Geometric(first=1.0, last=0.01)),
    # Controls. Reversed weights have three to four times the mass sum_j j w_j, matched ones the same mass, level.
    "nats-reversed": Nested(weights=Reversed()),
    "nats-matched": Nested(weights=MatchedConstant()),
    "cfg": FunctionalGradient(),
    "cfg-pool": FunctionalGradient(fakes="pool"),
    "cfg-annealed": FunctionalGradient(weights=Geometric()),
    "cfg-reversed": FunctionalGradient(weights=Reversed()),
    "cfg-matched": FunctionalGradient(weights=MatchedConstant()),
    "icfg": FunctionalGradient(epochs=0),
}
"""Schemes by name, with five levels where they nest and fifteen functional steps."""
