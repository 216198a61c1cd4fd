"""Metrics by loops and elementary sums over small random samples; expected values use no function of ganneal."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganneal.metrics import (
    authenticity,
    binned_divergence,
    copying_test,
    density_coverage,
    frechet_distance,
    gaussian_kl,
    inception_score,
    kernel_distance,
    knn_divergence,
    memorisation,
    mixture_quality,
    paired_comparison,
    per_class_frechet,
    precision_recall,
    seed_interval,
    stacked_modes,
    wasserstein_1d,
)
from ganneal.metrics.frechet import extrapolated_frechet
from ganneal.metrics.intervals import geometric_seed_interval
from ganneal.metrics.mixture import GaussianMixture
from ganneal.metrics.wasserstein import sliced_wasserstein

Array = np.ndarray
random = np.random.default_rng(31)
MIXING = random.standard_normal((3, 3))
REAL = random.standard_normal((18, 3)) @ MIXING
FAKE = 0.9 * random.standard_normal((15, 3)) @ MIXING + 0.2


def frechet(x: Array, y: Array) -> float:
    """By eigenvalues of the product of the covariances, which are those of its symmetric form."""
    s, t = np.cov(x.T), np.cov(y.T)
    root = np.sqrt(np.abs(np.linalg.eigvals(s @ t).real)).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root)


def test_frechet_distance() -> None:
    assert frechet_distance(REAL, FAKE) == pytest.approx(frechet(REAL, FAKE), rel=1e-9)


def test_frechet_distance_class_by_class() -> None:
    real, fake = random.standard_normal((36, 2)), random.standard_normal((30, 2)) + 1
    of_real, of_fake = np.arange(36) % 3, np.arange(30) % 3
    distances = [frechet(real[of_real == c], fake[of_fake == c]) for c in range(3)]
    found = per_class_frechet(real, of_real, fake, of_fake)
    assert found.mean == pytest.approx(np.mean(distances), rel=1e-9)
    assert found.worst == (pytest.approx(max(distances), rel=1e-9), int(np.argmax(distances)))


def test_frechet_distance_extrapolated() -> None:
    """One generator, a permutation for each of evenly spaced sizes, a straight line in 1/size."""
    fake = random.standard_normal((200, 3))
    sizes = np.round(np.linspace(200 / 10, 200, 5)).astype(int)
    generator = np.random.default_rng(3)
    distances = [frechet(REAL, fake[generator.permutation(200)[:size]]) for size in sizes]
    slope, intercept = np.polyfit(1 / sizes, distances, 1)
    found = extrapolated_frechet(REAL, fake, points=5, seed=3)
    assert found.sizes == tuple(sizes)
    assert (found.value, found.slope) == (pytest.approx(intercept, rel=1e-8), pytest.approx(slope, rel=1e-8))


def k(x: Array, y: Array) -> float:
    return float((x @ y / len(x) + 1) ** 3)


def test_kernel_distance_and_its_standard_error() -> None:
    n, m = len(REAL), len(FAKE)
    xx, yy = (np.array([[k(a, b) for b in rows] for a in rows]) for rows in (REAL, FAKE))
    xy = np.array([[k(a, b) for b in FAKE] for a in REAL])
    off_x, off_y = (matrix - np.diag(np.diag(matrix)) for matrix in (xx, yy))
    value = off_x.sum() / (n * (n - 1)) + off_y.sum() / (m * (m - 1)) - 2 * xy.mean()
    a, b = off_x.sum(1) / (n - 1) - xy.mean(1), off_y.sum(1) / (m - 1) - xy.mean(0)
    first = 4 * (a.var(ddof=1) / n + b.var(ddof=1) / m)

    def centred_square(off: Array, count: int) -> float:
        means = off.sum(1) / (count - 1)
        terms = [
            (off[i, j] - means[i] - means[j] + means.mean()) ** 2 for i, j in itertools.permutations(range(count), 2)
        ]
        return float(np.mean(terms))

    across = ((xy - xy.mean(1, keepdims=True) - xy.mean(0) + xy.mean()) ** 2).mean()
    second = (
        2 * centred_square(off_x, n) / (n * (n - 1))
        + 2 * centred_square(off_y, m) / (m * (m - 1))
        + 4 * across / (n * m)
    )
    found = kernel_distance(REAL, FAKE)
    assert found.value == pytest.approx(value, rel=1e-10)
    assert found.standard_error == pytest.approx(math.sqrt(max(first - second, second)), rel=1e-9)


def test_inception_score_of_unequal_splits() -> None:
    logits = 2 * random.standard_normal((23, 5))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = []
    for i in range(4):
        part = p[i * 23 // 4 : (i + 1) * 23 // 4]
        scores.append(math.exp((part * np.log(part / part.mean(0))).sum(1).mean()))
    found = inception_score(logits, splits=4, seed=None)
    assert (found.mean, found.std) == (
        pytest.approx(np.mean(scores), rel=1e-12),
        pytest.approx(np.std(scores), rel=1e-9),
    )
    assert found.one_split == pytest.approx(math.exp((p * np.log(p / p.mean(0))).sum(1).mean()), rel=1e-12)


def distance(a: Array, b: Array) -> float:
    return math.sqrt(((a - b) ** 2).sum())


def radii(rows: Array, nth: int) -> list[float]:
    return [sorted(distance(a, b) for j, b in enumerate(rows) if i != j)[nth - 1] for i, a in enumerate(rows)]


@pytest.mark.parametrize("nth", [1, 3])
def test_precision_recall_density_and_coverage(nth: int) -> None:
    of_real, of_fake = radii(REAL, nth), radii(FAKE, nth)
    inside = [[distance(x, y) <= r for x, r in zip(REAL, of_real, strict=True)] for y in FAKE]
    precision = np.mean([any(row) for row in inside])
    recall = np.mean([any(distance(x, y) <= r for y, r in zip(FAKE, of_fake, strict=True)) for x in REAL])
    density = np.sum(inside) / (nth * len(FAKE))
    coverage = np.mean([min(distance(x, y) for y in FAKE) < r for x, r in zip(REAL, of_real, strict=True)])
    one, other = precision_recall(REAL, FAKE, k=nth), density_coverage(REAL, FAKE, k=nth)
    assert (one.precision, one.recall) == pytest.approx((precision, recall))
    assert (other.density, other.coverage) == pytest.approx((density, coverage))
    assert 0 < precision < 1 and precision != recall


def test_wasserstein_distances() -> None:
    """On the line by both distribution functions; sliced by the definition."""
    x, y = random.standard_normal(7), random.standard_normal(5) + 0.3
    points = np.sort(np.concatenate([x, y]))
    gaps = [(b - a) * abs((x <= a).mean() - (y <= a).mean()) for a, b in zip(points[:-1], points[1:], strict=True)]
    assert wasserstein_1d(x, y) == pytest.approx(sum(gaps), rel=1e-12)
    rows = np.random.default_rng(4).standard_normal((6, 3))
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    real, fake = REAL[:15], FAKE
    slices = [np.abs(np.sort(real @ d) - np.sort(fake @ d)).mean() for d in directions]
    assert sliced_wasserstein(real, fake, directions=6, seed=4) == pytest.approx(np.mean(slices), rel=1e-10)


MEANS = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
COVARIANCES = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.2, 0.0], [0.0, 0.5]], [[0.4, -0.2], [-0.2, 0.3]]])
SHARES = np.array([0.5, 0.3, 0.2])
MIXTURE = GaussianMixture(*(torch.from_numpy(part) for part in (SHARES, MEANS, COVARIANCES)))


def test_quality_of_mixture_samples() -> None:
    x = np.concatenate([random.standard_normal((30, 2)), random.standard_normal((10, 2)) + [4, 0]])
    counts = [0, 0, 0]
    for point in x:
        away = point - MEANS
        squares = [a @ np.linalg.inv(covariance) @ a for a, covariance in zip(away, COVARIANCES, strict=True)]
        if min(squares) <= 9:
            counts[int(np.argmin(squares))] += 1
    shares = np.array(counts) / sum(counts)
    kl = sum(s * math.log(s / w) for s, w in zip(shares, SHARES, strict=True) if s)
    found = mixture_quality(x, MIXTURE)
    assert found.counts == tuple(counts) and 0 < sum(counts) < 40
    assert found.high_quality == pytest.approx(sum(counts) / 40)
    assert found.weights_kl == pytest.approx(kl, rel=1e-12)
    assert found.perfect_high_quality == pytest.approx(stats.chi2.cdf(9, 2), rel=1e-9)


def test_binned_divergences_of_a_diagonal_mixture() -> None:
    diagonal = np.array([[0.3, 0.2], [0.2, 0.5]])
    shares, means = np.array([0.6, 0.4]), np.array([[0.0, 0.0], [1.0, 1.0]])
    mixture = GaussianMixture(*(torch.from_numpy(p) for p in (shares, means, np.array([np.diag(d) for d in diagonal]))))
    edges = [np.array([-1.0, 0.0, 1.0]), np.array([-0.5, 0.5])]
    x = random.standard_normal((200, 2)) * 0.6 + 0.4
    ends = [np.concatenate([[-np.inf], e, [np.inf]]) for e in edges]
    target = np.zeros((4, 3))
    for share, mean, variance in zip(shares, means, diagonal, strict=True):
        masses = [np.diff(stats.norm.cdf(e, at, root)) for e, at, root in zip(ends, mean, variance**0.5, strict=True)]
        target += share * np.outer(*masses)
    counts, _, _ = np.histogram2d(*x.T, bins=[np.clip(e, -99, 99) for e in ends])
    q, smoothed, middle = counts / 200, (counts + 0.5) / (200 + 6), (counts / 200 + target) / 2

    def kl(p: Array, of: Array) -> float:
        return float((p[p > 0] * np.log(p[p > 0] / of[p > 0])).sum())

    found = binned_divergence(x, mixture, edges)
    assert found.kl_model_to_target == pytest.approx(kl(q, target), rel=1e-9)
    assert found.kl_target_to_model == pytest.approx(kl(target, smoothed), rel=1e-9)
    assert found.js == pytest.approx((kl(q, middle) + kl(target, middle)) / 2, rel=1e-9)


def test_divergences_of_gaussians_and_of_neighbours() -> None:
    mean, other = np.array([0.3, -0.2]), np.array([-0.1, 0.5])
    s, t = COVARIANCES[0], COVARIANCES[2]
    inverse, shift = np.linalg.inv(t), other - mean
    closed = 0.5 * (np.trace(inverse @ s) + shift @ inverse @ shift - 2 + math.log(np.linalg.det(t) / np.linalg.det(s)))
    found = gaussian_kl(*(torch.from_numpy(part) for part in (mean, s, other, t)))
    assert found == pytest.approx(closed, rel=1e-12)
    n, m, d, nth = len(REAL), len(FAKE), 3, 2
    own, across = radii(REAL, nth), [sorted(distance(a, b) for b in FAKE)[nth - 1] for a in REAL]
    estimate = d / n * sum(math.log(v / r) for v, r in zip(across, own, strict=True)) + math.log(m / (n - 1))
    assert knn_divergence(REAL, FAKE, k=nth) == pytest.approx(estimate, rel=1e-10)


def nearest(rows: Array, train: Array) -> tuple[Array, Array]:
    distances = np.array([[distance(a, t) for t in train] for a in rows])
    return distances.min(1), distances.argmin(1)


def test_memorisation() -> None:
    train, held, made = (random.standard_normal((n, 2)) for n in (20, 15, 12))
    spacing = np.array(radii(train, 1))
    (of_held, at_held), (of_made, at_made) = nearest(held, train), nearest(made, train)
    found = memorisation(train, held, made)
    assert found.ratio_median == pytest.approx(np.median(of_made) / np.median(of_held), rel=1e-10)
    assert found.ratio_mean == pytest.approx(of_made.mean() / of_held.mean(), rel=1e-10)
    assert found.share_below_first_percentile == pytest.approx((of_made < np.percentile(of_held, 1)).mean())
    assert found.authenticity == pytest.approx((of_made > spacing[at_made]).mean())
    assert found.authenticity_held_out == pytest.approx((of_held > spacing[at_held]).mean())
    assert authenticity(train, made).share == found.authenticity


def test_copying_in_one_cell() -> None:
    """Mann and Whitney's U over all pairs, with the correction of ties; one cell needs no clustering."""
    train, held, made = (random.integers(0, 6, (n, 1)).astype(float) for n in (6, 30, 25))
    (of_held, _), (of_made, _) = nearest(held, train), nearest(made, train)
    a, b = len(made), len(held)
    u = sum((g > h) + 0.5 * (g == h) for g in of_made for h in of_held)
    total = a + b
    _, ties = np.unique(np.concatenate([of_made, of_held]), return_counts=True)
    spread = a * b / 12 * (total + 1 - (ties.astype(float) ** 3 - ties).sum() / (total * (total - 1)))
    found = copying_test(train, held, made, cells=1)
    assert found.value == pytest.approx((u - a * b / 2) / math.sqrt(spread), rel=1e-10)


