import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.for_each import for_each
from torch import Tensor

from ganneal.metrics.memorisation import Authenticity, authenticity, distinct_rows, memorisation, nearest_pairs

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong argument reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


TRAIN, HELD_OUT, GENERATED = column(0, 1, 3, 7), column(0.5, 4.2), column(0, 1.1, 4.9, 20)


def test_the_line_matches_the_table():
    result = memorisation(TRAIN, HELD_OUT, GENERATED)
    assert result.ratio_median == pytest.approx(1.1764706, abs=5e-8)  # means of the middle two: 1 over 0.85
    assert result.ratio_mean == pytest.approx(((0.1 + 1.9 + 13) / 4) / 0.85)
    assert result.authenticity == 0.25 and result.authenticity_held_out == 0
    assert result.authenticity_gap == 0.25
    assert authenticity(TRAIN, GENERATED).share == 0.25


def test_a_sample_as_far_as_the_neighbours_own_neighbour_is_not_authentic():
    assert authenticity(column(0, 1, 5), column(2, 2.25)).share == 0.5


def test_the_first_percentile_of_the_held_out_distances_by_hand():
    # distances 0.5 and 1.2: NumPy's percentile is 0.507, above 0 and 0.1 only
    assert memorisation(TRAIN, HELD_OUT, GENERATED).share_below_first_percentile == 0.5


def test_held_out_samples_as_generated_are_fresh():
    train, held_out = normal(300, 3), normal(200, 3, seed=1)
    result = memorisation(train, held_out, held_out)
    assert result.ratio_median == result.ratio_mean == 1
    assert result.authenticity_gap == 0
    assert result.share_below_first_percentile == 0.01  # 2 of 200


@pytest.mark.runs
@for_each("count", [20, 60, 200])
def test_the_share_below_the_first_percentile_is_expected_by_the_number_of_held_out_samples(count):
    # beside one training sample at 0 and one far off, distances are the samples themselves
    train, random = column(0, 1e6), torch.Generator().manual_seed(count)
    drawn = [torch.rand(count + 500, 1, generator=random, dtype=torch.float64) for _ in range(200)]
    results = [memorisation(train, rows[:count], rows[count:]) for rows in drawn]
    shares = [r.share_below_first_percentile for r in results]
    assert results[0].share_expected == (1 + 0.01 * (count - 1)) / (count + 1)
    assert np.mean(shares) == pytest.approx(results[0].share_expected, abs=3 * np.std(shares) / 200**0.5)


def test_fresh_samples_look_fresh():
    # over 30 splits the mean of each lies within four of its standard errors of what fresh data should give
    results = [
        memorisation(normal(300, 2, seed=3 * i), normal(300, 2, seed=3 * i + 1), normal(600, 2, seed=3 * i + 2))
        for i in range(30)
    ]
    for values, expected in (
        ([r.ratio_median for r in results], 1),
        ([r.authenticity_gap for r in results], 0),
        ([r.share_below_first_percentile for r in results], 0.0133),  # the percentile lies between ranks 3 and 4 of 301
    ):
        assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / 30**0.5)


def test_copies_are_found():
    train, held_out = normal(300, 4), normal(200, 4, seed=1)
    result = memorisation(train, held_out, train[:100])
    assert result.ratio_median == result.ratio_mean == result.authenticity == 0
    assert result.share_below_first_percentile == 1
    assert result.authenticity_gap == -result.authenticity_held_out < -0.3


@pytest.mark.runs
@given(SEEDS, st.floats(0, 1))
def test_moving_generated_samples_towards_their_neighbours_only_lowers_every_sign_of_freshness(seed, share):
    train, held_out, generated = (normal(20, 2, seed=seed + i) for i in range(3))
    nearest = torch.cdist(generated, train).argmin(dim=1)
    closer = generated + share * (train[nearest] - generated)
    before, after = memorisation(train, held_out, generated), memorisation(train, held_out, closer)
    assert after.ratio_median <= before.ratio_median + 1e-12
    assert after.ratio_mean == pytest.approx((1 - share) * before.ratio_mean, abs=1e-12)
    assert after.share_below_first_percentile >= before.share_below_first_percentile
    assert after.authenticity <= before.authenticity


