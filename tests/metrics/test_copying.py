import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ganneal.metrics.memorisation import copying_test, mann_whitney_z

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong argument reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def test_scores_match_the_table():
    held_out = np.array([0.5, 1.2])
    assert mann_whitney_z(np.array([0.0, 0.1, 1.9, 13.0]), held_out) == 0
    assert mann_whitney_z(np.array([0.0, 0.0, 0.1, 0.2]), held_out) == pytest.approx(-1.8786729, abs=5e-8)
    # without a tie the variance is larger
    assert mann_whitney_z(np.array([0.0, 0.05, 0.1, 0.2]), held_out) == pytest.approx(-1.8516402, abs=5e-8)


@pytest.mark.runs
@given(st.lists(st.integers(0, 6), min_size=1, max_size=9), st.lists(st.integers(0, 6), min_size=1, max_size=9))
def test_scores_agree_with_scipys_p_and_change_sign_with_the_order(first, second):
    from scipy.stats import mannwhitneyu, norm

    x, y = np.array(first, np.float64), np.array(second, np.float64)
    z = mann_whitney_z(x, y)
    assert mann_whitney_z(y, x) == pytest.approx(-z, abs=1e-12)
    if len({*first, *second}) == 1:
        assert z == 0
    else:
        p = mannwhitneyu(x, y, alternative="greater", method="asymptotic", use_continuity=False).pvalue
        assert norm.sf(z) == pytest.approx(p, rel=1e-9)


@given(SEEDS)
def test_scores_see_the_order_of_the_values_only(seed):
    x, y = normal(8, seed=seed).numpy(), normal(5, seed=seed + 1).numpy()
    assert mann_whitney_z(np.exp(3 * x), np.exp(3 * y)) == mann_whitney_z(x, y)


def test_the_line_in_one_cell_matches_the_table():
    train, held_out = column(0, 1, 3, 7), column(0.5, 4.2)
    fresh = copying_test(train, held_out, column(0, 1.1, 4.9, 20), cells=1, min_count=2)
    assert fresh.value == 0 and fresh.cell_scores == (0,)
    copied = copying_test(train, held_out, column(0, 3, 0.9, 7.2), cells=1, min_count=2)
    # the distances are 0, 0, 0.1 and 0.2
    assert copied.value == pytest.approx(-1.8786729, abs=5e-8)


def test_fresh_samples_have_scores_of_mean_zero_and_deviation_one():
    # one cell: over 60 splits the mean errs by 0.13, the deviation by 0.09
    values = [copying_test(*(normal(200, 2, seed=3 * i + j) for j in range(3)), cells=1).value for i in range(60)]
    assert np.mean(values) == pytest.approx(0, abs=4 * 0.13)
    assert np.std(values) == pytest.approx(1, abs=4 * 0.09)


def test_copies_and_misfits_fall_to_either_side():
    train, held_out = normal(500, 2), normal(400, 2, seed=1)
    near_copies = train[:400] + 0.01 * normal(400, 2, seed=2)
    assert copying_test(train, held_out, near_copies, cells=4).value < -3
    assert copying_test(train, held_out, held_out + 0.8 * normal(400, 2, seed=3), cells=4).value > 3


def test_copying_one_region_is_seen_in_its_cell():
    middle = torch.tensor([[-20.0, 0.0], [20.0, 0.0]])
    train, held_out, generated = (normal(400, 2, seed=seed) + middle.repeat_interleave(200, dim=0) for seed in range(3))
    generated[:200] = train[:200]
    scores = sorted(
        score for score in copying_test(train, held_out, generated, cells=2).cell_scores if score is not None
    )
    assert scores[0] < -10 and abs(scores[1]) < 4


def test_cells_are_weighted_by_their_held_out_samples_and_left_out_when_small():
    middles = torch.tensor([[-50.0], [0.0], [50.0]]).double()
    counts = {"train": (100, 100, 100), "held_out": (30, 90, 40), "generated": (60, 25, 15)}
    sets = [
        torch.cat(
            [middle + normal(n, 1, seed=10 * i + j) for j, (middle, n) in enumerate(zip(middles, ns, strict=True))]
        )
        for i, ns in enumerate(counts.values())
    ]
    result = copying_test(*sets, cells=3)
    parts = [
        copying_test(*(part[(part - middle).abs()[:, 0] < 20] for part in sets), cells=1).value
        for middle in middles[:2]
    ]
    assert result.value == pytest.approx((30 * parts[0] + 90 * parts[1]) / 120, rel=1e-12)
    assert sorted(score for score in result.cell_scores if score is not None) == pytest.approx(sorted(parts))
    assert result.cell_scores.count(None) == 1
    assert result.generated_left_out == 15 / 100 and result.held_out_left_out == 40 / 160


def test_repeated_training_rows_are_dropped_and_counted():
    train, held_out, generated = (normal(100, 2, seed=seed) for seed in range(3))
    doubled = copying_test(torch.cat([train, train[:30]]), held_out, generated, cells=2)
    once = copying_test(train, held_out, generated, cells=2)
    assert (doubled.train_duplicates, once.train_duplicates) == (30, 0)
    assert (doubled.value, doubled.cell_scores) == (once.value, once.cell_scores)


def test_the_seed_decides_the_cells():
    sets = [normal(300, 3, seed=seed) for seed in range(3)]
    assert copying_test(*sets, seed=1) == copying_test(*sets, seed=1)
    assert copying_test(*sets, seed=1).cell_scores != copying_test(*sets, seed=2).cell_scores


@pytest.mark.usefixtures("no_shape_checks")
def test_settings_without_a_cell_are_refused():
    few = normal(19, 2)
    with pytest.raises(ValueError, match="must share a cell with at least 20 samples of each, got none of 1"):
        copying_test(normal(50, 2), normal(50, 2, seed=1), few, cells=1)
    with pytest.raises(ValueError, match="cells must be between 1 and the 2 different train rows, got 3"):
        copying_test(torch.cat([few[:2], few[:2]]), few, few, cells=3)
    with pytest.raises(ValueError, match="cells must be between 1 and the 19 different train rows, got 0"):
        copying_test(few, few, few, cells=0)
    with pytest.raises(ValueError, match="min_count must be at least 1 sample a cell, got 0"):
        copying_test(few, few, few, cells=1, min_count=0)
    with pytest.raises(ValueError, match="generated must have at least 2 rows, got 0"):
        copying_test(few, few, few[:0], cells=1)
