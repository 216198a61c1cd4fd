"""Euclidean distances between two sets of features: nearest points and balls, never the whole matrix in memory.

A tile of squared distances is one matrix product, |q|^2 + |p|^2 - 2 q.p about the centre of the points, whose
rounding error has a bound. Where that bound leaves a decision open, such as a query on the edge of a ball, the
distance is taken again as a sum of squared differences. So every result is bit for bit what such sums alone would
give, ties and duplicates included, at any block size.
"""

from collections.abc import Iterator, Mapping
from itertools import repeat

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from ganneal.metrics.moments import Features, checked_features

_EPSILON, _SMALLEST = torch.finfo(torch.float64).eps, torch.finfo(torch.float64).tiny
_LARGEST = 1e150
_SPARE = 4
"""Candidates beyond k whose distances are taken exactly: enough for all rows but those of many near-duplicates."""
_CHUNK = 2**21
"""Numbers gathered at a time where pairs are taken exactly: 16 MiB a side."""


def checked_sets(sets: Mapping[str, Features]) -> list[Float64[Tensor, "_ d"]]:
    """Every set as `checked_features` under its name, of one dimension and with at least two rows."""
    checked = {name: checked_features(name, features) for name, features in sets.items()}
    for name, rows in checked.items():
        if len(rows) < 2:
            raise ValueError(f"{name} must have at least 2 rows, got {len(rows)}; give more samples.")
    widths = {name: rows.shape[1] for name, rows in checked.items()}
    if len(set(widths.values())) > 1:
        listed = ", ".join(f"{name} d={d}" for name, d in widths.items())
        raise ValueError(f"{' and '.join(widths)} must have the same d, got {listed}; use one extractor for all.")
    return list(checked.values())


def checked_pair(real: Features, fake: Features) -> tuple[Float64[Tensor, "n d"], Float64[Tensor, "m d"]]:
    """`checked_sets` of both."""
    first, second = checked_sets({"real": real, "fake": fake})
    return first, second


def nearest_distances(
    queries: Float64[Tensor, "n d"],
    points: Float64[Tensor, "m d"],
    *,
    k: int = 1,
    exclude_self: bool = False,
    block: int = 1000,
) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"]]:
    """Distances to the ``k`` nearest points of each query, nearest first, and the rows of those points.

    Among equally near points the lower row comes first.

    Args:
        exclude_self: Query i is point i and not its own neighbour; an equal point in another row is.
        block: Rows of either set in memory at a time.

    >>> points = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    >>> distances, rows = nearest_distances(points, points, exclude_self=True)
    >>> distances.flatten().tolist(), rows.flatten().tolist()
    ([1.0, 1.0, 2.0], [1, 0, 1])
    """
    available = len(points) - exclude_self  # True counts as one
    if not 1 <= k <= available:
        raise ValueError(f"k must be between 1 and {available}, got {k}; there are no more neighbours.")
    if exclude_self and len(queries) != len(points):
        raise ValueError(
            f"queries must be the points themselves for exclude_self, got {len(queries)} queries for "
            f"{len(points)} points; pass one set twice."
        )
    _check_squares(queries, points, block)
    own = torch.arange(len(points), device=points.device).split(block) if exclude_self else repeat(None)
    found = [_nearest(part, points, k, mine, block) for part, mine in zip(queries.split(block), own, strict=False)]
    return torch.cat([distances for distances, _ in found]), torch.cat([rows for _, rows in found])


def ball_counts(
    queries: Float64[Tensor, "n d"],
    centres: Float64[Tensor, "m d"],
    radii: Float64[Tensor, " m"],
    *,
    closed: bool,
    block: int = 1000,
) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " m"]]:
    """Number of balls that hold each query, and number of queries that each ball holds.

    Args:
        closed: Whether a ball holds its edge. Radii from `nearest_distances` and distances to queries are of the
            same arithmetic, so a copy of the neighbour that made the radius lies exactly on the edge.
        block: Rows of either set in memory at a time.
    """
    _check_squares(queries, centres, block)
    of_query = torch.zeros(len(queries), dtype=torch.int64, device=queries.device)
    of_ball = torch.zeros(len(centres), dtype=torch.int64, device=queries.device)
    for row in range(0, len(queries), block):
        part = queries[row : row + block]
        for column, squares, error in _tiles(part, centres, block):
            radius = radii[column : column + block]
            beyond = squares - radius.square()  # [queries, balls]
            # Clear cases come from the matrix product. Pairs whose distance to the edge is within the error are decided
            # by the sum of squared differences.
            inside = beyond < 0
            rows, columns = (beyond.abs() <= error).nonzero(as_tuple=True)  # the pairs in doubt
            exact = _pair_distances(part, centres, rows, columns + column)
            inside[rows, columns] = exact <= radius[columns] if closed else exact < radius[columns]
            # Whole numbers, so that blocks add up to the same counts in any size and order.
            of_query[row : row + block] += inside.sum(dim=1)
            of_ball[column : column + block] += inside.sum(dim=0)
    return of_query, of_ball


