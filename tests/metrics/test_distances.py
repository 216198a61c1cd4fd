import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.for_each import for_each
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ganneal.metrics.distances import ball_counts, checked_pair, nearest_distances

SEEDS = st.integers(0, 2**32 - 1)
BLOCKS = st.sampled_from([1, 3, 1000])


@pytest.fixture
def no_shape_checks(monkeypatch):
    """Lets a wrong shape reach the function's own error, as it does outside of tests."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def by_differences(queries: Tensor, points: Tensor) -> Tensor:
    """The whole matrix, from sums of squared differences alone."""
    return torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist")


def nearest_of_all(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    values, rows = distances.sort(dim=1, stable=True)
    return values[:, :k], rows[:, :k]


def few_values(rows: st.SearchStrategy[int], d: int) -> st.SearchStrategy[Tensor]:
    """Points on a small lattice: most distances occur many times, most points too."""
    return rows.flatmap(
        lambda n: arrays(np.float64, (n, d), elements=st.integers(-1, 1).map(float)).map(torch.from_numpy)
    )


sets = st.integers(1, 3).flatmap(
    lambda d: st.tuples(few_values(st.integers(0, 12), d), few_values(st.integers(1, 14), d))
)


def test_distances_and_rows_by_hand():
    queries = torch.tensor([[0.0, 0.0], [3.0, 5.0]], dtype=torch.float64)
    points = torch.tensor([[3.0, 4.0], [0.0, 1.0], [-6.0, 8.0]], dtype=torch.float64)
    distances, rows = nearest_distances(queries, points, k=2)
    assert distances.tolist() == [[1, 5], [1, 5]]
    assert rows.tolist() == [[1, 0], [0, 1]]


def test_a_third_neighbour_is_the_third_in_order():
    line = torch.tensor([[0.0], [1.0], [3.0], [6.0], [10.0]], dtype=torch.float64)
    distances, rows = nearest_distances(line, line, k=3, exclude_self=True)
    assert distances.tolist() == [[1, 3, 6], [1, 2, 5], [2, 3, 3], [3, 4, 5], [4, 7, 9]]
    assert rows.tolist() == [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 4, 1], [3, 2, 1]]


@settings(max_examples=60)
@given(sets, BLOCKS, st.data())
def test_ties_and_duplicates_are_resolved_as_by_the_whole_matrix(both, block, data):
    queries, points = both
    k = data.draw(st.integers(1, len(points)))
    expected, expected_rows = nearest_of_all(by_differences(queries, points), k)
    distances, rows = nearest_distances(queries, points, k=k, block=block)
    assert torch.equal(distances, expected)
    assert torch.equal(rows, expected_rows)


@settings(max_examples=60)
@given(few_values(st.integers(2, 14), 2), BLOCKS, st.data())
def test_a_sample_is_not_its_own_neighbour_but_its_copy_is(points, block, data):
    k = data.draw(st.integers(1, len(points) - 1))
    expected, expected_rows = nearest_of_all(by_differences(points, points).fill_diagonal_(torch.inf), k)
    distances, rows = nearest_distances(points, points, k=k, exclude_self=True, block=block)
    assert torch.equal(distances, expected)
    assert torch.equal(rows, expected_rows)


@settings(max_examples=15)
@given(SEEDS, st.integers(1, 40), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3), BLOCKS)
def test_bits_are_those_of_differences_at_any_offset_scale_and_block(seed, d, offset, scale, block):
    queries = scale * normal(30, d, seed=seed) + offset
    points = torch.cat([scale * normal(20, d, seed=seed + 1) + offset, queries[:5], queries[3:8]])
    expected, expected_rows = nearest_of_all(by_differences(queries, points), 3)
    distances, rows = nearest_distances(queries, points, k=3, block=block)
    assert torch.equal(distances, expected)
    assert torch.equal(rows, expected_rows)


def test_near_copies_far_from_the_origin_keep_their_digits():
    # |q|^2 + |p|^2 - 2 q.p about the origin has an error of 1e-3 here, beside a square of 1e-8
    points = normal(500, 64) + 1e5
    step = torch.zeros(64, dtype=torch.float64)
    step[0] = 2**-13
    distances, rows = nearest_distances(points + step, points)
    assert torch.equal(rows[:, 0], torch.arange(500))
    assert distances.max() == distances.min() == 2**-13


@settings(max_examples=60)
@given(sets, BLOCKS, st.booleans(), st.data())
def test_balls_are_counted_as_by_the_whole_matrix(both, block, closed, data):
    queries, centres = both
    squares = data.draw(st.lists(st.integers(0, 6), min_size=len(centres), max_size=len(centres)))
    radii = torch.tensor(squares, dtype=torch.float64).sqrt()  # those of the lattice: most queries lie on edges
    distances = by_differences(queries, centres)
    inside = distances <= radii if closed else distances < radii
    of_query, of_ball = ball_counts(queries, centres, radii, closed=closed, block=block)
    assert torch.equal(of_query, inside.sum(dim=1))
    assert torch.equal(of_ball, inside.sum(dim=0))


@pytest.mark.runs
@for_each("block", [1, 7, 1000])
@for_each("d", [1, 3, 64])
def test_the_neighbour_that_made_a_radius_lies_on_the_edge(d, block):
    points = normal(24, d)
    radii = nearest_distances(points, points, k=4, exclude_self=True, block=block)[0][:, -1]
    closed, _ = ball_counts(points, points, radii, closed=True, block=block)
    open_, of_ball = ball_counts(points, points, radii, closed=False, block=block)
    assert of_ball.tolist() == [4] * 24  # itself and three neighbours, the fourth on the edge
    assert int(closed.sum() - open_.sum()) == 24


def test_no_queries_give_no_rows():
    distances, rows = nearest_distances(normal(0, 2), normal(4, 2), k=2)
    assert distances.shape == rows.shape == (0, 2)
    of_query, of_ball = ball_counts(normal(0, 2), normal(4, 2), normal(4, 1)[:, 0].abs(), closed=True)
    assert of_query.shape == (0,) and of_ball.tolist() == [0] * 4


class Largest(TorchDispatchMode):
    """Remembers the most elements that any one operation returned."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for part in out if isinstance(out, tuple | list) else (out,):
            if isinstance(part, Tensor) and part.untyped_storage().nbytes():
                self.elements = max(self.elements, part.untyped_storage().nbytes() // part.element_size())
        return out


def test_no_intermediate_result_grows_with_both_sets():
    n, m, block = 240, 200, 20
    queries, points = normal(n, 2), normal(m, 2, seed=1)
    radii = points[:, 0].abs()
    with Largest() as largest:
        nearest_distances(queries, points, k=2, block=block)
        ball_counts(queries, points, radii, closed=True, block=block)
    assert block**2 <= largest.elements <= block * (block + 6)  # a tile beside the k + 4 candidates so far


@for_each(("k", "exclude_self", "most"), [(0, False, 5), (6, False, 5), (5, True, 4), (-1, True, 4)])
def test_more_neighbours_than_there_are_are_refused(k, exclude_self, most):
    with pytest.raises(ValueError, match=f"k must be between 1 and {most}, got {k}"):
        nearest_distances(normal(5, 2), normal(5, 2), k=k, exclude_self=exclude_self)


def test_excluding_self_needs_the_points_as_queries():
    with pytest.raises(ValueError, match="queries must be the points themselves.*got 4 queries for 5 points"):
        nearest_distances(normal(4, 2), normal(5, 2), exclude_self=True)


@for_each("bad", [1e200, float("inf"), float("nan")])
def test_features_that_cannot_be_squared_are_refused(bad):
    points = normal(5, 2)
    points[3, 1] = bad
    with pytest.raises(ValueError, match="features must be finite and below 1e.150"):
        nearest_distances(normal(5, 2), points)
    with pytest.raises(ValueError, match="features must be finite and below 1e.150"):
        ball_counts(points, normal(5, 2), normal(5, 1)[:, 0].abs(), closed=True)


def test_a_block_below_one_row_is_refused():
    with pytest.raises(ValueError, match="block must be at least 1 row, got 0"):
        nearest_distances(normal(5, 2), normal(5, 2), block=0)


@pytest.mark.usefixtures("no_shape_checks")
def test_pairs_are_checked_by_name():
    good, bad = normal(9, 2), normal(9, 2)
    bad[2] = torch.nan
    with pytest.raises(ValueError, match="fake must be finite, got NaN or infinity in 1 of 9 rows"):
        checked_pair(good, bad)
    with pytest.raises(ValueError, match=r"real must have shape \[n, d\]"):
        checked_pair(good[0], good)
    with pytest.raises(ValueError, match="real and fake must have the same d, got real d=2, fake d=1"):
        checked_pair(good, good[:, :1])
    with pytest.raises(ValueError, match="real must have at least 2 rows, got 1"):
        checked_pair(good[:1], good)
