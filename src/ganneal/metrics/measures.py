"""The metrics by name, as parts to choose and configure: each turns two sides' evidence into values."""

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from ganneal.metrics.divergence_estimates import knn_divergence
from ganneal.metrics.frechet import check_shapes, extrapolated_frechet, frechet_distance, gaussian_distance
from ganneal.metrics.inception_score import inception_score
from ganneal.metrics.kernel import kernel_distance
from ganneal.metrics.memorisation import copying_test, memorisation
from ganneal.metrics.moments import Moments
from ganneal.metrics.neighbours import Ball, density_coverage, expected_coverage, precision_recall
from ganneal.metrics.per_class import per_class_frechet
from ganneal.metrics.protocol import Evidence, Metric, Value
from ganneal.metrics.stacked import stacked_labels, stacked_modes
from ganneal.metrics.stored_moments import StoredMoments
from ganneal.metrics.wasserstein import sliced_wasserstein

Measured = TypeVar("Measured")


def _with_warnings(measure: Callable[[], Measured]) -> tuple[Measured, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        # Python shows a warning once per place by default, so the second run of a comparison would lose it.
        warnings.simplefilter("always", UserWarning)
        found = measure()
    return found, [str(warning.message) for warning in caught]


def _at_most(side: Evidence, most: int, seed: int) -> Evidence:
    """``side``, or ``most`` of its samples drawn without replacement."""
    if len(side.features) <= most:
        return side
    # Rising, so that rows are copied front to back; none of these metrics looks at their order.
    chosen = np.sort(np.random.default_rng(seed).permutation(len(side.features))[:most])
    # The same rows of all three: a label must stay with its features.
    features, logits, labels = (None if part is None else part[chosen] for part in side[:3])
    assert features is not None
    return Evidence(features, logits, labels, side.class_names)


def _between_halves(features: Tensor) -> float | None:
    """Distance between two random halves of the real samples, what a perfect generator of as many would have."""
    half, d = len(features) // 2, features.shape[1]
    if half <= d:
        return None
    # One fixed split: the floor must not move between runs that share their real set.
    order = np.random.default_rng(0).permutation(len(features))
    first, second = features[order[:half]], features[order[half : 2 * half]]
    return _with_warnings(lambda: frechet_distance(first, second))[0]


@dataclass(frozen=True)
class Frechet:
    """Fréchet distance of the features; FID with the 2015 Inception network."""

    allow_singular: bool = False
    """Compute a value where there are no more samples than features, mostly bias; the record says so."""

    from_moments = True
    """The mean and the covariance of the real features are enough for it."""

    def fewest(self, dimensions: int) -> tuple[int, int]:
        """Real and generated samples without which there is no value, for so many features."""
        # n samples give a covariance of rank n - 1 at most.
        return (2, 2) if self.allow_singular else (dimensions + 1, dimensions + 1)

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        if real.stored is not None:
            return [self._against(real.stored, fake.features)]
        value, said = _with_warnings(
            lambda: frechet_distance(real.features, fake.features, allow_singular=self.allow_singular)
        )
        singular = min(len(real.features), len(fake.features)) <= real.features.shape[1]
        floor = _between_halves(real.features)
        extra = {} if floor is None else {"between_halves_of_real": floor}
        return [Value("FD", value, extra=extra, warnings=("singular",) if singular else ("n<5d",) if said else ())]

    def _against(self, real: StoredMoments, fake: Tensor) -> Value:
        """The distance to a mean and a covariance from a file, of any number of samples where it does not say it."""
        n, d = len(fake), len(real.mean)
        # A file that does not say its count is taken for large enough; the record says that nobody knows.
        check_shapes((real.count or d + 1, d), (n, fake.shape[1]), self.allow_singular)
        # The bias comes from the smaller side.
        fewest = min(n, real.count or n)
        warned = ("singular",) if fewest <= d else ("n<5d",) if fewest < 5 * d else ()
        unknown = () if real.count else ("number of real samples unknown",)
        return Value("FD", gaussian_distance(real, Moments.of(fake)), warnings=(*warned, *unknown))


@dataclass(frozen=True)
class ExtrapolatedFrechet:
    """Fréchet distance extrapolated to infinitely many generated samples; the real side stays as it is."""

    points: int = 15
    seed: int = 0

    def fewest(self, dimensions: int) -> tuple[int, int]:
        """As `Frechet.fewest`: two sizes of the generated side make a line."""
        # The smallest subset needs d + 1 rows, and a second size at least one more.
        return dimensions + 1, dimensions + 2

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        found, _ = _with_warnings(
            lambda: extrapolated_frechet(real.features, fake.features, points=self.points, seed=self.seed)
        )
        return [Value("FDinf", found.value, extra={"slope": found.slope, "sizes": list(found.sizes)})]


@dataclass(frozen=True)
class Kernel:
    """Kernel distance with its standard error; KID with the 2015 Inception network."""

    most: int = 10_000
    """Samples of either side, a seeded subset of more: the cost grows with the square."""
    seed: int = 0

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        sides = (_at_most(side, self.most, self.seed).features for side in (real, fake))
        found = kernel_distance(*sides, seed=self.seed)
        return [Value("KD", found.value, found.standard_error)]


@dataclass(frozen=True)
class Score:
    """Exponential of the mean KL of a classifier's answers from their mean: the Inception Score's formula."""

    splits: int = 10
    seed: int = 0

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        if fake.logits is None:
            return []
        found = inception_score(fake.logits, splits=self.splits, seed=self.seed)
        extra = {"std_over_splits": found.std, "one_split": found.one_split}
        return [Value("exp-mean-KL", found.mean, better="higher", extra=extra)]


@dataclass(frozen=True)
class PrecisionRecall:
    """Improved precision and recall."""

    k: int = 3
    ball: Ball = "closed"
    most: int = 10_000
    seed: int = 0

    def fewest(self, dimensions: int) -> tuple[int, int]:
        """As `Frechet.fewest`: neighbours within either side."""
        return self.k + 1, self.k + 1

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        sides = (_at_most(side, self.most, self.seed).features for side in (real, fake))
        found = precision_recall(*sides, k=self.k, ball=self.ball)
        return [
            Value("precision", found.precision, better="higher"),
            Value("recall", found.recall, better="higher"),
        ]


@dataclass(frozen=True)
class DensityCoverage:
    """Density and coverage."""

    k: int = 5
    ball: Ball = "open"
    most: int = 10_000
    seed: int = 0

    def fewest(self, dimensions: int) -> tuple[int, int]:
        """As `Frechet.fewest`: neighbours among the real ones, and no more of them than either side has."""
        return self.k + 1, self.k + 1

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        sides = [_at_most(side, self.most, self.seed).features for side in (real, fake)]
        found = density_coverage(sides[0], sides[1], k=self.k, ball=self.ball)
        # Even perfect samples do not cover everything at these counts, so the value is read beside this.
        expected = expected_coverage(len(sides[0]), len(sides[1]), self.k)
        return [
            Value("density", found.density, better="higher"),
            Value("coverage", found.coverage, better="higher", extra={"expected": expected}),
        ]


@dataclass(frozen=True)
class PerClassFrechet:
    """Fréchet distance class by class, where both sides have labels: their mean and the worst."""

    by_class = True
    """It needs as many generated samples of every class."""

    def fewest(self, dimensions: int) -> tuple[int, int]:
        """As `Frechet.fewest`, of each class."""
        return dimensions + 1, dimensions + 1

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        if real.labels is None or fake.labels is None:
            return []
        labels, names = (real.labels, fake.labels), real.class_names
        found, _ = _with_warnings(
            lambda: per_class_frechet(real.features, labels[0], fake.features, labels[1], names=names)
        )
        named = {c: names[c] if names else str(c) for c in found.distances}
        worst, of = found.worst
        extra = {"worst": [worst, named[of]], "distances": {named[c]: d for c, d in found.distances.items()}}
        return [Value("class-FD", found.mean, extra=extra)]


@dataclass(frozen=True)
class Memorisation:
    """Nearness of samples to the training data, judged by that of held-out data; nothing where there are none.

    Every training sample is compared with every other, so that tens of thousands of them take minutes.
    """

    most: int = 10_000
    """Samples of the held-out and the generated side, seeded subsets of more."""
    cells: int = 10
    seed: int = 0

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        if held_out is None:
            return []
        unseen, generated = (_at_most(side, self.most, self.seed).features for side in (held_out, fake))
        # The training set is taken whole, as a copy may be of any of its samples.
        near = memorisation(real.features, unseen, generated)
        copied = copying_test(real.features, unseen, generated, cells=self.cells, seed=self.seed)
        duplicates = (f"duplicates={near.train_duplicates}",) if near.train_duplicates else ()
        return [
            Value("nearness-ratio", near.ratio_median, better="higher", extra=asdict(near), warnings=duplicates),
            Value("authenticity-gap", near.authenticity_gap, better="higher", warnings=duplicates),
            Value("copying-test", copied.value, better="higher", extra=asdict(copied), warnings=duplicates),
        ]


@dataclass(frozen=True)
class SlicedWasserstein:
    """Earth mover's distance of the features on a line, averaged over random lines."""

    directions: int = 128
    seed: int = 0

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        value = sliced_wasserstein(real.features, fake.features, directions=self.directions, seed=self.seed)
        return [Value("sliced-W1", value)]


@dataclass(frozen=True)
class NeighbourDivergence:
    """Kullback-Leibler divergence of the samples from the data in nats, from nearest neighbours; for few dimensions."""

    k: int = 5
    most: int = 10_000
    seed: int = 0

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        # Samples first: KL(model || data) is large where samples lie that no data are near.
        samples, data = (_at_most(side, self.most, self.seed).features for side in (fake, real))
        return [Value("KL", knn_divergence(samples, data, k=self.k))]


@dataclass(frozen=True)
class StackedDigitModes:
    """Modes of Stacked MNIST among the samples, and the divergence of their shares from equal ones in nats.

    It needs the extractor ``stacked-mnist-cnn``; through another one there is nothing to measure.
    """

    def __call__(self, real: Evidence, fake: Evidence, held_out: Evidence | None = None) -> list[Value]:
        # Ten logits for each of three channels: only the digit classifier applied channel by channel has them.
        if fake.logits is None or fake.logits.shape[1] != 3 * 10:
            return []
        found = stacked_modes(stacked_labels(fake.logits.view(-1, 3, 10).argmax(dim=2)))  # digits [n, 3]
        return [
            Value("modes", found.modes, better="higher", extra={"expected": found.expected_modes}),
            Value("modes-KL", found.kl, extra={"expected": found.expected_kl}),
        ]


METRICS: dict[str, Metric] = {
    "frechet": Frechet(),
    "extrapolated-frechet": ExtrapolatedFrechet(),
    "kernel": Kernel(),
    "score": Score(),
    "precision-recall": PrecisionRecall(),
    "density-coverage": DensityCoverage(),
    "per-class-frechet": PerClassFrechet(),
    "memorisation": Memorisation(),
    "sliced-wasserstein": SlicedWasserstein(),
    "neighbour-divergence": NeighbourDivergence(),
    "stacked-modes": StackedDigitModes(),
}
"""Metrics by name, each with its default fields."""


def metric_name(metric: Metric) -> str:
    """The name that ``metric`` is chosen by, else its type's."""
    # By value: a metric with other parameters is another one and goes by its type.
    return next((name for name, one in METRICS.items() if one == metric), type(metric).__name__)


DEFAULT_METRICS: tuple[Metric, ...] = tuple(
    METRICS[name] for name in ("frechet", "kernel", "precision-recall", "density-coverage")
)