@pytest.mark.runs
@given(SEEDS)
def test_moving_rotating_and_scaling_all_sets_changes_nothing(seed):
    sets = [normal(15, 3, seed=seed + i) for i in range(3)]
    turn = torch.linalg.qr(normal(3, 3, seed=seed + 3)).Q
    before, after = memorisation(*sets), memorisation(*(3 * part @ turn + 1 for part in sets))
    assert after.ratio_median == pytest.approx(before.ratio_median, rel=1e-9)
    assert after.ratio_mean == pytest.approx(before.ratio_mean, rel=1e-9)
    assert (after.authenticity, after.share_below_first_percentile) == (
        before.authenticity,
        before.share_below_first_percentile,
    )


@for_each(("d", "share"), [(1, 0.33), (2, 0.37), (16, 0.70), (64, 0.80)])
def test_fresh_samples_have_the_known_authenticity(d, share):
    # the standard deviation over seeds is 0.03, so 0.0095 of a mean over 10
    shares = [authenticity(normal(500, d, seed=2 * i), normal(500, d, seed=2 * i + 1)).share for i in range(10)]
    assert np.mean(shares) == pytest.approx(share, abs=4 * 0.0095)


def test_repeated_training_rows_are_dropped_and_counted():
    repeated = torch.cat([TRAIN, TRAIN[1:3], TRAIN[:1]])
    result, clean = memorisation(repeated, HELD_OUT, GENERATED), memorisation(TRAIN, HELD_OUT, GENERATED)
    assert (result.train_duplicates, clean.train_duplicates) == (3, 0)
    assert result.authenticity == clean.authenticity and result.ratio_median == clean.ratio_median
    # left in, they would make 1.1 authentic, as 1 has a copy at distance 0
    assert authenticity(repeated, GENERATED) == Authenticity(0.25, 3)


def test_distinct_rows_keep_their_order():
    rows, dropped = distinct_rows(torch.tensor([[2.0, 1.0], [0.0, 0.0], [2.0, 1.0], [-0.0, 0.0], [1.0, 5.0]]).double())
    assert rows.tolist() == [[2, 1], [0, 0], [1, 5]] and dropped == 2


def test_held_out_rows_from_the_training_set_are_counted():
    result = memorisation(normal(50, 2), torch.cat([normal(9, 2, seed=1), normal(50, 2)[:3]]), normal(5, 2, seed=2))
    assert result.held_out_copies == 3
    with pytest.raises(ValueError, match="held_out must not be part of train, but 20 of its 30 rows are"):
        memorisation(normal(50, 2), torch.cat([normal(50, 2)[:20], normal(10, 2, seed=1)]), normal(5, 2, seed=2))


def test_nearest_pairs_are_those_of_all_distances():
    train, generated = normal(40, 3), normal(30, 3, seed=1)
    distances = torch.cdist(generated, train)
    pairs = nearest_pairs(train, generated)
    assert len(pairs) == 8
    assert [pair.generated for pair in pairs] == distances.min(dim=1).values.argsort()[:8].tolist()
    for pair in pairs:
        assert pair.train == int(distances[pair.generated].argmin())
        assert pair.distance == pytest.approx(float(distances[pair.generated, pair.train]), rel=1e-12)


def test_nearest_pairs_name_rows_of_the_training_set_as_given():
    (pair,) = nearest_pairs(torch.cat([TRAIN[:1], TRAIN[:1], TRAIN]), column(6.9, 20), count=1)
    assert (pair.generated, pair.train) == (0, 5) and pair.distance == pytest.approx(0.1)


@pytest.mark.usefixtures("no_shape_checks")
def test_bad_sets_are_named_by_argument():
    good = normal(9, 2)
    with pytest.raises(ValueError, match="held_out must have at least 2 rows, got 1"):
        memorisation(good, normal(1, 2), good)
    with pytest.raises(ValueError, match="train and held_out and generated must have the same d, got train d=2, held"):
        memorisation(good, good, normal(9, 3))
    with pytest.raises(ValueError, match="generated must be finite, got NaN or infinity in 9 of 9 rows"):
        authenticity(good, good * torch.nan)
    with pytest.raises(ValueError, match="train must have at least 2 different rows, got copies of one"):
        authenticity(torch.ones(5, 2), good)
    with pytest.raises(ValueError, match="count must be between 1 and the 9 generated rows, got 10"):
        nearest_pairs(good, good, count=10)