def test_stacked_modes() -> None:
    labels = random.integers(0, 40, 500)
    q = np.bincount(labels) / 500
    found = stacked_modes(labels)
    assert found.modes == (q > 0).sum()
    assert found.kl == pytest.approx(sum(p * math.log(1000 * p) for p in q if p), rel=1e-12)
    assert found.expected_modes == pytest.approx(1000 * (1 - 0.999**500), rel=1e-12)


def test_intervals_over_seeds() -> None:
    values, others = np.array([2.1, 3.4, 2.9, 4.0, 3.1]), np.array([2.0, 3.9, 3.5, 4.2, 3.0])
    half = stats.t.ppf(0.975, 4) * values.std(ddof=1) / math.sqrt(5)
    found = seed_interval(values)
    assert (found.mean, found.low, found.high) == pytest.approx(
        (values.mean(), values.mean() - half, values.mean() + half)
    )
    logs = np.log(values)
    half = stats.t.ppf(0.975, 4) * logs.std(ddof=1) / math.sqrt(5)
    found = geometric_seed_interval(values)
    ends = (math.exp(logs.mean()), math.exp(logs.mean() - half), math.exp(logs.mean() + half))
    assert (found.mean, found.low, found.high) == pytest.approx(ends)
    difference = values - others
    half = stats.t.ppf(0.975, 4) * difference.std(ddof=1) / math.sqrt(5)
    flips = [abs((difference * signs).mean()) for signs in itertools.product((1, -1), repeat=5)]
    compared = paired_comparison(values, others)
    assert compared.difference == pytest.approx(difference.mean())
    assert (compared.low, compared.high) == pytest.approx((difference.mean() - half, difference.mean() + half))
    assert compared.p_sign_flip == np.mean([flip >= abs(difference.mean()) - 1e-12 for flip in flips])
    assert compared.smallest_p == 2 / 32