def _check_squares(queries: Float64[Tensor, "n d"], points: Float64[Tensor, "m d"], block: int) -> None:
    if block < 1:
        raise ValueError(f"block must be at least 1 row, got {block}; 1000 is the default.")
    for part in (queries, points):
        if not (part.abs() < _LARGEST).all():
            raise ValueError(f"features must be finite and below {_LARGEST:.0e} to be squared; rescale them.")


def _tiles(
    queries: Float64[Tensor, "n d"], points: Float64[Tensor, "m d"], block: int
) -> Iterator[tuple[int, Float64[Tensor, "n part"], Float64[Tensor, "n part"]]]:
    """First column, squared distances and bounds of their errors, over blocks of the points.

    In units of epsilon (|q|^2 + |p|^2): the product's sums err by d, the sum of differences that it stands for
    by d too, centring and the last roundings by less than 16.
    """
    # Distances do not change under a shift, but the error of the product grows with the norms: features far from 0
    # would lose all digits.
    centre = points.mean(dim=0)
    centred = queries - centre
    norms = centred.square().sum(dim=1, keepdim=True)
    # |q|^2 + |p|^2 - 2 q p loses digits where q and p are near each other, and near pairs are all that matters here.
    # The bound says by how much, so that only pairs in doubt are taken again exactly.
    share = (2 * queries.shape[1] + 16) * _EPSILON
    for column in range(0, len(points), block):
        part = points[column : column + block] - centre
        scale = norms + part.square().sum(dim=1)
        squares = torch.addmm(scale, centred, part.T, alpha=-2)
        yield column, squares, scale.mul_(share).add_(_SMALLEST)


def _nearest(
    queries: Float64[Tensor, "n d"],
    points: Float64[Tensor, "m d"],
    k: int,
    own: Int64[Tensor, " n"] | None,
    block: int,
) -> tuple[Float64[Tensor, "n k"], Int64[Tensor, "n k"]]:
    """`nearest_distances` of one block of queries; ``own`` are their rows among the points, if left out."""
    bounds = queries.new_empty(len(queries), 0)
    rows = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for column, squares, error in _tiles(queries, points, block):
        columns = torch.arange(column, column + squares.shape[1], device=queries.device).expand_as(squares)
        # Lower bounds of the squared distances: a point that cannot be among the nearest by its lower bound is never
        # among them.
        lowest = _without(own, squares.sub_(error), columns)
        lowest, columns = torch.cat([bounds, lowest], dim=1), torch.cat([rows, columns], dim=1)
        bounds, order = lowest.topk(min(k + _SPARE, lowest.shape[1]), largest=False)
        rows = columns.gather(1, order)
    rows = rows.sort(dim=1).values  # the stable sort below then puts the lower of two equally near rows first
    pairs = torch.arange(len(queries), device=queries.device).repeat_interleave(rows.shape[1])
    distances = _without(own, _pair_distances(queries, points, pairs, rows.flatten()).view(rows.shape), rows)
    distances, order = distances.sort(dim=1, stable=True)
    distances, rows = distances[:, :k], rows.gather(1, order[:, :k])
    # a point left out is farther than the largest bound; should that be within reach, all points are taken
    unsure = (bounds[:, -1] <= distances[:, -1].square()).nonzero()[:, 0]
    if bounds.shape[1] < len(points) and len(unsure):
        every = torch.arange(len(points), device=points.device).expand(len(unsure), -1)
        exact = _without(None if own is None else own[unsure], _distances(queries[unsure], points), every)
        exact, order = exact.sort(dim=1, stable=True)
        distances[unsure], rows[unsure] = exact[:, :k], order[:, :k]
    return distances, rows


def _without(
    own: Int64[Tensor, " n"] | None, values: Float64[Tensor, "n part"], columns: Int64[Tensor, "n part"]
) -> Float64[Tensor, "n part"]:
    """``values`` with infinity where a query meets itself: its distance of 0 is not left to rounding."""
    return values if own is None else values.masked_fill_(columns == own[:, None], torch.inf)


def _distances(queries: Float64[Tensor, "*batch n d"], points: Float64[Tensor, "*batch m d"]) -> Tensor:
    """Roots of sums of squared differences: a pair's bits depend on that pair only."""
    # torch would use the matrix product for more than 25 points, with the loss of digits that this function is there to
    # avoid.
    return torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist")


def _pair_distances(
    queries: Float64[Tensor, "n d"],
    points: Float64[Tensor, "m d"],
    rows: Int64[Tensor, " pairs"],
    columns: Int64[Tensor, " pairs"],
) -> Float64[Tensor, " pairs"]:
    chunk = max(1, _CHUNK // queries.shape[1])
    parts = [
        _distances(queries[row][:, None], points[column][:, None])
        for row, column in zip(rows.split(chunk), columns.split(chunk), strict=True)
    ]
    return torch.cat(parts).flatten()
